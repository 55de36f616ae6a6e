"""A constant for each type of PostgreSQL, valid as text and as binary, so that no client breaks on a hidden value."""

from __future__ import annotations

import struct

from msgspec import Struct

TEXT_FORMAT = 0

STARS = "*****"

# Type oids from PostgreSQL's pg_type.dat; they never change.
BPCHAR, TEXT, VARCHAR, XML = 1042, 25, 1043, 142
JSON, JSONB = 114, 3802
CIDR, INET = 650, 869
DATE, TIMESTAMP, TIMESTAMPTZ = 1082, 1114, 1184
BYTEA, NUMERIC, UUID = 17, 1700, 2950
INT2, INT4, INT8 = 21, 23, 20

# name, text, unknown, bpchar, varchar, refcursor, cstring: the same bytes in both formats.
TEXTS = frozenset({19, TEXT, 705, BPCHAR, VARCHAR, 1790, 2275})
JSONB_VERSION = b"\x01"


class Constant(Struct, frozen=True):
    """What stands in the place of a value, in both of the formats."""

    text: bytes
    binary: bytes


# 1970-01-01, counted from 2000-01-01 as the server does.
_DAYS = struct.pack("!i", -10_957)
_MICROSECONDS = struct.pack("!q", -10_957 * 86_400 * 1_000_000)
_EMPTY_RANGE = b"\x01"
_ORIGIN = bytes(16)  # a point: two floats

# Of each type its oid, the oid of arrays of it, text and binary. A cidr is one address: the whole internet as an
# allow-list would open doors. pgjdbc cuts off the first character of money, whatever it is.
_TYPES = (
    (16, 1000, b"f", b"\x00"),  # bool
    (BYTEA, 1001, b"\\x2a2a2a2a2a", STARS.encode()),
    (18, 1002, b"*", b"*"),  # "char": one byte, which binary clients insist on
    (19, 1003, STARS.encode(), STARS.encode()),  # name
    (INT8, 1016, b"0", bytes(8)),
    (INT2, 1005, b"0", bytes(2)),
    (INT4, 1007, b"0", bytes(4)),
    (TEXT, 1009, STARS.encode(), STARS.encode()),
    (26, 1028, b"0", bytes(4)),  # oid
    (JSON, 199, b'"*****"', b'"*****"'),
    (XML, 143, STARS.encode(), STARS.encode()),
    (600, 1017, b"(0,0)", _ORIGIN),  # point
    (601, 1018, b"[(0,0),(0,0)]", _ORIGIN * 2),  # lseg
    (602, 1019, b"((0,0))", b"\x01" + struct.pack("!i", 1) + _ORIGIN),  # path, closed
    (603, 1020, b"(0,0),(0,0)", _ORIGIN * 2),  # box
    (604, 1027, b"((0,0))", struct.pack("!i", 1) + _ORIGIN),  # polygon
    (628, 629, b"{0,1,0}", struct.pack("!ddd", 0, 1, 0)),  # line
    (718, 719, b"<(0,0),0>", bytes(24)),  # circle
    (CIDR, 651, b"0.0.0.0/32", bytes([2, 32, 1, 4]) + bytes(4)),
    (INET, 1041, b"0.0.0.0", bytes([2, 32, 0, 4]) + bytes(4)),
    (700, 1021, b"0", bytes(4)),  # float4
    (701, 1022, b"0", bytes(8)),  # float8
    (705, 0, STARS.encode(), STARS.encode()),  # unknown
    (774, 775, b"00:00:00:00:00:00:00:00", bytes(8)),  # macaddr8
    (790, 791, b"$0.00", bytes(8)),  # money
    (829, 1040, b"00:00:00:00:00:00", bytes(6)),  # macaddr
    (BPCHAR, 1014, STARS.encode(), STARS.encode()),
    (VARCHAR, 1015, STARS.encode(), STARS.encode()),
    (DATE, 1182, b"1970-01-01", _DAYS),
    (1083, 1183, b"00:00:00", bytes(8)),  # time
    (TIMESTAMP, 1115, b"1970-01-01 00:00:00", _MICROSECONDS),
    (TIMESTAMPTZ, 1185, b"1970-01-01 00:00:00+00", _MICROSECONDS),
    (1186, 1187, b"00:00:00", bytes(16)),  # interval
    (1266, 1270, b"00:00:00+00", bytes(12)),  # timetz
    (1560, 1561, b"0", struct.pack("!i", 1) + b"\x00"),  # bit
    (1562, 1563, b"0", struct.pack("!i", 1) + b"\x00"),  # varbit
    (NUMERIC, 1231, b"0", bytes(8)),
    (1790, 2201, STARS.encode(), STARS.encode()),  # refcursor
    (2275, 1263, STARS.encode(), STARS.encode()),  # cstring
    (UUID, 2951, b"00000000-0000-0000-0000-000000000000", bytes(16)),
    (3220, 3221, b"0/0", bytes(8)),  # pg_lsn
    (3614, 3643, b"", bytes(4)),  # tsvector
    (JSONB, 3807, b'"*****"', JSONB_VERSION + b'"*****"'),
    (4072, 4073, b"$", b"\x01$"),  # jsonpath
    *((oid, array, b"empty", _EMPTY_RANGE) for oid, array in ((3904, 3905), (3906, 3907), (3908, 3909))),
    *((oid, array, b"empty", _EMPTY_RANGE) for oid, array in ((3910, 3911), (3912, 3913), (3926, 3927))),
    *((oid, array, b"{}", bytes(4)) for oid, array in ((4451, 6150), (4532, 6151), (4533, 6152))),  # multiranges
    *((oid, array, b"{}", bytes(4)) for oid, array in ((4534, 6153), (4535, 6155), (4536, 6157))),
)


def _array_of(oid: int) -> Constant:
    """No dimensions, no flags, the type of the elements that it does not have."""
    return Constant(b"{}", struct.pack("!iiI", 0, 0, oid))


CONSTANTS: dict[int, Constant] = {oid: Constant(text, binary) for oid, _, text, binary in _TYPES} | {
    array: _array_of(oid) for oid, array, _, _ in _TYPES if array
}


def constant(type_oid: int, wire_format: int) -> bytes | None:
    """None, which is NULL, for all other types: that is valid for any type in any format."""
    found = CONSTANTS.get(type_oid)
    if found is None:
        return None
    return found.text if wire_format == TEXT_FORMAT else found.binary
