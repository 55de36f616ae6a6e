"""Paint a recording that is played as lines of a screen, whatever its size."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from hoopx_cli.folding import laid
from hoopx_cli.inert import width
from hoopx_cli.player import Player
from hoopx_cli.screen import Line, Style, cut, fitting
from hoopx_cli.watch_paint import LEAST_COLUMNS, LEAST_ROWS

if TYPE_CHECKING:
    from hoopx_broker.recording.terminals import Run, Shown

_KEYS = (
    ("Space", "pause"), ("←→", "5 s"), ("↑↓", "statement"), ("+-", "speed"), (".", "step"), ("q", "quit"),
    ("<>", "1 min"), ("PgUp", "look back"),
)  # fmt: skip
_CURSOR = "7"  # reversed


def paint(player: Player, columns: int, rows: int) -> list[Line]:
    if columns < LEAST_COLUMNS or rows < LEAST_ROWS:
        return _filled([Line(cut("this window is too small", columns))], rows)
    body = rows - 2
    player.page = max(body - 1, 1)
    screen = player.screen
    lines = _story(player, columns, body) if screen is None else _terminal(screen, columns, body)
    return [*_filled(lines, body), _status(player, screen, columns, body), _keys(columns)]


def _story(player: Player, columns: int, rows: int) -> list[Line]:
    """The end of what has been told; or so many lines before it as are looked back."""
    wanted = rows + player.back
    found: list[Line] = []
    for text, style in reversed(player.story):
        found += [Line(piece, style) for piece in reversed(list(laid(text, columns)))]
        if len(found) >= wanted + rows:
            break
    found.reverse()
    player.longest_back = max(len(found) - rows, 0)
    player.back = min(player.back, player.longest_back)
    end = len(found) - player.back
    return found[max(end - rows, 0) : end]


def _terminal(shown: Shown, columns: int, rows: int) -> list[Line]:
    """As much of it as there is room for, around its cursor."""
    across, down = shown.size
    row, column = shown.cursor or (0, 0)
    top = min(max(row - rows + 1, 0), max(down - rows, 0))
    left = min(max(column - columns + 1, 0), max(across - columns, 0))
    lines = [_row(runs, left, columns) for runs in islice(shown.rows(), top, top + rows)]
    if shown.cursor is not None and row - top < len(lines):
        lines[row - top] = _with_cursor(lines[row - top], column - left)
    return lines


def _row(runs: list[Run], left: int, columns: int) -> Line:
    kept: list[tuple[str, str]] = []
    room, skip = columns, left
    for text, look in runs:
        if skip:
            skipped, rest = fitting(text, skip) if width(text) > skip else (text, "")
            skip, text = skip - width(skipped), rest
        piece = text if width(text) <= room else _within(text, room)
        if piece:
            kept.append((piece, look.code))
            room -= width(piece)
    return Line("".join(text for text, _ in kept), runs=tuple(kept))


def _within(text: str, room: int) -> str:
    piece = fitting(text, room)[0] if room > 0 else ""
    return piece if width(piece) <= room else ""


def _with_cursor(line: Line, column: int) -> Line:
    """The cell of the cursor reversed; behind the text it is a blank."""
    runs, at, found = [], 0, False
    for text, code in line.runs:
        before = fitting(text, column - at)[0] if 0 < column - at < width(text) else ""
        if not found and at <= column < at + width(text):
            here = fitting(text[len(before) :], 1)[0]
            after = text[len(before) + len(here) :]
            cells = (before, code), (here, f"{code};{_CURSOR}".lstrip(";")), (after, code)
            runs += [(piece, look) for piece, look in cells if piece]
            found = True
        else:
            runs.append((text, code))
        at += width(text)
    return Line("".join(text for text, _ in runs), runs=tuple(runs))


def _status(player: Player, screen: Shown | None, columns: int, rows: int) -> Line:
    state = "end" if player.is_over else "paused" if player.is_paused else "playing"
    place = f"{clock(player.position)}/{clock(player.tape.seconds)}"
    speed = f"{player.speed:g}x"
    number = f"{player.statement}/{player.tape.statements}"
    told = [state, place, speed, f"statement {number}"]
    if screen is not None:
        across, down = screen.size
        told.append(f"{across}x{down}" + (", in part" if across > columns or down > rows else ""))
    if player.back:
        told.append(f"{player.back} lines back")
    if player.note:
        told.append(player.note)
    whole = " · ".join(told)
    short = f"{state} {place} {speed} #{number}"
    text = whole if width(whole) <= columns else short
    return Line(cut(text, columns).ljust(columns), Style.CHOSEN)


def _keys(columns: int) -> Line:
    shown, room = "", columns
    for key, does in _KEYS:
        piece = f"{'  ' if shown else ''}{key} {does}"
        if width(piece) > room:
            break
        shown, room = shown + piece, room - width(piece)
    return Line(shown, Style.FAINT)


def clock(seconds: float) -> str:
    """`1:05`, `2:03:04`."""
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def _filled(lines: list[Line], rows: int) -> list[Line]:
    return [*lines, *[Line()] * (rows - len(lines))][:rows]
