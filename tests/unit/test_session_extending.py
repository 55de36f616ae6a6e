"""A session goes on when policy or people agree: once for each agreement, in bounds, and never when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from hoopx_broker.api.messages import AskToExtend, Event
from hoopx_broker.credentials.conclusion import Conclusion
from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.session.extending import LONGEST_SECONDS, Extensions
from hoopx_broker.session.live import LiveSession, Parts, Sessions, Surface
from hoopx_broker.session.services import Services
from hoopx_broker.storage.sessions import Sessions as StoredSessions
from hoopx_broker.terms.entries import Entry, Notice, Opened
from hoopx_broker.terms.errors import BadInput, Denied, HoopxError, Unknown
from hoopx_broker.terms.ids import LeaseId, RequestId, SessionId
from hoopx_broker.terms.leases import Credential
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling
from hoopx_broker.terms.targets import Target
from hoopx_broker.tunnel.crew import Crew
from tests.unit.approvals_stage import ANN, BOB, EVE, NOON, Stage, player
from tests.unit.leases_stage import target

BOT = Principal("bot", "agent", ("agents",), on_behalf_of="ann", their_groups=("dev",), their_issuer="here")
DB = target("prod-db")


class Held(LiveSession):
    """A session of no kind: what it is told, and what is recorded of it."""

    def __init__(self, opened: Opened, crew: Crew) -> None:
        self.entries: list[Entry] = []
        self.events: list[Event] = []
        self.goes_on: list[float] = []
        self.disk = asyncio.Event()
        self.disk.set()
        self.lost: RecordingFailed | None = None
        recorder = SimpleNamespace(write=self.entries.extend, settled=self._settled)
        parts = Parts(cast(Any, None), opened, DB, LeaseId("l_1"), cast(Any, recorder))
        super().__init__(parts, Surface(crew, self._finished, cast(Any, self.events.append)))
        self.tenure = cast(Any, SimpleNamespace(prolong=self.goes_on.append))

    async def _settled(self) -> None:
        await self.disk.wait()
        if self.lost is not None:
            raise self.lost

    async def _finished(self, session: LiveSession, reason: str) -> Conclusion:
        return Conclusion(is_revoked=True)

    def renew(self, credential: Credential) -> None:
        raise AssertionError("nothing is renewed here")

    def cut(self, reason: str) -> None:
        pass

    async def let_go(self) -> None:
        pass


class Scene:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.failures: list[BaseException] = []
        self.crew = Crew(lambda _, error: self.failures.append(error))
        self.renews = True
        self.ruling: Ruling = Ask("a dba has to agree", ("time",), {"dba": 1})
        self.judged: list[tuple[Principal, Circumstances]] = []
        self.stored = StoredSessions(stage.store)
        self.sessions = Sessions()
        services = SimpleNamespace(
            targets={"prod-db": DB},
            judge=lambda: SimpleNamespace(version="sha256:1", extending=self._extending),
            keeper=SimpleNamespace(renews=lambda _: self.renews),
            desk=stage.desk,
            stored=self.stored,
            crew=self.crew,
            clock=lambda: stage.now,
        )
        self.extensions = Extensions(cast(Services, services), self.sessions)

    def _extending(self, who: Principal, about: Target, now: Circumstances) -> Ruling:
        self.judged.append((who, now))
        return Allow(("time",)) if now.approvals else self.ruling

    async def open(self, who: Principal = ANN, hours: float = 1, id_: str = "s_1") -> Held:
        opened = Opened(id_, who, "prod-db", "postgres", "app", "", "1", "1", NOON, NOON + hours * 3600)
        session = Held(opened, self.crew)
        await self.stored.add(opened)
        self.sessions.add(session)
        return session

    async def ask(self, who: Principal = ANN, seconds: int = 1800, session: str = "s_1") -> RequestId:
        view = await self.extensions.ask(AskToExtend(session, "not done", "T-1", seconds, 900), who)
        return RequestId(view.id)

    async def agree(self, request: RequestId) -> None:
        await self.stage.desk.vote(request, BOB, "approve")
        await self.extensions.refresh()


def play(folder: Path, act: Callable[[Scene], Awaitable[None]]) -> None:
    async def on_stage(stage: Stage) -> None:
        scene = Scene(stage)
        try:
            await act(scene)
        finally:
            await scene.crew.close()
        assert scene.failures == []

    player(folder)(on_stage)


def test_it_goes_on_by_itself_as_soon_as_people_agree(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        session = await scene.open()
        request = await scene.ask()
        assert session.goes_on == []
        await scene.agree(request)
        await scene.extensions.refresh()  # once more is not twice
        assert session.goes_on == [NOON + 5400]
        assert session.ends_at == NOON + 5400
        assert await scene.stage.state(request) == "used"
        (noted,) = session.entries
        assert isinstance(noted, Notice)
        assert noted.approval is not None
        told = (noted.approval.event, noted.approval.request, noted.approval.by, noted.approval.until)
        assert told == ("extended", request, "bob", NOON + 5400)
        assert [(event.kind, event.expires_at) for event in session.events] == [("extended", NOON + 5400)]
        while (await scene.stored.get(SessionId("s_1"))).expires_at != NOON + 5400:  # noqa: ASYNC110 - written beside
            await asyncio.sleep(0.002)

    play(tmp_path, act)


def test_what_policy_allows_needs_nobody(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        session, scene.ruling = await scene.open(), Allow(("time",))
        view = await scene.extensions.ask(AskToExtend("s_1", "not done", duration=60), ANN)
        assert (view.state, view.expires_at, session.ends_at) == ("used", NOON + 3660, NOON + 3660)

    play(tmp_path, act)


def test_two_agreements_count_twice_and_never_beyond_a_day(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        session = await scene.open(hours=20)
        first, second = await scene.ask(seconds=3 * 3600), await scene.ask(seconds=4 * 3600)
        await scene.agree(first)
        await scene.agree(second)
        assert session.goes_on == [NOON + 23 * 3600, NOON + LONGEST_SECONDS]
        with pytest.raises(BadInput, match="at most"):
            await scene.ask(seconds=60)

    play(tmp_path, act)


def test_more_time_is_on_the_disk_before_it_is_given(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        session, scene.ruling = await scene.open(), Allow(("time",))
        session.disk.clear()
        asks = [
            asyncio.ensure_future(scene.extensions.ask(AskToExtend("s_1", "not done", duration=60), ANN))
            for _ in range(2)
        ]
        while not session.entries:  # noqa: ASYNC110 - what is written says so to nobody
            await asyncio.sleep(0.001)
        assert (session.ends_at, session.goes_on, session.events) == (NOON + 3600, [], [])
        session.disk.set()
        await asyncio.gather(*asks)
        assert session.goes_on == [NOON + 3660, NOON + 3720]

    play(tmp_path, act)


def test_where_the_disk_does_not_have_it_there_is_no_more_time_and_no_session(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        session, scene.ruling = await scene.open(), Allow(("time",))
        session.lost = RecordingFailed("Input/output error")
        with pytest.raises(RecordingFailed):
            await scene.extensions.ask(AskToExtend("s_1", "not done", duration=60), ANN)
        assert (session.ends_at, session.goes_on) == (NOON + 3600, [])
        assert session.end_reason == "the session could not be recorded"

    play(tmp_path, act)


def test_an_approval_that_lands_while_the_session_dies_wakes_nothing(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        session = await scene.open()
        request = await scene.ask()
        await scene.stage.desk.vote(request, BOB, "approve")
        await session.end("the client left")
        await scene.extensions.refresh()
        assert session.goes_on == []
        await session.prolong(NOON + 9999, Notice("", "NOTICE", "00000", "too late"))
        assert (session.goes_on, session.entries) == ([], [])

    play(tmp_path, act)


def test_a_session_that_ends_between_spending_and_prolonging_stays_ended(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        session = await scene.open()
        request = await scene.ask()
        spend = scene.stage.desk.spend

        async def spend_and_end(*words: Any, **more: Any) -> frozenset[str]:
            found = await spend(*words, **more)
            session.end_soon("the client left")
            return found

        scene.stage.desk.spend = spend_and_end  # type: ignore[method-assign]
        await scene.agree(request)
        assert (session.goes_on, await scene.stage.state(request)) == ([], "used")

    play(tmp_path, act)


def test_the_rules_of_then_are_asked_again_with_who_agreed(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        session = await scene.open()
        request = await scene.ask()
        extending, scene._extending = scene._extending, lambda *_: Deny("night", "hours")  # type: ignore[method-assign]
        await scene.agree(request)
        assert session.goes_on == []
        assert await scene.stage.state(request) == "cancelled"
        assert "night" in session.events[-1].message
        assert extending is not None

    play(tmp_path, act)


def test_a_human_may_ask_for_their_agent_and_nobody_for_others(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        session = await scene.open(BOT)
        for stranger in (EVE, replace(BOT, on_behalf_of="eve"), replace(BOT, user="other")):
            with pytest.raises(Unknown):
                await scene.ask(stranger)
        await scene.agree(await scene.ask(ANN))
        await scene.agree(await scene.ask(BOT, seconds=60))
        assert session.goes_on == [NOON + 5400, NOON + 5460]
        assert [who.user for who, now in scene.judged if now.approvals] == ["ann", "bot"]
        assert next(who.groups for who, now in scene.judged if now.approvals) == ("dev",)

    play(tmp_path, act)


def test_what_cannot_go_on_is_not_asked_for(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.open()

        async def refused(error: type[HoopxError], why: str, **words: Any) -> None:
            with pytest.raises(error, match=why):
                await scene.ask(**words)

        await refused(Unknown, "no session", session="s_2")
        await refused(BadInput, "how long", seconds=0)
        scene.renews = False
        await refused(BadInput, "cannot be renewed")
        scene.renews, scene.ruling = True, Deny("not at night", "hours")
        await refused(Denied, "not at night")
        await scene.stored.finish(SessionId("s_1"), "over", NOON, 0, 0)
        await refused(BadInput, "is over")
        assert await scene.stage.desk.list() == ()

    play(tmp_path, act)
