"""Sessions that native clients share: who joins whom, what happens when the opening fails, and when each ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest
import uvloop
from msgspec import structs

from hoopx_broker.api.messages import Event, Open, Waiting
from hoopx_broker.identity.identity import Identity, Login
from hoopx_broker.identity.passes import Passes
from hoopx_broker.session import shared as room
from hoopx_broker.session.attempt import Applicant
from hoopx_broker.session.live import LiveSession
from hoopx_broker.session.shared import Purpose, SharedSessions
from hoopx_broker.terms.errors import Denied
from hoopx_broker.terms.people import Principal
from hoopx_broker.tunnel.crew import Crew

ANN = Principal("ann", "human", ("developers",), "https://login.example.com", "1")
PURPOSE = Purpose(ANN, "shop", "look", "T-1", "10.0.0.7")
WAITING = Waiting("r_1", {"dba": 1}, ("asks",), "", 0.0)


class Session:
    """What sharing sees of a live session."""

    def __init__(self, expires_at: float) -> None:
        self.ends_at = expires_at
        self.over = asyncio.Event()
        self.end_reason = ""

    @property
    def is_ending(self) -> bool:
        return bool(self.end_reason)

    async def end(self, reason: str) -> bool:
        self.end_reason = self.end_reason or reason
        self.over.set()
        return True


class Opening:
    """Opens when the scene lets it; people are asked where it says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[Open, Applicant]] = []
        self.sessions: list[Session] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.asks_people = False
        self.error: Exception | None = None
        self.undone = 0
        self.expires_at = 1_000.0

    async def open(
        self, ask: Open, applicant: Applicant, waits: Callable[[Waiting], None], notify: Callable[[Event], None]
    ) -> Session:
        self.asked.append((ask, applicant))
        if self.asks_people:
            waits(WAITING)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.undone += 1
            raise
        if self.error is not None:
            raise self.error
        self.sessions.append(Session(self.expires_at))
        return self.sessions[-1]


class Guest:
    """One connection: it joins, says so, and stays until it is told to leave."""

    def __init__(self, scene: Scene, purpose: Purpose) -> None:
        self.heard: list[Waiting] = []
        self.session: LiveSession | None = None
        self.error: BaseException | None = None
        self._leaves = asyncio.Event()
        self._scene, self._purpose = scene, purpose
        self.task = scene.crew.start(self._stay(), "guest")

    async def _stay(self) -> None:
        try:
            async with self._scene.shared.joined(self._purpose, self._applicant(), self.heard.append) as session:
                self.session = session
                await self._leaves.wait()
        except Exception as error:
            self.error = error

    def _applicant(self) -> Applicant:
        who = self._purpose.who
        return Applicant(Identity(who, Login(who.issuer, who.subject, 0), 0, 3600), "10.0.0.7:1")

    def leave(self) -> None:
        self._leaves.set()
        if self.session is None:
            self.task.cancel()


class Scene:
    def __init__(self) -> None:
        self.opening = Opening()
        self.passes = Passes(lambda: 0.0, os.urandom)
        self.failures: list[BaseException] = []
        self.crew = Crew(lambda _, error: self.failures.append(error))
        self.shared = SharedSessions(self.opening, self.passes, self.crew, lambda: 0.0)  # type: ignore[arg-type]

    def guest(self, purpose: Purpose = PURPOSE) -> Guest:
        return Guest(self, purpose)

    async def until(self, seen: Callable[[], object]) -> None:
        while not seen():  # noqa: ASYNC110 - what is waited for happens in tasks, which know no events
            await asyncio.sleep(0.002)


async def come_and_go(scene: Scene) -> None:
    guest = scene.guest()
    await scene.until(lambda: guest.session)
    guest.leave()
    await scene.until(guest.task.done)


def play(act: Callable[[Scene], Awaitable[None]]) -> None:
    async def scene() -> None:
        stage = Scene()
        try:
            await act(stage)
        finally:
            await stage.crew.close()

    uvloop.run(asyncio.wait_for(scene(), 30))


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LINGER_SECONDS", 0.05)


def test_connections_of_one_purpose_share_one_session() -> None:
    async def act(scene: Scene) -> None:
        guests = [scene.guest() for _ in range(5)]
        await scene.until(lambda: all(guest.session for guest in guests))
        assert len({id(guest.session) for guest in guests}) == 1
        [(ask, applicant)] = scene.opening.asked
        assert (ask.target, ask.reason, ask.ticket, applicant.who) == ("shop", "look", "T-1", ANN)

    play(act)


@pytest.mark.parametrize(
    "other",
    [
        structs.replace(PURPOSE, who=structs.replace(ANN, user="bob")),
        structs.replace(PURPOSE, who=structs.replace(ANN, subject="2")),
        structs.replace(PURPOSE, who=structs.replace(ANN, issuer="https://other.example.com")),
        structs.replace(PURPOSE, who=structs.replace(ANN, groups=("dba",))),
        structs.replace(PURPOSE, who=structs.replace(ANN, kind="agent")),
        structs.replace(PURPOSE, who=structs.replace(ANN, on_behalf_of="bob")),
        structs.replace(PURPOSE, target="payments"),
        structs.replace(PURPOSE, reason="another"),
        structs.replace(PURPOSE, ticket="T-2"),
        structs.replace(PURPOSE, host="10.0.0.8"),
        structs.replace(PURPOSE, sid="another login"),
        structs.replace(PURPOSE, client="another program"),
    ],
)
def test_whatever_differs_is_another_session(other: Purpose) -> None:
    async def act(scene: Scene) -> None:
        first, second = scene.guest(), scene.guest(other)
        await scene.until(lambda: first.session and second.session)
        assert first.session is not second.session

    play(act)


def test_the_session_ends_a_little_after_the_last_has_left() -> None:
    async def act(scene: Scene) -> None:
        first, second = scene.guest(), scene.guest()
        await scene.until(lambda: first.session and second.session)
        [session] = scene.opening.sessions
        first.leave()
        await asyncio.sleep(0.15)
        assert not session.is_ending
        second.leave()
        await scene.until(lambda: session.is_ending)
        assert session.end_reason == "its last connection is gone"

    play(act)


def test_who_comes_back_at_once_finds_the_same_session() -> None:
    async def act(scene: Scene) -> None:
        for _ in range(10):
            await come_and_go(scene)
        last = scene.guest()
        await asyncio.sleep(0.2)
        assert last.session is not None
        assert not last.session.is_ending
        assert len(scene.opening.sessions) == 1

    play(act)


def test_a_session_ends_when_its_time_is_over_whoever_is_in_it() -> None:
    async def act(scene: Scene) -> None:
        scene.opening.expires_at = 0.05
        guest = scene.guest()
        await scene.until(lambda: guest.session)
        await scene.until(lambda: scene.opening.sessions[0].is_ending)
        assert scene.opening.sessions[0].end_reason == "its time is over"

    play(act)


def test_nobody_joins_a_session_that_somebody_has_ended() -> None:
    async def act(scene: Scene) -> None:
        first = scene.guest()
        await scene.until(lambda: first.session)
        scene.opening.sessions[0].end_reason = "`dora` ended it"
        second = scene.guest()
        await scene.until(lambda: second.session)
        assert second.session is not first.session
        scene.opening.sessions[0].over.set()
        third = scene.guest()
        await scene.until(lambda: third.session)
        assert third.session is second.session

    play(act)


def test_everybody_who_waits_hears_for_whom_and_latecomers_too() -> None:
    async def act(scene: Scene) -> None:
        scene.opening.asks_people = True
        scene.opening.gate.clear()
        first = scene.guest()
        await scene.until(lambda: first.heard)
        second = scene.guest()
        await scene.until(lambda: second.heard)
        scene.opening.gate.set()
        await scene.until(lambda: first.session and second.session)
        assert first.heard == second.heard == [WAITING]
        third = scene.guest()
        await scene.until(lambda: third.session)
        assert third.heard == []

    play(act)


@pytest.mark.parametrize("error", [Denied("no", "ask"), KeyError("a bug")])
def test_everybody_hears_why_it_did_not_open_and_the_next_one_tries_again(error: Exception) -> None:
    async def act(scene: Scene) -> None:
        scene.opening.error = error
        scene.opening.gate.clear()
        guests = [scene.guest(), scene.guest()]
        await scene.until(lambda: scene.opening.asked)
        scene.opening.gate.set()
        await scene.until(lambda: all(guest.error for guest in guests))
        assert [guest.error for guest in guests] == [error, error]
        scene.opening.error = None
        late = scene.guest()
        await scene.until(lambda: late.session)

    play(act)


def test_the_opening_is_undone_when_the_last_one_who_waited_has_left() -> None:
    async def act(scene: Scene) -> None:
        scene.opening.gate.clear()
        first, second = scene.guest(), scene.guest()
        await scene.until(lambda: scene.opening.asked)
        first.leave()
        await asyncio.sleep(0.1)
        assert scene.opening.undone == 0
        second.leave()
        await scene.until(lambda: scene.opening.undone == 1)
        scene.opening.gate.set()
        third = scene.guest()
        await scene.until(lambda: third.session)
        assert len(scene.opening.sessions) == 1
        assert scene.failures == []

    play(act)


def test_a_broker_that_stops_ends_what_is_open_and_tells_who_waits() -> None:
    async def scene() -> None:
        stage = Scene()
        inside = stage.guest()
        await stage.until(lambda: inside.session)
        stage.opening.gate.clear()
        waiting = stage.guest(structs.replace(PURPOSE, target="other"))
        await stage.until(lambda: len(stage.opening.asked) == 2)
        await stage.crew.close()
        assert stage.opening.sessions[0].end_reason == "the broker stops"
        assert stage.opening.undone == 1
        assert waiting.session is None

    uvloop.run(scene())


def test_too_many_connections_are_refused_before_they_cost_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_STREAMS", 3)

    async def act(scene: Scene) -> None:
        guests = [scene.guest() for _ in range(4)]
        await scene.until(lambda: sum(guest.session is not None for guest in guests) == 3)
        assert [type(guest.error) for guest in guests if guest.error] == [Denied]

    play(act)
