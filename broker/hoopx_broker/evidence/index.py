"""Keep what sessions are found by: gathered as they go, made from their recordings where that failed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import BinaryIO

import msgspec
from msgspec import Struct

from hoopx_broker.evidence.marks import Gathering
from hoopx_broker.evidence.readings import Readings
from hoopx_broker.recording.failures import Locked
from hoopx_broker.recording.format import Reader
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.storage.errors import StateFailed
from hoopx_broker.storage.marks import Mark, Marks, State, Told
from hoopx_broker.terms.entries import Entry, Executed, Notice, Opened, Statement
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.terms.ids import SessionId

FLUSH_SECONDS = 3.0  # so much later than it happens something may be found
REBUILD_SECONDS = 60.0
# What waits for the next flush. Of a session that says more in that time, the recording is read when it is over.
MAX_WAITING = 4 << 20
# Statements that need not be looked at again; by their hashes, which nobody can foresee.
_MAX_SEEN = 4_096
_AT_ONCE = 20


class Trace:
    """What one session is found by, gathered on the way of its statements: `hear` costs next to nothing."""

    __slots__ = ("_drained", "_gathering", "_recorder", "_seen", "_size", "_waiting", "is_overrun", "session")

    def __init__(self, opened: Opened, recorder: Recorder, *, keeps_words: bool) -> None:
        self.session = SessionId(opened.session)
        self.is_overrun = False
        self._recorder = recorder
        self._gathering = Gathering(keeps_words=keeps_words)
        self._seen: set[int] = set()
        self._waiting: list[Entry] = [opened]
        self._size = 0
        self._drained = (0, 0, False)

    def hear(self, entries: Sequence[Entry]) -> None:
        """These are in the recording."""
        for entry in entries:
            kind = type(entry)
            if kind is Statement:
                self._hear_statement(entry)  # type: ignore[arg-type]
            elif kind is Notice or kind is Executed:
                self._hear_request(entry)

    def _hear_statement(self, entry: Statement) -> None:
        known = hash((entry.text, entry.ruling, entry.rules, entry.request, entry.effects, entry.tables))
        if known in self._seen:
            return
        if len(self._seen) >= _MAX_SEEN:
            self._seen.clear()
        self._seen.add(known)
        self._keep(entry, len(entry.text))

    def _hear_request(self, entry: Entry) -> None:
        if isinstance(entry, Notice):
            if entry.approval is not None:
                self._keep(entry, 1_000)
        elif isinstance(entry, Executed) and entry.request:
            self._keep(Executed(entry.stream, entry.n, entry.statement, request=entry.request), 1_000)

    def _keep(self, entry: Entry, size: int) -> None:
        if self._size + size > MAX_WAITING:
            self.is_overrun = True
            return
        self._size += size + 100
        self._waiting.append(entry)

    def drain(self) -> Drained | None:
        """What is new since the last time, to be digested; None where nothing is. Called where `hear` is."""
        facts = (self._recorder.statements, self._recorder.denied, self._is_more)
        if not self._waiting and facts == self._drained:
            return None
        drained = Drained(self, tuple(self._waiting), *facts[:2])
        self._waiting, self._size, self._drained = [], 0, facts
        return drained

    def digest(self, drained: Drained) -> Told:
        """Takes its time, and may be called in a thread; not in two."""
        marks: list[Mark] = []
        for entry in drained.entries:
            marks += self._gathering.take(entry)
        marked = State.MORE if self._is_more else None
        return Told(self.session, tuple(marks), drained.statements, drained.denied, marked)

    @property
    def _is_more(self) -> bool:
        return self.is_overrun or self._gathering.has_more

    def end(self) -> int:
        """What is known of it now that everything was taken."""
        if self.is_overrun:
            return State.OPEN
        return State.MORE if self._gathering.has_more else State.WHOLE


class Drained(Struct, frozen=True):
    """What a trace heard since the last time."""

    trace: Trace
    entries: tuple[Entry, ...]
    statements: int
    denied: int


class Index:
    """Gathers of the sessions that are open here, and rebuilds of those of `home` that are over.

    `keeps_words` is false where recordings are encrypted.
    """

    def __init__(
        self,
        marks: Marks,
        readings: Readings,
        home: str,
        report: Callable[[str, BaseException], None],
        *,
        keeps_words: bool = True,
    ) -> None:
        self._marks = marks
        self._readings = readings
        self._home = home
        self._report = report
        self._keeps_words = keeps_words
        self._traces: dict[SessionId, Trace] = {}
        self._flushing = asyncio.Lock()

    def begin(self, opened: Opened, recorder: Recorder) -> Trace:
        """Of a session whose row is there."""
        trace = Trace(opened, recorder, keeps_words=self._keeps_words)
        self._traces[trace.session] = trace
        return trace

    async def finish(self, session: SessionId) -> None:
        """Its recording is closed. What fails here is made from the recording later."""
        trace = self._traces.pop(session, None)
        if trace is None:
            return
        try:
            async with self._flushing:
                drained = trace.drain()
                told = await asyncio.to_thread(trace.digest, drained) if drained else Told(session)
                await self._marks.add([msgspec.structs.replace(told, marked=trace.end())])
        except StateFailed as error:
            self._report("index", error)

    async def flush(self) -> None:
        """What was said so far is found from now on. Raises `StateFailed`."""
        async with self._flushing:
            drained = [news for trace in self._traces.values() if (news := trace.drain()) is not None]
            if drained:
                await self._keep(await asyncio.to_thread(_digested, drained))

    async def _keep(self, told: Sequence[Told]) -> None:
        try:
            await self._marks.add(told)
        except BaseException:
            for one in told:  # whatever of it is missing is made from the recording
                if trace := self._traces.get(one.session):
                    trace.is_overrun = True
            raise

    async def run(self) -> None:
        """Until it is cancelled."""
        clock = asyncio.get_running_loop().time
        rebuilt = -REBUILD_SECONDS
        while True:
            try:
                await self.flush()
                if clock() - rebuilt >= REBUILD_SECONDS:
                    await self.rebuild()
                    rebuilt = clock()
            except StateFailed as error:
                self._report("index", error)
            await asyncio.sleep(FLUSH_SECONDS)

    async def rebuild(self) -> int:
        """Make the marks of all sessions that are over and have none, or not all; gives how many there were."""
        done = 0
        while found := await self._marks.unmarked(self._home, _AT_ONCE):
            for session in found:
                await self._marks.add([await self._read(session)])
                done += 1
        return done

    async def _read(self, session: SessionId) -> Told:
        work = partial(read_told, session, keeps_words=self._keeps_words)
        try:
            return await self._readings.read(session, work)
        except Locked:
            return Told(session, marked=State.UNREADABLE, is_wordless=True)
        except HoopxError:
            return Told(session, marked=State.UNREADABLE)


def read_told(session: SessionId, file: BinaryIO, *, keeps_words: bool = True) -> Told:
    """All that a recording tells, as far as there is room. Raises a `HoopxError`."""
    gathering, marks = Gathering(keeps_words=keeps_words), list[Mark]()
    statements = denied = 0
    for recorded in Reader(file):
        marks += gathering.take(recorded.entry)
        if type(recorded.entry) is Statement:
            statements += 1
            denied += recorded.entry.ruling == "deny"
    marked = State.MORE if gathering.has_more else State.WHOLE
    return Told(session, tuple(marks), statements, denied, marked, is_wordless=not keeps_words)


def _digested(drained: Sequence[Drained]) -> list[Told]:
    return [news.trace.digest(news) for news in drained]
