"""What ends a ruling's validity: changes of the catalog by anybody, the policy, and what was hidden by it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from hoopx_broker.masking.plan import OPEN
from hoopx_broker.seams.judge import Consent
from hoopx_broker.session.court import Bench, Court, Hearing
from hoopx_broker.session.ground import Ground
from hoopx_broker.session.plea import Plea
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.terms.catalog import Attribute, Catalog, Relation
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.lineage import Flow
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.terms.targets import ColumnName, Target, UpstreamTls
from hoopx_broker.wire.effects import Judge, Passage
from tests.unit.court_scene import Bookkeeper, nobody, with_reader

EMAIL = ColumnName("public", "customers", "email")
SHOP = Target(
    "shop", "postgres", "db.internal", 5432, "app", UpstreamTls("disable", None), "static", classify={EMAIL: "email"}
)
CUSTOMERS = Relation(100, "public", "customers", "r")
VIEW = Relation(200, "public", "innocent", "v")
SHOWN = Flow(frozenset({EMAIL}), is_plain=True)


def catalog(*, shows_emails: bool) -> Catalog:
    """A table with a classified column, and a view that shows it or does not."""
    return Catalog(
        {100: CUSTOMERS, 200: VIEW},
        {"customers": (CUSTOMERS,), "innocent": (VIEW,)},
        {EMAIL: ((100, 2),)},
        {200: frozenset({EMAIL})} if shows_emails else {},
        columns={100: ("id", "email"), 200: ("contact",)},
        flows={100: {"email": SHOWN}} | ({200: {"contact": SHOWN}} if shows_emails else {}),
        layout={100: (Attribute("id", 1, 23), Attribute("email", 2, 25)), 200: (Attribute("contact", 1, 25),)},
    )


class Hiding(Bookkeeper):
    """A policy that hides e-mail addresses until it is changed."""

    hides = True

    def hidden(self, who: Principal, target: Target, consent: Consent = Consent()) -> dict[ColumnName, str]:
        return {EMAIL: "email"} if self.hides else {}


class Scene:
    """Two courts on one target, whose catalog the scene changes."""

    def __init__(self, reader: StatementReader) -> None:
        self.policy = Hiding()
        self.now = 600.0
        self.catalog = catalog(shows_emails=False)
        self.is_down = False
        self.read = 0
        self.pleas: list[Plea] = []
        bench = Bench(lambda: self.policy, reader, self._read, self._ask, Ground(), lambda: self.now)
        self.ann, self.bob = (
            Court(bench, Principal(name, "human"), SHOP, self.catalog).hear() for name in ("ann", "bob")
        )

    async def _read(self, before: Catalog | None) -> Catalog:
        self.read += 1
        if self.is_down:
            raise BackendFailed("too many connections", "end some")
        return self.catalog

    async def _ask(self, plea: Plea) -> Deny:
        self.pleas.append(plea)
        return await nobody()

    async def says(self, court: Hearing, text: str) -> Passage | Deny:
        asked = Judge(text.encode(), executes=True)
        ruling = court.known(asked) or await court.rule(asked, lambda *_: None)
        court.transaction_ended()  # the server has answered
        return ruling


def play(act: Callable[[Scene], Awaitable[None]]) -> None:
    with_reader(lambda reader: act(Scene(reader)))


async def _sees_raw(scene: Scene, court: Hearing) -> bool:
    ruling = await scene.says(court, "select * from innocent")
    assert isinstance(ruling, Passage)
    return not ruling.plan.quiet  # a plan is quiet as soon as something hidden is touched


def test_a_view_that_one_session_replaces_is_masked_in_the_others_at_once() -> None:
    async def act(scene: Scene) -> None:
        assert await _sees_raw(scene, scene.ann)
        await scene.says(scene.bob, "create or replace view innocent as select 1")
        scene.catalog = catalog(shows_emails=True)
        assert not await _sees_raw(scene, scene.ann)
        assert not await _sees_raw(scene, scene.bob)

    play(act)


def test_a_view_that_somebody_replaces_past_the_broker_is_masked_within_a_minute() -> None:
    async def act(scene: Scene) -> None:
        assert await _sees_raw(scene, scene.ann)
        scene.catalog = catalog(shows_emails=True)
        scene.now += 60
        assert not await _sees_raw(scene, scene.ann)

    play(act)


def test_a_function_may_have_changed_anything_for_those_from_whom_something_is_hidden() -> None:
    async def act(scene: Scene) -> None:
        await scene.says(scene.ann, "call rebuild()")
        await scene.says(scene.ann, "select 1")
        assert scene.read == 1
        scene.policy.hides, scene.policy.version = False, "2"
        await scene.says(scene.ann, "select 2")
        before = scene.read
        await scene.says(scene.ann, "select rebuild()")
        await scene.says(scene.ann, "select 3")
        assert scene.read == before

    play(act)


def test_a_known_change_that_cannot_be_read_denies_and_an_unknown_one_waits() -> None:
    async def act(scene: Scene) -> None:
        scene.is_down = True
        scene.now += 60
        assert isinstance(await scene.says(scene.ann, "select 1"), Passage)
        await scene.says(scene.bob, "create table later (id integer)")
        with pytest.raises(BackendFailed, match="too many"):
            await scene.says(scene.ann, "select 2")
        scene.is_down = False
        assert isinstance(await scene.says(scene.ann, "select 2"), Passage)

    play(act)


COUNTED = {
    "select count(*) from customers, payments where email like 'a%'": True,
    "delete from payments where id in (select id from customers where email = 'eve@example.com')": True,
    "delete from payments using innocent where contact < 'b'": True,
    "update payments set id = 1 from customers where payments.id = customers.id": False,
    "select email from customers, payments": False,
    "delete from payments where note = 'eve@example.com'": False,
}


def test_people_are_told_no_number_of_rows_that_hidden_values_decide() -> None:
    """Whoever asks sees it too, before anybody has agreed: as often as they like, of whatever value they like."""

    async def act(scene: Scene) -> None:
        scene.catalog = catalog(shows_emails=True)
        scene.now += 60
        for text in COUNTED:
            await scene.says(scene.ann, text)
        assert {plea.asked.text.decode(): plea.reveals for plea in scene.pleas} == COUNTED
        scene.policy.hides, scene.policy.version = False, "2"
        scene.pleas.clear()
        for text in COUNTED:
            await scene.says(scene.ann, text)
        assert not any(plea.reveals for plea in scene.pleas)

    play(act)


def test_a_changed_policy_changes_at_once_what_is_hidden() -> None:
    async def act(scene: Scene) -> None:
        assert scene.ann.doubt.hides
        scene.policy.hides, scene.policy.version = False, "2"
        ruling = await scene.says(scene.ann, "select email from customers")
        assert isinstance(ruling, Passage)
        assert (ruling.plan, scene.ann.doubt) == (OPEN, OPEN)
        scene.policy.hides, scene.policy.version = True, "3"
        ruling = await scene.says(scene.ann, "select email from customers")
        assert isinstance(ruling, Passage)
        assert ruling.plan.hides
        assert scene.ann.doubt.hides

    play(act)


def test_the_sessions_on_a_target_read_its_catalog_once_between_them() -> None:
    async def act(scene: Scene) -> None:
        scene.now += 60
        await scene.says(scene.ann, "select 1")
        await scene.says(scene.bob, "select 2")
        assert scene.read == 1
        await scene.says(scene.bob, "create table t (x int)")
        await scene.says(scene.ann, "select 3")
        await scene.says(scene.bob, "select 4")
        assert scene.read == 2

    play(act)
