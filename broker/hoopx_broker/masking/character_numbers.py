"""Characters written by their numbers, as JSON (`\\u0040`) and XML (`&#64;`) may write any: as they are."""

from __future__ import annotations

from hoopx_broker.masking.expressions import every, over_bytes

_NUMBERED = over_bytes(r"\\u[0-9A-Fa-f]{4}|&#(?:0*[0-9]{2,6}|[xX]0*[0-9A-Fa-f]{2,5});")
# What ends no string and opens no tag. Values that detectors look for are made of nothing else, and of what is beyond
# ASCII and its controls.
_HARMLESS = frozenset(b" +-./0123456789:=@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz%~")
_APOSTROPHE = ord("'")  # ends a value in XML, but no string in JSON
_BEYOND = 0xA0
_SURROGATES = range(0xD800, 0xE000)


def written_plainly(cell: bytes) -> bytes:
    """The same text with as few numbers as it can be written with; the same object where there are none."""
    out: list[bytes] = []
    kept = 0
    for start, end in every(_NUMBERED, cell):
        code = _code(cell[start:end])
        if _is_harmless(code) or (code == _APOSTROPHE and cell.startswith(b"\\", start)):
            out += (cell[kept:start], chr(code).encode())
            kept = end
    return b"".join((*out, cell[kept:])) if out else cell


def _code(written: bytes) -> int:
    if written.startswith(b"\\u"):
        return int(written[2:], 16)
    number = written[2:-1]
    return int(number[1:], 16) if number[:1] in b"xX" else int(number)


def _is_harmless(code: int) -> bool:
    return code in _HARMLESS or (code >= _BEYOND and code not in _SURROGATES)
