"""Look into bytes as text: a `bytea` as PostgreSQL writes it, and as it is."""

from __future__ import annotations

from collections.abc import Callable

from hoopx_broker.masking.expressions import every, over_bytes

_ESCAPES = over_bytes(r"\\(?:\\|[0-3][0-7]{2})")
# In bytes that are no text as a whole, a shorter run of letters is one by chance.
_RUNS = over_bytes(r"[\t\n\r\x20-\x7e]{10,}")
_PRINTABLE = frozenset(range(0x20, 0x7F)) - {0x5C}

Look = Callable[[bytes], bytes]


def written(cell: bytes, look: Look) -> bytes:
    """A `bytea` in the text format, hexadecimal or escaped. The same object where `look` changes nothing."""
    if cell.startswith(b"\\x"):
        try:
            content = bytes.fromhex(cell[2:].decode("ascii"))
        except ValueError:
            return look(cell)
        shown = plain(content, look)
        return cell if shown is content else b"\\x" + shown.hex().encode()
    content = _unescaped(cell)
    shown = plain(content, look)
    return cell if shown is content else _escaped(shown)


def plain(content: bytes, look: Look) -> bytes:
    """Text is looked into as a whole; in anything else only what could be text is."""
    if _is_text(content):
        return look(content)
    out: list[bytes] = []
    kept = 0
    for start, end in every(_RUNS, content):
        run = content[start:end]
        shown = look(run)
        if shown is not run:
            out += (content[kept:start], shown)
            kept = end
    return b"".join((*out, content[kept:])) if out else content


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _unescaped(cell: bytes) -> bytes:
    if b"\\" not in cell:
        return cell
    out: list[bytes] = []
    at = 0
    for start, end in every(_ESCAPES, cell):
        code = cell[start + 1 : end]
        out += (cell[at:start], code if code == b"\\" else bytes([int(code, 8)]))
        at = end
    return b"".join((*out, cell[at:]))


def _escaped(content: bytes) -> bytes:
    pieces = (bytes([byte]) if byte in _PRINTABLE else _escape(byte) for byte in content)
    return b"".join(pieces)


def _escape(byte: int) -> bytes:
    return b"\\\\" if byte == 0x5C else b"\\%03o" % byte
