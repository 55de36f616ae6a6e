"""Play a recording: what has been told so far, what comes next and when. Pure but for reading the recording."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from hoopx_broker.recording.places import Place, Played, Reading, Tape
from hoopx_broker.recording.replay import SAID, Narrator
from hoopx_broker.terms.entries import Ended, Entry, Failed, Notice, Statement, StreamClosed, Terminal
from hoopx_cli.keys import Char, Key, Typed
from hoopx_cli.screen import Style

if TYPE_CHECKING:
    from hoopx_broker.recording.terminals import Shown

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
STEP_SECONDS, LEAP_SECONDS = 5.0, 60.0
# What is told and can be looked back at. A line longer than a piece is kept in pieces.
KEPT_LINES, PIECE = 2_000, 4_000
# Lines that are taken up before keys are looked at again.
AT_ONCE = 2_000
# Screens as they were are kept after so much output; the distance doubles when there would be more than so many.
_SCREENS_APART, _MAX_SCREENS = 1 << 16, 32
_MAX_TERMINALS = 16

Told = tuple[str, Style]


class _Kept(Struct):
    """How things stood before `coming`, to go back to."""

    place: Place
    coming: Played | None
    seconds: float
    statement: int
    terminals: dict[str, Shown]
    front: str


class Player:
    """`position` is in seconds of the recording. Time that passes is told by `elapse`; keys are told by `press`."""

    def __init__(self, tape: Tape, shown: Callable[[], Shown], speed: float = 1.0, longest: float = 2.0) -> None:
        """`longest` bounds the seconds waited for one entry; `shown` makes a terminal to show one on."""
        self.tape = tape
        self.speed = speed
        self.is_paused = False
        self.note = ""
        self.page = 1  # lines that a page key moves by; the screen tells
        self.back = 0  # lines that are looked back
        self.longest_back = 0  # as many as there are; the screen tells
        self._shown = shown
        self._longest = longest
        self._apart = _SCREENS_APART
        self._kept: list[_Kept] = []
        self._begin(tape.places[0])

    def _begin(self, place: Place) -> None:
        self.story: deque[Told] = deque(maxlen=KEPT_LINES)
        self.terminals: dict[str, Shown] = {}
        self.front = ""  # the stream whose terminal is looked at
        self._narrator = Narrator(place.results)
        self._reading: Reading = self.tape.read(place)
        self._lines: Iterator[Told] = iter(())
        self._is_telling = False
        self._coming = next(self._reading, None)
        self._fed = 0
        self._at(place.seconds, place.statements)

    def _at(self, seconds: float, statement: int) -> None:
        self._seconds, self.statement, self._waited = seconds, statement, 0.0

    # How it stands.

    @property
    def is_over(self) -> bool:
        return self._coming is None

    @property
    def position(self) -> float:
        if self._coming is None:
            return self._seconds
        return min(self._seconds + self._waited * self.speed, self._coming.seconds)

    @property
    def patience(self) -> float | None:
        """Seconds until something happens by itself; None where nothing does."""
        if self._is_telling:
            return 0.0
        if self.is_paused or self._coming is None:
            return None
        return max(self._pause(self._coming) - self._waited, 0.0)

    @property
    def screen(self) -> Shown | None:
        """The terminal that is looked at, None where it is the story."""
        return self.terminals.get(self.front)

    def _pause(self, coming: Played) -> float:
        return min(max(coming.seconds - self._seconds, 0.0) / self.speed, self._longest)

    # What moves it on.

    def elapse(self, seconds: float) -> None:
        """So much time has passed."""
        lines = self._take_lines()
        if self.is_paused:
            return
        self._waited += seconds
        while lines < AT_ONCE and self._coming is not None and self._waited >= (pause := self._pause(self._coming)):
            left = self._waited - pause
            self._tell(self._coming)
            self._waited = left
            lines += 1 + self._take_lines()

    def step(self) -> None:
        """Tell the next entry, and pause."""
        self.is_paused = True
        if self._coming is not None:
            self._tell(self._coming)
            self._take_lines()

    def go_to(self, seconds: float) -> None:
        """Stand at a moment: what happened until then has been told."""
        seconds = min(max(seconds, 0.0), self.tape.seconds)
        self._go(
            lambda: self.tape.before(seconds=seconds, earlier=1), lambda coming: coming.seconds <= seconds, seconds
        )
        self._at(max(seconds, self._seconds), self.statement)

    def go_to_statement(self, number: int) -> None:
        """Stand where the statement of this number, of all in the recording, has just been told."""
        number = min(number, self.tape.statements)
        if number < 1:
            self.go_to(0.0)
            return
        self._go(
            lambda: self.tape.before(statement=number, earlier=1),
            lambda coming: self.statement < number and coming.statement <= number,
            None,
            number,
        )

    def _go(
        self,
        place: Callable[[], Place],
        is_before: Callable[[Played], bool],
        seconds: float | None,
        statement: int | None = None,
    ) -> None:
        is_ahead = self.statement <= statement if statement is not None else self._seconds <= (seconds or 0.0)
        is_behind = self.statement == statement if statement is not None else False
        if not self.tape.has_terminal:
            self._begin(place())
        elif not is_ahead or is_behind:
            self._recall(seconds, statement)
        self.back = 0
        while self._coming is not None and is_before(self._coming):
            self._tell(self._coming)
        self._take_lines()

    def _recall(self, seconds: float | None, statement: int | None) -> None:
        """Go back to the last screens that were kept before there, or to the beginning."""
        for kept in reversed(self._kept):
            if kept.seconds < seconds if seconds is not None else kept.statement < (statement or 0):
                self._begin(kept.place)
                self._coming = kept.coming
                self.terminals = {stream: shown.copy() for stream, shown in kept.terminals.items()}
                self.front = kept.front
                self._at(kept.seconds, kept.statement)
                return
        self._begin(self.tape.places[0])

    def _tell(self, played: Played) -> None:
        self._finish_lines()
        self._at(played.seconds, played.statement)
        self.back = 0
        if isinstance(played.entry, Terminal):
            self._show(played.entry)
        else:
            if isinstance(played.entry, StreamClosed):
                self.terminals.pop(played.entry.stream, None)
            self._lines = _pieces(self._narrator.tell(played.seconds, played.entry), played.entry)
            self._is_telling = True
            if not isinstance(played.entry, Notice):
                self.front = ""
        self._coming = next(self._reading, None)
        if self._fed >= self._apart:
            self._keep()

    def _show(self, entry: Terminal) -> None:
        if entry.stream not in self.terminals:
            if len(self.terminals) >= _MAX_TERMINALS:
                del self.terminals[next(iter(self.terminals))]
            self.terminals[entry.stream] = self._shown()
        self.terminals[entry.stream].take(entry)
        self.front = entry.stream
        self._fed += len(entry.data)

    def _keep(self) -> None:
        self._fed = 0
        if self._kept and self._kept[-1].seconds >= self._seconds:
            return
        if len(self._kept) >= _MAX_SCREENS:
            self._kept, self._apart = self._kept[::2], 2 * self._apart
        terminals = {stream: shown.copy() for stream, shown in self.terminals.items()}
        here = self._reading.here()
        self._kept.append(_Kept(here, self._coming, self._seconds, self.statement, terminals, self.front))

    def _take_lines(self) -> int:
        """Of the entry that is being told, as many lines as are taken up at once."""
        for taken in range(AT_ONCE):
            line = next(self._lines, None)
            if line is None:
                self._is_telling = False
                return taken
            self.story.append(line)
        return AT_ONCE

    def _finish_lines(self) -> None:
        self.story.extend(self._lines)

    # What the person types.

    def press(self, typed: Typed) -> bool:
        """False where they have had enough."""
        self.note = ""
        match typed:
            case Char("q") | Key.ESCAPE:
                return False
            case Char(" ") if self.is_over:
                self.go_to(0.0)
                self.is_paused = False
            case Char(" "):
                self.is_paused = not self.is_paused
            case Char("." | "n") | Key.ENTER:
                self.step()
            case Char("+" | "="):
                self._change_speed(1)
            case Char("-"):
                self._change_speed(-1)
            case _:
                self._move(typed)
        return True

    def _move(self, typed: Typed) -> None:
        match typed:
            case Key.RIGHT | Char("l"):
                self.go_to(self.position + STEP_SECONDS)
            case Key.LEFT | Char("h"):
                self.go_to(self.position - STEP_SECONDS)
            case Char(">"):
                self.go_to(self.position + LEAP_SECONDS)
            case Char("<"):
                self.go_to(self.position - LEAP_SECONDS)
            case Key.DOWN | Char("j"):
                self.go_to_statement(self.statement + 1)
            case Key.UP | Char("k"):
                self.go_to_statement(self.statement - 1)
            case Key.HOME | Char("g"):
                self.go_to(0.0)
            case Key.END | Char("G"):
                self.go_to(self.tape.seconds)
            case Key.PAGE_UP:
                self.is_paused, self.back = True, min(self.back + self.page, self.longest_back)
            case Key.PAGE_DOWN:
                self.back = max(self.back - self.page, 0)
            case _:
                pass

    def _change_speed(self, by: int) -> None:
        waited = self._waited * self.speed
        known = [each for each in SPEEDS if (each > self.speed if by > 0 else each < self.speed)]
        self.speed = (known[0] if by > 0 else known[-1]) if known else self.speed
        self._waited = waited / self.speed


def _pieces(lines: Iterator[str], entry: Entry) -> Iterator[Told]:
    for line in lines:
        style = _style(line, entry)
        for at in range(0, max(len(line), 1), PIECE):
            yield line[at : at + PIECE], style


def _style(line: str, entry: Entry) -> Style:
    is_said = line.startswith(SAID)
    match entry:
        case Statement():
            if is_said:
                return Style.EXACT
            return {"deny": Style.BAD, "ask": Style.WARNING}.get(entry.ruling, Style.STRONG)
        case Failed():
            return Style.BAD
        case Notice(approval=None, unmask=None):
            return Style.FAINT
        case Notice():
            return Style.WARNING
        case Ended():
            return Style.STRONG
        case _:
            return Style.PLAIN
