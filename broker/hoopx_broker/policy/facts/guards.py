"""Refuse, before any parser sees it, a text that is no ordinary statement: cheap bounds on size and shape."""

from __future__ import annotations

import re

from hoopx_broker.terms.facts import Fault, Unreadable, too_complex

# A statement larger than this is a bulk load, which belongs into COPY; the tree of 1 MB already takes 75 MB of memory.
MAX_BYTES = 1_000_000
# Nested comment openers cost the lexer quadratic time: 10 000 take a second, 1 000 a hundredth of it.
MAX_COMMENTS = 1_000
# So do long runs of operator characters (`+-+-…`): 32 000 take seconds, 256 not a tenth of a millisecond.
_OPERATOR_RUN = re.compile(rb"[-+*/<>=~!@#%^&|`?]{257}")


class Refused(Exception):
    """The text is not read; the message says why in words that repeat nothing of it."""

    def unreadable(self) -> Unreadable:
        return Unreadable(str(self))


class TooComplex(Refused):
    """It is too large or too deep, or shaped to cost more than it may."""

    def unreadable(self) -> Unreadable:
        return too_complex(str(self))


def guard(text: bytes) -> None:
    """Raise `Refused` for a text that the parser must not be given."""
    if len(text) > MAX_BYTES:
        raise TooComplex(f"it is larger than {MAX_BYTES} bytes")
    if b"\0" in text:
        raise Refused("it holds a zero byte")
    if text.count(b"/*") > MAX_COMMENTS:
        raise TooComplex(f"it opens more than {MAX_COMMENTS} comments")
    if _OPERATOR_RUN.search(text):
        raise TooComplex("it holds more than 256 operator characters in a row")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise NotUtf8(text[error.start :]) from None


class NotUtf8(Refused):
    """Bytes that are no character."""

    def __init__(self, rest: bytes) -> None:
        super().__init__("it is not UTF-8")
        length = next((size for size, first in ((4, 0xF0), (3, 0xE0), (2, 0xC0)) if rest[0] >= first), 1)
        self._shown = " ".join(f"{byte:#04x}" for byte in rest[:length])

    def unreadable(self) -> Unreadable:
        return Unreadable(str(self), Fault("22021", f'invalid byte sequence for encoding "UTF8": {self._shown}'))
