"""Show what was on a recorded terminal, cell by cell: an emulator of its own stands between it and any real one."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator
from copy import deepcopy
from functools import lru_cache
from typing import Any

import pyte
from msgspec import Struct
from pyte.graphics import FG_BG_256

from hoopx_broker.recording.inert import inert, width
from hoopx_broker.recording.sequences import Sieve, size_of
from hoopx_broker.terms.entries import Terminal
from hoopx_broker.terms.unseen import MAX_STACK

# Where nothing was recorded of its size.
COLUMNS, ROWS = 80, 24
_NOTHING_SEEN = "\N{REPLACEMENT CHARACTER}"
_OTHER_SCREENS = frozenset({47, 1047, 1049})
_BASIC = ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white")
# The emulator's names of colours, one of them with its mistake.
_COLOURS = {
    **{name: (3, at) for at, name in enumerate(_BASIC)},
    **{f"bright{name}": (9, at) for at, name in enumerate(_BASIC)},
    "bfightmagenta": (9, 5),
}
_OF_256 = {colour: at for at, colour in reversed(list(enumerate(FG_BG_256)))}


class Look(Struct, frozen=True):
    """How cells look. Colours are those of ECMA-48: `3` or `9` with a digit, or what follows 38 and 48; or nothing."""

    foreground: str = ""
    background: str = ""
    flags: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The parameters of the sequence that makes a terminal write so; empty for the plain look."""
        return ";".join(part for part in (*self.flags, self.foreground, self.background) if part)


PLAIN = Look()
Run = tuple[str, Look]


class Shown:
    """One recorded terminal. What it is fed may be anything: it draws, or it is not understood and left out."""

    def __init__(self) -> None:
        self._sieve = Sieve()
        self._screen = _Screen(COLUMNS, ROWS)
        self._stream = _Stream(self._screen)
        self.fed = 0

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self._screen.columns, self._screen.lines

    @property
    def cursor(self) -> tuple[int, int] | None:
        """Row and column, None where it is hidden."""
        cursor = self._screen.cursor
        return None if cursor.hidden else (cursor.y, min(cursor.x, self._screen.columns - 1))

    def take(self, entry: Terminal) -> None:
        match entry.event:
            case "o":
                self.fed += len(entry.data)
                self._draw(self._sieve.drawing(entry.data))
            case "r" if (size := size_of(entry.data)) is not None:
                self._screen.resize(lines=size[1], columns=size[0])
            case _:
                pass  # what was typed is shown where the program behind echoes it

    def _draw(self, text: str) -> None:
        try:
            self._stream.feed(text)
        except Exception:
            # The emulator meets what nobody tested it with. It has reset its reading by itself, and goes on.
            return

    def rows(self) -> Iterator[list[Run]]:
        """Each row as runs of one look; their text is inert, and takes the columns that it took there."""
        for row in range(self._screen.lines):
            yield list(self._runs(row))

    def _runs(self, row: int) -> Iterator[Run]:
        line = self._screen.buffer[row]
        cells = (line[column] for column in range(self._screen.columns))
        for look, same in itertools.groupby(cells, _look):
            yield "".join(map(_text, same)), look

    def copy(self) -> Shown:
        """As it is now; the two go their own ways."""
        made = Shown.__new__(Shown)
        made._sieve = self._sieve.copy()
        made._screen = deepcopy(self._screen)
        made._stream = _Stream(made._screen)
        made.fed = self.fed
        return made


class _Screen(pyte.Screen):
    """pyte's, and what today's programs need beyond it: the other screen, scrolling by S and T, repeating by b."""

    _beside: tuple[Any, ...] | None = None
    _last = " "

    def draw(self, data: str) -> None:
        if data.isascii():
            super().draw(data)
        else:
            for stacked, same in itertools.groupby(data, _is_stacked):
                (self._stack if stacked else super().draw)("".join(same))
        self._last = data[-1:] or self._last

    def _stack(self, marks: str) -> None:
        """Marks on one letter are as many as a script has, however they came."""
        for mark in marks:
            line = self.buffer[self.cursor.y]
            if self.cursor.x and len(line[self.cursor.x - 1].data) <= MAX_STACK:
                super().draw(mark)

    def save_cursor(self) -> None:
        self.savepoints.clear()  # a terminal has one place for it
        super().save_cursor()

    def set_mode(self, *modes: int, **kwargs: Any) -> None:
        if kwargs.get("private") and _OTHER_SCREENS & set(modes) and self._beside is None:
            self.save_cursor()
            self._beside = dict(self.buffer), self.cursor.x, self.cursor.y, list(self.savepoints)
            self.buffer.clear()
        super().set_mode(*modes, **kwargs)

    def reset_mode(self, *modes: int, **kwargs: Any) -> None:
        super().reset_mode(*modes, **kwargs)
        if kwargs.get("private") and _OTHER_SCREENS & set(modes) and self._beside is not None:
            buffer, x, y, savepoints = self._beside
            self._beside = None
            self.buffer.clear()
            self.buffer.update(buffer)
            self.savepoints[:] = savepoints
            self.cursor.x, self.cursor.y = min(x, self.columns - 1), min(y, self.lines - 1)

    def reset(self) -> None:
        self._beside = None
        super().reset()

    def scroll_up(self, count: int | None = None) -> None:
        self._scroll(count, self.index, at_top=False)

    def scroll_down(self, count: int | None = None) -> None:
        self._scroll(count, self.reverse_index, at_top=True)

    def _scroll(self, count: int | None, by_one: Any, *, at_top: bool) -> None:
        top, bottom = self.margins or (0, self.lines - 1)
        x, y = self.cursor.x, self.cursor.y
        self.cursor.y = top if at_top else bottom
        for _ in range(min(count or 1, self.lines)):
            by_one()
        self.cursor.x, self.cursor.y = x, y

    def repeat(self, count: int | None = None) -> None:
        self.draw(self._last * min(count or 1, self.columns * self.lines))


class _Stream(pyte.Stream):
    csi = {**pyte.Stream.csi, "S": "scroll_up", "T": "scroll_down", "b": "repeat", "`": "cursor_to_column"}  # noqa: RUF012
    events = pyte.Stream.events | {"scroll_up", "scroll_down", "repeat"}


def _is_stacked(char: str) -> bool:
    return unicodedata.combining(char) != 0


def _text(cell: Any) -> str:
    """What stands in a cell; nothing in the second half of a wide character."""
    text: str = cell.data
    if text.isascii() and text.isprintable() and len(text) <= 1:
        return text
    return text if inert(text) == text and width(text) in (1, 2) else _NOTHING_SEEN


def _look(cell: Any) -> Look:
    return _look_of(*cell[1:7], cell.reverse)


@lru_cache(1_024)
def _look_of(
    foreground: str, background: str, bold: bool, italics: bool, underscore: bool, struck: bool, reverse: bool
) -> Look:
    flags = {"1": bold, "3": italics, "4": underscore, "7": reverse, "9": struck}
    return Look(_colour(foreground, 30), _colour(background, 40), tuple(each for each, is_so in flags.items() if is_so))


def _colour(name: str, first: int) -> str:
    """From a closed table, or six hexadecimal digits: nothing recorded becomes part of a sequence."""
    if name in _COLOURS:
        tens, digit = _COLOURS[name]
        return str(first + digit if tens == 3 else first + 60 + digit)
    if name in _OF_256:
        return f"{first + 8};5;{_OF_256[name]}"
    try:
        red, green, blue = bytes.fromhex(name)
    except ValueError:
        return ""
    return f"{first + 8};2;{red};{green};{blue}"
