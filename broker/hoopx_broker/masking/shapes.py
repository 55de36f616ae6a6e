"""How a hidden value looks: valid for its type and format, so that no client breaks on it."""

from __future__ import annotations

from msgspec import Struct

TEXT_FORMAT = 0

STARS = b"*****"

# Type oids from PostgreSQL's pg_type.dat; they never change.
_TEXT_TYPES = frozenset({19, 25, 705, 1042, 1043})  # name, text, unknown, bpchar, varchar
_CHAR = 18  # one byte, which binary clients insist on
_JSON, _JSONB = 114, 3802
_JSON_STARS = b'"*****"'
_JSONB_VERSION = b"\x01"


class Mask(Struct, frozen=True):
    """What stands in the place of every value of a column that is not NULL; None is NULL itself."""

    value: bytes | None


NOTHING = Mask(None)
_TEXT = Mask(STARS)
_AS_CHAR = Mask(STARS[:1])
_AS_JSON = Mask(_JSON_STARS)
_AS_JSONB = Mask(_JSONB_VERSION + _JSON_STARS)


def mask_for(type_oid: int, wire_format: int) -> Mask:
    """Stars where the type is text or JSON; NULL for all others, which is valid for any type in any format."""
    if type_oid in _TEXT_TYPES:
        return _TEXT
    if type_oid == _CHAR:
        return _AS_CHAR
    if type_oid == _JSON or (type_oid == _JSONB and wire_format == TEXT_FORMAT):
        return _AS_JSON
    if type_oid == _JSONB:
        return _AS_JSONB
    return NOTHING
