"""Draw an address as a QR code of half blocks, two modules to a character, for a telephone to read off a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

# Light modules that must surround a code; the standard wants four, readers are content with two.
MARGINS = 4, 2
# Black on white by the fixed part of the 256 colours, whatever a theme makes of the first sixteen.
_BLACK_ON_WHITE, _PLAIN = "\x1b[38;5;16;48;5;231m", "\x1b[0m"
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}

Modules = Sequence[Sequence[bool]]  # rows of a code with its margin, True where it is dark


class Ink(Enum):
    """What the terminal shows light and dark by. Without colours it matters what is printed upon."""

    COLOURS = "colours"
    LIGHT_ON_DARK = "light on dark"
    DARK_ON_LIGHT = "dark on light"


def drawn(url: str, columns: int, lines: int, ink: Ink) -> list[str] | None:
    """The lines of the code with the widest margin that fits; None where none does."""
    import segno

    code = segno.make(url, error="l", micro=False)
    for margin in MARGINS:
        rows = [[bool(module) for module in row] for row in code.matrix_iter(border=margin)]
        if len(rows[0]) <= columns and (len(rows) + 1) // 2 <= lines:
            return _inked(rows, ink)
    return None


def ink_for(environ: Mapping[str, str], has_colour: bool) -> Ink:
    """COLORFGBG (`foreground;background`, set by many terminals) tells a light background; most are dark."""
    if has_colour:
        return Ink.COLOURS
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return Ink.DARK_ON_LIGHT if background in ("7", "15") else Ink.LIGHT_ON_DARK


def _inked(rows: Modules, ink: Ink) -> list[str]:
    match ink:
        case Ink.COLOURS:
            return [f"{_BLACK_ON_WHITE}{line}{_PLAIN}" for line in _halves(rows)]
        case Ink.DARK_ON_LIGHT:
            return _halves(rows)
        case Ink.LIGHT_ON_DARK:
            return _halves([[not module for module in row] for row in _even(rows)])


def _halves(rows: Modules) -> list[str]:
    even = _even(rows)
    return [
        "".join(_HALVES[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(even[::2], even[1::2], strict=True)
    ]


def _even(rows: Modules) -> Modules:
    """A code has an odd number of rows; the margin makes up the half line."""
    return rows if len(rows) % 2 == 0 else [*rows, [False] * len(rows[0])]
