"""`hoopx sessions replay` on a terminal: a player with keys; told line by line where there is nobody to press them."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from itertools import chain, islice
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct

from hoopx_broker.recording.locks import AgeIdentity
from hoopx_broker.recording.places import Played, Tape
from hoopx_broker.recording.replay import Moment, Narrator, jsonl, moments
from hoopx_broker.terms.entries import Columns
from hoopx_broker.terms.errors import BadInput
from hoopx_cli.folding import tell_folded
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form
from hoopx_cli.player import Player

if TYPE_CHECKING:
    from hoopx_broker.recording.terminals import Shown
    from hoopx_cli.terminal import Terminal

_TICK = 0.25  # seconds, after which the position is shown anew
_LONGEST_TURN = 0.5  # seconds that count as passed: the process may have been stopped
_HUNG_UP = 129


class Wanted(Struct, frozen=True):
    """`begin` is seconds after the opening, `statement` the name of one; `longest` bounds every pause, in seconds."""

    begin: float | None
    statement: str
    speed: float
    longest: float
    identity: AgeIdentity | None


def replay_file(kit: Kit, file: BinaryIO, wanted: Wanted) -> None:
    """Show the recording that begins where `file` stands."""
    is_from_within = wanted.begin is not None or wanted.statement
    if wanted.speed and has_screen(kit):
        play(kit, tape_of(kit, file, wanted), wanted)
        return
    first, results, told = 1, list[Columns](), moments(file, wanted.identity)
    if is_from_within:
        results, there = from_there(tape_of(kit, file, wanted), wanted.begin)
        head = list(islice(there, 1))
        first = head[0].seq if head else 1
        told = ((each.seconds, each.entry) for each in chain(head, there))
    if kit.out.form is Form.JSON:
        for line in jsonl(told, first, results):
            kit.out.data(line)
        return
    tell(kit, Narrator(results), told, wanted.speed, wanted.longest)


def has_screen(kit: Kit) -> bool:
    """Whether there is a terminal on both ends, and somebody who looks at it."""
    is_screen = kit.out.is_live and kit.out.is_terminal and sys.stdin.isatty() and kit.out.form is Form.TABLE
    return is_screen and find_spec("termios") is not None


def tape_of(kit: Kit, file: BinaryIO, wanted: Wanted) -> Tape:
    """Read it through; that takes about 10 seconds a gigabyte."""
    try:
        return Tape(
            file,
            wanted.statement,
            wanted.identity,
            lambda read: kit.out.status(f"reading the recording: {read >> 20} MiB"),
        )
    finally:
        kit.out.status("")


def play(kit: Kit, tape: Tape, wanted: Wanted) -> None:
    """Until it is left. Raises what ends it; the terminal is as it was then."""
    from hoopx_cli.terminal import whole_terminal  # not on every system

    player = Player(tape, _terminals(tape), wanted.speed, wanted.longest)
    if wanted.begin is not None:
        player.go_to(wanted.begin)
    elif tape.found:
        player.go_to_statement(tape.found)
    before = signal.signal(signal.SIGHUP, _hang_up)
    try:
        with whole_terminal(kit.out.paint, has_colour=kit.out.has_colour) as terminal:
            _attend(player, terminal)
    finally:
        signal.signal(signal.SIGHUP, before)


def _attend(player: Player, terminal: Terminal) -> None:
    from hoopx_cli.keys import Key
    from hoopx_cli.replay_paint import paint

    then = time.monotonic()
    while True:
        terminal.paint(paint(player, *terminal.size()), None)
        patience = player.patience
        typed = terminal.typed(3600.0 if patience is None else min(max(patience, 0.01), _TICK))
        now = time.monotonic()
        player.elapse(min(now - then, _LONGEST_TURN))
        then = now
        for each in typed:
            if each is Key.REDRAW:
                terminal.forget()
            if not player.press(each):
                return


def _terminals(tape: Tape) -> Callable[[], Shown]:
    """What shows a recorded terminal. Raises `BadInput` where what it takes is not installed."""
    try:
        from hoopx_broker.recording.terminals import Shown
    except ImportError:
        if tape.has_terminal:
            hint = "install `hoopx[terminal]` to see it as one, or give --speed 0 for its text alone"
            raise BadInput("this session was at a terminal, and `pyte` is not installed", hint) from None
        return _no_terminal
    return Shown


def _no_terminal() -> Shown:
    raise TypeError("a terminal is shown in a recording that has none")


def _hang_up(number: int, frame: FrameType | None) -> None:
    sys.exit(_HUNG_UP)


def from_there(tape: Tape, begin: float | None) -> tuple[list[Columns], Iterator[Played]]:
    """The entries from a moment, or from the statement that the tape has found; and the results under way there."""
    place = tape.before(seconds=begin, statement=tape.found or None)
    results = {each.stream: each for each in place.results}
    reading = tape.read(place)
    for each in reading:
        if each.statement >= tape.found if begin is None else each.seconds >= begin:
            return list(results.values()), chain([each], reading)
        if isinstance(each.entry, Columns):
            results[each.entry.stream] = each.entry
    return [], iter(())


def tell(kit: Kit, narrator: Narrator, told: Iterable[Moment], speed: float, longest: float) -> None:
    """Line by line; at speed on a terminal."""
    before: float | None = None
    for seconds, entry in told:
        if speed and kit.out.is_terminal and before is not None:
            time.sleep(min(max(seconds - before, 0) / speed, longest))
        before = seconds
        for line in narrator.tell(seconds, entry):
            tell_folded(kit.out, line)
