"""A small model of how a PostgreSQL server treats messages: names, transactions, skipping after errors, answers.

Texts say what happens: `broken` cannot be read, `fails` cannot be run, `secret` gives rows with a hidden value,
`prepare NAME` and `declare NAME` make a name by SQL (over a secret), `deallocate NAME` unmakes it.
"""

from __future__ import annotations

from hoopx_broker.wire.effects import Side
from hoopx_broker.wire.postgres import frames, messages
from hoopx_broker.wire.postgres.frames import Frame, Framer, message
from tests.unit.wire_stage import bound, closed, column, columns, done, error, no_data, parsed, ready, row

SECRET = "ann@example.com"
SQL_MADE = b"secret made by sql"


class Failed(Exception):
    """The statement fails."""


class Model:
    """Hears bytes, keeps what it says in `said`, and every text that really ran in `ran`."""

    def __init__(self) -> None:
        self.said = bytearray()
        self.ran: list[bytes] = []
        self._framer = Framer(Side.CLIENT)
        self._framer.feed(messages.startup({"user": "x"}))
        self._statements: dict[bytes, bytes] = {}
        self._portals: dict[bytes, bytes] = {}
        self._skips = False
        self._state = "I"

    def hear(self, data: bytes) -> None:
        for frame in self._framer.feed(data):
            if frame.kind == frames.SYNC:
                self._skips = False
                self._ready()
            elif not self._skips:
                self._try(frame)

    def _try(self, frame: Frame) -> None:
        try:
            self._do(frame)
        except Failed:
            self.said += error()
            self._state = "E" if self._state != "I" else "I"
            self._skips = frame.kind not in (frames.QUERY, frames.FUNCTION_CALL)
        if frame.kind in (frames.QUERY, frames.FUNCTION_CALL):
            self._ready()

    def _ready(self) -> None:
        if self._state == "I":
            self._portals.clear()
        self.said += ready(self._state)

    def _do(self, frame: Frame) -> None:
        match frame.kind:
            case frames.QUERY:
                self._query(messages.query_text(frame))
            case frames.PARSE:
                self._parse(*messages.parse_text(frame))
            case frames.BIND:
                said = messages.bind(frame)
                self._bind(said.portal, said.statement)
            case frames.DESCRIBE:
                self._describe(*messages.described(frame))
            case frames.EXECUTE:
                self._execute(messages.executed(frame))
            case frames.CLOSE:
                kind, name = messages.described(frame)
                (self._portals if kind == ord("P") else self._statements).pop(name, None)
                self.said += closed()
            case frames.FUNCTION_CALL:
                self._call(messages.function_call(frame).function)
            case _:
                pass

    def _call(self, function: int) -> None:
        """Whatever is called gives a hidden value."""
        self._run(b"deny by number" if function == 958 else b"by number")
        value = SECRET.encode()
        self.said += message(frames.FUNCTION_RESULT, len(value).to_bytes(4, "big") + value)

    def _query(self, text: bytes) -> None:
        self._statements.pop(b"", None)
        self._portals.pop(b"", None)
        self._check_readable(text)
        if b"secret" in text:
            self.said += columns(column("x"))
        self._run(text)
        self.said += done("DONE")

    def _check_readable(self, text: bytes) -> None:
        if b"broken" in text or b"refused_by_hoopx" in text:
            raise Failed
        if self._state == "E" and text not in (b"commit", b"rollback"):
            raise Failed

    def _parse(self, name: bytes, text: bytes) -> None:
        if not name:
            self._statements.pop(b"", None)
        self._check_readable(text)
        if name in self._statements:
            raise Failed
        self._statements[name] = text
        self.said += parsed()

    def _bind(self, portal: bytes, statement: bytes) -> None:
        if statement not in self._statements or (portal and portal in self._portals):
            raise Failed
        self._check_readable(self._statements[statement])
        self._portals[portal] = self._statements[statement]
        self.said += bound()

    def _describe(self, kind: int, name: bytes) -> None:
        table = self._portals if kind == ord("P") else self._statements
        if name not in table:
            raise Failed
        if kind == ord("S"):
            self.said += b"t\0\0\0\6\0\0"
        self.said += columns(column("x")) if b"secret" in table[name] else no_data()

    def _execute(self, portal: bytes) -> None:
        if portal not in self._portals:
            raise Failed
        self._run(self._portals[portal])
        self.said += done("DONE")

    def _run(self, text: bytes) -> None:
        verb, _, name = text.partition(b" ")
        if b"fails" in text or (self._state == "E" and text not in (b"commit", b"rollback")):
            raise Failed
        table = {b"prepare": self._statements, b"declare": self._portals}.get(verb)
        if table is not None:
            if name in table or (verb == b"declare" and self._state == "I"):
                raise Failed
            table[name] = SQL_MADE
        elif verb == b"deallocate" and self._statements.pop(name, None) is None:
            raise Failed
        self._state = {b"begin": "T", b"commit": "I", b"rollback": "I"}.get(text, self._state)
        self.ran.append(text)
        if b"secret" in text:
            self.said += row(SECRET)
