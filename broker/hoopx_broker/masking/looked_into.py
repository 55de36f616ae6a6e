"""Which types are looked into: text in any clothes. Numbers, days and the like hold none."""

from __future__ import annotations

from hoopx_broker.masking.typed import BYTEA, JSON, JSONB, TEXT, TEXTS, XML

RECORD, UNKNOWN, ANY_ARRAY, CHAR = 2249, 705, 2277, 18
FIRST_OF_USERS = 16384  # oids from here on are types that somebody made

_CSTRING_ARRAY, _RECORD_ARRAY = 1263, 2287
# Array types whose elements are looked into, and the types of those.
ELEMENTS = {
    1001: BYTEA,
    1003: TEXT,
    1009: TEXT,
    1014: TEXT,
    1015: TEXT,
    2201: TEXT,
    _CSTRING_ARRAY: TEXT,
    143: XML,
    199: JSON,
    3807: JSONB,
    _RECORD_ARRAY: RECORD,
    ANY_ARRAY: 0,
}

# From pg_type.dat: numbers, oids and names of objects, geometry, networks, times, bits, UUIDs, ranges of those, and
# arrays of those.
# fmt: off
_NEVER = frozenset({
    16, 18, 20, 21, 22, 23, 24, 26, 27, 28, 29, 30, 271, 600, 601, 602, 603, 604, 628, 629, 650, 651, 700, 701, 718,
    719, 774, 775, 790, 791, 829, 869, 1000, 1002, 1005, 1006, 1007, 1008, 1010, 1011, 1012, 1013, 1016, 1017, 1018,
    1019, 1020, 1021, 1022, 1027, 1028, 1040, 1041, 1082, 1083, 1114, 1115, 1182, 1183, 1184, 1185, 1186, 1187,
    1231, 1266, 1270, 1560, 1561, 1562, 1563, 1700, 2202, 2203, 2204, 2205, 2206, 2207, 2208, 2209, 2210, 2211,
    2278, 2949, 2950, 2951, 2970, 3220, 3221, 3734, 3735, 3769, 3770, 3904, 3905, 3906, 3907, 3908, 3909, 3910,
    3911, 3912, 3913, 3926, 3927, 4089, 4090, 4096, 4097, 4191, 4192, 4451, 4532, 4533, 4534, 4535, 4536, 5038,
    5069, 6150, 6151, 6152, 6153, 6155, 6157,
})
# fmt: on
# Written as they are, so that a row shows what they say. In all others something may be escaped.
_AS_THEY_ARE = TEXTS | {XML}


def is_looked_into(type_oid: int) -> bool:
    return type_oid not in _NEVER


def is_encoded(type_oid: int) -> bool:
    """May what a value says be written in another way, behind a backslash?"""
    return type_oid not in _AS_THEY_ARE


def is_foreign(type_oid: int) -> bool:
    """Nothing is known of the form of its values."""
    return type_oid == 0 or type_oid >= FIRST_OF_USERS
