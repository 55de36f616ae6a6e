"""A session that is open: its streams, its recording, its lease, and its one orderly end."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from hoopx_broker.api.messages import Event
from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.session.court import Court
from hoopx_broker.session.pump import ClientLink, Pump, Surroundings
from hoopx_broker.terms.entries import Entry, Opened
from hoopx_broker.terms.errors import Denied, Unreachable
from hoopx_broker.terms.ids import LeaseId, new_stream_id
from hoopx_broker.terms.leases import Credential
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.wire.postgres.engine import Engine
from hoopx_broker.wire.postgres.login import Upstream

# Connection pools of one job rarely hold more; each stream costs a backend connection.
MAX_STREAMS = 200
_KEY_BYTES = 8
_NONCE_BYTES = 18


class Parts(Struct, frozen=True):
    """What the opening sequence has made for one session."""

    opened: Opened
    target: Target
    lease: LeaseId
    credential: Credential
    court: Court
    recorder: Recorder


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
        self._streams: dict[bytes, Pump] = {}
        self._ending: asyncio.Task[bool] | None = None
        self.end_reason = ""
        self.over = asyncio.Event()
        self.grant = Secret(secrets.token_urlsafe(32))

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
    def masked(self) -> tuple[str, ...]:
        return self._parts.court.masked

    def open_stream(self, client: ClientLink) -> Pump:
        """Raises `Denied` when the session is over or has too many streams."""
        if self._ending is not None:
            raise Denied("this session is over", "open a new one")
        if len(self._streams) >= MAX_STREAMS:
            raise Denied(f"this session has {MAX_STREAMS} connections already", "close some")
        target = self._parts.target
        key = secrets.token_bytes(_KEY_BYTES)
        where = Upstream(self._parts.credential, target.database, target.tls.mode != "disable")
        engine = Engine(new_stream_id(), target.name, where, key, secrets.token_bytes(_NONCE_BYTES))
        around = Surroundings(
            target, self._parts.court, self._crew, self._record, self._tell, self._cancel, lambda _: self._left(key)
        )
        pump = Pump(engine, client, around, tls=where.tls)
        self._streams[key] = pump
        return pump

    def _left(self, key: bytes) -> None:
        self._streams.pop(key, None)

    def _record(self, entries: Sequence[Entry]) -> None:
        try:
            self._parts.recorder.write(entries)
        except RecordingFailed:
            self.end_soon("the session could not be recorded")
            raise

    def _tell(self, kind: str, message: str) -> None:
        self._notify(Event(kind, message))

    async def _cancel(self, key: bytes) -> None:
        """Only keys of this session's own streams do anything; the server's keys never leave the broker."""
        pump = self._streams.get(key)
        if pump is not None:
            await pump.cancel_query()

    def end_soon(self, reason: str) -> asyncio.Task[bool]:
        """Begin the end, if it has not begun. The task gives whether the lease is revoked already."""
        if self._ending is None:
            self.end_reason = reason
            self._ending = self._crew.start(self._end(reason), "ending")
        return self._ending

    async def end(self, reason: str) -> bool:
        return await asyncio.shield(self.end_soon(reason))

    async def _end(self, reason: str) -> bool:
        for pump in list(self._streams.values()):
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


def _digest(grant: str) -> bytes:
    return hashlib.sha256(grant.encode()).digest()
