"""What a court remembers, so that a statement like one before costs no judging; and when it must forget."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hoopx_broker.session.court import Bench, Court
from hoopx_broker.session.ground import Ground
from hoopx_broker.session.plea import Plea
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.terms.catalog import Catalog
from hoopx_broker.terms.facts import Touched
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.wire.effects import Judge, Passage
from tests.unit.court_scene import ANN, SHOP, Bookkeeper, with_reader


class Scene:
    """A court whose policy and clock the test holds."""

    def __init__(self, reader: StatementReader) -> None:
        self.policy = Bookkeeper()
        self.now = 600.0
        self.catalogs = 0
        self.people = 0
        bench = Bench(lambda: self.policy, reader, self._catalog, self._people, Ground(), lambda: self.now)
        self.court = Court(bench, ANN, SHOP, Catalog()).hear()

    async def says(self, text: str) -> Passage | Deny:
        """What the pump does with a statement."""
        asked = Judge(text.encode(), executes=True)
        self.court.transaction_ended()  # the server has answered what was said before
        return self.court.known(asked) or await self.court.rule(asked, lambda *_: None)

    async def _catalog(self, before: Catalog | None) -> Catalog:
        self.catalogs += 1
        return Catalog()

    async def _people(self, plea: Plea) -> tuple[frozenset[str], str] | Deny:
        self.people += 1
        return frozenset({"dba"}), f"r_{self.people}"


def play(act: Callable[[Scene], Awaitable[None]]) -> None:
    with_reader(lambda reader: act(Scene(reader)))


def test_texts_that_differ_in_constants_are_judged_once() -> None:
    async def act(scene: Scene) -> None:
        first = await scene.says("select balance from accounts where id = 1")
        for number in range(2, 20):
            assert await scene.says(f"select balance from accounts where id = {number}") == first
        assert scene.policy.asked == 1

    play(act)


def test_texts_that_differ_in_a_number_only_are_read_once() -> None:
    async def act(scene: Scene) -> None:
        first = await scene.says("select balance from accounts where id = 1;")
        for number in (2, 30, 999_999_999):
            asked = Judge(b"select balance from accounts where id = %d;" % number, executes=True)
            assert scene.court.known(asked) == first
        for other in (b"select balance from accounts where id = '2';", b"select balance from accounts where id < 2;"):
            assert scene.court.known(Judge(other, executes=True)) is None

    play(act)


def test_a_denial_is_shared_by_texts_too_and_stays_a_denial() -> None:
    async def act(scene: Scene) -> None:
        secrets = Touched(("read",), ("public.secrets",))
        for number in range(5):
            assert await scene.says(f"select a from secrets where id = {number}") == Deny(
                "no secrets", "no-secrets", touched=secrets
            )
        assert scene.policy.asked == 1

    play(act)


def test_another_table_column_function_or_missing_where_is_judged_on_its_own() -> None:
    texts = [
        "select balance from accounts where id = 1",
        "select balance from secrets where id = 1",
        "select balance, owner from accounts where id = 1",
        "select balance from other.accounts where id = 1",
        "select lower(balance) from accounts where id = 1",
        "select balance from accounts",
        "delete from accounts where id = 1",
        "delete from accounts",
        "select balance from accounts where id = 1; select 1",
    ]

    async def act(scene: Scene) -> None:
        for text in texts:
            await scene.says(text)
        assert scene.policy.asked == len(texts)

    play(act)


def test_the_next_minute_is_another_ruling_for_like_texts_too() -> None:
    async def act(scene: Scene) -> None:
        await scene.says("select 1 from accounts where id = 1")
        scene.now += 60
        await scene.says("select 1 from accounts where id = 2")
        assert scene.policy.asked == 2

    play(act)


def test_a_policy_that_changes_while_a_statement_is_read_judges_it() -> None:
    async def act(scene: Scene) -> None:
        await scene.says("select 1 from accounts where id = 1")
        under_way = asyncio.ensure_future(scene.says("select 1 from accounts where id = '2'"))
        await asyncio.sleep(0)
        assert not under_way.done()
        scene.policy.version = "2"
        await under_way
        assert scene.policy.asked == 2

    play(act)


def test_people_are_asked_for_each_text_that_needs_them() -> None:
    async def act(scene: Scene) -> None:
        requests = []
        for number in (1, 2, 2):
            ruling = await scene.says(f"select a from payments where id = {number}")
            assert isinstance(ruling, Passage)
            requests.append(ruling.request)
        assert requests == ["r_1", "r_2", "r_3"]

    play(act)


def test_after_a_change_of_the_catalog_like_texts_are_judged_anew() -> None:
    async def act(scene: Scene) -> None:
        await scene.says("select 1 from accounts where id = 1")
        await scene.says("create table accounts_of_old (id integer)")
        await scene.says("select 1 from accounts where id = 2")
        assert (scene.policy.asked, scene.catalogs) == (3, 1)

    play(act)


def test_what_defines_a_name_defines_it_from_memory_too() -> None:
    async def act(scene: Scene) -> None:
        for number in (1, 2):
            ruling = await scene.says(f"prepare p as select 1 from accounts where id = {number}")
            assert isinstance(ruling, Passage)
            assert ruling.defines == ("p",)

    play(act)
