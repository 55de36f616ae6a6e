"""EXECUTE and FETCH are judged as what they run, at the time when they run it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from msgspec import structs

from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.session.court import Bench, Court, Hearing, Start
from hoopx_broker.session.granted import RUN_WITHIN_SECONDS
from hoopx_broker.session.ground import Ground
from hoopx_broker.session.prepared import FORGOTTEN, MAX_MEANINGS, MAX_NAMES, PreparedStatements
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.terms.catalog import Catalog, Relation
from hoopx_broker.terms.facts import StatementFacts
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling
from hoopx_broker.terms.targets import ColumnName, Target
from hoopx_broker.wire.effects import Judge, Passage
from tests.unit.court_scene import ANN, SHOP, Bookkeeper, with_reader

OPEN, SHUT = Relation(1, "public", "t", "r"), Relation(2, "shop", "t", "r")


class Closed(Bookkeeper):
    """Another policy: `orders` and the schema `shop` are closed to everybody."""

    version = "2"
    ruling: Ruling = Deny("closed", "office-hours")

    def statements(
        self,
        who: Principal,
        target: Target,
        facts: Sequence[StatementFacts],
        circumstances: Circumstances,
        hidden: Collection[ColumnName] | None = None,
    ) -> Ruling:
        touched = any(use.name == "orders" or use.schema == "shop" for each in facts for use in each.tables)
        return self.ruling if touched else super().statements(who, target, facts, circumstances, hidden)


class Asking(Closed):
    """A third: people are asked about `orders`."""

    version = "3"
    ruling = Ask("look twice", ("twice",), {"dba": 1})


class Forgetful(Bookkeeper):
    """The same rules once more: whoever agreed by the version before has not agreed by this one."""

    version = "4"


class Lenient(Bookkeeper):
    """As it was before anybody was to be asked."""

    version = "0"

    def statements(
        self,
        who: Principal,
        target: Target,
        facts: Sequence[StatementFacts],
        circumstances: Circumstances,
        hidden: Collection[ColumnName] | None = None,
    ) -> Ruling:
        return Allow(("reading",))


class Scene:
    """A court whose policy can be replaced while statements stay prepared."""

    def __init__(self, reader: StatementReader, catalog: Catalog) -> None:
        self.policy: Bookkeeper = Bookkeeper()
        self.meanwhile: Callable[[], None] = lambda: None
        self.answer: tuple[frozenset[str], str] | Deny = Deny("nobody was to be asked", "people")
        self.now, self.asked = 600.0, 0
        bench = Bench(lambda: self.policy, reader, self._catalog, self._people, Ground(), lambda: self.now)
        self._court = Court(bench, ANN, SHOP, catalog, Start("public"))
        self._catalog_now = catalog
        self.court = self._court.hear()

    def another(self) -> Hearing:
        """A second connection of the same session."""
        return self._court.hear()

    async def _catalog(self, before: Catalog | None) -> Catalog:
        return self._catalog_now

    async def _people(self, *_: object) -> tuple[frozenset[str], str] | Deny:
        self.asked += 1
        self.meanwhile()
        return self.answer

    async def says(self, text: str, *values: bytes, binds: bool = False) -> Passage | Deny:
        asked = Judge(text.encode(), executes=True, parameters=values, binds=binds)
        return self.court.known(asked) or await self.court.rule(asked, lambda *_: None)


def play(act: Callable[[Scene], Awaitable[None]], catalog: Catalog | None = None) -> None:
    with_reader(lambda reader: act(Scene(reader, catalog or Catalog())))


def test_what_was_prepared_while_it_was_allowed_is_judged_again_when_it_runs() -> None:
    async def act(scene: Scene) -> None:
        await scene.says("PREPARE p AS SELECT * FROM orders")
        await scene.says("PREPARE q AS SELECT 1")
        await scene.says("DECLARE c CURSOR WITH HOLD FOR SELECT * FROM orders")
        assert isinstance(await scene.says("EXECUTE p"), Passage)
        scene.policy = Closed()
        for runs in ("EXECUTE p", "EXPLAIN ANALYZE EXECUTE p", "CREATE TABLE t AS EXECUTE p", "FETCH ALL FROM c"):
            denied = await scene.says(runs)
            assert isinstance(denied, Deny)
            assert (denied.reason, denied.rule) == ("closed", "office-hours"), runs
            assert "public.orders" in denied.touched.tables  # what it stands for, not only what it says
        assert isinstance(await scene.says("EXECUTE q"), Passage)

    play(act)


def test_a_name_that_means_something_else_by_now_is_judged_anew() -> None:
    async def act(scene: Scene) -> None:
        await scene.says("PREPARE p AS SELECT 1")
        assert isinstance(await scene.says("EXECUTE p"), Passage)
        await scene.says("DEALLOCATE p")
        await scene.says("PREPARE p AS SELECT * FROM orders")
        scene.policy = Closed()
        assert isinstance(await scene.says("EXECUTE p"), Deny)

    play(act)


def test_a_name_that_the_protocol_prepared_was_judged_there() -> None:
    async def act(scene: Scene) -> None:
        assert isinstance(await scene.says("EXECUTE s_1"), Passage)

    play(act)


def test_people_are_not_asked_about_a_bare_name() -> None:
    async def act(scene: Scene) -> None:
        await scene.says("PREPARE p AS SELECT * FROM orders")
        scene.policy = Asking()
        ruling = await scene.says("EXECUTE p")
        assert isinstance(ruling, Deny)
        assert "cannot be prepared by SQL" in ruling.reason

    play(act)


AGREED = frozenset({"dba"}), "r_1"


def test_what_people_agreed_to_have_declared_is_what_its_name_runs_from_then_on() -> None:
    """`payments` is what this policy asks about: the name stood for something else before."""

    async def act(scene: Scene) -> None:
        await scene.says("DECLARE c CURSOR WITH HOLD FOR SELECT 1")
        scene.answer = AGREED
        assert isinstance(await scene.says("DECLARE c CURSOR WITH HOLD FOR SELECT * FROM payments"), Passage)
        assert isinstance(await scene.says("FETCH ALL FROM c"), Passage), "that is what they agreed to"
        meanings = scene.court.prepared.meant([executes("c")])
        assert not isinstance(meanings, Deny)
        assert [{use.name for use in each.tables} for each in meanings] == [set(), {"payments"}]
        scene.policy = Forgetful()
        assert isinstance(await scene.says("FETCH ALL FROM c"), Deny), "by another version, nobody has agreed"

    play(act)


def test_what_people_agreed_to_does_not_run_by_a_policy_that_is_newer_than_their_answer() -> None:
    async def act(scene: Scene) -> None:
        def change() -> None:
            scene.policy = Forgetful()

        scene.answer, scene.meanwhile = AGREED, change
        ruling = await scene.says("SELECT * FROM payments")
        assert isinstance(ruling, Deny)
        assert "policy was changed" in ruling.reason

    play(act)


PAYMENT = "SELECT * FROM payments WHERE id = $1"


def test_what_people_agreed_to_have_bound_is_run_once_and_at_once() -> None:
    async def act(scene: Scene) -> None:
        scene.answer = AGREED
        for seconds, run, asked in ((0, b"7", 1), (0, b"8", 2), (RUN_WITHIN_SECONDS, b"7", 2)):
            scene.asked = 0
            assert isinstance(await scene.says(PAYMENT, b"7", binds=True), Passage)
            scene.now += seconds
            ruling = await scene.says(PAYMENT, run)
            assert isinstance(ruling, Passage)
            assert (ruling.request, scene.asked) == ("r_1", asked), "asked of each binding, and each other run"
            scene.now += RUN_WITHIN_SECONDS
        scene.asked = 0
        await scene.says(PAYMENT, b"7", binds=True)
        for asked in (1, 2):
            await scene.says(PAYMENT, b"7")
            assert scene.asked == asked, "a second run of it is another one"
        await scene.says(PAYMENT, b"7", binds=True)
        scene.policy = Forgetful()
        await scene.says(PAYMENT, b"7")
        assert scene.asked == 4, "nobody was asked by this policy"

    play(act)


def test_an_agreement_to_one_cursor_is_none_to_what_else_was_prepared() -> None:
    async def act(scene: Scene) -> None:
        scene.policy = Lenient()
        await scene.says("PREPARE c AS SELECT * FROM payments")
        await scene.says("DECLARE d CURSOR WITH HOLD FOR SELECT * FROM payments")
        scene.policy = Bookkeeper()
        scene.answer = AGREED
        assert isinstance(await scene.says("DECLARE c CURSOR WITH HOLD FOR SELECT * FROM payments"), Passage)
        assert isinstance(await scene.says("EXECUTE c"), Deny)
        assert isinstance(await scene.says("FETCH ALL FROM d"), Deny)

    play(act)


def prepared(name: str, fingerprint: str = "") -> StatementFacts:
    return StatementFacts("prepare", frozenset(), frozenset(), fingerprint, defines=name)


def executes(name: str) -> StatementFacts:
    return StatementFacts("execute", frozenset(), frozenset(), "", indirect=name)


def learn(known: PreparedStatements, facts: list[StatementFacts]) -> None:
    known.learn(facts, facts)


def test_a_session_remembers_so_many_names_and_refuses_what_it_forgot() -> None:
    known = PreparedStatements()
    learn(known, [prepared(f"s{n}") for n in range(MAX_NAMES)])
    assert known.meant([executes("s0")]) == (prepared("s0"),)
    assert known.meant([executes("never")]) == ()
    learn(known, [prepared("one more")])
    assert known.meant([executes("s0")]) == FORGOTTEN
    assert known.meant([executes("s1")]) == (prepared("s1"),)


def test_a_name_means_all_that_it_was_given_lately() -> None:
    known = PreparedStatements()
    learn(known, [prepared("p", str(n)) for n in range(MAX_MEANINGS + 1)])
    meant = known.meant([executes("p")])
    assert isinstance(meant, tuple)
    assert [each.fingerprint for each in meant] == [str(n) for n in range(1, MAX_MEANINGS + 1)]


def test_the_same_again_is_no_news() -> None:
    known = PreparedStatements()
    learn(known, [prepared("p")])
    turns = known.turns
    learn(known, [prepared("p"), executes("p")])
    assert known.turns == turns


def test_what_one_stream_did_to_its_names_is_no_matter_of_another() -> None:
    """Neither is a ruling of the one taken for the other, nor does a statement that teaches go unheard."""

    async def act(scene: Scene) -> None:
        scene.policy = Closed()
        ann, bob = scene.court, scene.another()

        async def says(hearing: Hearing, text: str) -> Passage | Deny:
            asked = Judge(text.encode(), executes=True)
            return hearing.known(asked) or await hearing.rule(asked, lambda *_: None)

        for one, other in ((ann, bob), (bob, ann)):
            assert isinstance(await says(one, "SELECT * FROM t"), Passage)
            assert isinstance(await says(one, "SET search_path TO shop"), Passage)
            denied = await says(one, "SELECT * FROM t")
            assert isinstance(denied, Deny)
            assert denied == structs.replace(Closed.ruling, touched=denied.touched)
            denied = await says(one, "SELECT * FROM t")
            assert isinstance(denied, Deny)
            assert denied == structs.replace(Closed.ruling, touched=denied.touched)
            assert isinstance(await says(one, "PREPARE p AS SELECT * FROM t"), Deny)
            if other is bob:
                assert isinstance(await says(other, "SELECT * FROM t"), Passage)
        assert isinstance(await says(scene.another(), "SELECT * FROM t"), Passage)

    play(act, Catalog({1: OPEN, 2: SHUT}, {"t": (OPEN, SHUT)}))


def test_a_name_of_one_stream_means_nothing_to_another() -> None:
    async def act(scene: Scene) -> None:
        ann, bob = scene.court, scene.another()
        for each in (ann, bob):
            for text in ("PREPARE p AS SELECT * FROM orders", "EXECUTE p", "EXECUTE p"):
                asked = Judge(text.encode(), executes=True)
                assert isinstance(each.known(asked) or await each.rule(asked, lambda *_: None), Passage)
        scene.policy = Closed()
        for each in (ann, bob):
            asked = Judge(b"EXECUTE p", executes=True)
            assert isinstance(each.known(asked) or await each.rule(asked, lambda *_: None), Deny)
        third = scene.another()
        assert isinstance(await third.rule(Judge(b"EXECUTE p", executes=True), lambda *_: None), Passage)

    play(act)
