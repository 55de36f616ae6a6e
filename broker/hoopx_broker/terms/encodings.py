"""The client encodings of PostgreSQL, by how far a statement in them can be read."""

from __future__ import annotations

# Encodings in which every byte below 128 is that ASCII character, so that no syntax hides in another character.
# Not all of `win…`: WIN932, 936, 949 and 950 are SJIS, GBK, UHC and BIG5.
_SAFE_FAMILIES = ("utf8", "unicode", "sqlascii", "latin", "iso8859", "win125", "windows125", "win866", "koi8")


def is_safe_encoding(name: str) -> bool:
    """Can no ASCII byte be a part of another character? Else the end of a string is not where it seems to be."""
    return _plain(name).startswith(_SAFE_FAMILIES)


def is_utf8(name: str) -> bool:
    return _plain(name) in ("utf8", "unicode", "sqlascii")


def _plain(name: str) -> str:
    """PostgreSQL compares encoding names without case and punctuation."""
    return "".join(c for c in name.lower() if c.isalnum())
