"""Where in a recording to begin reading for a moment or a statement: an index of places, however long the recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from msgspec import Struct, structs

from hoopx_broker.recording.format import Reader
from hoopx_broker.recording.locks import AgeIdentity
from hoopx_broker.terms.entries import Columns, Entry, Executed, Statement, StreamClosed, Terminal
from hoopx_broker.terms.errors import BadInput

# A place is kept after so many entries, or so many bytes; both double whenever there would be more places than these.
ENTRIES_APART = 256
BYTES_APART = 1 << 18
MAX_PLACES = 2_048
# Of how many streams a place knows the result that is under way: their rows need its columns.
_MAX_RESULTS = 16
_TELL_EVERY = 1 << 24  # bytes


class Place(Struct, frozen=True):
    """Before an entry: what a reader needs to go on there, and what has been before."""

    reader: Reader
    seconds: float = 0
    statements: int = 0
    results: tuple[Columns, ...] = ()


class Played(Struct, frozen=True):
    """An entry in its place; `statement` counts the statements and executions up to and with it."""

    seq: int
    seconds: float
    entry: Entry
    statement: int


class Tape:
    """A recording that has been read once, to its end, and found whole: it can be read from any place.

    `wanted` names a statement as `hoopx sessions replay` shows it; `found` is its number among all, 0 where there is
    none. Raises `BrokenEvidence` as a reader does. `tell` hears how many bytes have been read.
    """

    def __init__(
        self,
        stream: BinaryIO,
        wanted: str = "",
        identity: AgeIdentity | None = None,
        tell: Callable[[int], None] = lambda read: None,
    ) -> None:
        self._stream = cast(BinaryIO, _Rest(stream))
        self._entries_apart, self._bytes_apart = ENTRIES_APART, BYTES_APART
        self.places: list[Place] = []
        self.seconds = 0.0
        self.statements = 0
        self.found = 0
        self.has_terminal = False
        self._wanted = _Wanted(wanted) if wanted else None
        self._read_through(Reader(self._stream, identity), tell)

    def _read_through(self, reader: Reader, tell: Callable[[int], None]) -> None:
        self._stream.seek(0)
        results: dict[str, Columns] = {}
        entries, told = 0, 0
        at = self._mark(reader, results)
        for recorded in reader:
            entries += 1
            self._count(recorded.entry, recorded.t_us / 1e6, results)
            if entries >= self._entries_apart or reader.offset - at >= self._bytes_apart:
                at, entries = self._mark(reader, results), 0
            if reader.offset - told >= _TELL_EVERY:
                told = reader.offset
                tell(told)
        if self._wanted is not None:
            self.found = self._wanted.only()

    def _count(self, entry: Entry, seconds: float, results: dict[str, Columns]) -> None:
        self.seconds = seconds
        match entry:
            case Statement() | Executed():
                self.statements += 1
                if self._wanted is not None:
                    self._wanted.look(entry, self.statements)
            case Columns():
                results.pop(entry.stream, None)
                results[entry.stream] = entry
                if len(results) > _MAX_RESULTS:
                    del results[next(iter(results))]
            case StreamClosed():
                results.pop(entry.stream, None)
            case Terminal():
                self.has_terminal = True
            case _:
                pass

    def _mark(self, reader: Reader, results: dict[str, Columns]) -> int:
        if len(self.places) >= MAX_PLACES:
            self.places = self.places[::2]
            self._entries_apart, self._bytes_apart = 2 * self._entries_apart, 2 * self._bytes_apart
        self.places.append(Place(reader.paused(), self.seconds, self.statements, tuple(results.values())))
        return reader.offset

    def read(self, place: Place) -> Reading:
        """Entries from there on; only one reading at a time."""
        self._stream.seek(place.reader.offset)
        return Reading(place)

    def before(self, *, seconds: float | None = None, statement: int | None = None, earlier: int = 0) -> Place:
        """The last place before a moment, or before the statement of this number; or so many places earlier."""
        at = len(self.places) - 1
        while at > 0 and not (
            (seconds is None or self.places[at].seconds < seconds)
            and (statement is None or self.places[at].statements < statement)
        ):
            at -= 1
        return self.places[max(at - earlier, 0)]


class Reading:
    """Entries from a place on; `here` is the place before the next one."""

    def __init__(self, place: Place) -> None:
        self._reader = place.reader.paused()
        self._rest = iter(self._reader)
        self._last = place

    def __iter__(self) -> Iterator[Played]:
        return self

    def __next__(self) -> Played:
        recorded = next(self._rest)
        seconds, statements = recorded.t_us / 1e6, self._last.statements
        statements += isinstance(recorded.entry, Statement | Executed)
        self._last = structs.replace(self._last, seconds=seconds, statements=statements)
        return Played(recorded.seq, seconds, recorded.entry, statements)

    def here(self) -> Place:
        return structs.replace(self._last, reader=self._reader.paused())


class _Rest:
    """A file from where it stands: a proof may be before the recording."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._start = stream, stream.tell()
        self.read = stream.read

    def seek(self, offset: int) -> int:
        return self._stream.seek(self._start + offset)


class _Wanted:
    """A statement by its name, `3` or `t_1#3`, looked for on the way."""

    def __init__(self, named: str) -> None:
        stream, _, number = named.rpartition("#")
        if not (number.isascii() and number.isdigit()):
            hint = "give one as `hoopx sessions replay` shows it: 3, t_1#3"
            raise BadInput(f"`{named}` is no number of a statement", hint)
        self._named, self._stream, self._n = named, stream, int(number)
        self._found: dict[str, int] = {}

    def look(self, entry: Statement | Executed, number: int) -> None:
        if entry.n == self._n and self._stream in ("", entry.stream) and len(self._found) < _MAX_RESULTS:
            self._found.setdefault(f"{entry.stream}#{entry.n}", number)

    def only(self) -> int:
        if not self._found:
            raise BadInput(
                f"the recording has no statement `{self._named}`", "`hoopx sessions replay` without it shows them all"
            )
        if len(self._found) > 1:
            raise BadInput(
                f"`{self._named}` is the number of several statements", f"say which: {', '.join(self._found)}"
            )
        return next(iter(self._found.values()))
