"""One stream: bytes in, frames to the engine, its effects carried out in order. Written, then sent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, assert_never

from msgspec import Struct

from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.session import upstream
from hoopx_broker.session.court import Court
from hoopx_broker.terms.entries import Entry
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.terms.targets import Target
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Cancel, Close, Effect, Judge, Note, Passage, Send, Side, StartTls
from hoopx_broker.wire.postgres.engine import Engine, Phase
from hoopx_broker.wire.postgres.frames import Frame, Framer


class ClientLink(Protocol):
    """The tunnel's end of a stream."""

    def send(self, data: bytes) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> None: ...


class Surroundings(Struct, frozen=True):
    """What a stream needs of its session."""

    target: Target
    court: Court
    crew: Crew
    record: Callable[[Sequence[Entry]], None]
    tell: Callable[[str, str], None]  # an event for the person at the session: kind, message
    cancel: Callable[[bytes], Coroutine[Any, Any, None]]
    left: Callable[[Pump], None]


class Pump:
    """Runs one engine. All methods are called on the event loop's thread."""

    def __init__(self, engine: Engine, client: ClientLink, around: Surroundings, *, tls: bool) -> None:
        self._engine = engine
        self._client = client
        self._around = around
        self._from_client = Framer(Side.CLIENT)
        self._from_backend = Framer(Side.BACKEND)
        if tls:
            self._from_backend.expect_tls_answer()
        self._waiting: deque[Frame] = deque()
        self._held = False
        self._stalled = False
        self._backend_full = False
        self._closing: str | None = None
        self._backend = _Backend(self)
        self._connecting = False
        self._notes: list[Entry] = []
        self._to_client: list[bytes] = []
        self._to_backend: list[bytes] = []
        self._todo: list[StartTls | Cancel] = []
        self._ruling: asyncio.Task[None] | None = None
        self._closed = False
        engine.doubt = around.court.doubt

    @property
    def engine(self) -> Engine:
        return self._engine

    # What the two sides say.

    def client_says(self, data: bytes) -> None:
        if self._closing is not None:
            return
        try:
            self._waiting.extend(self._from_client.feed(data))
            self._go_on()
        except BrokenPeer as error:
            self._break(error)
        self._flush()

    def backend_says(self, data: bytes) -> None:
        if self._closing is not None:
            return
        try:
            for frame in self._from_backend.feed(data):
                self._perform(self._engine.on_frame(Side.BACKEND, frame))
            self._go_on()
        except BrokenPeer as error:
            self._break(error)
        self._flush()

    def client_left(self) -> None:
        self._end(self._engine.on_end(Side.CLIENT))

    def backend_left(self) -> None:
        self._end(self._engine.on_end(Side.BACKEND))

    def client_is_full(self) -> None:
        """The tunnel takes no more: stop reading the backend."""
        self._backend.pause_reading()

    def client_has_room(self) -> None:
        self._backend.resume_reading()

    def backend_is_full(self) -> None:
        self._backend_full = True
        self._client.pause()

    def backend_has_room(self) -> None:
        self._backend_full = False
        if not self._held and not self._stalled:
            self._client.resume()

    def end(self, reason: str) -> None:
        """The session is over."""
        self._end(self._engine.end(reason))

    # From frames to effects.

    def _go_on(self) -> None:
        """Take what the client said, until something waits for a ruling, or for an answer that is under way."""
        while self._waiting and not self._held and self._closing is None:
            if not self._engine.takes(self._waiting[0]):
                self._stalled = True
                self._client.pause()
                return
            self._perform(self._engine.on_frame(Side.CLIENT, self._waiting.popleft()))
        if self._stalled:
            self._stalled = False
            if not self._held and not self._backend_full:
                self._client.resume()

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(side, data):
                    (self._to_client if side is Side.CLIENT else self._to_backend).append(data)
                case Note(entry):
                    self._notes.append(entry)
                case Judge():
                    self._rule(effect)
                case StartTls() | Cancel():
                    self._todo.append(effect)
                case Close(reason):
                    self._closing = reason
                case _:
                    assert_never(effect)

    def _rule(self, asked: Judge) -> None:
        ruling = self._around.court.known(asked)
        if ruling is not None:
            self._apply(ruling)
            return
        self._held = True
        self._client.pause()
        self._ruling = self._around.crew.start(self._wait_for_ruling(asked), "ruling")

    async def _wait_for_ruling(self, asked: Judge) -> None:
        try:
            ruling = await self._around.court.rule(asked, self._say)
        except Exception as error:
            self._around.tell("failed", f"a statement could not be judged: {type(error).__name__}")
            ruling = Deny("judging it failed inside hoopx", "judge", "ask whoever runs the broker to look at its log")
        self._held, self._ruling = False, None
        if self._closing is not None:
            return
        try:
            self._engine.doubt = self._around.court.doubt
            self._apply(ruling)
            self._go_on()
        except BrokenPeer as error:
            self._break(error)
        if not self._held and not self._stalled and not self._backend_full:
            self._client.resume()
        self._flush()

    def _apply(self, ruling: Passage | Deny) -> None:
        if isinstance(ruling, Deny):
            self._around.tell("denied", f"{ruling.rule}: {ruling.reason}")
        self._perform(self._engine.on_ruling(ruling))

    def _say(self, text: str, hint: str) -> None:
        """Tell the client, and the person at the session, that its statement waits."""
        self._around.tell("waiting", text)
        self._perform(self._engine.tell(text, hint))
        self._flush()

    def _break(self, error: BrokenPeer) -> None:
        self._around.tell("failed", f"the connection was closed: {error}")
        self._perform(self._engine.fail(f"hoopx closes this connection: {error}"))

    def _end(self, effects: list[Effect]) -> None:
        self._perform(effects)
        self._flush()

    # From effects to bytes.

    def _flush(self) -> None:
        """Record everything, then send everything."""
        notes, self._notes = self._notes, []
        to_client, self._to_client = b"".join(self._to_client), []
        to_backend, self._to_backend = b"".join(self._to_backend), []
        todo, self._todo = self._todo, []
        if notes:
            try:
                self._around.record(notes)
            except RecordingFailed as error:
                self._fail_closed(error)
                return
        if to_backend:
            self._backend.send(to_backend)
            self._connect()
        if to_client:
            self._client.send(to_client)
        for effect in todo:
            self._around.crew.start(
                self._around.cancel(effect.key) if isinstance(effect, Cancel) else self._start_tls(), "stream"
            )
        if self._closing is not None:
            self._close()

    def _fail_closed(self, error: RecordingFailed) -> None:
        """Nothing of this turn has been sent, and nothing more will be but the reason."""
        self._around.tell("failed", error.message)
        if self._closing is None:
            for effect in self._engine.fail("hoopx could not record this session, so nothing more is forwarded"):
                if isinstance(effect, Send):
                    self._client.send(effect.data) if effect.side is Side.CLIENT else self._backend.send(effect.data)
        self._closing = error.message
        self._close()

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._ruling is not None:  # nobody is left to hear it
            self._ruling.cancel()
        self._client.close()
        self._backend.close()
        self._around.left(self)

    # The backend's connection.

    def _connect(self) -> None:
        if not self._connecting:
            self._connecting = True
            self._around.crew.start(self._open_backend(), "connect")

    async def _open_backend(self) -> None:
        target = self._around.target
        try:
            self._backend.is_open(await upstream.connect(target, self._backend))
        except (OSError, TimeoutError) as error:
            self._lost(f"cannot connect to {target.host}:{target.port}", error)

    async def _start_tls(self) -> None:
        target = self._around.target
        try:
            transport = await upstream.start_tls(target, self._backend.plain(), self._backend)
        except (OSError, TimeoutError) as error:
            self._lost(f"TLS with {target.host} failed", error)
            return
        self._backend.is_open(transport)
        self._end(self._engine.on_tls(upstream.channel_binding(transport)))

    def _lost(self, what: str, error: Exception) -> None:
        if self._engine.phase is Phase.CLOSED:
            return
        why = str(error) or type(error).__name__
        self._around.tell("failed", f"{what}: {why}")
        self._end(self._engine.fail(f"hoopx cannot reach `{self._around.target.name}`: {what}: {why}"))


class _Backend(asyncio.Protocol):
    """The connection to the server. What is sent before it stands waits here."""

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._transport: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._paused = False
        self._done = False

    def is_open(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        early, self._early = b"".join(self._early), []
        if self._done:
            transport.close()
        elif early:
            transport.write(early)

    def plain(self) -> asyncio.Transport:
        """The connection before TLS. From here on what is sent waits for TLS."""
        transport, self._transport = self._transport, None
        assert transport is not None
        return transport

    def send(self, data: bytes) -> None:
        if self._transport is None:
            self._early.append(data)
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._done = True
        if self._transport is not None:
            self._transport.close()

    def pause_reading(self) -> None:
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and self._paused:
            self._paused = False
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._pump.backend_says(data)

    def pause_writing(self) -> None:
        self._pump.backend_is_full()

    def resume_writing(self) -> None:
        self._pump.backend_has_room()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done:
            self._done = True
            self._pump.backend_left()
