"""Cut a configured SQL statement at its placeholders, so that values get in only as what they are, never as text."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from msgspec import Struct

# Quotes, in which a quote is doubled, and what lies between them. An unclosed quote matches neither.
_PARTS = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|[^'\"`]+")
_PLACEHOLDER = re.compile(r"\{\{ *([a-z]+) *\}\}")
_WORD = re.compile(r"[A-Za-z_]+")
# By these a text means different things to different readers: escapes, comments, quotes by dollars. Grants need none.
_AMBIGUOUS = re.compile(r"\\|--|/\*|#|\$")


class Value(Struct, frozen=True):
    """A placeholder: the name of the value that belongs there."""

    name: str


class Statement(Struct, frozen=True):
    """One statement as it was configured: `words` are its first two in upper case, `pieces` its text and its values."""

    words: tuple[str, ...]
    pieces: tuple[str | Value, ...]

    @property
    def values(self) -> frozenset[str]:
        return frozenset(piece.name for piece in self.pieces if isinstance(piece, Value))

    def filled(self, values: Mapping[str, str]) -> str:
        """The whole text; `values` must already be quoted as the server wants them."""
        return "".join(values[piece.name] if isinstance(piece, Value) else piece for piece in self.pieces)


def parse(written: str, known: Collection[str]) -> Statement:
    """Raises `ValueError` for what is not one plain statement with placeholders of the names `known`."""
    parts = _PARTS.findall(written)
    if "".join(parts) != written or _AMBIGUOUS.search(written):
        raise ValueError("holds an open quote, a backslash, a dollar or a comment: write it without")
    pieces: list[str | Value] = []
    for part in parts:
        is_quoted = part[0] in "'\"`"
        if is_quoted and "{{" in part:
            raise ValueError("holds a placeholder in quotes: it is quoted by itself, take the quotes away")
        pieces.extend([part] if is_quoted else _cut(part, known))
    pieces = _without_end(pieces)
    if any(";" in piece for piece in pieces if isinstance(piece, str) and piece[0] not in "'\"`"):
        raise ValueError("holds more than one statement: make each an entry of its own")
    first = pieces[0] if pieces and isinstance(pieces[0], str) else ""
    return Statement(tuple(word.upper() for word in _WORD.findall(first)[:2]), tuple(pieces))


def _cut(part: str, known: Collection[str]) -> list[str | Value]:
    pieces: list[str | Value] = []
    for index, piece in enumerate(_PLACEHOLDER.split(part)):
        if index % 2 and piece not in known:
            names = ", ".join(f"{{{{{name}}}}}" for name in sorted(known))
            raise ValueError(f"holds an unknown placeholder; known are {names}")
        if not index % 2 and ("{{" in piece or "}}" in piece):
            raise ValueError("holds braces that are no placeholder")
        if piece:
            pieces.append(Value(piece) if index % 2 else piece)
    return pieces


def _without_end(pieces: list[str | Value]) -> list[str | Value]:
    """A semicolon at the very end says nothing."""
    if pieces and isinstance(pieces[-1], str):
        last = pieces[-1].rstrip().removesuffix(";").rstrip()
        return [*pieces[:-1], *([last] if last else [])]
    return pieces
