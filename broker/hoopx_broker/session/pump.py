"""One stream: bytes in, frames to the engine, its effects carried out in order. Written, then sent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any, ParamSpec, TypeVar, assert_never

from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.session import upstream
from hoopx_broker.session.backend import Backend
from hoopx_broker.session.idle import IdleWatch
from hoopx_broker.session.outgoing import Outgoing, unrecorded
from hoopx_broker.session.reaching import Reaching
from hoopx_broker.session.surroundings import ClientLink, Surroundings
from hoopx_broker.session.wait import CALLED_OFF, Wait
from hoopx_broker.terms.entries import Approval
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Cancel, Close, Effect, FindFunction, Judge, Note, Passage, Send, Side, StartTls
from hoopx_broker.wire.postgres.engine import Engine, Phase
from hoopx_broker.wire.postgres.frames import Frame, Framer

# What PostgreSQL itself says: `admin_shutdown`, and `idle_session_timeout`.
SESSION_OVER, IDLE = "57P01", "57P05"

_FAILED = "hoopx failed, so nothing more is forwarded; ask whoever runs the broker for its log"

_Words = ParamSpec("_Words")
_Answer = TypeVar("_Answer")


class Pump:
    """Runs one engine. All methods are called on the event loop's thread.

    Whatever either side does is one turn: a step of the engine, then everything recorded, then everything sent. A turn
    that fails in any way sends nothing more, and closes both sides. Where a recording has to be on the disk first, what
    turns send waits for that, in their order.
    """

    def __init__(self, engine: Engine, client: ClientLink, around: Surroundings, *, tls: bool) -> None:
        self._engine = engine
        self._client = client
        self._around = around
        self._from_client = Framer(Side.CLIENT)
        self._from_backend = Framer(Side.BACKEND)
        if tls:
            self._from_backend.expect_tls_answer()
        self._waiting: deque[Frame] = deque()
        self._wait = Wait()
        self._stalled = False
        self._backend_full = False
        self._closing: str | None = None
        self._closed = False
        self._backend = Backend(around.target, self)
        self._reaching = Reaching(engine, self._backend, around, self._turn, self._perform)
        self._transactions = engine.transactions
        self._outgoing = Outgoing(around.record, around.settle, self._on_settled, self._on_lost)
        self._unsettled = self._outgoing.unsettled
        self._client_full = False
        self._shows_unmasked = False  # whether an answer under way may show what an approval alone reveals
        self._untold: list[str] = []
        limit = around.target.idle
        self._idle = IdleWatch(limit, self._is_busy, self._end_idle) if limit is not None else None
        engine.doubt = around.hearing.doubt

    @property
    def key(self) -> bytes:
        """The cancel key of this stream's client."""
        return self._engine.key

    @property
    def is_asking(self) -> bool:
        """Do people decide on a statement of this stream?"""
        return self._wait.is_asking

    # What the two sides say.

    def client_says(self, data: bytes) -> None:
        if self._idle is not None:
            self._idle.heard()
        if self._wait.is_on and self._wait.is_far_behind(len(data)):
            self._client.pause()
        self._turn(self._take_from_client, data)

    def backend_says(self, data: bytes) -> None:
        # An answer is the end of work that the client has waited for; a notification is not.
        if self._idle is not None and self._is_busy():
            self._idle.heard()
        self._turn(self._take_from_backend, data)

    def client_left(self) -> None:
        """The client's connection is gone, without a goodbye."""
        self._turn(self._abandon)

    def backend_left(self) -> None:
        self._turn(lambda: self._perform(self._engine.on_end(Side.BACKEND)))

    def end(self, reason: str) -> None:
        """The session is over."""
        self._turn(self._end, reason)

    def tell(self, text: str) -> None:
        """Tell the client in passing, as soon as it has come to its session."""
        self._untold.append(text)
        self._turn(self._tell_untold)

    def stop_showing_unmasked(self) -> None:
        """An answer that goes on raw after its time ends with its connection: half of it masked, it would be wrong."""
        if self._shows_unmasked:
            self._turn(self._end, "what this answer shows is masked again")

    def _tell_untold(self) -> None:
        while self._untold and self._engine.phase is Phase.READY:
            self._perform(self._engine.tell(self._untold.pop(0)))

    def _is_busy(self) -> bool:
        """Something is under way that the client may rightly wait for."""
        return self._engine.phase is not Phase.READY or not self._engine.is_quiet or self._wait.is_on

    def _end_idle(self) -> None:
        target = self._around.target
        self._turn(self._end, f"nothing was said for {target.idle} s, which `{target.name}` takes for idle", IDLE)

    def client_is_full(self) -> None:
        """The tunnel takes no more: stop reading the backend."""
        self._client_full = True
        self._backend.pause_reading()

    def client_has_room(self) -> None:
        self._client_full = False
        self._hear_backend()

    def backend_is_full(self) -> None:
        self._backend_full = True
        self._client.pause()

    def backend_has_room(self) -> None:
        self._backend_full = False
        self._hear_client()

    def _hear_client(self) -> None:
        """Read on from the client, unless something still waits."""
        if not (self._wait.is_on or self._stalled or self._backend_full or self._unsettled.is_full_of_requests):
            self._client.resume()

    def _hear_backend(self) -> None:
        if not (self._client_full or self._unsettled.is_full_of_answers):
            self._backend.resume_reading()

    # A turn.

    def _turn(self, step: Callable[_Words, None], *args: _Words.args, **kwargs: _Words.kwargs) -> None:
        """The one edge: what goes wrong in a turn closes both sides here, and nowhere else."""
        if self._closing is not None:
            return
        try:
            try:
                step(*args, **kwargs)
            except BrokenPeer as error:
                self._break(error)
            self._flush()
        except RecordingFailed as error:
            self._fail_closed(unrecorded(error))
        except Exception as error:
            self._around.crew.report("stream", error)
            self._fail_closed(_FAILED)

    def _take_from_client(self, data: bytes) -> None:
        self._waiting.extend(self._from_client.feed(data))
        self._go_on()

    def _take_from_backend(self, data: bytes) -> None:
        for frame in self._from_backend.feed(data):
            self._perform(self._engine.on_frame(Side.BACKEND, frame))
        if self._engine.transactions != self._transactions and self._engine.is_quiet:
            self._transactions = self._engine.transactions
            self._around.hearing.transaction_ended()
        if self._engine.phase is not Phase.LOGIN:
            self._reaching.arrived()
        self._tell_untold()
        self._shows_unmasked = self._shows_unmasked and not self._engine.is_quiet
        # A limit of time of the server's: what people are asked about would not run any more.
        if self._wait.is_asking and self._engine.is_skipping:
            self._wait.call_off()
        self._go_on()

    def _abandon(self) -> None:
        self._interrupt()
        self._perform(self._engine.on_end(Side.CLIENT))

    def _end(self, reason: str, code: str = SESSION_OVER) -> None:
        self._interrupt()
        self._perform(self._engine.end(reason, code))

    def _interrupt(self) -> None:
        """Nobody will read the answer that is under way. A server notices only when it writes, so it is told."""
        if self._engine.phase is Phase.READY and not self._engine.is_quiet:
            self._around.crew.start(self.cancel_query(), "cancel")

    async def cancel_query(self) -> None:
        """Stop what waits for people, and ask the server to stop what it does for this stream."""
        if self._wait.is_asking:
            self._wait.call_off()
        if not self._engine.server_key:
            return
        try:
            await upstream.cancel(self._around.target, self._engine.server_key)
        except (OSError, TimeoutError, EOFError) as error:
            self._around.tell("failed", f"the cancel request did not reach the server: {type(error).__name__}")

    # From frames to effects.

    def _go_on(self) -> None:
        """Take what the client said, until something waits for a ruling, or for an answer that is under way."""
        while self._waiting and not self._wait.is_on and self._closing is None:
            if not self._engine.takes(self._waiting[0]):
                self._stalled = True
                self._client.pause()
                return
            self._perform(self._engine.on_frame(Side.CLIENT, self._waiting.popleft()))
        if self._stalled:
            self._stalled = False
            self._hear_client()

    def _perform(self, effects: list[Effect]) -> None:
        out = self._outgoing
        for effect in effects:
            match effect:
                case Send(side, data):
                    (out.to_client if side is Side.CLIENT else out.to_backend).append(data)
                case Note(entry):
                    out.notes.append(entry)
                case Judge():
                    self._rule(effect)
                case FindFunction(oid):
                    self._hold(self._find_function(oid))
                case StartTls() | Cancel():
                    out.todo.append(effect)
                case Close(reason):
                    self._closing = reason
                case _:
                    assert_never(effect)

    def _rule(self, asked: Judge) -> None:
        ruling = self._around.hearing.known(asked)
        if ruling is not None:
            self._apply(ruling)
            return
        self._hold(self._wait_for_ruling(asked))

    def _hold(self, answer: Coroutine[Any, Any, None]) -> None:
        """Take up nothing more of the client's until `answer` has gone on with what it waits for."""
        self._wait.begin(self._around.crew.start(answer, "ruling"))

    async def _find_function(self, oid: int) -> None:
        try:
            found = await self._around.hearing.function(oid)
        except Exception as error:
            self._turn(self._release, self._apply, self._unjudged(error))
            return
        self._turn(self._release, lambda function: self._perform(self._engine.on_function(function)), found)

    async def _wait_for_ruling(self, asked: Judge) -> None:
        asked_at = perf_counter()  # the clock of uvloop's loop counts in milliseconds
        try:
            ruling = await self._around.hearing.rule(asked, self._say)
        except asyncio.CancelledError:
            if not self._wait.is_called_off or self._closing is not None:
                raise
            ruling = CALLED_OFF
        except Exception as error:
            ruling = self._unjudged(error)
        took_us = int((perf_counter() - asked_at) * 1_000_000)
        self._turn(self._release, lambda ruling: self._apply(ruling, took_us), ruling)

    def _unjudged(self, error: Exception) -> Deny:
        """What cannot be judged is denied; the stream lives on."""
        if isinstance(error, HoopxError):
            return Deny(error.message, "judge", error.hint)
        self._around.crew.report("ruling", error)
        return Deny("judging it failed inside hoopx", "judge", "ask whoever runs the broker to look at its log")

    def _release(self, step: Callable[[_Answer], None], answer: _Answer) -> None:
        """Go on with what was waited for."""
        self._wait.over()
        step(answer)
        self._go_on()
        self._hear_client()

    def _apply(self, ruling: Passage | Deny, took_us: int = 0) -> None:
        # A slip in the text is told to the client as any server tells it, and to nobody else.
        if isinstance(ruling, Deny) and ruling.fault is None:
            self._around.tell("denied", f"{ruling.rule}: {ruling.reason}")
        if isinstance(ruling, Passage) and ruling.shows_unmasked:
            self._shows_unmasked = True
        self._engine.doubt = self._around.hearing.doubt
        if isinstance(ruling, Passage) and (told := self._around.hearing.introduction(ruling.plan)):
            self._perform(self._engine.tell(*told))
        self._perform(self._engine.on_ruling(ruling, took_us))

    def _say(self, text: str, hint: str, approval: Approval | None = None, /) -> None:
        """Tell the client, and the person at the session, what its statement waits for."""
        self._wait.is_asking |= approval is not None and approval.event == "asked"
        kind = "waiting" if approval is None or approval.event == "asked" else approval.event
        self._around.tell(kind, f"{text}; {hint}" if hint else text)
        self._turn(lambda: self._perform(self._engine.tell(text, hint, approval)))

    def _break(self, error: BrokenPeer) -> None:
        self._around.tell("failed", f"the connection was closed: {error}")
        self._perform(self._engine.fail(f"hoopx closes this connection: {error}"))

    # From effects to bytes.

    def _flush(self) -> None:
        """Record everything, then send everything."""
        sends = self._outgoing.recorded()
        if sends is None:
            self._stop_hearing()
        else:
            self._send(*sends)

    def _send(self, to_backend: bytes, to_client: bytes, todo: Sequence[StartTls | Cancel]) -> None:
        if to_backend:
            self._backend.send(to_backend)
            self._reaching.begin()
        if to_client:
            self._client.send(to_client)
        for effect in todo:
            self._around.crew.start(self._do(effect), "stream")
        if self._closing is not None and not todo and not self._unsettled:
            self._close()

    # Where what is sent has to be on the disk first.

    def _stop_hearing(self) -> None:
        if self._unsettled.is_full_of_answers:
            self._backend.pause_reading()
        if self._unsettled.is_full_of_requests:
            self._client.pause()

    def _on_settled(self) -> None:
        """The disk has what the oldest of them tells of. As in a turn, what goes wrong closes both sides."""
        if self._closed:
            return
        try:
            self._send(*self._unsettled.take())
        except Exception as error:
            self._around.crew.report("stream", error)
            self._fail_closed(_FAILED)
        else:
            self._hear_client()
            self._hear_backend()

    def _on_lost(self, error: RecordingFailed) -> None:
        if not self._closed:
            self._fail_closed(unrecorded(error))

    async def _do(self, effect: StartTls | Cancel) -> None:
        match effect:
            case StartTls():
                await self._reaching.start_tls()
            case Cancel(key):
                # The end of this connection tells the client that the server knows. A cancel that came later than the
                # client's next statement would stop that one.
                try:
                    await self._around.cancel(key)
                finally:
                    self._close()
            case _:
                assert_never(effect)

    def _fail_closed(self, reason: str) -> None:
        """What was to be sent is not; the peers hear the reason, where even that still works."""
        unsent = self._outgoing.drop()
        self._closing = reason
        # Whatever has just failed may fail again here, and must not keep the connections open.
        with suppress(Exception):
            self._around.tell("failed", reason)
        with suppress(Exception):
            farewell = self._engine.fail(reason)
            with suppress(RecordingFailed):
                self._around.record([*unsent, *(effect.entry for effect in farewell if isinstance(effect, Note))])
            for effect in farewell:
                if isinstance(effect, Send):
                    (self._client if effect.side is Side.CLIENT else self._backend).send(effect.data)
        self._close()

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._reaching.arrived()
        if self._idle is not None:
            self._idle.close()
        self._wait.close()
        self._client.close()
        self._backend.close()
        self._around.left(self)
