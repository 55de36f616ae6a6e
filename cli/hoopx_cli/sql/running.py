"""Run statements one after the other: their results go out as they come, what is said of them goes to people."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, assert_never

from msgspec import Struct

from hoopx_broker.terms.errors import ExitCode
from hoopx_broker.wire.postgres import refusals
from hoopx_cli.durations import spoken
from hoopx_cli.inert import inert_lines
from hoopx_cli.output import Form, Output
from hoopx_cli.sql import reports
from hoopx_cli.sql.forms import Csv, Json, JsonLines, Result, Table
from hoopx_cli.sql.happenings import (
    Column,
    Columns,
    CopyIn,
    CopyOut,
    Done,
    Failed,
    Report,
    Rows,
    Told,
)
from hoopx_cli.sql.tables import Shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hoopx_cli.signals import Signals
    from hoopx_cli.sql.link import Link
    from hoopx_cli.sql.pipes import Outlet

INTERRUPTED = 128 + signal.SIGINT
# A statement that takes longer than this is told of at a terminal.
LONG_SECONDS = 2.0
PROGRESS_SECONDS = 0.5

Data = AsyncIterator[bytes]


class Sink(Protocol):
    """Where the data of a COPY goes instead of standard output."""

    def write(self, chunk: bytes) -> bool:
        """False where no more is wanted."""


class Ran(Struct, frozen=True):
    """How a statement ended: `code` is what the command leaves with because of it."""

    code: int
    tag: str = ""


class Runner:
    """`patience` is how many seconds a statement may wait for people; 0 is as long as the broker holds it."""

    def __init__(self, out: Output, outlet: Outlet, signals: Signals, patience: int) -> None:
        self.shape = Shape.AUTO
        self.is_timing = False
        self.outlet = outlet
        self._out = out
        self._signals = signals
        self._patience = patience
        self._begin_anew(None)

    async def run(
        self,
        link: Link,
        text: str,
        parameters: Sequence[str | None] | None = None,
        data: Data | None = None,
        line: int = 0,
        into: Sink | None = None,
    ) -> Ran:
        """One statement. `data` is what a COPY reads, `into` where it writes, `line` where it stands in its script.

        Raises `LinkLost`.
        """
        self._begin_anew(link, into)
        began = time.monotonic()
        progress = asyncio.ensure_future(self._tell_progress(began))
        try:
            with self._signals.handed_to(self._take), self._patient():
                await self._follow(link, text, parameters, data, line)
            if self._cancelling is not None:  # one that comes late would stop the next statement
                await self._cancelling
        finally:
            progress.cancel()
            self.outlet.leave()
            self._out.status("")
            if self._cancelling is not None:
                self._cancelling.cancel()
        if self.is_timing:
            self._out.say(f"Time: {(time.monotonic() - began) * 1000:.3f} ms")
        return Ran(self._code(), self._tag)

    def _begin_anew(self, link: Link | None, into: Sink | None = None) -> None:
        self._link = link
        self._into = into
        self._result: Result | None = None
        self._count = 0
        self._tag = ""
        self._failure: Report | None = None
        self._cancelling: asyncio.Future[None] | None = None
        self._copying: asyncio.Future[None] | None = None
        self._is_interrupted = self._has_given_up = self._is_shown = False
        self._limit: asyncio.TimerHandle | None = None

    async def _follow(
        self, link: Link, text: str, parameters: Sequence[str | None] | None, data: Data | None, line: int
    ) -> None:
        async for happening in link.run(text, parameters):
            match happening:
                case Columns(columns):
                    self._result, self._count = self._result_of(columns), 0
                case Rows(rows):
                    self._count += len(rows)
                    if self._result is not None and not self._is_stopped:
                        await self._put(self._result.rows(rows))
                case CopyOut(chunk):
                    await self._put_copied(chunk)
                case CopyIn():
                    await self._copy(link, data)
                case Done(tag):
                    await self._end_result(tag)
                case Failed(report):
                    self._failure, self._result = report, None
                    await self.outlet.end()
                    self._tell_failure(report, text, line)
                case Told(report):
                    self._tell(report)
                case _:
                    assert_never(happening)

    # -- data

    def _result_of(self, columns: Sequence[Column]) -> Result:
        match self._out.form:
            case Form.JSON:
                return Json(columns)
            case Form.JSONL:
                return JsonLines(columns)
            case Form.CSV:
                return Csv(columns)
            case _:
                return Table(columns, self.shape, self._out.columns)

    async def _end_result(self, tag: str) -> None:
        self._tag = tag
        if self._result is None:
            if tag:
                self._out.say(tag)
            return
        if not self._is_stopped:
            await self._put(self._result.end())
        self._result = None
        await self.outlet.end()
        if self._out.form is Form.TABLE:
            self._out.say(f"({self._count} row{'' if self._count == 1 else 's'})")
        elif not tag.startswith(("SELECT", "FETCH")):
            self._out.say(tag)

    async def _put(self, data: str | bytes) -> None:
        if self.outlet.is_unwanted:
            self._is_shown = False
            return
        if not data:
            return
        if self._out.is_terminal:
            self._out.status("")
            self._is_shown = True
        if isinstance(data, str):
            data = self._out.encoded(data)
        elif self._out.form is Form.CSV:
            data = self._harmless(data)
        await self.outlet.write(data)

    async def _put_copied(self, chunk: bytes) -> None:
        if self._is_stopped:
            return
        if self._into is None:
            await self._put(self._harmless(chunk))
        elif not self._into.write(chunk):
            self._interrupt()

    def _harmless(self, data: bytes) -> bytes:
        """At a terminal what is not text is shown; into a file or a pipe it goes as it is."""
        if not self._out.is_terminal:
            return data
        return self._out.encoded("\n".join(inert_lines(data.decode(errors="backslashreplace"))))

    async def _copy(self, link: Link, data: Data | None) -> None:
        if data is None:
            link.copy_fails("there is no data to read: hoopx sql takes it from standard input")
            return
        self._copying = asyncio.ensure_future(_copy_all(link, data))
        try:
            await asyncio.wait([self._copying])
        finally:
            self._copying.cancel()
        if self._copying.cancelled():
            link.copy_fails("it was interrupted")
        else:
            self._copying.result()

    # -- what is said

    def _tell_failure(self, report: Report, text: str, line: int) -> None:
        if self._has_given_up:
            self._out.error(f"nobody agreed within {spoken(self._patience)}", "run it again with a longer --wait")
            return
        if self._is_interrupted and report.code == "57014":
            self._out.say("cancelled")
            return
        first, *rest = reports.lines(report, text, self._out.columns or 80)
        self._out.insist("\n".join([f"line {line}: {first}" if line else first, *rest]))

    def _tell(self, report: Report) -> None:
        waits = report.source == refusals.WAITING
        told = "\n".join(reports.lines(report))
        (self._out.insist if waits else self._out.say)(told)
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
        if waits and self._patience:
            self._limit = asyncio.get_running_loop().call_later(self._patience, self._give_up)

    async def _tell_progress(self, began: float) -> None:
        """Where a person watches, and no rows show that it goes on."""
        await asyncio.sleep(LONG_SECONDS)
        while True:
            if self._is_shown:
                await asyncio.sleep(PROGRESS_SECONDS)
                continue
            rows = f"{self._count:,} rows · " if self._count else ""
            how = "Ctrl-C again leaves" if self._is_interrupted else "Ctrl-C cancels"
            self._out.status(f"{rows}{spoken(time.monotonic() - began)} · {how}")
            await asyncio.sleep(PROGRESS_SECONDS)

    # -- interruptions

    @property
    def _is_stopped(self) -> bool:
        return self._is_interrupted or self._has_given_up

    def _take(self, number: int) -> None:
        """The first Ctrl-C stops the statement on the server, the second leaves."""
        if number == signal.SIGINT and (not self._is_interrupted or self.outlet.is_showing):
            self._interrupt()
        else:
            self._signals.leave(number)

    def _interrupt(self) -> None:
        self._is_interrupted = True
        self._cancel()

    def _give_up(self) -> None:
        self._has_given_up = True
        self._cancel()

    def _cancel(self) -> None:
        if self._copying is not None:
            self._copying.cancel()
        if self._link is not None and self._cancelling is None:
            self._cancelling = asyncio.ensure_future(self._link.cancel())

    @contextmanager
    def _patient(self) -> Iterator[None]:
        try:
            yield
        finally:
            if self._limit is not None:
                self._limit.cancel()

    def _code(self) -> int:
        if self._has_given_up:
            return ExitCode.PENDING
        if self._is_interrupted:
            return INTERRUPTED
        return ExitCode.FINE if self._failure is None else reports.exit_code(self._failure)


async def _copy_all(link: Link, data: Data) -> None:
    async for chunk in data:
        if not await link.copy(chunk):
            return
    link.copied()
