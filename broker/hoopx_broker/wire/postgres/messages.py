"""The few PostgreSQL messages that hoopx reads inside or writes itself."""

from __future__ import annotations

from msgspec import Struct

from hoopx_broker.masking.hidden import Origin
from hoopx_broker.wire.cursor import BrokenPeer, Cursor
from hoopx_broker.wire.postgres import frames
from hoopx_broker.wire.postgres.frames import Frame, message

PROTOCOL_MAJOR = 3
SSL_REQUEST_CODE = 80877103
GSS_REQUEST_CODE = 80877104
CANCEL_REQUEST_CODE = 80877102
SSL_REQUEST = (8).to_bytes(4, "big") + SSL_REQUEST_CODE.to_bytes(4, "big")
TERMINATE = message(frames.TERMINATE, b"")
SYNC = message(frames.SYNC, b"")
AUTHENTICATION_OK = message(frames.AUTHENTICATION, b"\0\0\0\0")

# A statement that no PostgreSQL grammar takes. It goes to the backend in the place of a refused one: the server's
# own error handling then sets transaction state, order and skipping right, and only the error's text is ours.
REFUSED_STATEMENT = b"refused_by_hoopx"

# A parameter list is bounded by the protocol itself to 65 535; a result to 1664 columns.
MAX_COLUMNS = 1664


class Startup(Struct, frozen=True):
    """A start-up packet: `code` is the protocol version or a request code, `parameters` are lower-level pairs."""

    code: int
    parameters: dict[str, str]
    key: bytes = b""

    @property
    def major(self) -> int:
        return self.code >> 16

    @property
    def minor(self) -> int:
        return self.code & 0xFFFF


class ErrorFields(Struct, frozen=True):
    """`position` is where in the statement's text the error is, empty where it is not in the text."""

    severity: str
    code: str
    message: str
    position: str = ""

    @property
    def is_fatal(self) -> bool:
        """The server closes the connection after it."""
        return self.severity in ("FATAL", "PANIC")

    @property
    def is_about_text(self) -> bool:
        """The server complains of the statement's text (class 42), before it has looked at any row.

        Without the position it may be about a value: `email::regclass` names a relation that does not exist.
        """
        return self.severity == "ERROR" and self.code.startswith("42") and self.position.isdigit()


class Field(Origin, frozen=True):
    """One column of a RowDescription."""

    name: str


class CopyShape(Struct, frozen=True):
    is_binary: bool
    columns: int


class Notification(Struct, frozen=True):
    """A NotificationResponse: who notified, on which channel, and of what."""

    process: int
    channel: str
    payload: str


class BindMessage(Struct, frozen=True):
    portal: bytes
    statement: bytes
    formats: tuple[int, ...]
    parameters: tuple[bytes | None, ...]


def parse_startup(frame: Frame) -> Startup:
    cursor = Cursor(frame.data, 4)
    code = cursor.int32()
    if code == CANCEL_REQUEST_CODE:
        return Startup(code, {}, cursor.rest())
    if code >> 16 != PROTOCOL_MAJOR:
        return Startup(code, {})
    return Startup(code, _parameters(cursor))


def _parameters(cursor: Cursor) -> dict[str, str]:
    found: dict[str, str] = {}
    while cursor.left:
        name = cursor.cstring()
        if not name:
            cursor.finish()
            return found
        try:
            text, value = name.decode(), cursor.cstring().decode()
        except UnicodeDecodeError as error:
            raise BrokenPeer("a start-up parameter is not UTF-8") from error
        if text in found:
            raise BrokenPeer("a start-up parameter stands there twice")
        found[text] = value
    raise BrokenPeer("the start-up packet has no end")


def startup(parameters: dict[str, str], minor: int = 0) -> bytes:
    """A StartupMessage of protocol 3."""
    pairs = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items())
    body = (PROTOCOL_MAJOR << 16 | minor).to_bytes(4, "big") + pairs + b"\0"
    return (len(body) + 4).to_bytes(4, "big") + body


def cancel_request(key: bytes) -> bytes:
    """`key` is process id and secret as BackendKeyData gave them."""
    body = CANCEL_REQUEST_CODE.to_bytes(4, "big") + key
    return (len(body) + 4).to_bytes(4, "big") + body


def negotiate(minor: int, options: list[str]) -> bytes:
    """NegotiateProtocolVersion: `minor` is what we speak, and `options` are unknown to us.

    The protocol's description speaks of a minor version, but servers send, and libpq 18 expects, the whole one.
    """
    version = (PROTOCOL_MAJOR << 16 | minor).to_bytes(4, "big")
    names = b"".join(f"{name}\0".encode() for name in options)
    return message(frames.NEGOTIATE, version + len(options).to_bytes(4, "big") + names)


def negotiated(frame: Frame) -> int:
    """The minor version that a server speaks instead. We send no options, so it has none to name."""
    cursor = Cursor(frame.data, 5)
    version, unknown = cursor.uint32(), cursor.uint32()
    cursor.finish()
    if version >> 16 != PROTOCOL_MAJOR or unknown:
        raise BrokenPeer("the server negotiates something that nobody asked for")
    return version & 0xFFFF


class FunctionCall(Struct, frozen=True):
    """A call by the fast path: the function's oid, its arguments, and in which format the result is wanted."""

    function: int
    formats: tuple[int, ...]
    arguments: tuple[bytes | None, ...]
    result_format: int


def function_call(frame: Frame) -> FunctionCall:
    cursor = Cursor(frame.data, 5)
    function = cursor.uint32()
    formats = tuple(cursor.int16() for _ in range(cursor.uint16()))
    arguments = tuple(_value(cursor) for _ in range(cursor.uint16()))
    result_format = cursor.int16()
    cursor.finish()
    return FunctionCall(function, formats, arguments, result_format)


def function_result(frame: Frame) -> bytes:
    """The value of a FunctionCallResponse as the one cell of a DataRow."""
    cursor = Cursor(frame.data, 5)
    _value(cursor)
    cursor.finish()
    return message(frames.DATA_ROW, b"\0\1" + frame.data[5:])


def as_function_result(row: bytes) -> bytes:
    """The one cell of a DataRow as a FunctionCallResponse."""
    return message(frames.FUNCTION_RESULT, row[7:])


def query_text(frame: Frame) -> bytes:
    cursor = Cursor(frame.data, 5)
    text = cursor.cstring()
    cursor.finish()
    return text


def parse_text(frame: Frame) -> tuple[bytes, bytes]:
    """Name and text of a Parse message."""
    return parse_message(frame)[:2]


def parse_message(frame: Frame) -> tuple[bytes, bytes, tuple[int, ...]]:
    """Name, text and declared parameter types (oids, 0 for undeclared) of a Parse message."""
    cursor = Cursor(frame.data, 5)
    name, text = cursor.cstring(), cursor.cstring()
    types = tuple(cursor.uint32() for _ in range(cursor.uint16()))
    cursor.finish()
    return name, text, types


def parameter_types(frame: Frame) -> tuple[int, ...]:
    """The types of a ParameterDescription, as oids."""
    cursor = Cursor(frame.data, 5)
    types = tuple(cursor.uint32() for _ in range(cursor.uint16()))
    cursor.finish()
    return types


def bind(frame: Frame) -> BindMessage:
    cursor = Cursor(frame.data, 5)
    portal, statement = cursor.cstring(), cursor.cstring()
    formats = tuple(cursor.int16() for _ in range(cursor.uint16()))
    parameters = tuple(_value(cursor) for _ in range(cursor.uint16()))
    cursor.take(2 * cursor.uint16())
    cursor.finish()
    return BindMessage(portal, statement, formats, parameters)


def bound(frame: Frame) -> bytes:
    """The statement that a Bind names, without reading what it binds."""
    cursor = Cursor(frame.data, 5)
    cursor.cstring()
    return cursor.cstring()


def _value(cursor: Cursor) -> bytes | None:
    size = cursor.int32()
    if size == -1:
        return None
    return cursor.take(size)


def described(frame: Frame) -> tuple[int, bytes]:
    """What a Describe or Close names: `S`tatement or `P`ortal, and its name."""
    cursor = Cursor(frame.data, 5)
    kind, name = cursor.byte(), cursor.cstring()
    cursor.finish()
    if kind not in b"SP":
        raise BrokenPeer("a message names neither a statement nor a portal")
    return kind, name


def executed(frame: Frame) -> bytes:
    """The portal of an Execute."""
    cursor = Cursor(frame.data, 5)
    portal = cursor.cstring()
    cursor.int32()
    cursor.finish()
    return portal


def copy_shape(frame: Frame) -> CopyShape:
    """What a CopyOutResponse says of the rows to come."""
    cursor = Cursor(frame.data, 5)
    is_binary, count = cursor.byte() == 1, cursor.uint16()
    cursor.take(2 * count)
    cursor.finish()
    return CopyShape(is_binary, count)


def fields(frame: Frame) -> tuple[Field, ...]:
    cursor = Cursor(frame.data, 5)
    count = cursor.uint16()
    if count > MAX_COLUMNS:
        raise BrokenPeer("a result has more columns than PostgreSQL allows")
    found = tuple(_field(cursor) for _ in range(count))
    cursor.finish()
    return found


def _field(cursor: Cursor) -> Field:
    name = cursor.cstring().decode(errors="replace")
    table, attribute, kind = cursor.uint32(), cursor.int16(), cursor.uint32()
    cursor.take(6)
    return Field(table, attribute, kind, cursor.int16(), name)


def notification(frame: Frame) -> Notification:
    cursor = Cursor(frame.data, 5)
    process = cursor.uint32()
    channel, payload = cursor.cstring(), cursor.cstring()
    cursor.finish()
    return Notification(process, channel.decode(errors="replace"), payload.decode(errors="replace"))


def with_payload(frame: Frame, payload: str) -> bytes:
    """The same NotificationResponse with another payload."""
    channel = frame.data[9 : frame.data.index(b"\0", 9) + 1]
    return message(frames.NOTIFICATION, frame.data[5:9] + channel + payload.encode() + b"\0")


def error_fields(frame: Frame) -> ErrorFields:
    """Severity (not localized where the server says it), SQLSTATE and message of an ErrorResponse or NoticeResponse."""
    cursor = Cursor(frame.data, 5)
    said: dict[int, str] = {}
    while cursor.left:
        kind = cursor.byte()
        if kind == 0:
            break
        said[kind] = cursor.cstring().decode(errors="replace")
    severity = said.get(ord("V")) or said.get(ord("S"), "ERROR")
    return ErrorFields(severity, said.get(ord("C"), "XX000"), said.get(ord("M"), ""), said.get(ord("P"), ""))


def _report(kind: int, severity: str, code: str, text: str, *more: str) -> bytes:
    """`more` are detail, hint, position and routine, as many as there are."""
    parts = [*zip("SVCM", (severity, severity, code, text), strict=True), *zip("DHPR", more, strict=False)]
    # A NUL would end a field early and let what follows be read as other fields.
    body = b"".join(f"{name}{value}".replace("\0", " ").encode() + b"\0" for name, value in parts if value)
    return message(kind, body + b"\0")


def error(
    severity: str, code: str, text: str, detail: str = "", hint: str = "", position: str = "", routine: str = ""
) -> bytes:
    return _report(frames.ERROR, severity, code, text, detail, hint, position, routine)


def notice(text: str, detail: str = "", hint: str = "", code: str = "00000", routine: str = "") -> bytes:
    return _report(frames.NOTICE, "NOTICE", code, text, detail, hint, "", routine)


def query(text: bytes) -> bytes:
    return message(frames.QUERY, text + b"\0")


def parse(name: bytes, text: bytes) -> bytes:
    return message(frames.PARSE, name + b"\0" + text + b"\0\0\0")


def stand_in(name: bytes, *, simple: bool) -> bytes:
    return query(REFUSED_STATEMENT) if simple else parse(name, REFUSED_STATEMENT)


def describe_portal(name: bytes) -> bytes:
    return message(frames.DESCRIBE, b"P" + name + b"\0")
