"""Put together what a recording tells of each statement: its ruling, what it ran with, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from msgspec import Struct

from hoopx_broker.recording.cells import form_of, shown
from hoopx_broker.recording.replay import Moment
from hoopx_broker.terms.entries import (
    CopyData,
    Ended,
    Entry,
    Executed,
    Failed,
    Finished,
    Notice,
    Opened,
    Statement,
    StreamClosed,
)

# What waits for its end, and what may be run again, is kept within these; beyond, a row is written before its end is
# known, or names the statement that has its text. Nothing is left out.
MAX_OPEN = 10_000
MAX_TEXT = 16 << 20


class Ran(Struct):
    """A statement as it was sent, or one run of what was prepared: `statement` is the number of that then, else 0.

    `at` and `ended_at` are seconds since the Unix epoch, `ended_at` 0 where no end is known. `tag` is the server's;
    `rows` came back, `affected` is what the tag counts. `ruling` is empty for a run, whose ruling is that of what was
    prepared. `effects` and `tables` are what policy was asked about. `has_text` is false where only the entry of
    `statement` has the text. `is_prepared` where it was seen to be run so, `asked` where people were asked about it.
    `waited` is how many seconds its ruling took, people included, `copied` how many bytes of COPY data there were.
    """

    stream: str
    n: int
    at: float
    text: str = ""
    has_text: bool = True
    statement: int = 0
    ruling: str = ""
    rules: tuple[str, ...] = ()
    reason: str = ""
    masked: tuple[str, ...] = ()
    request: str = ""
    parameters: tuple[str | None, ...] = ()
    ended_at: float = 0
    tag: str = ""
    rows: int = 0
    affected: int = 0
    effects: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    is_prepared: bool = False
    asked: bool = False
    code: str = ""
    error: str = ""
    shadow: str = ""
    waited: float = 0
    copied: int = 0

    @property
    def seconds(self) -> float | None:
        return max(self.ended_at - self.at, 0.0) if self.ended_at else None


def statements(told: Iterable[Moment]) -> Iterator[Ran]:
    """Each in the order in which it ended; what never ran stands where its stream closes."""
    fold = Fold()
    for seconds, entry in told:
        yield from fold.take(seconds, entry)
    yield from fold.rest()


class Fold:
    """Takes one entry after the other, and gives what is complete. Its memory is bounded."""

    def __init__(self) -> None:
        self.opened_at = 0.0
        self._open: dict[tuple[str, int], Ran] = {}
        self._answered: dict[str, int] = {}  # by stream, the one that has ended: an end may come in several parts
        self._asked: set[str] = set()  # streams in which people were asked about what comes next
        self._texts: dict[tuple[str, int], str] = {}
        self._size = 0
        self._weight = 0  # of what is open

    def take(self, seconds: float, entry: Entry) -> Iterator[Ran]:
        at = self.opened_at + seconds
        match entry:
            case Opened():
                self.opened_at = entry.opened_at
            case Statement():
                yield from self._others(entry.stream, entry.n)
                yield from self._begin(_sent(entry, at))
                self._remember(entry)
            case Executed():
                yield from self._others(entry.stream, entry.n)
                text = self._texts.get((entry.stream, entry.statement))
                if (prepared := self._open.get((entry.stream, entry.statement))) is not None:
                    prepared.is_prepared = True
                yield from self._begin(_run(entry, at, text))
            case CopyData():
                if (copying := self._open.get((entry.stream, entry.n))) is not None:
                    copying.copied += entry.length or len(entry.data)
            case Finished() | Failed():
                yield from self._others(entry.stream, entry.n)
                self._end(entry, at)
            case Notice(approval=approval) if approval is not None and entry.stream and approval.event == "asked":
                self._asked.add(entry.stream)
            case StreamClosed():
                yield from self._all(entry.stream)
                self._forget(entry.stream)
            case Ended():
                yield from self.rest()
            case _:
                pass

    def rest(self) -> Iterator[Ran]:
        """What is open at the end of a recording."""
        for stream in dict.fromkeys(stream for stream, _ in self._open):
            yield from self._all(stream)

    def _begin(self, ran: Ran) -> Iterator[Ran]:
        self._weight += _weight(ran)
        while self._open and (len(self._open) >= MAX_OPEN or self._weight > MAX_TEXT):
            yield self._taken(next(iter(self._open)))
        ran.asked = bool(ran.request) or ran.stream in self._asked
        self._asked.discard(ran.stream)
        self._open[ran.stream, ran.n] = ran

    def _end(self, entry: Finished | Failed, at: float) -> None:
        ran = self._open.setdefault((entry.stream, entry.n), Ran(entry.stream, entry.n, at, has_text=False))
        ran.ended_at = at
        if isinstance(entry, Finished):
            ran.tag = "; ".join(filter(None, (ran.tag, entry.tag)))
            ran.rows += entry.rows
            ran.affected += entry.affected
        else:
            ran.code, ran.error = entry.code, f"{entry.severity}: {entry.message}"
        self._answered[entry.stream] = entry.n

    def _others(self, stream: str, n: int) -> Iterator[Ran]:
        """Nothing more comes of what has ended as soon as something else goes on."""
        done = self._answered.get(stream, n)
        if done != n:
            del self._answered[stream]
            if (stream, done) in self._open:  # or it had to make room
                yield self._taken((stream, done))

    def _all(self, stream: str) -> Iterator[Ran]:
        self._answered.pop(stream, None)
        for key in [key for key in self._open if key[0] == stream]:
            yield self._taken(key)

    def _taken(self, key: tuple[str, int]) -> Ran:
        ran = self._open.pop(key)
        self._weight -= _weight(ran)
        return ran

    def _remember(self, entry: Statement) -> None:
        self._texts[entry.stream, entry.n] = entry.text
        self._size += len(entry.text)
        while self._size > MAX_TEXT or len(self._texts) > MAX_OPEN:
            self._size -= len(self._texts.pop(next(iter(self._texts))))

    def _forget(self, stream: str) -> None:
        for key in [key for key in self._texts if key[0] == stream]:
            self._size -= len(self._texts.pop(key))


def _sent(entry: Statement, at: float) -> Ran:
    return Ran(
        entry.stream, entry.n, at, entry.text, ruling=entry.ruling, rules=entry.rules, reason=entry.reason,
        masked=entry.masked, effects=entry.effects, tables=entry.tables, request=entry.request or "",
        shadow=entry.shadow, waited=entry.took_us / 1e6,
    )  # fmt: skip


def _run(entry: Executed, at: float, text: str | None) -> Ran:
    values = tuple(shown(value, 0, form_of(entry.formats, place)) for place, value in enumerate(entry.parameters))
    return Ran(
        entry.stream, entry.n, at, text or "", has_text=text is not None, statement=entry.statement,
        request=entry.request or "", parameters=values, shadow=entry.shadow, waited=entry.took_us / 1e6,
    )  # fmt: skip


def _weight(ran: Ran) -> int:
    return len(ran.text) + sum(len(value or "") for value in ran.parameters)


def written(seconds: float) -> str:
    """A time as RFC 3339 has it, to the millisecond; empty for what is no time."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return ""
