"""Hide cells in what COPY sends to the client, in text, csv and binary, however the server cuts its rows."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Protocol

from hoopx_broker.masking.shapes import Mask
from hoopx_broker.terms.facts import CopyStyle
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres import frames
from hoopx_broker.wire.postgres.copying_binary import Binary
from hoopx_broker.wire.postgres.copying_cells import Look, Sees
from hoopx_broker.wire.postgres.copying_csv import Csv
from hoopx_broker.wire.postgres.copying_lines import Lines
from hoopx_broker.wire.postgres.copying_text import Text

# A server sends each row as one message, so a row may be as long as a message. PostgreSQL itself stops at 1 GiB.
MAX_ROW = frames.MAX_LARGE

_HEAD = struct.Struct("!cI")


class Rows(Protocol):
    """The rows of one format."""

    def hide(self, data: bytes) -> tuple[list[bytes], int]:
        """From the start of a row: the rows to send, and where the one begins whose end is still to come."""

    def goes_on(self, piece: bytes) -> bool:
        """Does the row that was begun not end in this next piece of it?"""

    def finish(self) -> None:
        """Raises `BrokenPeer` where more must have come after the last row."""


class CopyOut:
    """The data of one COPY: one mask or None for each column.

    `look` is told each value that no mask covers and its column, from 0, and gives what to send instead. Values are in
    the wire format of the COPY: as text without quotes and backslashes, or as binary. `sees` is asked first, of whole
    rows of text as they are written.
    """

    def __init__(
        self, style: CopyStyle, masks: Sequence[Mask | None], look: Look | None = None, sees: Sees | None = None
    ) -> None:
        self._rows = _rows(style, masks, look, sees)
        self._held = bytearray()

    def hide(self, data: bytes) -> bytes:
        """`data` holds whole CopyData messages. Gives one for each row that is whole by now, as servers send them."""
        out: list[bytes] = []
        for row in self._whole(b"".join(_payloads(data))):
            out.append(_HEAD.pack(b"d", len(row) + 4))
            out.append(row)
        return b"".join(out)

    def feed(self, payload: bytes) -> bytes:
        """The next bytes of the data, cut anywhere. Gives the rows that are whole by now, and perhaps none."""
        return b"".join(self._whole(payload))

    def _whole(self, payload: bytes) -> list[bytes]:
        if self._held:
            if len(self._held) + len(payload) > MAX_ROW:
                raise BrokenPeer(f"a row of a COPY is longer than {MAX_ROW} bytes")
            self._held += payload
            if self._rows.goes_on(payload):
                return []
            payload = bytes(self._held)
            self._held.clear()
        rows, stop = self._rows.hide(payload)
        self._held += payload[stop:]
        return rows

    def end(self) -> None:
        """The server says that this was all. Raises `BrokenPeer` where it was not."""
        if self._held:
            raise BrokenPeer("the data of a COPY ends within a row")
        self._rows.finish()


def _payloads(data: bytes) -> list[bytes]:
    """What is in these messages."""
    payloads: list[bytes] = []
    at, end = 0, len(data)
    while at < end:
        if end - at < _HEAD.size:
            raise BrokenPeer("a message of a COPY ends within its header")
        kind, length = _HEAD.unpack_from(data, at)
        start, at = at + _HEAD.size, at + 1 + length
        if kind != b"d" or not start <= at <= end:
            raise BrokenPeer("a message of a COPY is none of its data")
        payloads.append(data[start:at])
    return payloads


def _rows(style: CopyStyle, masks: Sequence[Mask | None], look: Look | None, sees: Sees | None) -> Rows:
    match style.format:
        case "binary":
            return Binary(masks, look)
        case "csv":
            return Lines(Csv(style), masks, look, sees, header=style.header)
        case "text":
            return Lines(Text(style), masks, look, sees, header=style.header)
