"""A stage for the PostgreSQL engine: two peers and a judge, all played by the test, byte by byte as on the wire."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from hoopx_broker.masking.hidden import Hidden
from hoopx_broker.masking.plan import OPEN, Plan, doubting
from hoopx_broker.terms import entries
from hoopx_broker.terms.catalog import Relation
from hoopx_broker.terms.facts import FunctionName
from hoopx_broker.terms.ids import StreamId
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.rulings import Allow, Deny
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import ColumnName
from hoopx_broker.wire.effects import Cancel, Close, Effect, FindFunction, Judge, Note, Passage, Send, Side, StartTls
from hoopx_broker.wire.postgres.engine import Engine, Phase
from hoopx_broker.wire.postgres.frames import Frame, Framer, message
from hoopx_broker.wire.postgres.login import Upstream

CUSTOMERS, ORDERS = 16_400, 16_500
TEXT, INTEGER = 25, 23
EMAIL = ColumnName("public", "customers", "email")
KEY, SERVER_KEY = b"hoopxkey", b"realkey!"
NONCE = b"n" * 18
REFUSED = b"refused_by_hoopx"
# What the catalog says of functions by number; the name is an odd one.
FUNCTIONS = {
    957: FunctionName("pg_catalog", 'lo_"creat', "volatile"),
    958: FunctionName("public", "deny", "volatile"),
}

HIDDEN = Hidden(
    {EMAIL: "email"},
    cells={(CUSTOMERS, 3): "email"},
    relations={
        CUSTOMERS: Relation(CUSTOMERS, "public", "customers", "r"),
        ORDERS: Relation(ORDERS, "public", "orders", "r"),
    },
    names=frozenset({("public", "customers")}),
)
PLAIN = Plan(HIDDEN, columns=None, is_open_copy=True)
DERIVED = doubting(HIDDEN)
QUIET = Plan(HIDDEN, columns=None, quiet=True, is_open_copy=True)

Ruler = Callable[[Judge], Passage | Deny | None]


class Stage:
    """Plays one stream. What a side heard is cleared when it is read, so that each assertion is about one turn."""

    def __init__(
        self, rule: Ruler | None = None, *, tls: bool = False, verified: bool = False, password: str = "s3cret"
    ) -> None:
        upstream = Upstream(DatabaseLogin("minted", Secret(password)), "app", tls, verified)
        self.engine = Engine(StreamId("t_1"), "prod", upstream, KEY, NONCE)
        self.notes: list[entries.Entry] = []
        self.asked: list[Judge] = []
        self.others: list[StartTls | Cancel | Close] = []
        self.rule = rule
        self._framers = {side: Framer(side) for side in Side}
        self._heard = {side: bytearray() for side in Side}
        self.waiting: list[Frame] = []
        if tls:
            self._framers[Side.BACKEND].expect_tls_answer()

    @classmethod
    def ready(cls, rule: Ruler | None = None) -> Stage:
        """A stage after a login, with statements flowing."""
        stage = cls(rule)
        stage.client_says(startup(user="me"))
        stage.backend_says(authentication(0) + message(ord("K"), SERVER_KEY) + ready())
        assert stage.engine.phase is Phase.READY
        stage.forget()
        return stage

    def forget(self) -> None:
        self.notes.clear()
        self.asked.clear()
        for heard in self._heard.values():
            heard.clear()

    def judge_by_hand(self) -> None:
        """From here on the test rules itself."""
        self.rule = None
        self.forget()

    def client_says(self, *parts: bytes) -> None:
        self.waiting += self._framers[Side.CLIENT].feed(b"".join(parts))
        self._go_on()

    def backend_says(self, *parts: bytes) -> None:
        for frame in self._framers[Side.BACKEND].feed(b"".join(parts)):
            self._perform(self.engine.on_frame(Side.BACKEND, frame))
        self._go_on()

    def judge_says(self, ruling: Passage | Deny) -> None:
        self.asked.pop(0)
        self._perform(self.engine.on_ruling(ruling))
        self._go_on()

    def perform(self, effects: Sequence[Effect]) -> None:
        self._perform(effects)

    def _go_on(self) -> None:
        while self.waiting and not self.asked and self.engine.takes(self.waiting[0]):
            self._perform(self.engine.on_frame(Side.CLIENT, self.waiting.pop(0)))

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(side, data):
                    self._heard[side] += data
                case Note(entry):
                    self.notes.append(entry)
                case Judge():
                    ruling = self.rule(effect) if self.rule else None
                    if ruling is None:
                        self.asked.append(effect)
                    else:
                        self._perform(self.engine.on_ruling(ruling))
                case FindFunction(oid):
                    self._perform(self.engine.on_function(FUNCTIONS.get(oid)))
                case _:
                    self.others.append(effect)

    @property
    def is_closed(self) -> bool:
        return any(isinstance(effect, Close) for effect in self.others)

    @property
    def client_heard(self) -> bytes:
        return self._take(Side.CLIENT)

    @property
    def backend_heard(self) -> bytes:
        return self._take(Side.BACKEND)

    def _take(self, side: Side) -> bytes:
        heard = bytes(self._heard[side])
        self._heard[side].clear()
        return heard

    def noted(self, kind: type[entries.Entry]) -> list[entries.Entry]:
        return [entry for entry in self.notes if isinstance(entry, kind)]


def allow(plan: Plan = OPEN, *defines: str) -> Passage:
    return Passage(Allow(("reads",)), plan, defines)


def deny(reason: str = "no drops", rule: str = "no-ddl") -> Deny:
    return Deny(reason, rule)


def everything(plan: Plan = OPEN) -> Ruler:
    """A judge who allows whatever comes."""
    return lambda asked: allow(plan)


def but(word: bytes, plan: Plan = OPEN) -> Ruler:
    """A judge who allows whatever does not hold this word."""
    return lambda asked: deny() if word in asked.text else allow(plan)


# What a client says.


def startup(version: int = 196_608, /, **parameters: str) -> bytes:
    pairs = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items())
    return packet(version, pairs + b"\0")


def packet(code: int, body: bytes = b"") -> bytes:
    return struct.pack("!II", len(body) + 8, code) + body


def query(text: str) -> bytes:
    return message(ord("Q"), text.encode() + b"\0")


def parse(text: str, name: str = "") -> bytes:
    return message(ord("P"), f"{name}\0{text}\0".encode() + b"\0\0")


def bind(name: str = "", portal: str = "", *values: bytes | None) -> bytes:
    cells = b"".join(b"\xff\xff\xff\xff" if v is None else struct.pack("!I", len(v)) + v for v in values)
    body = struct.pack("!HH", 0, len(values)) + cells + b"\0\0"
    return message(ord("B"), f"{portal}\0{name}\0".encode() + body)


def execute(portal: str = "", limit: int = 0) -> bytes:
    return message(ord("E"), portal.encode() + b"\0" + struct.pack("!I", limit))


def describe(name: str = "", kind: str = "P") -> bytes:
    return message(ord("D"), f"{kind}{name}\0".encode())


def close(name: str = "", kind: str = "S") -> bytes:
    return message(ord("C"), f"{kind}{name}\0".encode())


def sync() -> bytes:
    return message(ord("S"), b"")


def flush() -> bytes:
    return message(ord("H"), b"")


def called(function: int, *arguments: bytes | None, result_format: int = 0) -> bytes:
    values = b"".join(_argument(argument) for argument in arguments)
    counted = len(arguments).to_bytes(2, "big") + values
    return message(ord("F"), function.to_bytes(4, "big") + b"\0\0" + counted + result_format.to_bytes(2, "big"))


def _argument(value: bytes | None) -> bytes:
    return b"\xff\xff\xff\xff" if value is None else len(value).to_bytes(4, "big") + value


def refused(name: str = "", *, simple: bool) -> bytes:
    """What stands in for a refused statement."""
    return query(REFUSED.decode()) if simple else parse(REFUSED.decode(), name)


def copy_data(data: bytes) -> bytes:
    return message(ord("d"), data)


def copy_done() -> bytes:
    return message(ord("c"), b"")


# What a server says.


def authentication(code: int, body: bytes = b"") -> bytes:
    return message(ord("R"), struct.pack("!I", code) + body)


def ready(status: str = "I") -> bytes:
    return message(ord("Z"), status.encode())


def done(tag: str) -> bytes:
    return message(ord("C"), tag.encode() + b"\0")


def parsed() -> bytes:
    return message(ord("1"), b"")


def bound() -> bytes:
    return message(ord("2"), b"")


def closed() -> bytes:
    return message(ord("3"), b"")


def no_data() -> bytes:
    return message(ord("n"), b"")


def suspended() -> bytes:
    return message(ord("s"), b"")


def copy_in() -> bytes:
    return message(ord("G"), b"\0\0\1\0\0")


def status(name: str, value: str) -> bytes:
    return message(ord("S"), f"{name}\0{value}\0".encode())


def column(name: str, table: int = 0, attribute: int = 0, kind: int = TEXT, wire_format: int = 0) -> bytes:
    return name.encode() + b"\0" + struct.pack("!IhIhih", table, attribute, kind, -1, -1, wire_format)


def columns(*each: bytes) -> bytes:
    return message(ord("T"), struct.pack("!H", len(each)) + b"".join(each))


def row(*cells: str | bytes | None) -> bytes:
    body = struct.pack("!H", len(cells))
    for cell in cells:
        value = cell.encode() if isinstance(cell, str) else cell
        body += b"\xff\xff\xff\xff" if value is None else struct.pack("!I", len(value)) + value
    return message(ord("D"), body)


def error(text: str = "it failed", code: str = "22012", severity: str = "ERROR") -> bytes:
    return _report(b"E", severity, code, text)


def notice(text: str) -> bytes:
    return _report(b"N", "NOTICE", "00000", text)


def _report(kind: bytes, severity: str, code: str, text: str) -> bytes:
    return message(kind[0], f"S{severity}\0V{severity}\0C{code}\0M{text}\0\0".encode())


def refusal(reason: str = "no drops", rule: str = "no-ddl") -> bytes:
    fields = f"SERROR\0VERROR\0C42501\0Mrule `{rule}` forbids this statement\0D{reason}\0Rhoopx_denied\0\0"
    return message(ord("E"), fields.encode())


EMAIL_COLUMN = column("email", CUSTOMERS, 3)
NAME_COLUMN = column("name", CUSTOMERS, 2)
