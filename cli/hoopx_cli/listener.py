"""Listen on a local socket and join each client that proves itself to a stream of the session."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol, cast

from hoopx_broker.terms.errors import Denied, HoopxError, Refused, StillPending
from hoopx_broker.terms.secret import Secret
from hoopx_broker.tunnel.client import LOST, Stream, UpgradeRefused
from hoopx_broker.wire.postgres import messages
from hoopx_broker.wire.postgres.doorstep import Admit, Answer, Cancel, Doorstep, TurnAway
from hoopx_cli.boundary import Boundary
from hoopx_cli.greeting import admission, greeting
from hoopx_cli.refusals import error_in
from hoopx_cli.sockets import peer_uid

# A real client proves itself in milliseconds; this leaves time for a person who types the password at psql's prompt,
# which happens between two connections, and for a slow machine.
GREETING_SECONDS = 10
# Clients that have proved nothing yet. Beyond it the oldest goes: real ones are through long before their turn.
MAX_STRANGERS = 32
# Far above any pool on a laptop; each stream costs the broker a TLS connection and the database a backend.
MAX_STREAMS = 512
# A cancel request is answered by closing; a broker that does not is not waited for.
CANCEL_SECONDS = 10
# Whoever reaches the port may send cancel requests, and each costs a stream of the session until it is answered.
MAX_CANCELS = 8
# What a client may send while its stream is being opened. Ordinary ones wait for an answer and send nothing.
MAX_EARLY = 64 * 1024

Dial = Callable[["LocalClient"], Awaitable[Stream]]
# As native clients hear it from the broker; whatever is not here is a connection that failed.
_CODES: dict[type[HoopxError], str] = {Denied: "42501", Refused: "42501", StillPending: "42501"}


class Behind(Protocol):
    """What stands behind a socket that may have no session yet."""

    @property
    def is_open(self) -> bool:
        """Is there a session now? A cancel request, which proves nothing, opens none."""

    def count(self, streams: int) -> None:
        """So many clients are admitted from now on."""


class Listener:
    """The clients of one local socket. `password` is None on a socket file, where the kernel tells who connects.

    `behind` hears of them where the session opens with the first and ends some time after the last.
    """

    def __init__(
        self, dial: Dial, password: Secret | None, say: Callable[[str], None], behind: Behind | None = None
    ) -> None:
        self.dial = dial
        self.password = password
        self.say = say
        self._behind = behind
        self._strangers: dict[LocalClient, None] = {}
        self._admitted: dict[LocalClient, asyncio.Task[None]] = {}
        self._cancels: set[asyncio.Task[None]] = set()

    @property
    def streams(self) -> int:
        return len(self._admitted)

    def client(self) -> LocalClient:
        return LocalClient(self)

    def meets(self, client: LocalClient) -> None:
        """A client connected."""
        self._strangers[client] = None
        if len(self._strangers) > MAX_STRANGERS:
            next(iter(self._strangers)).hang_up()

    def admits(self, client: LocalClient, first: bytes) -> None:
        """A client proved itself: open its stream, beginning with `first`."""
        self._strangers.pop(client, None)
        if len(self._admitted) >= MAX_STREAMS:
            client.turn_away("53300", f"this hoopx session already has {MAX_STREAMS} connections")
            return
        self._admitted[client] = asyncio.get_running_loop().create_task(self._join(client, first))
        self._tell_behind()

    def passes_on(self, client: LocalClient, request: bytes) -> None:
        """A client asks to cancel what another one runs. It proves nothing but that it knows a key, to the broker."""
        is_open = self._behind is None or self._behind.is_open
        if not is_open or len(self._cancels) >= MAX_CANCELS:
            client.hang_up()
            return
        task = asyncio.get_running_loop().create_task(self._join(client, request))
        self._cancels.add(task)
        task.add_done_callback(self._cancels.discard)

    def forgets(self, client: LocalClient) -> None:
        """A client is gone, and what it waited for is nobody's any more."""
        self._strangers.pop(client, None)
        task = self._admitted.pop(client, None)
        if task is not None:
            task.cancel()
            self._tell_behind()

    def _tell_behind(self) -> None:
        if self._behind is not None:
            self._behind.count(len(self._admitted))

    async def close(self) -> None:
        """Hang up on every client and wait for what was under way."""
        tasks = [*self._admitted.values(), *self._cancels]
        for client in [*self._strangers, *self._admitted]:
            client.hang_up()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # One turn of the loop, in which the sockets of those cut off are closed.
        await asyncio.sleep(0)

    async def _join(self, client: LocalClient, first: bytes) -> None:
        try:
            client.join(await self.dial(client), first)
        except HoopxError as error:
            self._fail(client, error)
        except UpgradeRefused as refused:
            self._fail(client, _why(refused))
        except OSError as error:
            self._fail(client, HoopxError(f"the broker cannot be reached: {error.strerror or 'no answer in time'}"))
        except Exception as error:
            # Whatever it is, it ends this client and is said; a client is never left waiting.
            self._fail(client, HoopxError(f"unexpected: {type(error).__name__}"))

    def _fail(self, client: LocalClient, error: HoopxError) -> None:
        self.say(f"a connection could not be opened: {error.message}")
        client.turn_away(_CODES.get(type(error), "08006"), error.message, error.hint)


class LocalClient(asyncio.Protocol):
    """One connection of a local program: greeted, then joined to its stream, then nothing but bytes both ways."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._greeting: Doorstep | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._stream: Stream | None = None
        self._early = b""
        self._startup = b""
        # What of the broker's first words the client has heard already, and what of them has come.
        self._owed = b""
        self._from_far = b""
        self._boundary = Boundary()
        self._has_ended = False
        self._transport: asyncio.Transport

    # -- the local side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        password = self._listener.password
        if password is None and not _is_ours(self._transport):
            self._transport.abort()
            return
        self._greeting = greeting(password, os.urandom(18), os.urandom(16))
        self._wait_at_most(GREETING_SECONDS)
        self._listener.meets(self)

    def data_received(self, data: bytes) -> None:
        if self._stream is not None:
            self._stream.send(data)
        elif self._greeting is not None:
            self._greet(self._greeting, data)
        else:
            self._keep_early(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_ended = True
        self._no_deadline()
        self._listener.forgets(self)
        if self._stream is not None:
            self._stream.close()

    def pause_writing(self) -> None:
        if self._stream is not None:
            self._stream.stop_reading()

    def resume_writing(self) -> None:
        if self._stream is not None:
            self._stream.go_on_reading()

    # -- the far side

    def far_says(self, data: bytes) -> None:
        if self._owed:
            data = self._unless_said(data)
        if data and not self._transport.is_closing():
            self._boundary.feed(data)
            self._transport.write(data)

    def far_is_full(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def far_has_room(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def far_ended(self, reason: str) -> None:
        """Cut off, it may have run what it was asked for, or not: nothing is ever asked for again by us."""
        self._has_ended = True
        if reason == LOST and self._startup and self._boundary.is_between:
            hint = "What ran may have taken effect, or not: look before you run it again. Connect again."
            self._answer(messages.error("FATAL", "08006", f"hoopx: {LOST}", hint=hint))
        self._transport.close()

    # -- what the listener does with it

    def join(self, stream: Stream, first: bytes) -> None:
        """The stream is open; `first` and what came meanwhile go out first."""
        if self._has_ended:
            stream.close()
            return
        self._stream = stream
        stream.send(first + self._early)
        self._early = b""

    def tell(self, text: str, detail: str, hint: str) -> None:
        """Something to know while the stream is being opened. A client hears notices only once it is let in.

        So it is let in, in the words that the broker will use; of the broker's they are then left out.
        """
        if self._stream is None and not self._owed:
            self._owed = admission(self._startup)
            self._answer(self._owed)
        if self._owed:
            self._answer(messages.notice(text, detail, hint))

    def turn_away(self, code: str, text: str, hint: str = "") -> None:
        self._answer(messages.error("FATAL", code, text, hint=hint))
        self._transport.close()

    def hang_up(self) -> None:
        self._transport.abort()

    # -- the greeting

    def _greet(self, doorstep: Doorstep, data: bytes) -> None:
        for step in doorstep.feed(data):
            match step:
                case Answer(answer):
                    self._answer(answer)
                case Admit(startup, answer):
                    self._answer(answer)
                    self._leave_greeting()
                    self._startup = startup
                    self._listener.admits(self, startup)
                case Cancel(packet):
                    self._leave_greeting()
                    self._wait_at_most(CANCEL_SECONDS)
                    self._listener.passes_on(self, packet)
                case TurnAway(answer, _):
                    self._answer(answer)
                    self._transport.close()

    def _leave_greeting(self) -> None:
        # Reading goes on: whoever leaves while a stream is being opened, perhaps by people, has to be noticed.
        self._greeting = None
        self._no_deadline()

    def _unless_said(self, data: bytes) -> bytes:
        """What the broker says, without the admission that the client has had."""
        self._from_far += data
        if len(self._from_far) < len(self._owed) and self._owed.startswith(self._from_far):
            return b""
        said, self._from_far = self._from_far, b""
        owed, self._owed = self._owed, b""
        return said.removeprefix(owed)

    def _keep_early(self, data: bytes) -> None:
        self._early += data
        if len(self._early) > MAX_EARLY:
            self._transport.abort()

    def _answer(self, data: bytes) -> None:
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def _wait_at_most(self, seconds: float) -> None:
        self._no_deadline()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self.hang_up)

    def _no_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


@asynccontextmanager
async def listening(on: socket.socket, listener: Listener) -> AsyncIterator[Listener]:
    """Accept clients as long as the context lasts; at its end every one of them is cut off."""
    loop = asyncio.get_running_loop()
    if on.family == socket.AF_INET:
        server = await loop.create_server(listener.client, sock=on)
    else:
        server = await loop.create_unix_server(listener.client, sock=on)
    try:
        yield listener
    finally:
        server.close()
        await listener.close()


def _why(refused: UpgradeRefused) -> HoopxError:
    """A grant that the broker does not know is one of a session that is over."""
    if refused.status in (401, 403, 404):
        return HoopxError("the broker opens no connection for this session: it is over", "connect again")
    return error_in(refused.status, refused.body)


def _is_ours(transport: asyncio.Transport) -> bool:
    return peer_uid(transport.get_extra_info("socket")) == os.geteuid()
