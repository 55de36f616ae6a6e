"""Approvals to unmask reach sessions at once, end to the moment, and leave nothing raw behind them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from hoopx_broker.api.messages import SessionView
from hoopx_broker.approvals.desk import Desk
from hoopx_broker.approvals.unmasking import Unmasking, matter_of
from hoopx_broker.credentials.conclusion import Conclusion
from hoopx_broker.identity.identity import Identity, Login
from hoopx_broker.masking.hidden import Origin
from hoopx_broker.masking.plan import OPEN
from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.seams.judge import Consent
from hoopx_broker.session import unmasking as room
from hoopx_broker.session.court import Bench, Court, Hearing
from hoopx_broker.session.database_session import DatabaseParts, DatabaseSession
from hoopx_broker.session.ground import Ground
from hoopx_broker.session.live import LiveSession, Parts, Sessions, Surface
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.session.unmasked import Unmasked, begins, ends, noted
from hoopx_broker.session.unmasking import Unmaskings
from hoopx_broker.storage.sessions import Sessions as StoredSessions
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.catalog import Attribute, Catalog, Relation
from hoopx_broker.terms.entries import Entry, Notice, Opened, Unmask
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.terms.ids import RequestId, SessionId, new_request_id
from hoopx_broker.terms.lineage import Flow
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny
from hoopx_broker.terms.targets import ColumnName, Target, UpstreamTls
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.wire.effects import Judge, Passage
from tests.unit.court_scene import Bookkeeper, with_reader
from tests.unit.recording_scene import told
from tests.unit.test_session_pump import READY, STARTUP, complete, query
from tests.unit.test_session_pump import Scene as Stream
from tests.unit.test_session_pump import play as play_stream

ANN, BOB, PIA = (Principal(name, "human", (group,)) for name, group in [("ann", "dev"), ("bob", "dev"), ("pia", "dpo")])
EMAIL, SSN = (ColumnName("public", "customers", name) for name in ("email", "ssn"))
SHOP = Target(
    "shop",
    "postgres",
    "db.internal",
    5432,
    "app",
    UpstreamTls("disable", None),
    "static",
    classify={EMAIL: "email", SSN: "national-id"},
)
CUSTOMERS = Relation(100, "public", "customers", "r")
PAYMENTS = Relation(200, "public", "payments", "r")
CATALOG = Catalog(
    {100: CUSTOMERS, 200: PAYMENTS},
    {"customers": (CUSTOMERS,), "payments": (PAYMENTS,)},
    {EMAIL: ((100, 2),), SSN: ((100, 3),)},
    columns={100: ("id", "email", "ssn"), 200: ("paid",)},
    flows={100: {column.column: Flow(frozenset({column}), is_plain=True) for column in (EMAIL, SSN)}},
    layout={
        100: (Attribute("id", 1, 23), Attribute("email", 2, 25), Attribute("ssn", 3, 25)),
        200: (Attribute("paid", 1, 16),),
    },
)
TEXT = Origin(0, 0, 25, 0)
ASKING = Ask("look first", ("ask",), {"dpo": 1})
UNMASKING = Unmasking("r_1", ANN, "shop", "1", ("email",), frozenset({"dpo"}), ("pia",), "why", "T-1", 660.5)


class Consenting(Bookkeeper):
    """A policy by which the group `dpo` lets classes be seen."""

    def hidden(self, who: Principal, target: Target, consent: Consent = Consent()) -> dict[ColumnName, str]:
        return {} if consent == Consent(frozenset({"dpo"}), "why", "T-1") else dict(target.classify)


# The court.


class Scene:
    """Ann's court, with a clock to hold."""

    def __init__(self, reader: StatementReader) -> None:
        self.policy = Consenting()
        self.now = 600.0
        self.during_the_wait: Callable[[], None] = lambda: None
        bench = Bench(lambda: self.policy, reader, self._catalog, self._people, Ground(), lambda: self.now)
        self.court = Court(bench, ANN, SHOP, CATALOG)
        self.stream = self.court.hear()

    async def sees(self, text: str, stream: Hearing | None = None) -> Passage:
        ruling = await self.says(text, stream)
        assert isinstance(ruling, Passage), ruling
        return ruling

    async def says(self, text: str, stream: Hearing | None = None) -> Passage | Deny:
        hearing, asked = stream or self.stream, Judge(text.encode(), executes=True)
        return hearing.known(asked) or await hearing.rule(asked, lambda *_: None)

    async def is_raw(self, column: str = "email") -> bool:
        return is_raw(await self.sees(f"select {column} from customers"))

    async def _catalog(self, before: Catalog | None) -> Catalog:
        return before or CATALOG

    async def _people(self, *_: object) -> tuple[frozenset[str], str] | Deny:
        self.during_the_wait()
        return frozenset({"dba"}), "r_2"


def is_raw(passage: Passage) -> bool:
    """Whether the one column of the answer is shown as it is."""
    return passage.plan.masks((TEXT,)) is None


def play(act: Callable[[Scene], Awaitable[None]]) -> None:
    with_reader(lambda reader: act(Scene(reader)))


def test_a_remembered_ruling_is_raw_up_to_the_very_moment_and_masked_from_it_on() -> None:
    async def act(scene: Scene) -> None:
        assert not await scene.is_raw()
        scene.court.unmask(Unmasked([UNMASKING]))
        assert await scene.is_raw()
        asked = scene.policy.asked
        scene.now = 660.499  # another minute, so it is ruled on once more
        assert await scene.is_raw()
        assert await scene.is_raw()
        assert scene.policy.asked == asked + 1, "the second time by memory"
        scene.now = 660.5
        assert not await scene.is_raw()
        scene.now = 620.0  # a clock that is set back brings nothing back
        assert not await scene.is_raw()

    play(act)


def test_only_the_classes_that_were_asked_for_are_raw() -> None:
    async def act(scene: Scene) -> None:
        scene.court.unmask(Unmasked([UNMASKING]))
        assert await scene.is_raw("email")
        assert not await scene.is_raw("ssn")
        assert not await scene.is_raw("email || ssn")
        assert scene.court.masked == (str(SSN),)

    play(act)


def test_two_approvals_add_up_and_each_ends_by_itself() -> None:
    async def act(scene: Scene) -> None:
        other = structs.replace(UNMASKING, request="r_2", classes=("national-id",), until=630.0)
        scene.court.unmask(Unmasked([UNMASKING, other]))
        assert await scene.is_raw("email || ssn")
        scene.now = 630.0
        assert await scene.is_raw("email")
        assert not await scene.is_raw("ssn")

    play(act)


@pytest.mark.parametrize(
    "other",
    [
        structs.replace(UNMASKING, approvals=frozenset({"dba"})),
        structs.replace(UNMASKING, ticket="T-2"),
        structs.replace(UNMASKING, policy="2"),
        structs.replace(UNMASKING, classes=("phone",)),
        structs.replace(UNMASKING, until=600.0),
    ],
)
def test_an_approval_that_policy_does_not_take_shows_nothing(other: Unmasking) -> None:
    async def act(scene: Scene) -> None:
        scene.court.unmask(Unmasked([other]))
        assert not await scene.is_raw()

    play(act)


def test_a_changed_policy_ends_it_at_once() -> None:
    async def act(scene: Scene) -> None:
        scene.court.unmask(Unmasked([UNMASKING]))
        assert await scene.is_raw()
        scene.policy.version = "2"
        assert not await scene.is_raw()
        assert not scene.court.shows(Unmasked([UNMASKING]))

    play(act)


@pytest.mark.parametrize(
    "sql",
    [
        "create table kept as select email from customers",
        "select email into temp kept from customers",
        "create materialized view kept as select email from customers",
        "insert into kept select email from customers",
        "select set_config('a.b', email, false) from customers",
        "do $$ begin perform email from customers; end $$",
    ],
)
def test_what_is_raw_is_kept_nowhere(sql: str) -> None:
    async def act(scene: Scene) -> None:
        before = await scene.says(sql)
        scene.court.unmask(Unmasked([UNMASKING]))
        ruling = await scene.says(sql)
        assert isinstance(ruling, Deny)
        assert ruling == before

    play(act)


def test_an_answer_to_an_unknown_question_stays_masked() -> None:
    async def act(scene: Scene) -> None:
        before = scene.court.doubt
        scene.court.unmask(Unmasked([structs.replace(UNMASKING, classes=("email", "national-id"))]))
        assert await scene.is_raw("ssn")
        assert scene.court.doubt == before
        assert scene.court.doubt.quiet

    play(act)


def test_what_ends_while_people_think_about_a_statement_is_masked_in_its_answer() -> None:
    async def act(scene: Scene) -> None:
        sql = "select email from customers, payments"
        scene.court.unmask(Unmasked([UNMASKING]))
        assert is_raw(await scene.sees(sql))
        scene.during_the_wait = lambda: setattr(scene, "now", 661.0)
        assert not is_raw(await scene.sees(sql))

    play(act)


def test_an_answer_is_marked_where_it_may_show_what_is_unmasked_and_nowhere_else() -> None:
    async def act(scene: Scene) -> None:
        assert not (await scene.sees("select email from customers")).shows_unmasked
        scene.court.unmask(Unmasked([UNMASKING]))
        assert (await scene.sees("select email from customers")).shows_unmasked
        assert (await scene.sees("fetch 1 from c")).shows_unmasked
        assert not (await scene.sees("select 1 + 1")).shows_unmasked

    play(act)


def test_a_function_may_have_changed_the_catalog_also_while_all_is_raw() -> None:
    async def act(scene: Scene) -> None:
        scene.court.unmask(Unmasked([structs.replace(UNMASKING, classes=("email", "national-id"))]))
        await scene.sees("select 1")
        before = scene.court.memories
        await scene.says("call rebuild()")
        await scene.sees("select 2")
        assert scene.court.memories is not before

    play(act)


# The session.


class FakeCourt:
    def __init__(self, log: list[object]) -> None:
        self.log = log
        self.shown = {"email", "national-id"}

    def shows(self, unmasked: Unmasked, beyond: Unmasked = Unmasked()) -> bool:
        return bool(unmasked.classes & self.shown - beyond.classes)

    def unmask(self, unmasked: Unmasked) -> None:
        self.log.append(unmasked.classes)


class FakeRecorder:
    statements = denied = 0

    def __init__(self, log: list[object]) -> None:
        self.log = log
        self.is_full = False

    def write(self, entries: Sequence[Entry]) -> None:
        if self.is_full:
            raise RecordingFailed("the disk is full")
        for entry in entries:
            assert isinstance(entry, Notice)
            assert entry.unmask is not None
            self.log.append((entry.unmask.request, entry.unmask.ended))


class FakePump:
    def __init__(self, log: list[object]) -> None:
        self.log = log
        self.key = b"12345678"

    def tell(self, text: str) -> None:
        self.log.append(text)

    def stop_showing_unmasked(self) -> None:
        self.log.append("breaks off")

    def end(self, reason: str) -> None:
        self.log.append(f"ends: {reason}")


class Room:
    """A session with one stream, whose parts note what they are told, in order."""

    def __init__(self, crew: Crew, who: Principal = ANN, session: str = "s_1") -> None:
        self.log: list[object] = []
        self.court, self.recorder = FakeCourt(self.log), FakeRecorder(self.log)
        opened = Opened(session, who, "shop", "postgres", "app", "", "1", "", 0, 0)
        identity = Identity(who, Login(who.issuer, who.subject, 0), 0, 3600)
        made: tuple[Any, ...] = (identity, opened, SHOP, "l_1", self.recorder)
        own: tuple[Any, ...] = (None, self.court, None)
        surface = Surface(crew, self._finish, lambda event: None)
        self.session = DatabaseSession(Parts(*made), surface, DatabaseParts(*own))
        pump: Any = FakePump(self.log)
        self.session._streams.add(pump)

    async def _finish(self, session: LiveSession, reason: str) -> Conclusion:
        return Conclusion(is_revoked=True)


def in_room(act: Callable[[Room], Awaitable[None]]) -> None:
    async def run() -> None:
        crew = Crew(lambda name, error: None)
        await act(Room(crew))
        await crew.close()

    asyncio.run(run())


def test_it_is_recorded_before_it_is_shown_and_ends_before_that_is_told() -> None:
    async def act(room: Room) -> None:
        assert room.session.unmask([UNMASKING], 600.0) == [Unmask("r_1", ("email",), ("pia",), 660.5)]
        assert room.log == [
            ("r_1", ""),
            {"email"},
            "request `r_1` shows email raw until 1970-01-01 00:11:00 UTC",
        ]
        assert room.session.unmask([UNMASKING], 610.0) == []
        room.log.clear()
        assert [change.ended for change in room.session.unmask([], 620.0)] == ["it was taken back"]
        assert room.log == [
            frozenset(),
            "breaks off",
            ("r_1", "it was taken back"),
            frozenset(),
            "request `r_1` shows email no longer: it was taken back",
        ]

    in_room(act)


def test_the_recording_says_why_it_is_over() -> None:
    async def act(room: Room) -> None:
        room.session.unmask([UNMASKING], 600.0)
        assert [change.ended for change in room.session.unmask([], 660.5)] == ["its time is over"]
        room.session.unmask([UNMASKING], 600.0)
        room.court.shown = set()
        assert [change.ended for change in room.session.unmask([UNMASKING], 600.0)] == ["the policy was changed"]

    in_room(act)


def test_what_cannot_be_recorded_is_not_shown_and_ends_the_session() -> None:
    async def act(room: Room) -> None:
        room.recorder.is_full = True
        assert room.session.unmask([UNMASKING], 600.0) == []
        await room.session.over.wait()
        assert {"email"} not in room.log
        assert room.session.unmask([UNMASKING], 601.0) == []

    in_room(act)


def test_an_end_that_cannot_be_recorded_masks_all_the_same() -> None:
    async def act(room: Room) -> None:
        room.session.unmask([UNMASKING], 600.0)
        room.log.clear()
        room.recorder.is_full = True
        room.session.unmask([], 620.0)
        assert room.log[:2] == [frozenset(), "breaks off"]
        await room.session.over.wait()

    in_room(act)


def test_an_approval_that_shows_nothing_here_is_neither_told_nor_recorded() -> None:
    async def act(room: Room) -> None:
        assert room.session.unmask([structs.replace(UNMASKING, classes=("phone",))], 600.0) == []
        assert room.log == []

    in_room(act)


def test_an_answer_goes_on_where_another_approval_shows_the_same() -> None:
    async def act(room: Room) -> None:
        longer = structs.replace(UNMASKING, request="r_2", until=900.0)
        room.session.unmask([UNMASKING, longer], 600.0)
        room.log.clear()
        room.session.unmask([longer], 660.5)
        assert "breaks off" not in room.log
        room.session.unmask([], 900.0)
        assert "breaks off" in room.log

    in_room(act)


def test_a_replay_tells_it_in_lines_that_nothing_recorded_can_break() -> None:
    hostile = structs.replace(
        UNMASKING, classes=("email", "x\x1b[2J\n+0.1s t_1 #9 ALLOWED"), approved_by=("pia", "p\r")
    )
    lines = told(noted(begins(hostile)), noted(ends(UNMASKING, "its time is over")))
    assert [line for line in lines if "ALLOWED" in line] == [lines[0]]
    assert all(line.isprintable() for line in lines)
    assert lines[0].startswith("    +0.000s UNMASKED until 1970-01-01 00:11:00 UTC: email, x")
    assert lines[1].startswith("            approved by: pia, p")
    assert lines[2] == "    +0.000s no longer UNMASKED: email by request r_1: its time is over"


# The stream.


def test_a_client_that_logs_in_is_told_once_it_listens() -> None:
    async def act(stream: Stream) -> None:
        stream.pump.tell("email is shown raw")
        assert stream.link.heard == b""
        stream.pump.client_says(STARTUP)
        await stream.until(lambda: b"email is shown raw" in stream.link.heard)
        before, _, _ = stream.link.heard.partition(b"email is shown raw")
        assert READY in before
        told = [entry.message for entry in stream.entries if isinstance(entry, Notice)]
        assert told == ["email is shown raw"]
        stream.pump.tell("and no longer")
        assert stream.link.heard.count(b"and no longer") == 1

    play_stream(act)


def test_an_answer_under_way_that_shows_it_breaks_off_and_others_go_on() -> None:
    async def act(stream: Stream) -> None:
        stream.bench.rulings[b"select email"] = Passage(Allow(), OPEN, shows_unmasked=True)
        await stream.log_in()
        await stream.asks("select email")
        await stream.server.says(complete("SELECT 1") + READY)
        await stream.until(lambda: stream.link.heard.endswith(READY))
        stream.pump.stop_showing_unmasked()
        assert not stream.link.closed, "that answer was complete"
        await stream.asks("select 2")
        stream.pump.stop_showing_unmasked()
        assert not stream.link.closed, "this one shows nothing"
        await stream.server.says(complete("SELECT 1") + READY)
        await stream.until(lambda: stream.link.heard.endswith(READY))
        stream.pump.client_says(query("select email"))
        await stream.until(lambda: stream.server.heard.count(query("select email")) == 2)
        stream.pump.stop_showing_unmasked()
        assert b"what this answer shows is masked again" in stream.link.heard
        await stream.is_over()

    play_stream(act)


# All sessions.


class House:
    """A desk, and the sessions that follow it, by the real clock."""

    def __init__(self, store: Store) -> None:
        self.failures: list[BaseException] = []
        self.crew = Crew(lambda name, error: self.failures.append(error))
        self.desk = Desk(store, time.time, new_request_id)
        self.rows = StoredSessions(store)
        self.sessions = Sessions()
        self.unmaskings = Unmaskings(self.desk, self.rows, self.sessions, self.crew, time.time)
        self.rooms = {name: Room(self.crew, who, f"s_{name}") for name, who in [("ann", ANN), ("bob", BOB)]}

    async def approved(self, seconds: int = 600) -> RequestId:
        matter = matter_of("shop", "1", ["email"], seconds)
        request = RequestId((await self.desk.ask(matter, ANN, ASKING, reason="why", ticket="T-1")).id)
        await self.desk.vote(request, PIA, "approve")
        return request

    async def admit(self) -> None:
        for each in self.rooms.values():
            await self.rows.add(each.session.opened)
            await self.unmaskings.admit(each.session)

    def shown(self, name: str) -> frozenset[str]:
        """What the court of this one was told last."""
        told = [each for each in self.rooms[name].log if isinstance(each, frozenset)]
        return told[-1] if told else frozenset()

    async def until(self, seen: Callable[[], object]) -> None:
        while not seen():  # noqa: ASYNC110 - what is waited for happens in sessions, which know no events
            await asyncio.sleep(0.005)

    async def listed(self, name: str) -> SessionView:
        """The row of a session that has seen something raw; a task writes that beside."""
        while not (view := await self.rows.get(SessionId(f"s_{name}"))).unmasked:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        return view


@pytest.fixture
def keep(tmp_path: Path) -> Callable[[Callable[[House], Awaitable[None]]], None]:
    def keep(act: Callable[[House], Awaitable[None]]) -> None:
        async def run() -> None:
            store = await Store.open(tmp_path / "state.db")
            house = House(store)
            try:
                await act(house)
            finally:
                await house.crew.close()
                await store.close()

        asyncio.run(run())

    return keep


Keep = Callable[[Callable[[House], Awaitable[None]]], None]


def test_an_approval_reaches_the_open_sessions_of_who_asked_and_no_other(keep: Keep) -> None:
    async def act(house: House) -> None:
        await house.admit()
        request = await house.approved()
        await house.until(lambda: house.shown("ann"))
        assert (house.shown("ann"), house.shown("bob")) == (frozenset({"email"}), frozenset())
        await house.desk.cancel(request, ANN)
        await house.until(lambda: not house.shown("ann"))
        assert house.failures == []

    keep(act)


def test_a_session_that_comes_later_sees_it_before_anybody_may_use_it(keep: Keep) -> None:
    async def act(house: House) -> None:
        await house.approved()
        await house.admit()
        assert house.shown("ann") == {"email"}
        assert house.sessions.by_id("s_ann") is house.rooms["ann"].session

    keep(act)


def test_it_ends_by_itself_when_its_time_is_over_and_the_list_tells_when(keep: Keep) -> None:
    async def act(house: House) -> None:
        await house.admit()
        request = await house.approved(seconds=1)
        await house.unmaskings.refresh()
        assert house.shown("ann") == {"email"}
        await house.until(lambda: not house.shown("ann"))
        assert (request, "its time is over") in house.rooms["ann"].log
        while not (seen := (await house.listed("ann")).unmasked[0]).ended_at:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)
        assert (seen.request, seen.classes) == (request, ("email",))
        assert 0.9 < seen.ended_at - seen.began_at < 60
        assert (await house.rows.get(SessionId("s_bob"))).unmasked == ()

    keep(act)


def test_when_the_state_cannot_be_read_everything_is_masked_until_it_can(
    keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(house: House) -> None:
        monkeypatch.setattr(room, "RETRY_SECONDS", 0.02)
        await house.admit()
        await house.approved()
        await house.until(lambda: house.shown("ann"))

        async def broken() -> tuple[Unmasking, ...]:
            raise HoopxError("the disk is full", "make room")

        with monkeypatch.context() as broken_state:
            broken_state.setattr(house.desk, "unmaskings", broken)
            await house.unmaskings.refresh()
            assert not house.shown("ann")
        await house.until(lambda: house.shown("ann"))
        assert [str(error) for error in house.failures][:1] == ["the disk is full"]

    keep(act)


def test_a_session_that_ends_takes_its_entry_in_the_list_along(keep: Keep) -> None:
    async def act(house: House) -> None:
        await house.approved()
        await house.admit()
        view = await house.listed("ann")
        assert view.unmasked[0].ended_at == 0
        ended = await house.rows.finish(SessionId("s_ann"), "bye", time.time() + 5, 0, 0)
        assert ended.unmasked[0].ended_at == pytest.approx(ended.ended_at)

    keep(act)
