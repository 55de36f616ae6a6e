"""Columns that the database classifies itself are hidden as those of the configuration, which has the last word."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from msgspec import structs

from hoopx_broker.seams.judge import Consent
from hoopx_broker.session.court import Bench, Court, Hearing
from hoopx_broker.session.ground import Ground
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.terms.catalog import Catalog, Relation
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.targets import ColumnName, Target
from hoopx_broker.wire.effects import Judge, Passage
from tests.unit.court_scene import ANN, SHOP, Bookkeeper, nobody, with_reader

EMAIL = ColumnName("public", "customers", "email")
PHONE = ColumnName("public", "customers", "phone")
CUSTOMERS = Relation(100, "public", "customers", "r")


def catalog(labelled: Mapping[ColumnName, str]) -> Catalog:
    places: dict[ColumnName, tuple[tuple[int, int], ...]] = {EMAIL: ((100, 2),), PHONE: ((100, 3),)}
    return Catalog({100: CUSTOMERS}, {"customers": (CUSTOMERS,)}, places, labelled=dict(labelled))


class Hiding(Bookkeeper):
    """Hides all that is classified, but for the class `public`."""

    def hidden(self, who: Principal, target: Target, consent: Consent = Consent()) -> dict[ColumnName, str]:
        return {column: kind for column, kind in target.classify.items() if kind != "public"}


class Scene:
    """A session on a target whose configuration classifies `configured`, and its database what the scene says."""

    def __init__(self, reader: StatementReader, configured: Mapping[ColumnName, str]) -> None:
        self.now = 600.0
        self.labelled: dict[ColumnName, str] = {}
        target = structs.replace(SHOP, classify=dict(configured))
        bench = Bench(Hiding, reader, self._read, nobody, Ground(), lambda: self.now)
        self.court = Court(bench, ANN, target, catalog({}))
        self.hearing: Hearing = self.court.hear()

    async def _read(self, before: Catalog | None) -> Catalog:
        return catalog(self.labelled)

    async def hides(self, text: str = "select * from customers") -> bool:
        asked = Judge(text.encode(), executes=True)
        ruling = self.hearing.known(asked) or await self.hearing.rule(asked, lambda *_: None)
        self.hearing.transaction_ended()  # the server has answered
        assert isinstance(ruling, Passage), ruling
        return ruling.plan.hides


def play(act: Callable[[Scene], Awaitable[None]], configured: Mapping[ColumnName, str] | None = None) -> None:
    with_reader(lambda reader: act(Scene(reader, configured or {})))


def test_a_label_hides_its_column_from_the_next_statement_on() -> None:
    async def act(scene: Scene) -> None:
        assert not await scene.hides()
        scene.labelled = {EMAIL: "email"}
        await scene.hides("comment on column customers.email is 'hoopx:email'")
        assert await scene.hides()
        assert scene.court.masked == ("public.customers.email",)
        assert scene.court.classified == {"public.customers.email": "email"}

    play(act)


def test_a_label_that_somebody_sets_past_the_broker_hides_within_a_minute() -> None:
    async def act(scene: Scene) -> None:
        assert not await scene.hides()
        scene.labelled = {EMAIL: "email"}
        scene.now += 60
        assert await scene.hides()
        assert scene.hearing.doubt.hides

    play(act)


def test_a_label_that_is_gone_hides_no_longer() -> None:
    async def act(scene: Scene) -> None:
        scene.labelled = {EMAIL: "email"}
        scene.now += 60
        assert await scene.hides()
        scene.labelled = {}
        scene.now += 60
        assert not await scene.hides()
        assert scene.court.classified == {}

    play(act)


def test_nothing_in_the_database_takes_a_configured_class_away() -> None:
    async def act(scene: Scene) -> None:
        assert await scene.hides()
        scene.labelled = {EMAIL: "public", PHONE: "public"}
        scene.now += 60
        assert await scene.hides()
        assert scene.court.classified == {"public.customers.email": "email", "public.customers.phone": "public"}
        assert scene.court.masked == ("public.customers.email",)

    play(act, configured={EMAIL: "email"})
