"""Read what is typed at a terminal: one key at a time, and what is pasted as one piece."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from enum import Enum

from msgspec import Struct

MAX_PASTED = 2_000  # characters; the longest text that is asked for here
_MAX_SEQUENCE = 16  # characters of an escape sequence of any keyboard


class Key(Enum):
    """A key that is no character."""

    UP = "up"
    DOWN = "down"
    LEFT = "left"
    RIGHT = "right"
    PAGE_UP = "page-up"
    PAGE_DOWN = "page-down"
    HOME = "home"
    END = "end"
    ENTER = "enter"
    ESCAPE = "escape"
    BACKSPACE = "backspace"
    ERASE_WORD = "erase-word"
    ERASE_LINE = "erase-line"
    REDRAW = "redraw"


class Char(Struct, frozen=True):
    """One printable character."""

    text: str


class Pasted(Struct, frozen=True):
    """A text that the terminal says was not typed: it is never a command."""

    text: str


Typed = Key | Char | Pasted

_CONTROLS = {
    "\r": Key.ENTER,
    "\n": Key.ENTER,
    "\x7f": Key.BACKSPACE,
    "\b": Key.BACKSPACE,
    "\x10": Key.UP,
    "\x0e": Key.DOWN,
    "\x17": Key.ERASE_WORD,
    "\x15": Key.ERASE_LINE,
    "\x0c": Key.REDRAW,
}
_ARROWS = {"A": Key.UP, "B": Key.DOWN, "C": Key.RIGHT, "D": Key.LEFT, "H": Key.HOME, "F": Key.END}
# As xterm, the console of Linux, rxvt and tmux send them.
_SEQUENCES = {
    **{f"{lead}{end}": key for lead in "[O" for end, key in _ARROWS.items()},
    "[5~": Key.PAGE_UP,
    "[6~": Key.PAGE_DOWN,
    "OM": Key.ENTER,
    **{f"[{number}~": Key.HOME for number in (1, 7)},
    **{f"[{number}~": Key.END for number in (4, 8)},
}
_SEQUENCE = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|O[A-Za-z])")
_BEGUN = re.compile(r"\x1b(\[[0-9;?]*[ -/]*|O)?")
_PASTE, _PASTED = "\x1b[200~", "\x1b[201~"


class Keyboard:
    """Turns bytes into what was typed. A sequence may come in pieces; an Escape alone is known by `settle`."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._left = ""
        self._pasting: str | None = None

    def feed(self, data: bytes) -> list[Typed]:
        self._left += self._decode(data)
        return list(self._typed())

    @property
    def is_in_doubt(self) -> bool:
        """Whether an Escape waits for what would make it the beginning of something else."""
        return self._pasting is None and self._left.startswith("\x1b")

    def settle(self) -> list[Typed]:
        """Nothing came for a while: what looked like the beginning of a sequence was none."""
        if not self.is_in_doubt:
            return []
        self._left = self._left[1:] if len(self._left) == 1 else ""
        return [Key.ESCAPE]

    def _typed(self) -> Iterator[Typed]:
        while self._left:
            if self._pasting is not None:
                if (pasted := self._paste()) is None:
                    return
                yield pasted
            elif self._left.startswith("\x1b"):
                if _BEGUN.fullmatch(self._left) and len(self._left) <= _MAX_SEQUENCE:
                    return
                yield from self._escaped()
            else:
                first, self._left = self._left[0], self._left[1:]
                if first in _CONTROLS:
                    yield _CONTROLS[first]
                elif first.isprintable():
                    yield Char(first)

    def _escaped(self) -> Iterator[Typed]:
        found = _SEQUENCE.match(self._left)
        if found is None:
            self._left = self._left[1:]
            yield Key.ESCAPE
            return
        self._left = self._left[found.end() :]
        if found.group() == _PASTE:
            self._pasting = ""
        elif found.group(1) in _SEQUENCES:
            yield _SEQUENCES[found.group(1)]

    def _paste(self) -> Pasted | None:
        text, end, rest = self._left.partition(_PASTED)
        if not end:  # the end itself may come in pieces
            keep = len(_PASTED) - 1
            text, rest = self._left[:-keep], self._left[-keep:]
        self._pasting = ((self._pasting or "") + text)[:MAX_PASTED]
        self._left = rest
        if not end:
            return None
        pasted, self._pasting = Pasted(_on_one_line(self._pasting)), None
        return pasted


def _on_one_line(text: str) -> str:
    return "".join(char for char in " ".join(text.split()) if char.isprintable())
