"""Look into the strings and numbers of a JSON document without reading it as a whole: what changes stays JSON.

Everything that is not changed keeps its bytes: blanks, the order of keys, keys that stand twice, long numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from hoopx_broker.masking.expressions import every, over_bytes

# A string, with the colon behind it where it is a key; a number or a word; or a quote that opens no string.
_TOKENS = over_bytes(r'(?s)"(?:[^"\\]|\\.)*"(?:[ \t\r\n]*:)?|[^ \t\r\n"\[\]{},:]+|"')
_WORDS = frozenset({b"true", b"false", b"null"})
_NUMBER = over_bytes(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+\-]?[0-9]+)?$")
_BLANKS = b" \t\r\n"

# Of a text and the key it stands under, which is empty for keys themselves and in lists: the same or another.
Look = Callable[[bytes, bytes], bytes]


def rewritten(cell: bytes, look: Look) -> bytes | None:
    """The same object where nothing changes, None where this is no JSON. A number that `look` changes becomes 0."""
    out: list[bytes] = []
    at = kept = 0
    key = b""
    for start, end in every(_TOKENS, cell):
        # Behind a key stands its value, and nothing but a colon and blanks between.
        under = key if not cell[at:start].strip(_BLANKS) else b""
        token, key, at = cell[start:end], b"", end
        if token.startswith(b'"'):
            if len(token) == 1:
                return None
            tail = b"" if token.endswith(b'"') else token[token.rindex(b'"') + 1 :]
            text = _text_of(token[1 : len(token) - len(tail) - 1])
            shown = look(text, b"" if tail else under)
            key = text if tail else b""
            changed = b"" if shown is text else _string(shown) + tail
        elif token in _WORDS:
            continue
        elif _NUMBER.match(token) is None:
            return None
        else:
            changed = b"" if look(token, b"") is token else b"0"
        if changed:
            out += (cell[kept:start], changed)
            kept = end
    return b"".join((*out, cell[kept:])) if out else cell


def _text_of(content: bytes) -> bytes:
    """What a string says. Bytes that are no UTF-8 stay as they are; half a surrogate pair becomes a question mark."""
    if b"\\" not in content:
        return content
    text = content.decode("utf-8", "surrogateescape")
    try:
        said = json.loads(f'"{text}"', strict=False)
    except ValueError:
        return content  # no server sends such an escape; then it is looked into as it stands
    return _encoded(str(said))


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _string(text: bytes) -> bytes:
    written = json.dumps(text.decode("utf-8", "surrogateescape"), ensure_ascii=False)
    return written.encode("utf-8", "surrogateescape")
