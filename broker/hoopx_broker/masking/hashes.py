"""Keyed hashes that stay in their type: equal values stay equal, so joins on hidden columns still work."""

from __future__ import annotations

import hmac
import ipaddress
import struct
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial

from msgspec import Struct

from hoopx_broker.masking import typed
from hoopx_broker.masking.decimals import from_binary, from_text, to_binary

PREFIX = b"h:"
# Of the 32 bytes that HMAC-SHA-256 gives: so many values stay apart that no two will ever meet by chance.
_SHOWN = 16
# Nobody joins on longer values, and to hash one takes a millisecond of everybody's time.
MAX_HASHED = 1024 * 1024

_EPOCH = datetime(2000, 1, 1)
# What pandas and JavaScript take too; 500 years of days.
_FIRST_DAY, _DAYS = date(1700, 1, 1), 182_621
# An address range for documentation (RFC 3849), where nobody is.
_NOWHERE = bytes.fromhex("20010db8")
_IPV6_FAMILY, _IPV6_BITS = 3, 128

Read = Callable[[bytes], bytes]


class _Kind(Struct, frozen=True):
    """How values of a type are read, to one canonical form from both formats, and how a hash is written in it.

    Types of one `family` that hold equal values have equal hashes. All four raise `ValueError` or `struct.error` on
    what they do not understand.
    """

    family: bytes
    from_text: Read
    from_binary: Read
    to_text: Read
    to_binary: Read


def hasher(type_oid: int, wire_format: int, key: bytes) -> Read | None:
    """From a cell to the hash that stands in its place. None for types that no hash fits in."""
    kind = _KINDS.get(type_oid)
    if kind is None or not key:
        return None
    if wire_format == typed.TEXT_FORMAT:
        return _hashing(key, kind.family, kind.from_text, kind.to_text)
    return _hashing(key, kind.family, kind.from_binary, kind.to_binary)


def _hashing(key: bytes, family: bytes, read: Read, write: Read) -> Read:
    # A closure, since a `partial` shows its arguments, and so the key, to whoever prints it.
    def hashed(cell: bytes) -> bytes:
        if len(cell) > MAX_HASHED:
            raise ValueError("too long to be joined on")
        return write(hmac.digest(key, family + b"\x00" + read(cell), "sha256"))

    return hashed


def _as_it_is(cell: bytes) -> bytes:
    return cell


def _text(digest: bytes) -> bytes:
    return PREFIX + digest[:_SHOWN].hex().encode()


def _unpadded(cell: bytes) -> bytes:
    """A `char(n)` is equal to the text without the blanks that fill it up."""
    return cell.rstrip(b" ")


def _json(digest: bytes) -> bytes:
    return b'"%b"' % _text(digest)


def _jsonb(digest: bytes) -> bytes:
    return typed.JSONB_VERSION + _json(digest)


def _jsonb_body(cell: bytes) -> bytes:
    return cell.removeprefix(typed.JSONB_VERSION)


def _number(digest: bytes, bits: int) -> int:
    return int.from_bytes(digest[:8], "big") >> (64 - bits)


def _integers(width: int) -> _Kind:
    """Never negative, so one bit less than the type has."""
    bits = 8 * width - 1
    return _Kind(
        b"integer",
        lambda cell: b"%d" % int(cell),
        lambda cell: b"%d" % _integer(cell, width),
        lambda digest: b"%d" % _number(digest, bits),
        lambda digest: _number(digest, bits).to_bytes(width, "big"),
    )


def _integer(cell: bytes, width: int) -> int:
    if len(cell) != width:
        raise ValueError("the integer has another width than its type")
    return int.from_bytes(cell, "big", signed=True)


def _whole_number(digest: bytes) -> bytes:
    return b"%d" % _number(digest, 63)


def _uuid(digest: bytes) -> bytes:
    """Version 8, which is for whatever its maker likes (RFC 9562)."""
    made = bytearray(digest[:16])
    made[6] = made[6] & 0x0F | 0x80
    made[8] = made[8] & 0x3F | 0x80
    return bytes(made)


def _day_of_text(cell: bytes) -> bytes:
    return b"%d" % (date.fromisoformat(cell.decode()) - _EPOCH.date()).days


def _day_of_binary(cell: bytes) -> bytes:
    days: int = struct.unpack("!i", cell)[0]
    return b"%d" % (_within(_EPOCH, timedelta(days=days)) - _EPOCH).days


def _within(start: datetime, passed: timedelta) -> datetime:
    """`infinity` and what lies before the year 1 or after 9999 are no days that can be told in text."""
    try:
        return start + passed
    except OverflowError as error:
        raise ValueError("the day is out of range") from error


def _day(digest: bytes) -> date:
    return _FIRST_DAY + timedelta(days=_number(digest, 63) % _DAYS)


def _moment_of_text(cell: bytes, *, zoned: bool) -> bytes:
    moment = datetime.fromisoformat(cell.decode())
    if (moment.tzinfo is not None) is not zoned:
        raise ValueError("the time is not as its type has it")
    start = _EPOCH.replace(tzinfo=UTC) if zoned else _EPOCH
    return b"%d" % ((moment - start) // timedelta(microseconds=1))


def _moment_of_binary(cell: bytes) -> bytes:
    passed: int = struct.unpack("!q", cell)[0]
    return b"%d" % ((_within(_EPOCH, timedelta(microseconds=passed)) - _EPOCH) // timedelta(microseconds=1))


def _moment(digest: bytes) -> datetime:
    return datetime.combine(_FIRST_DAY, datetime.min.time()) + timedelta(seconds=_number(digest, 63) % (_DAYS * 86_400))


def _moments(family: bytes, *, zoned: bool) -> _Kind:
    zone = "+00" if zoned else ""
    return _Kind(
        family,
        partial(_moment_of_text, zoned=zoned),
        _moment_of_binary,
        lambda digest: (_moment(digest).isoformat(" ") + zone).encode(),
        lambda digest: struct.pack("!q", (_moment(digest) - _EPOCH) // timedelta(microseconds=1)),
    )


def _address_of_text(cell: bytes) -> bytes:
    found = ipaddress.ip_interface(cell.decode())
    return found.packed + bytes([found.network.prefixlen])


def _address_of_binary(cell: bytes) -> bytes:
    _, bits, _, size = struct.unpack_from("!BBBB", cell)
    if len(cell) != 4 + size:
        raise ValueError("the address has another length than it says")
    return cell[4:] + bytes([bits])


def _addresses(*, network: bool) -> _Kind:
    suffix = "/128" if network else ""
    head = bytes([_IPV6_FAMILY, _IPV6_BITS, network, 16])
    return _Kind(
        b"address",
        _address_of_text,
        _address_of_binary,
        lambda digest: (str(ipaddress.IPv6Address(_NOWHERE + digest[:12])) + suffix).encode(),
        lambda digest: head + _NOWHERE + digest[:12],
    )


def _bytes_of_text(cell: bytes) -> bytes:
    if not cell.startswith(b"\\x"):
        raise ValueError("the bytes are not in the hex format")
    return bytes.fromhex(cell[2:].decode())


_TEXT = _Kind(b"text", _as_it_is, _as_it_is, _text, _text)

_KINDS: dict[int, _Kind] = dict.fromkeys(typed.TEXTS, _TEXT) | {
    typed.BPCHAR: _Kind(b"text", _unpadded, _unpadded, _text, _text),
    typed.JSON: _Kind(b"json", _as_it_is, _as_it_is, _json, _json),
    typed.JSONB: _Kind(b"json", _as_it_is, _jsonb_body, _json, _jsonb),
    typed.INT2: _integers(2),
    typed.INT4: _integers(4),
    typed.INT8: _integers(8),
    typed.NUMERIC: _Kind(
        b"numeric", from_text, from_binary, _whole_number, lambda digest: to_binary(_number(digest, 63))
    ),
    typed.UUID: _Kind(
        b"uuid",
        lambda cell: uuid.UUID(cell.decode()).bytes,
        _as_it_is,
        lambda digest: str(uuid.UUID(bytes=_uuid(digest))).encode(),
        _uuid,
    ),
    typed.DATE: _Kind(
        b"date",
        _day_of_text,
        _day_of_binary,
        lambda digest: _day(digest).isoformat().encode(),
        lambda digest: struct.pack("!i", (_day(digest) - _EPOCH.date()).days),
    ),
    typed.TIMESTAMP: _moments(b"timestamp", zoned=False),
    typed.TIMESTAMPTZ: _moments(b"timestamptz", zoned=True),
    typed.INET: _addresses(network=False),
    typed.CIDR: _addresses(network=True),
    typed.BYTEA: _Kind(
        b"bytes",
        _bytes_of_text,
        _as_it_is,
        lambda digest: b"\\x" + digest[:_SHOWN].hex().encode(),
        lambda d: d[:_SHOWN],
    ),
}
