"""Make text from elsewhere harmless on a terminal: what could move, hide or colour is shown instead of done."""

from __future__ import annotations

import unicodedata

# Cc control, Cf format (bidi overrides, zero width), Cs surrogates, Co private use, Zl and Zp line breaks.
_ACTS = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def inert(text: str) -> str:
    """One line of text whose every acting character is written as an escape like `\\x1b`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(char) for char in text)


def inert_block(text: str) -> str:
    """Like `inert`, but line feeds and tabs stay: for SQL and other text of several lines."""
    return "".join(char if char in "\n\t" else _shown(char) for char in text)


def _shown(char: str) -> str:
    if unicodedata.category(char) not in _ACTS:
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
