"""Speak PostgreSQL from a client's side: what is said to run a statement, and what an answer means. No I/O."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hoopx_broker.terms.errors import BadInput
from hoopx_broker.wire.cursor import BrokenPeer, Cursor
from hoopx_broker.wire.postgres import frames, messages
from hoopx_broker.wire.postgres.frames import Frame, message
from hoopx_cli.sql.cells import NUMBERS, as_json
from hoopx_cli.sql.happenings import (
    Cell,
    Column,
    Columns,
    CopyIn,
    CopyOut,
    Done,
    Failed,
    Happening,
    Report,
    Rows,
    Told,
)

_HEADER = 5
_ROW_HEAD = 7
_SIZE = struct.Struct("!i")
_LENGTH = struct.Struct("!I")

COPY_DONE = message(frames.COPY_DONE, b"")


def startup(database: str) -> bytes:
    """Any user name is taken: who it is was settled with the broker. Protocol 3.2 has the longer cancel key."""
    parameters = {
        "user": "hoopx",
        "database": database,
        "application_name": "hoopx sql",
        "client_encoding": "UTF8",
    }
    return messages.startup(parameters, minor=2)


def query(text: str) -> bytes:
    """Raises `BadInput`, as `bound_query` does, for what the protocol cannot carry."""
    return messages.query(_carried(text))


def bound_query(text: str, parameters: Sequence[str | None]) -> bytes:
    """By the extended protocol; the server says of which type each parameter is."""
    values = b"".join(_parameter(each) for each in parameters)
    bind = b"\0\0\0\0" + len(parameters).to_bytes(2, "big") + values + b"\0\0"
    return (
        messages.parse(b"", _carried(text))
        + message(frames.BIND, bind)
        + messages.describe_portal(b"")
        + message(frames.EXECUTE, b"\0" + bytes(4))
        + messages.SYNC
    )


def copy_data(chunk: bytes) -> bytes:
    return message(frames.COPY_DATA, chunk)


def copy_fail(reason: str) -> bytes:
    return message(frames.COPY_FAIL, reason.encode() + b"\0")


def happening(frame: Frame) -> Happening | None:
    """What a frame of the server tells; None for what only the protocol needs. Raises `BrokenPeer`."""
    match frame.kind:
        case frames.DATA_ROW:
            return Rows(_rows(frame.data))
        case frames.ROW_DESCRIPTION:
            return Columns(tuple(_column(each) for each in messages.fields(frame)))
        case frames.COPY_DATA:
            return CopyOut(_copied(frame.data))
        case frames.COPY_IN:
            return CopyIn()
        case frames.COMMAND_COMPLETE:
            return Done(Cursor(frame.data, _HEADER).cstring().decode(errors="replace"))
        case frames.EMPTY_QUERY:
            return Done("")
        case frames.ERROR:
            return Failed(_report(frame))
        case frames.NOTICE:
            return Told(_report(frame))
        case frames.NOTIFICATION:
            return Told(_notification(frame))
        case frames.COPY_BOTH | frames.AUTHENTICATION | frames.FUNCTION_RESULT:
            raise BrokenPeer("the server says what was not asked for")
        case _:
            return None


def _carried(text: str) -> bytes:
    """A NUL would end a text, and what follows be read as something else."""
    if "\0" in text:
        raise BadInput("there is a NUL character in it, which no text of SQL can hold", "leave it out")
    try:
        return text.encode()
    except UnicodeEncodeError:  # an argument in another encoding
        raise BadInput("what stands on the command line is not UTF-8", "write it as UTF-8") from None


def _parameter(value: str | None) -> bytes:
    if value is None:
        return _SIZE.pack(-1)
    text = _carried(value)
    return _SIZE.pack(len(text)) + text


def _column(field: messages.Field) -> Column:
    return Column(field.name, field.type in NUMBERS, as_json(field.type))


def _rows(data: bytes) -> list[list[Cell]]:
    """The cells of whole DataRow messages, end to end."""
    found: list[list[Cell]] = []
    at, end = 0, len(data)
    size_of = _SIZE.unpack_from
    try:
        while at < end:
            stop = at + 1 + _LENGTH.unpack_from(data, at + 1)[0]
            count = int.from_bytes(data[at + _HEADER : at + _ROW_HEAD], "big")
            at += _ROW_HEAD
            row: list[Cell] = []
            for _ in range(count):
                size = size_of(data, at)[0]
                at += 4
                if size < 0:
                    row.append(None)
                    continue
                row.append(data[at : at + size])
                at += size
            if at != stop:
                raise BrokenPeer("a row's length does not fit its cells")
            found.append(row)
    except struct.error as error:
        raise BrokenPeer("a row ends before its cells do") from error
    return found


def _copied(data: bytes) -> bytes:
    """What whole CopyData messages, end to end, hold."""
    parts: list[bytes] = []
    at = 0
    while at < len(data):
        stop = at + 1 + _LENGTH.unpack_from(data, at + 1)[0]
        parts.append(data[at + _HEADER : stop])
        at = stop
    return b"".join(parts)


def _report(frame: Frame) -> Report:
    cursor = Cursor(frame.data, _HEADER)
    said: dict[str, str] = {}
    while cursor.left and (kind := cursor.byte()):
        said[chr(kind)] = cursor.cstring().decode(errors="replace")
    place = said.get("P", "")
    return Report(
        said.get("V") or said.get("S", "ERROR"),
        said.get("C", "XX000"),
        said.get("M", ""),
        said.get("D", ""),
        said.get("H", ""),
        int(place) if place.isascii() and place.isdigit() and len(place) < 10 else 0,
        said.get("W", ""),
        said.get("R", ""),
    )


def _notification(frame: Frame) -> Report:
    heard = messages.notification(frame)
    payload = f" with payload `{heard.payload}`" if heard.payload else ""
    return Report("NOTIFY", "00000", f"on `{heard.channel}`{payload} from process {heard.process}")
