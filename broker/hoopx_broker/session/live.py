"""A session that is open, of whatever kind: whose it is, its recording, its lease, and its one orderly end."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from hoopx_broker.api.messages import Event, Keys
from hoopx_broker.credentials.conclusion import Conclusion
from hoopx_broker.identity.identity import Identity
from hoopx_broker.recording.committer import Failed, Settled
from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.session.leasing import moment
from hoopx_broker.session.reduction import reduced
from hoopx_broker.session.seat import Seat
from hoopx_broker.session.tenure import Tenure
from hoopx_broker.terms.entries import Entry, Opened
from hoopx_broker.terms.errors import Unreachable
from hoopx_broker.terms.ids import LeaseId
from hoopx_broker.terms.leases import Credential
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_broker.tunnel.crew import Crew

Notify = Callable[[Event | Keys], None]
Recorded = Callable[[Sequence[Entry]], None]


class Parts(Struct, frozen=True):
    """What the opening sequence has made for a session of any kind."""

    identity: Identity
    opened: Opened
    target: Target
    lease: LeaseId
    recorder: Recorder
    recorded: Recorded = lambda _: None  # hears of entries that are in the recording


class Surface(Struct, frozen=True):
    """Where a session turns: who runs its tasks, who sees it to its end, and who hears of what happens."""

    crew: Crew
    finish: Callable[[LiveSession, str], Awaitable[Conclusion]]
    notify: Notify


class LiveSession(ABC):
    """What goes on inside is its kind's own. `end` may be called by anyone, any number of times: the first counts."""

    def __init__(self, parts: Parts, surface: Surface) -> None:
        self._parts = parts
        self._crew = surface.crew
        self._finish = surface.finish
        self._notify = surface.notify
        self._ending: asyncio.Task[Conclusion] | None = None
        self.tenure: Tenure | None = None
        self.seat: Seat | None = None  # of whoever opened it and may take it up again
        self.ends_at = parts.opened.expires_at
        self.end_reason = ""
        self.over = asyncio.Event()
        self.grant = Secret(secrets.token_urlsafe(32))

    @property
    def identity(self) -> Identity:
        return self._parts.identity

    @property
    def opened(self) -> Opened:
        return self._parts.opened

    @property
    def target(self) -> Target:
        return self._parts.target

    @property
    def lease(self) -> LeaseId:
        return self._parts.lease

    @property
    def recorder(self) -> Recorder:
        return self._parts.recorder

    @property
    def is_ending(self) -> bool:
        return self._ending is not None

    @property
    def masked(self) -> tuple[str, ...]:
        """What it hides from its client."""
        return ()

    @property
    def classified(self) -> dict[str, str]:
        """What is known to hold which class of data."""
        return {}

    @property
    def waiting(self) -> int:
        """How many statements wait for people."""
        return 0

    @abstractmethod
    def renew(self, credential: Credential) -> None:
        """From now on its lease goes by this credential."""

    def hand_out(self) -> Keys | None:
        """What its client holds itself, recorded as handed out; None for what never leaves the broker.

        It may be sent when that is settled.
        """
        return None

    @abstractmethod
    def cut(self, reason: str) -> None:
        """End what goes on in it. The lease is still there."""

    @abstractmethod
    async def let_go(self) -> None:
        """Give back what it held for itself. The lease is gone, or queued to be revoked."""

    def record(self, entries: Sequence[Entry]) -> None:
        """Raises `RecordingFailed`; the session ends then."""
        if self._parts.opened.record != "full":
            entries = reduced(entries, self._parts.opened.record)
        try:
            self._parts.recorder.write(entries)
            self._parts.recorded(entries)
        except RecordingFailed:
            self.end_soon("the session could not be recorded")
            raise

    def settle(self, settled: Settled, failed: Failed) -> None:
        """As `Recorder.settle`; where it fails, the session ends."""

        def fail(error: RecordingFailed) -> None:
            self.end_soon("the session could not be recorded")
            failed(error)

        self._parts.recorder.settle(settled, fail)

    async def settled(self) -> None:
        """As `Recorder.settled`; where it fails, the session ends."""
        try:
            await self._parts.recorder.settled()
        except RecordingFailed:
            self.end_soon("the session could not be recorded")
            raise

    def tell(self, kind: str, message: str) -> None:
        self._notify(Event(kind, message))

    async def prolong(self, ends_at: float, entry: Entry) -> None:
        """Go on until then. Written, then done. A session that ends goes on ending. Raises `RecordingFailed`."""
        if self.is_ending or self.tenure is None or ends_at <= self.ends_at:
            return
        self.record([entry])
        await self.settled()
        if self.is_ending:
            return
        self.ends_at = ends_at
        self.tenure.prolong(ends_at)
        self.tell_of_end(f"this session goes on until {moment(ends_at)}")

    def tell_of_end(self, message: str) -> None:
        """Tell whoever is at the session of its new end."""
        self._notify(Event("extended", message, expires_at=self.ends_at))

    def warn(self, message: str) -> None:
        """Tell whoever is at the session of something that they want to know ahead."""
        self.tell("warning", message)

    def end_soon(self, reason: str) -> asyncio.Task[Conclusion]:
        """Begin the end, if it has not begun. The task gives what has become of the lease by then."""
        if self._ending is None:
            self.end_reason = reason
            self._ending = self._crew.start(self._end(reason), "ending")
        return self._ending

    async def end(self, reason: str) -> Conclusion:
        return await asyncio.shield(self.end_soon(reason))

    async def _end(self, reason: str) -> Conclusion:
        try:
            try:
                self.cut(reason)
            finally:  # the lease goes, whatever was left standing
                conclusion = await self._finish(self, reason)
            return conclusion
        finally:
            self.over.set()


class Sessions:
    """The sessions that are open now, found by the hash of their grant, so that looking one up takes equal time."""

    def __init__(self) -> None:
        self._by_grant: dict[bytes, LiveSession] = {}
        self._by_id: dict[str, LiveSession] = {}
        self._is_closed = False

    def close(self) -> None:
        """Take no more; those that are open stay until they are ended."""
        self._is_closed = True

    def add(self, session: LiveSession) -> None:
        """Raises `Unreachable` when the broker is stopping."""
        if self._is_closed:
            raise Unreachable("the broker stops", "try again in a moment")
        self._by_grant[_digest(session.grant.reveal())] = session
        self._by_id[session.opened.session] = session

    def remove(self, session: LiveSession) -> None:
        self._by_grant.pop(_digest(session.grant.reveal()), None)
        self._by_id.pop(session.opened.session, None)

    def by_grant(self, grant: str) -> LiveSession | None:
        return self._by_grant.get(_digest(grant))

    def by_id(self, session: str) -> LiveSession | None:
        return self._by_id.get(session)

    def all(self) -> list[LiveSession]:
        return list(self._by_id.values())


def _digest(grant: str) -> bytes:
    return hashlib.sha256(grant.encode()).digest()
