"""What a client says in one turn, in bytes, and what it hears: rows, errors, and all that could hold a value."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from hoopx_broker.terms import entries
from hoopx_broker.wire.postgres import frames
from hoopx_broker.wire.postgres.frames import message
from tests.unit import wire_stage as say

# A value in pieces of at most so many bytes is put together again.
_CRUMB = 3

Way = Literal["simple", "extended", "binary", "prepared", "portal", "call"]


class Turn(Struct, frozen=True):
    """One thing that a client says: a text, and the way it is sent. Of a `call`, the text is the function's oid."""

    text: str
    way: Way = "simple"


class Heard(Struct, frozen=True):
    """What one turn brought: the bytes to the client, what would be recorded, and what the person was told."""

    sent: bytes
    recorded: tuple[entries.Entry, ...] = ()
    told: tuple[str, ...] = ()

    @property
    def frames(self) -> list[tuple[int, bytes]]:
        """Kind and body of every message."""
        return list(_messages(self.sent))

    @property
    def rows(self) -> list[list[bytes | None]]:
        return [_cells(body) for kind, body in self.frames if kind == frames.DATA_ROW]

    @property
    def texts(self) -> list[list[str | None]]:
        return [[None if cell is None else cell.decode() for cell in row] for row in self.rows]

    @property
    def copied(self) -> bytes:
        return b"".join(body for kind, body in self.frames if kind == frames.COPY_DATA)

    @property
    def errors(self) -> list[dict[str, str]]:
        return [_fields(body) for kind, body in self.frames if kind == frames.ERROR]

    @property
    def is_allowed(self) -> bool:
        """The broker let every statement of the turn pass, whatever the server made of them."""
        ruled = [entry for entry in self.recorded if isinstance(entry, entries.Statement)]
        return all(entry.ruling == "allow" for entry in ruled)

    @property
    def is_done(self) -> bool:
        return self.is_allowed and not self.errors

    @property
    def hidden(self) -> list[tuple[int, ...]]:
        """The masked columns of each result."""
        return [entry.masked for entry in self.recorded if isinstance(entry, entries.Columns)]

    def everything(self) -> Iterator[bytes]:
        """All of it, and each column read downwards, so that a value in pieces of one character is whole again."""
        yield self.sent
        yield from _downwards(self.rows)
        for entry in self.recorded:
            yield b"\n".join(_words(entry))
        yield "\n".join(self.told).encode()


def said(turn: Turn) -> tuple[bytes, int]:
    """What a turn is in bytes, and how many ReadyForQuery end it."""
    text = turn.text
    match turn.way:
        case "simple":
            return say.query(text), 1
        case "extended":
            return say.parse(text) + say.bind() + say.describe() + say.execute() + say.sync(), 1
        case "binary":
            return say.parse(text) + _bind_binary() + say.execute() + say.sync(), 1
        case "prepared":
            prepared = say.close("p") + say.parse(text, "p") + say.describe("p", "S") + say.sync()
            return prepared + (say.bind("p") + say.execute() + say.sync()) * 2, 3
        case "portal":
            parts = say.execute("c", 1) * 2 + say.describe("c") + say.execute("c", 0)
            return say.parse(text) + _bind_binary("c") + parts + say.sync(), 1
        case "call":
            return say.called(int(text)), 1


def _bind_binary(portal: str = "") -> bytes:
    return message(ord("B"), f"{portal}\0\0".encode() + struct.pack("!HHHH", 0, 0, 1, 1))


def no_data(turn: Turn) -> bytes:
    """In the extended protocol the Sync before was swallowed."""
    failed = message(frames.COPY_FAIL, b"none\0")
    return failed if turn.way == "simple" else failed + say.sync()


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 5 <= len(data):
        (size,) = struct.unpack_from("!I", data, at + 1)
        yield data[at], data[at + 5 : at + 1 + size]
        at += 1 + size


def _cells(body: bytes) -> list[bytes | None]:
    (count,), at = struct.unpack_from("!H", body), 2
    cells: list[bytes | None] = []
    for _ in range(count):
        (size,) = struct.unpack_from("!i", body, at)
        at += 4
        cells.append(body[at : at + size] if size >= 0 else None)
        at += max(size, 0)
    return cells


def _fields(body: bytes) -> dict[str, str]:
    parts = body.rstrip(b"\0").split(b"\0")
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in parts if part}


def _downwards(rows: Sequence[list[bytes | None]]) -> Iterator[bytes]:
    for number in range(max((len(row) for row in rows), default=0)):
        cells = [row[number] or b"" for row in rows if number < len(row)]
        if max(map(len, cells)) <= _CRUMB:
            yield b"".join(cells)


def _words(value: object) -> Iterator[bytes]:
    """Every text and all bytes in an entry, at any depth."""
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, str):
        yield value.encode()
    elif isinstance(value, Struct):
        yield from _words(msgspec.structs.astuple(value))
    elif isinstance(value, dict):
        yield from _words(list(value.items()))
    elif isinstance(value, Iterable):
        for each in value:
            yield from _words(each)
