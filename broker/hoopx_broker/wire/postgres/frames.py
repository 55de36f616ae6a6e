"""Cut a PostgreSQL stream into frames."""

from __future__ import annotations

import struct

from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Side
from hoopx_broker.wire.postgres import native

# The limit of PostgreSQL's own server for a start-up packet (MAX_STARTUP_PACKET_LENGTH).
MAX_STARTUP = 10_000
# The server's own limit for messages that carry no user data (PQ_SMALL_MESSAGE_LIMIT).
MAX_SMALL = 10_000
# A frame is held whole, so this bounds the memory of a stream. PostgreSQL itself stops at 1 GiB.
MAX_LARGE = 256 * 1024 * 1024

STARTUP = 0  # a start-up packet has no type byte
TLS_ANSWER = 1  # nor has the answer to SSLRequest

QUERY, PARSE, BIND, DESCRIBE, EXECUTE, CLOSE, FLUSH, SYNC = b"QPBDECHS"
FUNCTION_CALL, TERMINATE, PASSWORD = b"FXp"
COPY_DATA, COPY_DONE, COPY_FAIL = b"dcf"

AUTHENTICATION, KEY_DATA, PARAMETER_STATUS, READY, NEGOTIATE = b"RKSZv"
ROW_DESCRIPTION, DATA_ROW, COMMAND_COMPLETE, EMPTY_QUERY, SUSPENDED, NO_DATA = b"TDCIsn"
PARSE_COMPLETE, BIND_COMPLETE, CLOSE_COMPLETE, PARAMETER_DESCRIPTION = b"123t"
COPY_IN, COPY_OUT, COPY_BOTH = b"GHW"
ERROR, NOTICE, NOTIFICATION, FUNCTION_RESULT = b"ENAV"

_LARGE = {
    Side.CLIENT: frozenset(b"QPBFd"),
    Side.BACKEND: frozenset(b"DdVTENASt"),
}
_KNOWN = {
    Side.CLIENT: frozenset(b"QPBDECHSFXpdcf"),
    Side.BACKEND: frozenset(b"RKSZvTDCIsn123tGHWdcENAV"),
}
# Runs of these pass as one frame: thousands of rows are then one slice, not thousands of objects.
_RUNS = {
    Side.CLIENT: frozenset({COPY_DATA}),
    Side.BACKEND: frozenset({DATA_ROW, COPY_DATA}),
}

# Smaller pieces of an unfinished frame are put together at once: an object for each would be ten times the bytes.
_CRUMB = 1024

_LENGTH = struct.Struct("!I")
_HEADER = 5


class Frame:
    """One message, or `count` messages of one kind end to end. `data` holds them whole, headers included."""

    __slots__ = ("count", "data", "kind")

    def __init__(self, kind: int, data: bytes, count: int = 1) -> None:
        self.kind = kind
        self.data = data
        self.count = count

    def __repr__(self) -> str:
        return f"Frame({chr(self.kind)!r}, {len(self.data)} bytes, {self.count})"


class Framer:
    """Gives the whole frames of one side, however its bytes arrive. Holds at most one unfinished frame."""

    __slots__ = ("_expects", "_held", "_held_size", "_known", "_large", "_needed", "_runs")

    def __init__(self, side: Side) -> None:
        self._held: list[bytes | bytearray] = []
        self._held_size = 0
        self._needed = 0
        self._known = _KNOWN[side]
        self._large = _LARGE[side]
        self._runs = _RUNS[side]
        self._expects: int | None = STARTUP if side is Side.CLIENT else None

    def expect_tls_answer(self) -> None:
        """The next byte of the backend is its answer to SSLRequest."""
        self._expects = TLS_ANSWER

    def feed(self, data: bytes) -> list[Frame]:
        """Raises `BrokenPeer` on an unknown type or a length out of bounds."""
        if self._held:
            self._keep(data)
            if self._held_size < self._needed:
                return []
            data = b"".join(self._held)
            self._held = []
        frames: list[Frame] = []
        at = self._special(data, frames) if self._expects is not None else 0
        if self._expects is None:
            at = self._typed(data, at, frames)
        if at < len(data):
            self._held = [data[at:]]
            self._held_size = len(data) - at
        return frames

    def _keep(self, data: bytes) -> None:
        self._held_size += len(data)
        last = self._held[-1]
        if len(data) >= _CRUMB:
            self._held.append(data)
        elif isinstance(last, bytearray):
            last += data
        else:
            self._held.append(bytearray(data))

    def _special(self, data: bytes, frames: list[Frame]) -> int:
        if self._expects == TLS_ANSWER:
            return self._tls_answer(data, frames)
        self._needed = 4
        if len(data) < 4:
            return 0
        length: int = _LENGTH.unpack_from(data)[0]
        if not 8 <= length <= MAX_STARTUP:
            raise BrokenPeer("the start-up packet has a length out of bounds")
        self._needed = length
        if len(data) < length:
            return 0
        frames.append(Frame(STARTUP, data[:length]))
        self._expects = None
        return length

    def _tls_answer(self, data: bytes, frames: list[Frame]) -> int:
        if not data:
            return 0
        # Clear bytes behind the answer would be read as if they had come through TLS (CVE-2021-23222).
        if len(data) > 1:
            raise BrokenPeer("the server sent clear bytes behind its answer to the request for TLS")
        frames.append(Frame(TLS_ANSWER, data))
        self._expects = None
        return 1

    def _typed(self, data: bytes, at: int, frames: list[Frame]) -> int:
        end = len(data)
        unpack = _LENGTH.unpack_from
        runs = self._runs
        while end - at >= _HEADER:
            kind = data[at]
            stop = at + 1 + unpack(data, at + 1)[0]
            in_run = kind in runs
            if stop > end or not in_run:
                self._check(kind, stop - at - 1)
            if stop > end:
                self._needed = stop - at
                return at
            count = 1
            if in_run:
                if stop - at < _HEADER:
                    self._check(kind, stop - at - 1)
                stop, count = run(data, kind, stop)
            frames.append(Frame(kind, data[at:stop], count))
            at = stop
        self._needed = _HEADER
        return at

    def _check(self, kind: int, length: int) -> None:
        if kind not in self._known:
            raise BrokenPeer(f"a message of unknown type {kind:#04x}")
        limit = MAX_LARGE if kind in self._large else MAX_SMALL
        if not 4 <= length <= limit:
            raise BrokenPeer(f"a message of type {chr(kind)} with length {length}, allowed are 4 to {limit}")


def run_in_python(data: bytes, kind: int, stop: int) -> tuple[int, int]:
    """How far whole messages of one kind go on behind one that ends at `stop`, and how many they are with it."""
    end, count = len(data), 1
    unpack = _LENGTH.unpack_from
    while end - stop >= _HEADER and data[stop] == kind:
        following = stop + 1 + unpack(data, stop + 1)[0]
        if following > end or following - stop < _HEADER:
            break
        stop = following
        count += 1
    return stop, count


run = native.run if native.IS_COMPILED else run_in_python


def message(kind: int, body: bytes) -> bytes:
    """One message with its header."""
    return b"%c%b%b" % (kind, _LENGTH.pack(len(body) + 4), body)
