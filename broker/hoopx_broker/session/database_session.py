"""A session of a database: its streams, what is judged and masked in them, and what people let it see raw."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from msgspec import Struct

from hoopx_broker.approvals.unmasking import Unmasking
from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.session.catalog import CatalogReader, Fresh
from hoopx_broker.session.court import Court
from hoopx_broker.session.live import LiveSession, Parts, Surface
from hoopx_broker.session.pump import Pump
from hoopx_broker.session.streams import Streams
from hoopx_broker.session.surroundings import ClientLink, Surroundings
from hoopx_broker.session.unmasked import Unmasked, begins, ends, noted, told
from hoopx_broker.terms.entries import Unmask
from hoopx_broker.terms.errors import Denied
from hoopx_broker.terms.ids import new_stream_id
from hoopx_broker.terms.leases import Credential, DatabaseLogin
from hoopx_broker.wire.postgres.beginning import KEY_BYTES, Greeter
from hoopx_broker.wire.postgres.engine import Engine
from hoopx_broker.wire.postgres.login import Upstream

# Connection pools of one job rarely hold more; each stream costs a backend connection.
MAX_STREAMS = 200
_NONCE_BYTES = 18

OnLeft = Callable[[Pump], None]


def _nobody(_: Pump) -> None:
    """Hears that a stream is over where nobody else needs to."""


class DatabaseParts(Struct, frozen=True):
    """What a session of a database has beside what every session has."""

    login: DatabaseLogin
    court: Court
    catalog: CatalogReader
    fresh: Fresh | None = None


class DatabaseSession(LiveSession):
    """Statements go through the broker, and the login never leaves it."""

    def __init__(self, parts: Parts, surface: Surface, own: DatabaseParts) -> None:
        super().__init__(parts, surface)
        self._login = own.login
        self._court = own.court
        self._catalog = own.catalog
        self._fresh = own.fresh
        self._streams = Streams()
        self._unmasked = Unmasked()

    @property
    def masked(self) -> tuple[str, ...]:
        return self._court.masked

    @property
    def classified(self) -> dict[str, str]:
        return self._court.classified

    @property
    def waiting(self) -> int:
        return sum(pump.is_asking for pump in self._streams)

    def renew(self, credential: Credential) -> None:
        """Streams that are open stay; the next ones log in with it."""
        self._login = login_of(credential, self.target.name)
        self._catalog.renew(self._login)

    def warn(self, message: str) -> None:
        super().warn(message)
        for pump in self._streams:
            pump.tell(message)

    def tell_of_end(self, message: str) -> None:
        super().tell_of_end(message)
        for pump in self._streams:
            pump.tell(message)

    def cut(self, reason: str) -> None:
        for pump in self._streams:
            pump.end(f"the session is over: {reason}")

    async def let_go(self) -> None:
        await self._catalog.close()

    def open_stream(
        self, client: ClientLink, greeter: Greeter = Greeter.ENGINE, left: OnLeft = _nobody, key: bytes = b""
    ) -> Pump:
        """`left` hears when the stream is over. The client gets `key` to cancel with; without one, a random key.

        Raises `Denied` when the session is over or has too many streams.
        """
        if self.is_ending:
            raise Denied("this session is over", "open a new one")
        if len(self._streams) >= MAX_STREAMS:
            raise Denied(f"this session has {MAX_STREAMS} connections already", "close some")
        target = self.target
        key, nonce = key or secrets.token_bytes(KEY_BYTES), secrets.token_bytes(_NONCE_BYTES)
        verified = target.tls.mode in ("verify-ca", "verify-full")
        where = Upstream(self._login, target.database, target.tls.mode != "disable", verified)
        engine = Engine(new_stream_id(), target.name, where, key, nonce, greeter)
        pump = Pump(engine, client, self._surroundings(left), tls=where.tls)
        self._streams.add(pump)
        if self.opened.glass:
            pump.tell(f"GLASS BROKEN: request `{self.opened.request}` opened this session, and is to be reviewed")
        for each in self._unmasked.holding:
            pump.tell(told(begins(each)))
        return pump

    def unmask(self, holding: Sequence[Unmasking], now: float) -> list[Unmask]:
        """What these approvals show is seen raw from now on, and nothing else is. Gives what began and what ended.

        Written, then shown: where the recording fails, the session ends with everything masked.
        """
        before, court = self._unmasked.holding, self._court
        shown = tuple(each for each in holding if court.shows(Unmasked([each])))
        ended = [ends(each, _why_ended(each, holding, now)) for each in before if each not in shown]
        began = [begins(each) for each in shown if each not in before]
        if self.is_ending or not (ended or began):
            return []
        if ended:
            self._mask_again(Unmasked(each for each in before if each in shown))
        try:
            self.record([noted(each) for each in (*ended, *began)])
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
        self._court.unmask(remaining)
        if before.classes <= remaining.classes and not self._court.shows(before, beyond=remaining):
            return
        for pump in self._streams:
            pump.stop_showing_unmasked()

    def _tell_of(self, unmask: Unmask) -> None:
        self.tell("unmasked", told(unmask))
        for pump in self._streams:
            pump.tell(told(unmask))

    def _surroundings(self, left: OnLeft) -> Surroundings:
        def leave(pump: Pump) -> None:
            self._streams.remove(pump)
            left(pump)

        # Only keys of this session's own streams cancel anything; the server's keys never leave the broker.
        cancel = self._streams.cancel
        hearing = self._court.hear()
        settle = self.settle if self.recorder.is_durable else None
        own = (self.target, hearing, self._crew, self.record, self.tell, cancel, leave, self._fresh, settle)
        return Surroundings(*own)


def of_database(session: LiveSession) -> DatabaseSession:
    """For whoever brings a connection. Raises `Denied` where the session has none that go through the broker."""
    if not isinstance(session, DatabaseSession):
        raise Denied(f"`{session.target.name}` is not reached through the broker", "`hoopx show` says what it is")
    return session


def login_of(credential: Credential, target: str) -> DatabaseLogin:
    """What the configuration makes sure of: sources for databases give logins."""
    if not isinstance(credential, DatabaseLogin):
        raise TypeError(f"the source of `{target}` gave something else than a login")
    return credential


def _why_ended(unmasking: Unmasking, holding: Sequence[Unmasking], now: float) -> str:
    if now >= unmasking.until:
        return "its time is over"
    return "the policy was changed" if unmasking in holding else "it was taken back"
