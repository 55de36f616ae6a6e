"""The backend's answers, each matched to what it answers: masked under its plan, noted, then sent on."""

from __future__ import annotations

from collections import deque
from enum import Enum

from hoopx_broker.masking.detect import Detection
from hoopx_broker.masking.plan import OPEN, Covered, Plan
from hoopx_broker.masking.shapes import Mask
from hoopx_broker.terms import entries
from hoopx_broker.terms.ids import StreamId
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Effect, Note, Send, Side
from hoopx_broker.wire.postgres import descriptions, frames, messages, showing
from hoopx_broker.wire.postgres.copying import CopyOut
from hoopx_broker.wire.postgres.descriptions import Description, Descriptions
from hoopx_broker.wire.postgres.frames import Frame
from hoopx_broker.wire.postgres.names import Change, Portal, Prepared

# A client that never reads answers could pipeline without end; libpq's own queue is bounded by its socket.
MAX_PENDING = 100_000

# The transaction status byte of ReadyForQuery, where no transaction is open.
IDLE = ord("I")

WITHHELD = "the server's message is withheld, because the statement touches masked columns"


class Kind(Enum):
    """What was sent to the backend, and so what may come back."""

    QUERY = "Query"
    PARSE = "Parse"
    BIND = "Bind"
    DESCRIBE = "Describe"
    PROBE = "Describe of our own, whose answer the client never sees"
    EXECUTE = "Execute"
    CLOSE = "Close"
    FUNCTION = "FunctionCall"
    SYNC = "Sync"
    COPY_END = "CopyDone or CopyFail"


# The last message of an answer, by what it answers. QUERY, FUNCTION and SYNC end with ReadyForQuery.
_ENDS: dict[Kind, frozenset[int]] = {
    Kind.QUERY: frozenset({frames.READY}),
    Kind.FUNCTION: frozenset({frames.READY}),
    Kind.SYNC: frozenset({frames.READY}),
    Kind.PARSE: frozenset({frames.PARSE_COMPLETE}),
    Kind.BIND: frozenset({frames.BIND_COMPLETE}),
    Kind.DESCRIBE: frozenset({frames.ROW_DESCRIPTION, frames.NO_DATA}),
    Kind.PROBE: frozenset({frames.ROW_DESCRIPTION, frames.NO_DATA}),
    Kind.EXECUTE: frozenset({frames.COMMAND_COMPLETE, frames.EMPTY_QUERY, frames.SUSPENDED}),
    Kind.CLOSE: frozenset({frames.CLOSE_COMPLETE}),
    Kind.COPY_END: frozenset(),
}
_COPYING = {frames.COPY_IN, frames.COPY_OUT, frames.COPY_DATA, frames.COPY_DONE}
_RUNNING = {frames.DATA_ROW, frames.COMMAND_COMPLETE, frames.EMPTY_QUERY} | _COPYING
# What may come before the last message.
_WITHIN: dict[Kind, frozenset[int]] = {
    Kind.QUERY: frozenset(_RUNNING | {frames.ROW_DESCRIPTION}),
    Kind.EXECUTE: frozenset(_RUNNING),
    Kind.DESCRIBE: frozenset({frames.PARAMETER_DESCRIPTION}),
    Kind.FUNCTION: frozenset({frames.FUNCTION_RESULT}),
}


class Exchange:
    """Something sent to the backend whose answer has not come to its end.

    `change` waits for this answer; a Describe tells the types of what is `prepared`; `refusal` is the error to show
    instead of the server's own; `answered` is true once the server did something about it, so that its ReadyForQuery is
    due.
    """

    __slots__ = (
        "answered",
        "change",
        "copy",
        "covered",
        "fields",
        "kind",
        "masks",
        "n",
        "plan",
        "portal",
        "prepared",
        "refusal",
        "rows",
    )

    def __init__(
        self,
        kind: Kind,
        n: int,
        plan: Plan,
        *,
        portal: Portal | None = None,
        prepared: Prepared | None = None,
        change: Change[Prepared] | Change[Portal] | None = None,
        refusal: bytes | None = None,
    ) -> None:
        self.kind = kind
        self.n = n
        self.plan = plan
        self.portal = portal
        self.prepared = prepared
        self.change = change
        self.refusal = refusal
        self.answered = kind is Kind.SYNC
        self.rows = 0
        self.fields: Description | None = None
        self.masks: tuple[Mask | None, ...] | None = None
        # The columns to look into, if any.
        self.covered: Covered | None = None
        # Hides what a COPY sends, while one does that needs it.
        self.copy: CopyOut | None = None

    def skipped(self) -> None:
        """The server did not do it."""
        if self.change is not None:
            self.change.undo()
        if self.portal is not None and self.kind in (Kind.DESCRIBE, Kind.PROBE):
            self.portal.described = self.portal.fields is not None


class Answers:
    """Answers come in the order of what was sent; after an error the server skips up to the next Sync."""

    def __init__(self, stream: StreamId) -> None:
        self._stream = stream
        self._pending: deque[Exchange] = deque()
        self._skipping = False
        # Something was sent since the last Sync: a limit of time of the server's may end before the next message comes.
        self._is_open = False
        self._copying_in = False
        # Something in this transaction touched masked columns: what its COMMIT or a deferred check says may quote them.
        self._hushed = False
        # The plan for what belongs to no statement that is known.
        self.doubt: Plan = OPEN
        self._descriptions = Descriptions()

    @property
    def is_copying_in(self) -> bool:
        """The server reads what the client sends as data of a COPY."""
        return self._copying_in

    @property
    def is_quiet(self) -> bool:
        """The server has answered all that it was asked."""
        return self._head() is None

    @property
    def is_skipping(self) -> bool:
        """After an error the server looks at nothing before the next Sync."""
        return self._skipping

    @property
    def is_ready_due(self) -> bool:
        """ReadyForQuery will come without another word of the client's."""
        return bool(self._pending) and self._pending[-1].kind in (Kind.QUERY, Kind.FUNCTION, Kind.SYNC)

    def expect(self, exchange: Exchange) -> None:
        if self._skipping:  # the server will not even look at it
            exchange.skipped()
            return
        if len(self._pending) >= MAX_PENDING:
            raise BrokenPeer(f"more than {MAX_PENDING} messages wait for an answer")
        self._is_open = exchange.kind not in (Kind.QUERY, Kind.FUNCTION, Kind.SYNC)
        self._pending.append(exchange)

    def expect_sync(self) -> None:
        # While COPY FROM STDIN runs, the server ignores Sync.
        if self._copying_in:
            return
        self._skipping = False
        self.expect(Exchange(Kind.SYNC, 0, OPEN))

    def copy_in_ends(self) -> None:
        """CopyDone or CopyFail went out, perhaps before the server has even said that it wants data."""
        if not self._copying_in and self._pending:
            self.expect(Exchange(Kind.COPY_END, 0, OPEN))
        self._copying_in = False

    def on_frame(self, frame: Frame) -> list[Effect]:
        """Raises `BrokenPeer` on an answer to nothing."""
        if frame.kind in (frames.NOTICE, frames.NOTIFICATION):
            return self._aside(frame)
        if frame.kind == frames.ERROR:
            return self._error(frame)
        exchange = self._head()
        if exchange is None:
            raise BrokenPeer("the server answers what nobody asked")
        ends = frame.kind in _ENDS[exchange.kind]
        if not ends and frame.kind not in _WITHIN.get(exchange.kind, ()):
            raise BrokenPeer(f"the server answers {exchange.kind.value} with {chr(frame.kind)}")
        self._check_turn(exchange, frame)
        self._hushed = self._hushed or exchange.plan.quiet
        if ends:
            self._pending.popleft()
            if exchange.change is not None:
                exchange.change.keep()
        return self._answer(exchange, frame)

    def _head(self) -> Exchange | None:
        """What the server answers next. Outside of a COPY it ignores the end of one."""
        while self._pending and self._pending[0].kind is Kind.COPY_END:
            self._pending.popleft()
        return self._pending[0] if self._pending else None

    def _check_turn(self, exchange: Exchange, frame: Frame) -> None:
        """One ReadyForQuery too many would shift every later answer under the plan of another question."""
        if frame.kind == frames.READY:
            if not exchange.answered:
                raise BrokenPeer("the server is ready before it answered")
        elif exchange.refusal is not None:
            raise BrokenPeer("the server took a statement that no server takes")
        elif frame.kind in (frames.COMMAND_COMPLETE, frames.EMPTY_QUERY):
            exchange.answered = True
        elif frame.kind == frames.FUNCTION_RESULT:
            if exchange.answered:
                raise BrokenPeer("the server answers one function call twice")
            exchange.answered = True

    def _answer(self, exchange: Exchange, frame: Frame) -> list[Effect]:
        match frame.kind:
            case frames.DATA_ROW:
                return self._rows(exchange, frame)
            case frames.ROW_DESCRIPTION:
                return self._columns(exchange, frame)
            case frames.NO_DATA if exchange.kind is Kind.PROBE:
                _describe(exchange, descriptions.NOTHING)
                return []
            case frames.COMMAND_COMPLETE:
                tag = frame.data[5:-1].decode(errors="replace")
                return self._finished(exchange, frame, tag)
            case frames.EMPTY_QUERY | frames.SUSPENDED:
                return self._finished(exchange, frame, "")
            case frames.FUNCTION_RESULT:
                return self._function_result(exchange, frame)
            case frames.PARAMETER_DESCRIPTION if exchange.prepared is not None:
                exchange.prepared.types[:] = messages.parameter_types(frame)
            case frames.COPY_IN:
                self._copy_in_begins(exchange)
            case frames.COPY_OUT:
                exchange.copy = showing.copy_out(exchange.plan, messages.copy_shape(frame))
            case frames.COPY_DATA:
                return self._copied(exchange, frame)
            case frames.COPY_DONE if exchange.copy is not None:
                exchange.copy.end()
                exchange.copy = None
            case frames.READY:
                self._copying_in = False
                self._hushed = self._hushed and frame.data[-1] != IDLE
            case _:
                pass
        return [Send(Side.CLIENT, frame.data)]

    def _columns(self, exchange: Exchange, frame: Frame) -> list[Effect]:
        fields = self._descriptions.read(frame)
        _describe(exchange, fields)
        if exchange.kind is Kind.PROBE:
            return []
        if exchange.kind is not Kind.QUERY:
            return [Send(Side.CLIENT, frame.data)]
        return [self._note_columns(exchange, fields), Send(Side.CLIENT, frame.data)]

    def _note_columns(self, exchange: Exchange, fields: Description) -> Note:
        seen = fields.under(exchange.plan)
        exchange.fields, exchange.masks, exchange.covered = fields, seen.masks, seen.covered
        return Note(entries.Columns(self._stream, exchange.n, *seen.told))

    def _rows(self, exchange: Exchange, frame: Frame) -> list[Effect]:
        effects: list[Effect] = []
        if exchange.fields is None:
            effects += self._late_columns(exchange)
        data = showing.shown(frame.data, exchange.plan, exchange.masks, exchange.covered)
        exchange.rows += frame.count
        effects.append(Note(entries.Rows(self._stream, exchange.n, frame.count, data)))
        effects.append(Send(Side.CLIENT, data))
        return effects

    def _copied(self, exchange: Exchange, frame: Frame) -> list[Effect]:
        data = frame.data if exchange.copy is None else exchange.copy.hide(frame.data)
        if not data:  # no row is whole yet
            return []
        return [Note(entries.CopyData(self._stream, exchange.n, "out", data)), Send(Side.CLIENT, data)]

    def _late_columns(self, exchange: Exchange) -> list[Effect]:
        """The rows of an Execute: their description came with an earlier Describe, if with any."""
        fields = exchange.portal.fields if exchange.portal is not None else None
        if fields is not None:
            return [self._note_columns(exchange, fields)]
        if exchange.plan.hides:
            raise BrokenPeer("rows came without a description, so they cannot be masked")
        return []

    def _function_result(self, exchange: Exchange, frame: Frame) -> list[Effect]:
        """One value, recorded and masked as a row of one column that has no origin."""
        columns = self._note_columns(exchange, exchange.fields or descriptions.NOTHING)
        row = showing.shown(messages.function_result(frame), exchange.plan, exchange.masks, exchange.covered)
        shown = Note(entries.Rows(self._stream, exchange.n, 1, row))
        finished = Note(entries.Finished(self._stream, exchange.n, "", 1))
        return [columns, shown, finished, Send(Side.CLIENT, messages.as_function_result(row))]

    def _finished(self, exchange: Exchange, frame: Frame, tag: str) -> list[Effect]:
        note = Note(entries.Finished(self._stream, exchange.n, tag, exchange.rows, _counted(tag)))
        exchange.rows = 0
        exchange.fields = exchange.masks = exchange.covered = None
        return [note, Send(Side.CLIENT, frame.data)]

    def _copy_in_begins(self, exchange: Exchange) -> None:
        """The server reads on as data. A Sync that was sent along is ignored; other messages break the connection,
        or are swallowed by servers before 14, and then no answer would fit its question any more."""
        self._pending.popleft()
        while self._pending and self._pending[0].kind is Kind.SYNC:
            self._pending.popleft()
        ended = bool(self._pending) and self._pending[0].kind is Kind.COPY_END
        if ended:
            self._pending.popleft()
        elif self._pending:
            raise BrokenPeer("the client sent other messages where the server reads the data of a COPY")
        self._pending.appendleft(exchange)
        self._copying_in = not ended

    def _error(self, frame: Frame) -> list[Effect]:
        exchange = self._head()
        self._copying_in = False
        said = messages.error_fields(frame)
        if exchange is None and not said.is_fatal:
            if not self._is_open:
                raise BrokenPeer("the server answers what nobody asked with an error")
            self._skipping, self._is_open = True, False
        if exchange is not None and exchange.kind not in (Kind.QUERY, Kind.FUNCTION, Kind.SYNC):
            self._skip_to_sync()
        if exchange is not None and exchange.refusal is not None and not exchange.answered and not said.is_fatal:
            exchange.answered = True
            # The statement entry has told of the refusal already.
            return [Send(Side.CLIENT, exchange.refusal)]
        if exchange is not None:
            exchange.answered = True
            self._hushed = self._hushed or exchange.plan.quiet
        said, data = self._shown_error(said, frame.data, exchange)
        n = exchange.n if exchange is not None else 0
        note = Note(entries.Failed(self._stream, n, said.severity, said.code, said.message))
        return [note, Send(Side.CLIENT, data)]

    def _skip_to_sync(self) -> None:
        while self._pending and self._pending[0].kind is not Kind.SYNC:
            self._pending.popleft().skipped()
        self._skipping = not self._pending

    def _shown_error(
        self, said: messages.ErrorFields, data: bytes, exchange: Exchange | None
    ) -> tuple[messages.ErrorFields, bytes]:
        """What may quote hidden values is withheld, and what detectors find in other errors is hidden."""
        if self._hushed:
            if said.is_about_text:
                return said, data
            said = messages.ErrorFields(said.severity, said.code, WITHHELD)
            return said, messages.error(said.severity, said.code, said.message)
        look = self._look(exchange)
        if look is None or not look.sees(data, encoded=True):
            return said, data
        said = messages.ErrorFields(said.severity, said.code, look.text(said.message), said.position)
        return said, messages.error(said.severity, said.code, said.message, position=said.position)

    def _look(self, exchange: Exchange | None) -> Detection | None:
        return (exchange.plan if exchange is not None and exchange.plan.hides else self.doubt).look

    def _aside(self, frame: Frame) -> list[Effect]:
        exchange = self._head()
        quiet = self._hushed or (exchange is not None and exchange.plan.quiet)
        return (
            self._notified(frame, quiet=quiet)
            if frame.kind == frames.NOTIFICATION
            else self._noticed(frame, quiet=quiet)
        )

    def _notified(self, frame: Frame, *, quiet: bool) -> list[Effect]:
        """A trigger may notify of rows that nobody here has asked for."""
        said, data = messages.notification(frame), frame.data
        payload, look = said.payload, self.doubt.look
        if payload and (quiet or (self.doubt.hidden is not None and self.doubt.hidden.notifies)):
            payload = WITHHELD
        elif look is not None:
            payload = look.text(payload)
        if payload is not said.payload:
            data = messages.with_payload(frame, payload)
        told = entries.Notice(self._stream, "NOTIFICATION", "00000", f"{said.channel}: {payload}")
        return [Note(told), Send(Side.CLIENT, data)]

    def _noticed(self, frame: Frame, *, quiet: bool) -> list[Effect]:
        said, data, look = messages.error_fields(frame), frame.data, self._look(self._head())
        if quiet:
            said = messages.ErrorFields(said.severity, said.code, WITHHELD)
            data = messages.notice(WITHHELD, code=said.code)
        elif look is not None and look.sees(data, encoded=True):
            said = messages.ErrorFields(said.severity, said.code, look.text(said.message))
            data = messages.notice(said.message, code=said.code)
        return [Note(entries.Notice(self._stream, said.severity, said.code, said.message)), Send(Side.CLIENT, data)]


def _counted(tag: str) -> int:
    """The rows that a command tag counts, at its end: `INSERT 0 3`, `COPY 7`. A bigint has 19 digits."""
    number = tag.rpartition(" ")[2]
    return int(number) if len(number) < 20 and number.isascii() and number.isdecimal() else 0


def _describe(exchange: Exchange, fields: Description) -> None:
    if exchange.portal is not None:
        exchange.portal.fields = fields
