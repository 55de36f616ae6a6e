"""Paint the board of `approve --watch` as lines of a screen, whatever its size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.api.messages import RequestView
from hoopx_cli.durations import spoken
from hoopx_cli.inert import inert, width
from hoopx_cli.requested import asked_for, circumstances, essence, gist, history, missing, requester_of
from hoopx_cli.screen import Line, Style, cut, exactly, wrapped
from hoopx_cli.watch_board import Board, Card, Prompt

# Below this nothing can be read; at 80x24 all is there.
LEAST_COLUMNS, LEAST_ROWS = 20, 6
_NARROW = 60  # columns; below, values begin behind their names
_NAMES = 14  # columns for the longest name
_ROW = 2  # lines of a request in the list

Keys = Sequence[tuple[str, str]]

_LIST_KEYS: Keys = (("Enter", "open"), ("↑↓", "move"), ("q", "quit"))
_CARD_KEYS: Keys = (("a", "approve"), ("d", "deny"), ("Esc", "back"), ("Space", "on"), ("q", "quit"))
_READ_KEYS: Keys = (("Space", "read on"), ("d", "deny"), ("Esc", "back"), ("q", "quit"))
_OVER_KEYS: Keys = (("Esc", "back"), ("Space", "on"), ("q", "quit"))


class View(Struct, frozen=True):
    """A painted screen. `cursor` is the row and column (from 0) where something is typed, None where nothing is."""

    lines: list[Line]
    cursor: tuple[int, int] | None = None


def paint(board: Board, columns: int, rows: int, now: float, where: str) -> View:
    """`where` says whose list it is, and how the broker is. Tells the board how far its card has been read."""
    if columns < LEAST_COLUMNS or rows < LEAST_ROWS:
        return View(_filled([Line(cut("this window is too small", columns))], rows))
    body = rows - 3
    if board.card is None:
        board.page = max(body // _ROW, 1)
        lines = _list(board, columns, body, now)
        keys = _LIST_KEYS
        head = _title(f"{len(board.waiting)} to decide", where, columns)
    else:
        board.page = max(body - 1, 1)
        lines = _card(board, board.card, columns, body)
        keys = _keys_of(board.card)
        head = _title(board.card.request.id, where, columns)
    foot, cursor = _foot(board, keys, columns)
    return View([head, *_filled(lines, body), *foot], (rows - 1, cursor) if cursor is not None else None)


def _title(what: str, where: str, columns: int) -> Line:
    left = f"hoopx approve · {what}"
    gap = columns - width(left) - width(where)
    return Line(cut(f"{left}{' ' * gap}{where}" if gap > 1 else left, columns), Style.STRONG)


def _list(board: Board, columns: int, rows: int, now: float) -> list[Line]:
    if not board.waiting:
        return [Line(), Line(cut("  nothing waits for you; what does comes here by itself", columns), Style.FAINT)]
    ids = list(board.waiting)
    shown = max(rows // _ROW, 1)
    first = min(max(ids.index(board.chosen) - shown // 2, 0), max(len(ids) - shown, 0))
    lines: list[Line] = []
    for id_ in ids[first : first + shown]:
        one = board.waiting[id_]
        is_chosen, is_fresh = id_ == board.chosen, id_ in board.fresh
        lines += _row(one, columns, now, is_chosen=is_chosen, is_fresh=is_fresh)
    return lines


def _row(one: RequestView, columns: int, now: float, *, is_chosen: bool, is_fresh: bool) -> Iterator[Line]:
    mark = (">" if is_chosen else " ") + ("*" if is_fresh else " ")
    style = Style.CHOSEN if is_chosen else Style.STRONG if is_fresh else Style.PLAIN
    head = f"{mark} {requester_of(one)} · {asked_for(one)}"
    left = f"{spoken(one.expires_at - now)} left"
    gap = columns - width(inert(head)) - width(left)
    head = f"{inert(head)}{' ' * gap}{left}" if gap > 1 else head
    yield Line(_to_the_edge(cut(head, columns), columns) if is_chosen else cut(head, columns), style)
    beside = f" · {missing(one)}" if one.ballots else ""
    yield Line(cut(f"     {gist(one) or one.id}{beside}", columns), Style.FAINT)


def _card(board: Board, card: Card, columns: int, rows: int) -> list[Line]:
    """What is seen here counts as read; other widths break lines elsewhere, so there it begins anew."""
    essential = list(_laid(essence(card.request), columns))
    past = history(card.past) if card.past else []
    lines = [*essential, *_laid(circumstances(card.request), columns), *_laid(past, columns)]
    room = rows if len(lines) <= rows else rows - 1  # the last line says what is below
    top = min(max(card.top, 0), max(len(lines) - room, 0))
    read_to = card.read_to if card.columns == columns or card.is_read else 0
    if top <= read_to:
        read_to = max(read_to, top + room)
    board.card = replace(card, top=top, read_to=read_to, essential=len(essential), columns=columns)
    below = len(lines) - top - room
    more = [Line(cut(f"-- {_lines(below)} below --" if below else "-- end --", columns), Style.STRONG)]
    return [*lines[top : top + room], *(more if room < rows else [])]


def _laid(facts: Sequence[tuple[str, str]], columns: int) -> Iterator[Line]:
    """`name   value`. A statement has the whole width."""
    column = _NAMES if columns >= _NARROW else 0
    for name, value in facts:
        style = _STYLES.get(name, Style.PLAIN)
        if name in _EXACT:
            yield Line(f"{name}:", Style.FAINT)
            yield from (Line(text, style) for text in exactly(value, columns))
            continue
        if column:
            pieces = list(wrapped(value, columns - column))
            yield from (
                Line(f"{name + ':' if not at else '':{column}}{piece}", style) for at, piece in enumerate(pieces)
            )
        else:
            pieces = list(wrapped(f"{name}: {value}", columns - 2))
            yield from (Line(f"{'  ' if at else ''}{piece}", style) for at, piece in enumerate(pieces))


_EXACT = frozenset({"statement", "reads as"})
_STYLES = {"statement": Style.EXACT, "beware": Style.WARNING, "asks for": Style.STRONG}


def _keys_of(card: Card) -> Keys:
    if not card.is_open:
        return _OVER_KEYS
    return _CARD_KEYS if card.is_read else _READ_KEYS


def _foot(board: Board, keys: Keys, columns: int) -> tuple[list[Line], int | None]:
    """Two lines: what happened last, and what can be typed; or a vote that is being written."""
    if board.prompt is not None and board.card is not None:
        return _asking(board.prompt, board.card, columns)
    note = board.note
    if not note and board.card is not None and not board.card.is_open:
        note = f"it is {board.card.request.state} by now and cannot be answered"
    style = Style.WARNING if note else Style.PLAIN
    return [Line(cut(note, columns), style), Line(_fitted(keys, columns), Style.FAINT)], None


def _asking(prompt: Prompt, card: Card, columns: int) -> tuple[list[Line], int]:
    question = f"{prompt.verdict} {card.request.id}? Enter: yes, Esc: back"
    label = "comment: "
    text, room = inert(prompt.comment), columns - len(label) - 1
    while width(text) > room:
        text = text[1:]
    return [Line(cut(question, columns), Style.WARNING), Line(label + text)], len(label) + width(text)


def _fitted(keys: Keys, columns: int) -> str:
    """As many as there is room for; the first matter most."""
    line = ""
    for key, word in keys:
        longer = f"{line}{'  ' if line else ''}{key} {word}"
        if width(longer) > columns:
            break
        line = longer
    return line


def _to_the_edge(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


def _lines(count: int) -> str:
    return "1 more line" if count == 1 else f"{count} more lines"


def _filled(lines: Sequence[Line], rows: int) -> list[Line]:
    return [*lines[:rows], *([Line()] * (rows - len(lines)))]
