"""Refuse, before any parser sees it, a text that is no ordinary statement: cheap bounds on size and shape."""

from __future__ import annotations

import re

# A statement larger than this is a bulk load, which belongs into COPY; the tree of 1 MB already takes 75 MB of memory.
MAX_BYTES = 1_000_000
# Nested comment openers cost the lexer quadratic time: 10 000 take a second, 1 000 a hundredth of it.
MAX_COMMENTS = 1_000
# So do long runs of operator characters (`+-+-…`): 32 000 take seconds, 256 not a tenth of a millisecond.
_OPERATOR_RUN = re.compile(rb"[-+*/<>=~!@#%^&|`?]{257}")


class Refused(Exception):
    """The text is not read; the message says why in words that repeat nothing of it."""


def guard(text: bytes) -> None:
    """Raise `Refused` for a text that the parser must not be given."""
    if len(text) > MAX_BYTES:
        raise Refused(f"it is larger than {MAX_BYTES} bytes")
    if b"\0" in text:
        raise Refused("it holds a zero byte")
    if text.count(b"/*") > MAX_COMMENTS:
        raise Refused(f"it opens more than {MAX_COMMENTS} comments")
    if _OPERATOR_RUN.search(text):
        raise Refused("it holds more than 256 operator characters in a row")
    try:
        text.decode()
    except UnicodeDecodeError:
        raise Refused("it is not UTF-8") from None
