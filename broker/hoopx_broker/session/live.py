"""A session that is open: its streams, its recording, its lease, and its one orderly end."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from hoopx_broker.api.messages import Event
from hoopx_broker.approvals.unmasking import Unmasking
from hoopx_broker.identity.identity import Identity
from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.session.catalog import CatalogReader
from hoopx_broker.session.court import Court
from hoopx_broker.session.pump import ClientLink, Pump, Surroundings
from hoopx_broker.session.streams import Streams
from hoopx_broker.session.unmasked import Unmasked, begins, ends, noted, told
from hoopx_broker.terms.entries import Entry, Opened, Unmask
from hoopx_broker.terms.errors import Denied, Unreachable
from hoopx_broker.terms.ids import LeaseId, new_stream_id
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.wire.postgres.beginning import KEY_BYTES, Greeter
from hoopx_broker.wire.postgres.engine import Engine
from hoopx_broker.wire.postgres.login import Upstream

# Connection pools of one job rarely hold more; each stream costs a backend connection.
MAX_STREAMS = 200
_NONCE_BYTES = 18

OnLeft = Callable[[Pump], None]


def _nobody(_: Pump) -> None:
    """Hears that a stream is over where nobody else needs to."""


class Parts(Struct, frozen=True):
    """What the opening sequence has made for one session."""

    identity: Identity
    opened: Opened
    target: Target
    lease: LeaseId
    credential: DatabaseLogin
    court: Court
    recorder: Recorder
    catalog: CatalogReader


class LiveSession:
    """`end` may be called by anyone, any number of times: the first reason counts."""

    def __init__(
        self,
        parts: Parts,
        crew: Crew,
        finish: Callable[[LiveSession, str], Awaitable[bool]],
        notify: Callable[[Event], None],
    ) -> None:
        self._parts = parts
        self._crew = crew
        self._finish = finish
        self._notify = notify
        self._streams = Streams()
        self._unmasked = Unmasked()
        self._ending: asyncio.Task[bool] | None = None
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
    def lease(self) -> LeaseId:
        return self._parts.lease

    @property
    def recorder(self) -> Recorder:
        return self._parts.recorder

    @property
    def catalog(self) -> CatalogReader:
        return self._parts.catalog

    @property
    def masked(self) -> tuple[str, ...]:
        return self._parts.court.masked

    @property
    def classified(self) -> dict[str, str]:
        return self._parts.court.classified

    @property
    def is_ending(self) -> bool:
        return self._ending is not None

    def open_stream(self, client: ClientLink, greeter: Greeter = Greeter.ENGINE, left: OnLeft = _nobody) -> Pump:
        """`left` hears when the stream is over. Raises `Denied` when the session is over or has too many streams."""
        if self.is_ending:
            raise Denied("this session is over", "open a new one")
        if len(self._streams) >= MAX_STREAMS:
            raise Denied(f"this session has {MAX_STREAMS} connections already", "close some")
        target = self._parts.target
        key, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(_NONCE_BYTES)
        verified = target.tls.mode in ("verify-ca", "verify-full")
        where = Upstream(self._parts.credential, target.database, target.tls.mode != "disable", verified)
        engine = Engine(new_stream_id(), target.name, where, key, nonce, greeter)
        pump = Pump(engine, client, self._surroundings(left), tls=where.tls)
        self._streams.add(pump)
        for each in self._unmasked.holding:
            pump.tell(told(begins(each)))
        return pump

    def unmask(self, holding: Sequence[Unmasking], now: float) -> list[Unmask]:
        """What these approvals show is seen raw from now on, and nothing else is. Gives what began and what ended.

        Written, then shown: where the recording fails, the session ends with everything masked.
        """
        before, court = self._unmasked.holding, self._parts.court
        shown = tuple(each for each in holding if court.shows(Unmasked([each])))
        ended = [ends(each, _why_ended(each, holding, now)) for each in before if each not in shown]
        began = [begins(each) for each in shown if each not in before]
        if self.is_ending or not (ended or began):
            return []
        if ended:
            self._mask_again(Unmasked(each for each in before if each in shown))
        try:
            self._record([noted(each) for each in (*ended, *began)])
        except RecordingFailed:
            return []  # the session is ending
        self._unmasked = Unmasked(shown)
        court.unmask(self._unmasked)
        for each in (*ended, *began):
            self._tell_of(each)
        return [*ended, *began]

    def _mask_again(self, remaining: Unmasked) -> None:
        """No more than what remains is shown from here on, and an answer that shows more breaks off."""
        before, self._unmasked = self._unmasked, remaining
        self._parts.court.unmask(remaining)
        if before.classes <= remaining.classes and not self._parts.court.shows(before, beyond=remaining):
            return
        for pump in self._streams:
            pump.stop_showing_unmasked()

    def _tell_of(self, unmask: Unmask) -> None:
        self._tell("unmasked", told(unmask))
        for pump in self._streams:
            pump.tell(told(unmask))

    def _surroundings(self, left: OnLeft) -> Surroundings:
        def leave(pump: Pump) -> None:
            self._streams.remove(pump)
            left(pump)

        parts = self._parts
        # Only keys of this session's own streams cancel anything; the server's keys never leave the broker.
        cancel = self._streams.cancel
        return Surroundings(parts.target, parts.court.hear(), self._crew, self._record, self._tell, cancel, leave)

    def _record(self, entries: Sequence[Entry]) -> None:
        try:
            self._parts.recorder.write(entries)
        except RecordingFailed:
            self.end_soon("the session could not be recorded")
            raise

    def _tell(self, kind: str, message: str) -> None:
        self._notify(Event(kind, message))

    def end_soon(self, reason: str) -> asyncio.Task[bool]:
        """Begin the end, if it has not begun. The task gives whether the lease is revoked already."""
        if self._ending is None:
            self.end_reason = reason
            self._ending = self._crew.start(self._end(reason), "ending")
        return self._ending

    async def end(self, reason: str) -> bool:
        return await asyncio.shield(self.end_soon(reason))

    async def _end(self, reason: str) -> bool:
        for pump in self._streams:
            pump.end(f"the session is over: {reason}")
        try:
            return await self._finish(self, reason)
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


def _why_ended(unmasking: Unmasking, holding: Sequence[Unmasking], now: float) -> str:
    if now >= unmasking.until:
        return "its time is over"
    return "the policy was changed" if unmasking in holding else "it was taken back"


def _digest(grant: str) -> bytes:
    return hashlib.sha256(grant.encode()).digest()
