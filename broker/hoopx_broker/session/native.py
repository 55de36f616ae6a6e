"""PostgreSQL's own clients on the broker's port: a token for a password, then a stream of a session that they share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from msgspec import Struct

from hoopx_broker.api.messages import Waiting
from hoopx_broker.approvals.refusals import people_of
from hoopx_broker.evidence.arrivals import Arrivals
from hoopx_broker.identity.identity import Identity, Presented
from hoopx_broker.identity.passes import Pass, Passes, is_pass
from hoopx_broker.identity.verify import Gate
from hoopx_broker.session.approving import how_to_approve
from hoopx_broker.session.attempt import Applicant
from hoopx_broker.session.backend import LINGER_SECONDS
from hoopx_broker.session.database_session import of_database
from hoopx_broker.session.leasing import moment
from hoopx_broker.session.live import LiveSession
from hoopx_broker.session.loyalty import Loyalty
from hoopx_broker.session.permits import SessionDenied
from hoopx_broker.session.pump import Pump
from hoopx_broker.session.shared import Purpose, SharedSessions
from hoopx_broker.session.streams import Streams
from hoopx_broker.terms.errors import (
    BackendFailed,
    BadInput,
    Denied,
    HoopxError,
    Refused,
    StillPending,
    Unauthenticated,
    Unknown,
    Unreachable,
)
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.tunnel.resume import resume_reading
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres import messages
from hoopx_broker.wire.postgres.beginning import Greeter
from hoopx_broker.wire.postgres.doorstep import Admit, Answer, Cancel, Doorstep, Place, Secure, TokenInClear, TurnAway
from hoopx_broker.wire.postgres.frames import STARTUP, Frame
from hoopx_broker.wire.postgres.hello import Unwelcome
from hoopx_broker.wire.postgres.introduction import Introduction, introduce

_FRESH_PASS = "the password is a fresh token for one target: `PGPASSWORD=$(hoopx token prod-db) psql …`"
_CODES: dict[type[HoopxError], str] = {
    Denied: "42501",
    Refused: "42501",
    StillPending: "42501",
    Unauthenticated: "28P01",
    Unknown: "3D000",
    BadInput: "22023",
    Unreachable: "57P03",
    BackendFailed: "08006",
}


Fetch = Callable[[Secret], Awaitable[Pass | None]]


class Native(Struct, frozen=True):
    """What native clients need. `streams` are those of all of them: a cancel request names no session.

    `fetch` looks for a pass where it was given, if that is another worker.
    """

    gate: Gate
    passes: Passes
    sessions: SharedSessions
    loyalty: Loyalty
    arrivals: Arrivals
    streams: Streams
    crew: Crew
    targets: Mapping[str, Target]
    fetch: Fetch


class NativeClient(asyncio.Protocol):
    """One connection behind TLS: identified, then let in, then joined to its stream."""

    def __init__(self, needs: Native, peer: str, is_known: Callable[[], None]) -> None:
        self._needs = needs
        self._peer = peer
        self._is_known = is_known
        self._doorstep: Doorstep | None = Doorstep(Place.SECURED, TokenInClear())
        self._pump: Pump | None = None
        self._stay: asyncio.Task[None] | None = None
        self._is_over = asyncio.Event()
        self._transport: asyncio.Transport

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._pump is not None:
            self._pump.client_says(data)
        elif self._doorstep is not None:
            self._greet(self._doorstep, data)
        elif not self._transport.is_closing():
            self._hear_early(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_known()
        self._leave()

    def pause_writing(self) -> None:
        if self._pump is not None:
            self._pump.client_is_full()

    def resume_writing(self) -> None:
        if self._pump is not None:
            self._pump.client_has_room()

    # What the pump calls.

    def send(self, data: bytes) -> None:
        self._transport.write(data)

    def pause(self) -> None:
        self._transport.pause_reading()

    def resume(self) -> None:
        resume_reading(self._transport)

    def close(self) -> None:
        """After what was sent has gone out; a peer that does not take it is cut off."""
        self._pump = None
        self._is_over.set()
        # A paused transport would not notice that the client closes its side.
        resume_reading(self._transport)
        self._transport.close()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.abort)

    # Before there is a stream.

    def _greet(self, doorstep: Doorstep, data: bytes) -> None:
        for step in doorstep.feed(data):
            match step:
                case Answer(answer):
                    self._transport.write(answer)
                case Admit(startup, _, password) if password is not None:
                    self._doorstep = None
                    self._stay = self._needs.crew.start(self._let_in(startup, password), "native client")
                case Cancel():
                    self._doorstep = None
                    self._needs.crew.start(self._cancel(step.key), "native cancel")
                case TurnAway(answer):
                    self._say_last(answer)
                case Secure() | Admit():  # behind TLS a doorstep gives neither
                    self._transport.abort()

    def _hear_early(self, data: bytes) -> None:
        """Until it is let in, a client has nothing to say but goodbye."""
        if data != messages.TERMINATE:
            self._say_last(messages.error("FATAL", "08P01", "the client speaks before the session is open"))
        self._leave()
        self._transport.close()

    def _leave(self) -> None:
        pump, self._pump = self._pump, None
        if pump is not None:
            pump.client_left()
        elif self._stay is not None:
            self._stay.cancel()
        self._is_over.set()

    def _say_last(self, data: bytes) -> None:
        self._is_over.set()
        self._doorstep = None
        self._transport.write(data)
        self.close()

    async def _cancel(self, key: bytes) -> None:
        try:
            await self._needs.streams.cancel(key)
        finally:
            self._transport.close()

    # From the password to the end.

    async def _let_in(self, startup: bytes, token: Secret) -> None:
        try:
            await self._stay_in_session(startup, token)
        except Unwelcome as refusal:
            self._refuse(refusal)
        except BrokenPeer as error:
            self._refuse(Unwelcome("08P01", str(error)))
        except HoopxError as error:
            self._refuse(_refusal(error))
        except asyncio.CancelledError:
            self._refuse(Unwelcome("57P01", "the broker stops"))
            raise
        except Exception as error:
            self._needs.crew.report("native client", error)
            self._refuse(Unwelcome("XX000", "hoopx failed", "ask whoever runs the broker to look at its log"))

    async def _stay_in_session(self, startup: bytes, token: Secret) -> None:
        guest = introduce(messages.parse_startup(Frame(STARTUP, startup)))
        identity, pass_, shown = await self._identify(guest, token)
        self._is_known()
        self._demand_postgres(guest.target)
        self._transport.write(guest.answer + messages.AUTHENTICATION_OK)
        host, _, _ = self._peer.rpartition(":")
        login = identity.login.sid, identity.client
        purpose = Purpose(identity.who, guest.target, guest.reason, guest.ticket, host, pass_, *login)
        applicant = Applicant(identity, self._peer, shown)
        async with self._needs.sessions.joined(purpose, applicant, self._tell_to_wait) as session:
            self._begin(session, guest)
            await self._is_over.wait()

    def _demand_postgres(self, name: str) -> None:
        """Before a session is opened, and keys are made, for a client that could not use them."""
        target = self._needs.targets.get(name)
        if target is not None and target.kind != "postgres":
            hint = f"run `hoopx exec {name} -- CMD`"
            raise Unwelcome("0A000", f"`{name}` is of kind `{target.kind}`, which this client does not speak", hint)

    async def _identify(self, guest: Introduction, token: Secret) -> tuple[Identity, str, Secret | None]:
        """Who connects, the id of their pass where they have one, and the token behind it.

        Raises `Unauthenticated`, or `Unwelcome`.
        """
        if is_pass(token):
            found = await self._of_pass(guest, token)
            identity, pass_, shown = found.identity, found.id, found.token
        else:
            identity, pass_, shown = await self._of_token(token), "", token
        if identity.who.user != guest.user:
            hint = "connect as the user that `hoopx whoami` shows"
            raise Unwelcome("28000", "this token is not one of the user that the client names", hint)
        await self._needs.arrivals.see(identity, "pass" if pass_ else "native", pass_[:16])
        return identity, pass_, shown

    async def _of_pass(self, guest: Introduction, word: Secret) -> Pass:
        found = self._needs.passes.find(word) or await self._needs.fetch(word)
        if found is None:
            raise Unauthenticated("this token is not accepted", _FRESH_PASS)
        if found.target != guest.target:
            raise Unwelcome("28000", "this token is for another target", f"take one: `hoopx token {guest.target}`")
        return found

    async def _of_token(self, token: Secret) -> Identity:
        try:
            identity = await self._needs.gate.identify(Presented(token))
        except Unauthenticated as error:
            raise Unauthenticated(error.message, _FRESH_PASS) from None
        return self._needs.loyalty.learn(identity)

    def _begin(self, session: LiveSession, guest: Introduction) -> None:
        streams = self._needs.streams
        pump = of_database(session).open_stream(self, Greeter.DOOR, streams.remove, streams.new_key())
        streams.add(pump)
        self._pump = pump
        pump.client_says(guest.startup)

    def _tell_to_wait(self, waiting: Waiting) -> None:
        until = moment(waiting.expires_at)
        text = f"this session waits for {people_of(waiting.approvers)} until {until}: request `{waiting.request}`"
        hint = how_to_approve(waiting.request, waiting.link)
        self._transport.write(messages.notice(text, waiting.reason, hint))

    def _refuse(self, refusal: Unwelcome) -> None:
        if not self._transport.is_closing():
            error = messages.error("FATAL", refusal.code, refusal.message, refusal.detail, refusal.hint)
            self._say_last(error)


def _refusal(error: HoopxError) -> Unwelcome:
    if isinstance(error, SessionDenied):
        return Unwelcome("42501", error.headline, error.hint, error.reason)
    return Unwelcome(_CODES.get(type(error), "XX000"), error.message, error.hint)
