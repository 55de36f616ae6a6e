"""Read the cells of recorded PostgreSQL rows: text as it is, the common binary types as text, the rest as hex."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, time, timedelta

from hoopx_broker.recording.inert import inert_bytes

BINARY = 1
_EPOCH = datetime(2000, 1, 1)  # PostgreSQL counts days and microseconds from here
_NO_CELL = -1
# Zeros that are implied, not stored: eight bytes may stand for 131,000 digits, and a row for thousands of those.
_MAX_ZEROS = 64


class UnreadableRow(Exception):
    """Bytes that are not whole messages of the expected kind."""


def messages(data: bytes, tag: bytes) -> Iterator[memoryview]:
    """The bodies of protocol 3 messages that stand end to end and all have `tag`."""
    view = memoryview(data)
    at = 0
    while at < len(view):
        size = int.from_bytes(view[at + 1 : at + 5], "big")
        end = at + 1 + size
        if view[at : at + 1] != tag or size < 4 or end > len(view):
            raise UnreadableRow(f"not a whole {tag.decode()!r} message at byte {at}")
        yield view[at + 5 : end]
        at = end


def rows(data: bytes) -> Iterator[list[bytes | None]]:
    """The cells of each DataRow message in `data`."""
    for body in messages(data, b"D"):
        try:
            yield _cells(body)
        except struct.error as error:
            raise UnreadableRow("a row ends inside a cell") from error


def _cells(body: memoryview) -> list[bytes | None]:
    (count,) = struct.unpack_from("!H", body)
    at = 2
    cells: list[bytes | None] = []
    for _ in range(count):
        (size,) = struct.unpack_from("!i", body, at)
        at += 4
        if size < _NO_CELL or at + max(size, 0) > len(body):
            raise UnreadableRow("a cell claims more bytes than its row has")
        cells.append(None if size == _NO_CELL else bytes(body[at : at + size]))
        at += max(size, 0)
    if at != len(body):
        raise UnreadableRow("a row goes on after its last cell")
    return cells


def shown(cell: bytes | None, oid: int, form: int) -> str | None:
    """One cell as inert text, None for NULL. Binary cells of unknown types, or not fitting theirs, are shown as hex."""
    if cell is None:
        return None
    if form != BINARY:
        return inert_bytes(cell)
    read = _BINARY.get(oid)
    if read is not None:
        try:
            return read(cell)
        except (struct.error, ValueError, OverflowError, IndexError):
            pass
    return "\\x" + cell.hex()


def form_of(formats: Sequence[int], index: int) -> int:
    """The protocol's shorthand: no formats means all text, one means the same for all."""
    if len(formats) == 1:
        return formats[0]
    return formats[index] if index < len(formats) else 0


def _number(form: str) -> Callable[[bytes], str]:
    reader = struct.Struct(form)

    def read(cell: bytes) -> str:
        return repr(reader.unpack(cell)[0])

    return read


def _float4(cell: bytes) -> str:
    """The shortest decimal that is this number again, as the server prints it."""
    (value,) = struct.unpack("!f", cell)
    texts = (f"{value:.{digits}g}" for digits in range(1, 9))
    return next((text for text in texts if struct.pack("!f", float(text)) == cell), f"{value:.9g}")


def _bool(cell: bytes) -> str:
    return {b"\x00": "f", b"\x01": "t"}[cell] if cell in (b"\x00", b"\x01") else "\\x" + cell.hex()


def _jsonb(cell: bytes) -> str:
    if cell[:1] != b"\x01":
        raise ValueError("a version of jsonb that is not known")
    return inert_bytes(cell[1:])


def _date(cell: bytes) -> str:
    (days,) = struct.unpack("!i", cell)
    return _bounded(days, 1 << 31) or str((_EPOCH + timedelta(days=days)).date())


def _timestamp(cell: bytes) -> str:
    (micros,) = struct.unpack("!q", cell)
    return _bounded(micros, 1 << 63) or str(_EPOCH + timedelta(microseconds=micros))


def _timestamptz(cell: bytes) -> str:
    text = _timestamp(cell)
    return text if text.endswith("infinity") else text + "+00"


def _bounded(value: int, limit: int) -> str | None:
    return {limit - 1: "infinity", -limit: "-infinity"}.get(value)


def _time(cell: bytes) -> str:
    (micros,) = struct.unpack("!q", cell)
    if micros == 86_400_000_000:
        return "24:00:00"
    return str((datetime.combine(_EPOCH, time()) + timedelta(microseconds=micros)).time())


def _numeric(cell: bytes) -> str:
    """Sign, digits in base 10000, the power of the first, and how many decimals to show."""
    count, weight, sign, scale = struct.unpack_from("!HhHH", cell)
    special = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}.get(sign)
    if special:
        return special
    digits = struct.unpack(f"!{count}H", cell[8:])
    longest = 4 * count + _MAX_ZEROS
    if any(digit > 9999 for digit in digits) or sign not in (0, 0x4000) or max(4 * weight, scale) > longest:
        raise ValueError("not a numeric, or one of mostly zeros")
    text = "".join(f"{digit:04d}" for digit in digits)
    point = 4 * (weight + 1)
    whole = (text[: max(point, 0)].ljust(max(point, 0), "0")).lstrip("0") or "0"
    decimals = ("0" * max(-point, 0) + text[max(point, 0) :])[:scale].ljust(scale, "0")
    return ("-" if sign else "") + whole + (f".{decimals}" if scale else "")


# By the fixed oids of pg_type.
_BINARY: dict[int, Callable[[bytes], str]] = {
    16: _bool,
    18: inert_bytes,  # "char"
    19: inert_bytes,  # name
    20: _number("!q"),
    21: _number("!h"),
    23: _number("!i"),
    25: inert_bytes,  # text
    26: _number("!I"),  # oid
    114: inert_bytes,  # json
    142: inert_bytes,  # xml
    700: _float4,
    701: _number("!d"),
    705: inert_bytes,  # unknown
    1042: inert_bytes,  # char(n)
    1043: inert_bytes,  # varchar
    1082: _date,
    1083: _time,
    1114: _timestamp,
    1184: _timestamptz,
    1700: _numeric,
    2950: lambda cell: str(uuid.UUID(bytes=cell)),
    3802: _jsonb,
}
