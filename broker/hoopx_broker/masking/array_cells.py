"""Look into the elements of an array as PostgreSQL writes it: `{a,"b c",{d}}`. What changes stays an array."""

from __future__ import annotations

from collections.abc import Callable

from hoopx_broker.masking.expressions import every, over_bytes

# An element in quotes, or one without: it begins and ends where no blank is.
_ELEMENTS = over_bytes(r'(?s)"(?:[^"\\]|\\.)*"|(?:[^{},"\\\s]|\\.)(?:[^{},"\\]|\\.)*')
# A range begins with a bracket too.
_BOUNDED = over_bytes(r"(?:\[-?[0-9]+:-?[0-9]+\])+=\{")


def is_one(cell: bytes) -> bool:
    """Does it begin as an array, where its type does not tell?"""
    return cell.startswith(b"{") or _BOUNDED.match(cell) is not None


def rewritten(cell: bytes, look: Callable[[bytes], bytes]) -> bytes:
    """`look` gets each element as it was before the array was written. The same object where it changes none."""
    out: list[bytes] = []
    kept = 0
    for start, end in every(_ELEMENTS, cell):
        element = _unquoted(cell[start:end])
        shown = look(element)
        if shown is not element:
            out += (cell[kept:start], _quoted(shown))
            kept = end
    return b"".join((*out, cell[kept:])) if out else cell


def _unquoted(element: bytes) -> bytes:
    if element.startswith(b'"'):
        element = element[1:-1]
    if b"\\" not in element:
        return element
    # Pairs of backslashes are found from the left, so what is left between them are those that escape something else.
    return b"\\".join(part.replace(b"\\", b"") for part in element.split(b"\\\\"))


def _quoted(element: bytes) -> bytes:
    return b'"' + element.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
