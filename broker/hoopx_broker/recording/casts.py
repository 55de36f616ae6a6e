"""Write a recording as asciicast v3, for players: a terminal as it was, anything else as it is told.

The format is https://docs.asciinema.org/manual/asciicast/v3/.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from itertools import chain

from hoopx_broker.recording.inert import inert
from hoopx_broker.recording.replay import Moment, Narrator
from hoopx_broker.recording.sequences import size_of
from hoopx_broker.terms.entries import Entry, Executed, Opened, Statement, StreamClosed, Terminal

# A story has lines as long as they are; a player breaks them where its window ends.
COLUMNS, ROWS = 120, 40
_TERMINAL = (80, 24)
# Entries that are looked at to learn whether it is a terminal's.
_MAX_HEAD = 1_000
_EVENTS = frozenset("oir")


def cast(told: Iterable[Moment]) -> Iterator[str]:
    """Lines of pure ASCII: the header, then one event each, with the seconds since the one before.

    With a terminal the first one is played, escape codes and all: it is for a player that draws by itself. What else
    happened then stands in markers. Without one, every entry is told as `hoopx sessions replay` tells it.
    """
    entries = iter(told)
    head: list[Moment] = []
    for moment in entries:
        head.append(moment)
        if isinstance(moment[1], Statement | Executed | Terminal | StreamClosed) or len(head) >= _MAX_HEAD:
            break
    terminal = head[-1][1] if head and isinstance(head[-1][1], Terminal) else None
    opened = head[0][1] if head else None
    yield _header(opened, terminal)
    story = _Terminal(terminal.stream) if terminal else _Story()
    before = 0
    for seconds, entry in chain(head, entries):
        for code, data in story.events(seconds, entry):
            now = round(seconds * 1e6)
            yield json.dumps([(now - before) / 1e6, code, data])
            before = now


def _header(opened: Entry | None, terminal: Terminal | None) -> str:
    columns, rows = (COLUMNS, ROWS) if terminal is None else _TERMINAL
    if terminal is not None and terminal.event == "r":
        columns, rows = size_of(terminal.data) or _TERMINAL
    header: dict[str, object] = {"version": 3, "term": {"cols": columns, "rows": rows}}
    if isinstance(opened, Opened):
        header["timestamp"] = int(opened.opened_at)
        header["title"] = f"{inert(opened.session)}: {inert(opened.principal.user)} on {inert(opened.target)}"
    return json.dumps(header)


class _Story:
    def __init__(self) -> None:
        self._narrator = Narrator()

    def events(self, seconds: float, entry: Entry) -> Iterator[tuple[str, str]]:
        for line in self._narrator.tell(seconds, entry):
            yield "o", f"{line}\r\n"


class _Terminal:
    """One terminal. A second one cannot be on the same screen: that it is left out is said."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._narrator = Narrator()
        self._decoders = {event: codecs.getincrementaldecoder("utf-8")("replace") for event in "oi"}
        self._left_out: set[str] = set()

    def events(self, seconds: float, entry: Entry) -> Iterator[tuple[str, str]]:
        if not isinstance(entry, Terminal):
            first = next(iter(self._narrator.tell(seconds, entry)), "")
            if first:
                yield "m", first.strip()
        elif entry.stream != self._stream:
            if entry.stream not in self._left_out:
                self._left_out.add(entry.stream)
                yield "m", f"the terminal of {inert(entry.stream)} is not in this cast"
        elif entry.event == "r":
            if size := size_of(entry.data):
                yield "r", f"{size[0]}x{size[1]}"
        elif entry.event in _EVENTS and (text := self._decoders[entry.event].decode(entry.data)):
            yield entry.event, text
