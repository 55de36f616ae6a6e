"""Tell of each statement of a recording what became of it: judged how, by which rules, what it gave and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec import Struct

from hoopx_broker.recording.cells import BINARY, form_of
from hoopx_broker.recording.format import Recorded
from hoopx_broker.terms.entries import CopyData, Ended, Executed, Failed, Finished, Statement, StreamClosed

# So many of a stream may be under way at once and still be told with their end; a client that sends more in one go is
# told of the first ones without it.
MAX_UNDER_WAY = 1_000
MAX_SIZE = 64 << 20  # characters


class Ran(Struct, omit_defaults=True):
    """A statement as it was judged, or (`runs` is the `n` of its statement then) one run of a prepared one.

    `seconds` is since the opening, `at` since the Unix epoch. `waited` is how long its ruling took, `took` from then to
    its end; `took` is None where no end is recorded. `rows` came as a result, `affected` is what its tag counts,
    `copied` bytes of COPY data. `error` is the last that the client saw, with its `code`. Parameters are texts, or
    hexadecimal after `\\x` where they came binary.
    """

    stream: str
    n: int
    at: float
    seconds: float
    ruling: str = ""
    rules: tuple[str, ...] = ()
    reason: str = ""
    masked: tuple[str, ...] = ()
    request: str | None = None
    shadow: str = ""
    effects: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    waited: float = 0
    took: float | None = None
    tags: tuple[str, ...] = ()
    rows: int = 0
    affected: int = 0
    copied: int = 0
    code: str = ""
    error: str = ""
    text: str = ""
    runs: int = 0
    parameters: tuple[str | None, ...] = ()


def statements(recorded: Iterable[Recorded], opened_at: float) -> Iterator[Ran]:
    """In the order in which they end; memory is needed for those alone that are under way."""
    streams: dict[str, _Stream] = {}
    for each in recorded:
        entry = each.entry
        match entry:
            case Statement() | Executed():
                stream = streams.setdefault(entry.stream, _Stream())
                yield from stream.begin(_begun(entry, each.t_us, opened_at), each.t_us)
            case Finished() | Failed() | CopyData():
                if (stream_ := streams.get(entry.stream)) is not None:
                    yield from stream_.hear(entry, each.t_us)
            case StreamClosed():
                if (closed := streams.pop(entry.stream, None)) is not None:
                    yield from closed.rest()
            case Ended():
                yield from _rests(streams)
            case _:
                pass
    yield from _rests(streams)


class _UnderWay(NamedTuple):
    ran: Ran
    begun_us: int
    size: int


class _Stream:
    """What is under way in one stream. A server answers in the order in which it is asked."""

    def __init__(self) -> None:
        self._under_way: dict[int, _UnderWay] = {}
        self._size = 0
        self._done = 0  # the last that is known to be over

    def begin(self, ran: Ran, t_us: int) -> Iterator[Ran]:
        yield from self._until(self._done)
        size = len(ran.text) + sum(len(value or "") for value in ran.parameters)
        self._under_way[ran.n] = _UnderWay(ran, t_us, size)
        self._size += size
        while len(self._under_way) > MAX_UNDER_WAY or (self._size > MAX_SIZE and len(self._under_way) > 1):
            yield self._taken(next(iter(self._under_way)))

    def hear(self, entry: Finished | Failed | CopyData, t_us: int) -> Iterator[Ran]:
        known = self._under_way.get(entry.n)
        if known is None:
            return
        ran = known.ran
        match entry:
            case CopyData():
                ran.copied += entry.length or len(entry.data)
                return
            case Finished():
                ran.tags += (entry.tag,) if entry.tag else ()
                ran.rows += entry.rows
                ran.affected += entry.affected
            case Failed():
                ran.code, ran.error = entry.code, entry.message
        ran.took = (t_us - known.begun_us) / 1e6
        self._done = max(self._done, entry.n)
        yield from self._until(entry.n - 1)  # its own end may come in several parts

    def rest(self) -> Iterator[Ran]:
        while self._under_way:
            yield self._taken(next(iter(self._under_way)))

    def _until(self, n: int) -> Iterator[Ran]:
        for each in [known for known in self._under_way if known <= n]:
            yield self._taken(each)

    def _taken(self, n: int) -> Ran:
        taken = self._under_way.pop(n)
        self._size -= taken.size
        return taken.ran


def _rests(streams: dict[str, _Stream]) -> Iterator[Ran]:
    for stream in streams.values():
        yield from stream.rest()
    streams.clear()


def _begun(entry: Statement | Executed, t_us: int, opened_at: float) -> Ran:
    seconds, waited = t_us / 1e6, entry.took_us / 1e6
    ran = Ran(entry.stream, entry.n, opened_at + seconds, seconds, request=entry.request, shadow=entry.shadow)
    ran.waited = waited
    match entry:
        case Statement():
            ran.ruling, ran.rules, ran.reason, ran.masked = entry.ruling, entry.rules, entry.reason, entry.masked
            ran.effects, ran.tables, ran.text = entry.effects, entry.tables, entry.text
        case Executed():
            ran.runs = entry.statement
            ran.parameters = tuple(
                _parameter(value, form_of(entry.formats, at)) for at, value in enumerate(entry.parameters)
            )
    return ran


def _parameter(value: bytes | None, form: int) -> str | None:
    if value is None:
        return None
    return "\\x" + value.hex() if form == BINARY else value.decode("utf-8", "backslashreplace")
