"""One PostgreSQL stream as a machine: frames and rulings in, effects out. No I/O, no clock.

What the client sends is judged before it is forwarded; what is refused goes on as a statement that the server's own
grammar refuses, so that order, transaction state and skipping after an error are the server's, and only the error's
text is ours. `docs/protocols/postgres.md` draws the states.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, assert_never

from msgspec import structs

from hoopx_broker.masking.plan import OPEN, Plan
from hoopx_broker.terms import entries
from hoopx_broker.terms.facts import FunctionName
from hoopx_broker.terms.ids import StreamId
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Close, Effect, FindFunction, Judge, Note, Passage, Send, Side
from hoopx_broker.wire.postgres import frames, messages, refusals
from hoopx_broker.wire.postgres.answers import IDLE, Answers, Exchange, Kind
from hoopx_broker.wire.postgres.beginning import Beginning, Greeter, Phase
from hoopx_broker.wire.postgres.descriptions import Description
from hoopx_broker.wire.postgres.frames import Frame
from hoopx_broker.wire.postgres.hello import Unwelcome
from hoopx_broker.wire.postgres.lexing import Lexing
from hoopx_broker.wire.postgres.login import Upstream
from hoopx_broker.wire.postgres.names import Names, Portal, Prepared

__all__ = ["Engine", "Phase"]

_Said = TypeVar("_Said")
# What a client may say while the server reads the data of a COPY.
_IN_COPY = frozenset(b"dcfSHX")  # CopyData, CopyDone, CopyFail, Sync, Flush, Terminate
# Whose text the server reads when it comes. What an Execute runs was read at its Parse.
_READ_THEN = frozenset({frames.QUERY, frames.PARSE})
# What a FunctionCall is recorded as while its function has no name here.
_SOME_CALL = b"(function call)"


class Engine:
    """`key` (`KEY_BYTES` random ones) is what the client gets as its cancel key, or the beginning of it."""

    def __init__(
        self,
        stream: StreamId,
        target: str,
        upstream: Upstream,
        key: bytes,
        nonce: bytes,
        greeter: Greeter = Greeter.ENGINE,
    ) -> None:
        self._stream = stream
        self._target = target
        self._beginning = Beginning(stream, target, upstream, key, nonce, greeter)
        self._phase = Phase.STARTUP
        self._answers = Answers(stream)
        self._names = Names()
        self._held: Frame | None = None
        # What was read in the last Query, Execute or FunctionCall: its text, its portal, what it is judged as.
        self._said = b""
        # The frame that `takes` said yes to, until anything else happens.
        self._taken: Frame | None = None
        # How long the last ruling was waited for.
        self._took_us = 0
        self._count = 0
        self._lexing = Lexing()
        # How often the server was ready outside of a transaction.
        self.transactions = 0

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def doubt(self) -> Plan:
        """The plan for answers whose statement is not known here, such as those of SQL-level EXECUTE."""
        return self._answers.doubt

    @doubt.setter
    def doubt(self, plan: Plan) -> None:
        self._answers.doubt = plan

    @property
    def key(self) -> bytes:
        """The cancel key that the client has: it depends on the version that it speaks."""
        return self._beginning.key

    @property
    def server_key(self) -> bytes:
        """The server's own cancel key, which never leaves hoopx; empty before the login is done."""
        return self._beginning.server_key

    @property
    def is_quiet(self) -> bool:
        """Whether the server has answered all that it was asked."""
        return self._answers.is_quiet

    @property
    def is_skipping(self) -> bool:
        """Whether the server skips what it is sent, after an error, until the next Sync."""
        return self._answers.is_skipping

    def takes(self, frame: Frame) -> bool:
        """Whether this frame of the client can be judged already. Raises `BrokenPeer`.

        False while it uses a name whose meaning the server has yet to tell, because an earlier pipeline that defined
        it may have failed. Offer it again after the server's next frame; its answer is under way.
        """
        if self._phase is not Phase.READY or self._answers.is_quiet or self._is_clear(frame):
            self._taken = frame
        return frame is self._taken

    def _is_clear(self, frame: Frame) -> bool:
        """Whether only one meaning is left of what it names, or of its text."""
        match frame.kind:
            case frames.QUERY | frames.PARSE if self._lexing.is_in_doubt(frame.data):
                return not self._answers.is_ready_due
            case frames.BIND:
                return self._names.is_settled(statement=messages.bound(frame))
            case frames.EXECUTE:
                return self._names.is_settled(portal=messages.executed(frame))
            case frames.DESCRIBE:
                kind, name = messages.described(frame)
                return kind == ord("S") or self._names.is_settled(portal=name)
            case _:
                return True

    def on_frame(self, side: Side, frame: Frame) -> list[Effect]:
        """Raises `BrokenPeer`."""
        taken, self._taken = self._taken, None
        if self._phase is Phase.CLOSED:
            return []
        if side is Side.BACKEND:
            return self._from_backend(frame)
        if self._phase is Phase.READY:
            if self._held is not None or not (frame is taken or self.takes(frame)):
                raise BrokenPeer("a message was taken before the one before it was settled")
            return self._from_client(frame)
        return self._begin(self._beginning.on_client, frame)

    # The start of the stream.

    def log_in_with(self, credential: DatabaseLogin) -> None:
        """What the source gave for this connection, before it stands: secrets of minutes are not kept for later."""
        self._beginning.log_in_with(credential)

    def _begin(self, step: Callable[[_Said], list[Effect]], said: _Said) -> list[Effect]:
        try:
            effects = step(said)
        except Unwelcome as refusal:
            told = [refusal.note] if refusal.note else []
            return [*told, *self._fatal(refusal.code, refusal.message, detail=refusal.detail, hint=refusal.hint)]
        self._phase = self._beginning.phase
        return effects

    def on_tls(self, binding: bytes | None) -> list[Effect]:
        """TLS towards the server stands; `binding` is its `tls-server-end-point` data, if any."""
        if self._phase is Phase.CLOSED:
            return []
        return self._beginning.on_tls(binding)

    def _watch_setting(self, frame: Frame) -> None:
        name, _, value = frame.data[5:].rstrip(b"\0").partition(b"\0")
        self._lexing.on_setting(name, value)

    # From the client, once statements flow.

    def _from_client(self, frame: Frame) -> list[Effect]:
        if self._answers.is_copying_in and frame.kind not in _IN_COPY:
            raise BrokenPeer("the client speaks of something else in the middle of a COPY")
        match frame.kind:
            case frames.QUERY:
                self._said = messages.query_text(frame)
                return self._judge(frame, Judge(self._said, executes=True))
            case frames.PARSE:
                return self._judge(frame, Judge(messages.parse_text(frame)[1], executes=False))
            case frames.BIND:
                return self._bind(frame)
            case frames.EXECUTE:
                return self._execute(frame)
            case frames.DESCRIBE:
                return self._describe(frame)
            case frames.CLOSE:
                return self._close_name(frame)
            case frames.SYNC:
                self._answers.expect_sync()
                self._names.next_segment()
                return [Send(Side.BACKEND, frame.data)]
            case frames.FLUSH:
                return [Send(Side.BACKEND, frame.data)]
            case frames.COPY_DATA:
                note = Note(entries.CopyData(self._stream, self._count, "in", frame.data))
                return [note, Send(Side.BACKEND, frame.data)]
            case frames.COPY_DONE | frames.COPY_FAIL:
                self._answers.copy_in_ends()
                return [Send(Side.BACKEND, frame.data)]
            case frames.FUNCTION_CALL:
                self._held, self._said = frame, _SOME_CALL
                return [FindFunction(messages.function_call(frame).function)]
            case frames.TERMINATE:
                return self.on_end(Side.CLIENT)
            case _:
                raise BrokenPeer("the client speaks out of turn")

    def _judge(self, frame: Frame, asked: Judge) -> list[Effect]:
        self._held = frame
        if frame.kind in _READ_THEN and (refusal := self._lexing.refusal(asked.text)):
            return self.on_ruling(refusal)
        return [asked]

    def on_function(self, found: FunctionName | None) -> list[Effect]:
        """The answer to `FindFunction`, None where there is none: it is judged as the SELECT that it amounts to."""
        if self._phase is Phase.CLOSED:
            return []
        if self._held is None or self._held.kind != frames.FUNCTION_CALL:
            raise BrokenPeer("a function was found that nobody asked for")
        said = messages.function_call(self._held)
        if found is None:
            return self.on_ruling(refusals.NO_FUNCTION)
        self._said = _as_select(found, len(said.arguments))
        return self._judge(
            self._held, Judge(self._said, executes=True, parameters=said.arguments, formats=said.formats)
        )

    def on_ruling(self, ruling: Passage | Deny, took_us: int = 0) -> list[Effect]:
        """The answer to the last `Judge`, which took so long. It comes too late for a stream that is over."""
        if self._phase is Phase.CLOSED:
            return []
        if self._phase is Phase.SETTINGS:
            return self._begin(self._beginning.on_ruling, ruling)
        frame, self._held, self._taken = self._held, None, None
        if frame is None:
            raise BrokenPeer("a ruling came for nothing")
        self._took_us = took_us
        match ruling:
            case Passage(runs=runs) if any(self._names.may_be_pending(name.encode()) for name in runs):
                return self._refuse(frame, refusals.PENDING)
            case Passage():
                return self._pass(frame, ruling)
            case Deny():
                return self._refuse(frame, ruling)
            case _:
                assert_never(ruling)

    def _pass(self, frame: Frame, passage: Passage) -> list[Effect]:
        for defined in passage.defines:
            self._names.doubt(defined.encode())
        if any(self._names.was_said(name.encode()) for name in passage.runs):
            passage = structs.replace(passage, plan=self.doubt)
        self._lexing.on_passage(may_relex=passage.may_relex, runs=frame.kind not in (frames.PARSE, frames.BIND))
        if frame.kind == frames.EXECUTE:
            return self._run(frame, passage.plan, passage)
        if frame.kind == frames.BIND:
            said = messages.bind(frame)
            return self._bound(frame, said, self._names.statement(said.statement, self.doubt))
        self._count += 1
        if frame.kind == frames.QUERY:
            text = self._said
            self._answers.expect(Exchange(Kind.QUERY, self._count, passage.plan))
        elif frame.kind == frames.FUNCTION_CALL:
            return self._call(frame, passage)
        else:
            name, text, types = messages.parse_message(frame)
            prepared = Prepared(self._count, text, passage.plan, list(types), is_pending=passage.is_pending)
            change = self._names.prepare(name, prepared)
            self._answers.expect(Exchange(Kind.PARSE, self._count, passage.plan, change=change))
        return [Note(self._statement(text, passage)), Send(Side.BACKEND, frame.data)]

    def _call(self, frame: Frame, passage: Passage) -> list[Effect]:
        said, statement = messages.function_call(frame), Note(self._statement(self._said, passage))
        called = self._count, said.arguments, said.formats
        ran = entries.Executed(self._stream, self._count + 1, *called, request=passage.request)
        self._count += 1
        exchange = Exchange(Kind.FUNCTION, self._count, passage.plan)
        exchange.fields = Description((messages.Field(0, 0, 0, said.result_format, "result"),))
        self._answers.expect(exchange)
        return [statement, Note(ran), Send(Side.BACKEND, frame.data)]

    def _statement(self, text: bytes, passage: Passage) -> entries.Statement:
        hidden = passage.plan.hidden
        masked = tuple(str(column) for column in hidden.columns) if hidden and passage.plan.quiet else ()
        said, allow, touched = refusals.readable(text), passage.allow, passage.touched
        ruled = ("allow", allow.rules, "", masked, passage.request, allow.shadow)
        return entries.Statement(
            self._stream, self._count, said, *ruled, touched.effects, touched.tables, self._took_us
        )

    def _refuse(self, frame: Frame, deny: Deny) -> list[Effect]:
        self._count += 1
        name = messages.REFUSED_STATEMENT
        if frame.kind == frames.PARSE:
            name, text = messages.parse_text(frame)
        elif frame.kind == frames.BIND:
            text = self._names.statement(messages.bound(frame), self.doubt).text
        elif frame.kind == frames.EXECUTE:
            text = self._names.portal(self._said, self.doubt).prepared.text
        else:
            text = self._said
        note = refusals.note(self._stream, self._count, text, deny, self._took_us)
        simple = frame.kind in (frames.QUERY, frames.FUNCTION_CALL)
        return [note, *self._stand_in(refusals.as_error(deny), simple=simple, name=name)]

    def _stand_in(self, error: bytes, *, simple: bool, name: bytes = b"") -> list[Effect]:
        """Send a statement that the server refuses in the place of ours, and remember which error to show instead.

        A refused Parse keeps its name: a failing Parse drops the unnamed statement just if it is unnamed itself.
        """
        kind = Kind.QUERY if simple else Kind.PARSE
        self._answers.expect(Exchange(kind, self._count, OPEN, refusal=error))
        return [Send(Side.BACKEND, messages.stand_in(name, simple=simple))]

    def _bind(self, frame: Frame) -> list[Effect]:
        said = messages.bind(frame)
        prepared = self._names.statement(said.statement, self.doubt)
        if not prepared.is_pending:
            return self._bound(frame, said, prepared)
        return self._judge(frame, _asked(prepared, said.parameters, said.formats, binds=True))

    def _bound(self, frame: Frame, said: messages.BindMessage, prepared: Prepared) -> list[Effect]:
        change = self._names.bind(said.portal, Portal(prepared, said.parameters, said.formats))
        self._answers.expect(Exchange(Kind.BIND, prepared.n, prepared.plan, change=change))
        return [Send(Side.BACKEND, frame.data)]

    def _execute(self, frame: Frame) -> list[Effect]:
        self._said = messages.executed(frame)
        portal = self._names.portal(self._said, self.doubt)
        prepared = portal.prepared
        if not prepared.text:  # there is no such portal, which the server says best
            return self._run(frame, prepared.plan)
        return self._judge(frame, _asked(prepared, portal.parameters, portal.formats))

    def _run(self, frame: Frame, plan: Plan, passage: Passage | None = None) -> list[Effect]:
        portal = self._names.portal(self._said, self.doubt)
        if portal.prepared.in_doubt:
            plan = self.doubt
        self._count += 1
        shadow, request = (passage.allow.shadow, passage.request) if passage is not None else ("", None)
        said = portal.prepared.n, portal.parameters, portal.formats
        took_us = self._took_us if passage is not None else 0
        ran = entries.Executed(self._stream, self._count, *said, shadow, request, took_us)
        effects: list[Effect] = [Note(ran)]
        if plan.hides and not portal.described:
            portal.described = True
            self._answers.expect(Exchange(Kind.PROBE, self._count, plan, portal=portal))
            effects.append(Send(Side.BACKEND, messages.describe_portal(self._said)))
        self._answers.expect(Exchange(Kind.EXECUTE, self._count, plan, portal=portal))
        return [*effects, Send(Side.BACKEND, frame.data)]

    def _describe(self, frame: Frame) -> list[Effect]:
        kind, name = messages.described(frame)
        if kind == ord("P"):
            portal = self._names.portal(name, self.doubt)
            portal.described = True
            self._answers.expect(Exchange(Kind.DESCRIBE, self._count, portal.prepared.plan, portal=portal))
        else:
            prepared = self._names.statement(name, self.doubt)
            self._answers.expect(Exchange(Kind.DESCRIBE, self._count, prepared.plan, prepared=prepared))
        return [Send(Side.BACKEND, frame.data)]

    def _close_name(self, frame: Frame) -> list[Effect]:
        kind, name = messages.described(frame)
        change = self._names.close_portal(name) if kind == ord("P") else self._names.close_statement(name)
        self._answers.expect(Exchange(Kind.CLOSE, self._count, OPEN, change=change))
        return [Send(Side.BACKEND, frame.data)]

    # From the backend.

    def _from_backend(self, frame: Frame) -> list[Effect]:
        match self._phase:
            case Phase.READY:
                if frame.kind == frames.PARAMETER_STATUS:
                    self._watch_setting(frame)
                    return [Send(Side.CLIENT, frame.data)]
                effects = self._answers.on_frame(frame)
                if frame.kind == frames.READY:
                    self._settle(frame)
                return effects if frame.kind != frames.ERROR else [*effects, *self._after_error(frame)]
            case Phase.LOGIN | Phase.STARTUP | Phase.SETTINGS:
                if frame.kind == frames.PARAMETER_STATUS:
                    self._watch_setting(frame)
                return self._begin(self._beginning.on_backend, frame)
            case Phase.CLOSED:
                return []
            case _:
                assert_never(self._phase)

    def _settle(self, ready: Frame) -> None:
        """The server has told every setting that has changed before it says that it is ready."""
        if ready.data[-1] == IDLE:
            self._names.transaction_ended()
            self.transactions += 1
        if self._answers.is_quiet:
            self._lexing.on_quiet()

    def _after_error(self, frame: Frame) -> list[Effect]:
        """After a FATAL error the server closes the connection, and the client has been told."""
        said = messages.error_fields(frame)
        if not said.is_fatal:
            return []
        self._phase = Phase.CLOSED
        return [Note(entries.StreamClosed(self._stream, f"the server ended it ({said.code})")), Close(said.code)]

    # The end.

    def tell(self, text: str, hint: str = "", approval: entries.Approval | None = None) -> list[Effect]:
        """Tell the client something in passing, as a NOTICE; about an approval, where it is."""
        if self._phase is not Phase.READY:
            return []
        note = Note(entries.Notice(self._stream, "NOTICE", "00000", text, approval=approval))
        waits = approval is not None and approval.event == "asked"
        routine = refusals.WAITING if waits else ""
        return [note, Send(Side.CLIENT, messages.notice(text, hint=hint, routine=routine))]

    def on_end(self, side: Side) -> list[Effect]:
        """One side closed its connection."""
        if self._phase is Phase.CLOSED:
            return []
        if side is Side.BACKEND:
            return self._fatal("08006", f"the connection to `{self._target}` was lost")
        was, self._phase = self._phase, Phase.CLOSED
        goodbye = [Send(Side.BACKEND, messages.TERMINATE)] if was is Phase.READY else []
        return [Note(entries.StreamClosed(self._stream, "client left")), *goodbye, Close("client left")]

    def end(self, reason: str, code: str = "57P01") -> list[Effect]:
        """End the stream from our side, for example because the session is over."""
        return self._fatal(code, reason)

    def fail(self, reason: str) -> list[Effect]:
        """A peer broke the protocol, or something of ours failed: both sides close."""
        return self._fatal("08P01", reason)

    def _fatal(self, code: str, text: str, *, detail: str = "", hint: str = "") -> list[Effect]:
        if self._phase is Phase.CLOSED:
            return []
        was, self._phase = self._phase, Phase.CLOSED
        goodbye = [Send(Side.BACKEND, messages.TERMINATE)] if was is Phase.READY else []
        return [
            Note(entries.StreamClosed(self._stream, text)),
            *goodbye,
            Send(Side.CLIENT, messages.error("FATAL", code, text, detail, hint)),
            Close(text),
        ]


def _asked(
    prepared: Prepared, parameters: tuple[bytes | None, ...], formats: tuple[int, ...], *, binds: bool = False
) -> Judge:
    return Judge(prepared.text, True, parameters, formats, tuple(prepared.types), binds)  # noqa: FBT003


def _as_select(function: FunctionName, arguments: int) -> bytes:
    """The statement that a call by number amounts to."""
    name = ".".join('"' + part.replace('"', '""') + '"' for part in (function.schema or "", function.name))
    return f"SELECT {name}({', '.join(f'${n + 1}' for n in range(arguments))})".encode()
