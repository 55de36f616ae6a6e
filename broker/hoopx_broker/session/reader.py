"""Owns the processes that read statements, so that no statement can take the broker down with it.

PostgreSQL's parser is C and recursive: some statements of a few kilobytes exhaust its stack or take seconds. It runs in
child processes under limits; when one dies or takes too long, the statement counts as unreadable, and only that one.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from hoopx_broker.policy.facts.wire import HEADER, MAX_FRAME, NORMAL, REWRITE, decode, framed, length
from hoopx_broker.terms.facts import StatementFacts, Unreadable, too_complex

# Reading takes some tens of microseconds; the slowest statement within the size limit that does not hang, 0.6 s.
DEADLINE_SECONDS = 2.0
START_SECONDS = 20.0
# A person has one of them at a time (see `Bench.turn`), so that the worst statements of one do not hold up the others.
CHILDREN = 2
_CHILD = "hoopx_broker.policy.facts.start"

Facts = tuple[StatementFacts, ...]


class StatementReader:
    """A few children, each started when needed and again when it died, and each with one statement at a time."""

    def __init__(self, command: tuple[str, ...] = (sys.executable, "-m", _CHILD)) -> None:
        self._children = [_Child(command) for _ in range(CHILDREN)]
        # The one that worked last is taken first: the others start only when several statements come at once.
        self._idle: asyncio.LifoQueue[_Child] = asyncio.LifoQueue()
        for child in self._children:
            self._idle.put_nowait(child)

    async def read(self, text: bytes) -> Facts | Unreadable:
        async with self._one() as child:
            return await child.read(text)

    async def rewrite(self, text: bytes) -> str:
        """The statements as their grammar writes them; empty where it cannot."""
        async with self._one() as child:
            return await child.rewrite(text)

    async def normal(self, text: bytes) -> str:
        """The statements with `$1` in the place of every value; empty where that cannot be had."""
        async with self._one() as child:
            return await child.normal(text)

    @asynccontextmanager
    async def _one(self) -> AsyncIterator[_Child]:
        """One that nobody else asks meanwhile."""
        child = await self._idle.get()
        try:
            yield child
        finally:
            self._idle.put_nowait(child)

    async def close(self) -> None:
        """Call it when nobody reads any more."""
        for child in self._children:
            await child.end()


class _Child:
    def __init__(self, command: tuple[str, ...]) -> None:
        self._command = command
        self._process: _Process | None = None

    async def read(self, text: bytes) -> Facts | Unreadable:
        answer = await self._ask(framed(text))
        return answer if isinstance(answer, Unreadable) else decode(answer)

    async def rewrite(self, text: bytes) -> str:
        return await self._text(text, REWRITE)

    async def normal(self, text: bytes) -> str:
        return await self._text(text, NORMAL)

    async def _text(self, text: bytes, flag: int) -> str:
        answer = await self._ask(framed(text, flag))
        return "" if isinstance(answer, Unreadable) else answer.decode()

    async def _ask(self, question: bytes) -> bytes | Unreadable:
        try:
            process = await self._running()
        except (OSError, EOFError, TimeoutError):
            await self.end()
            return Unreadable("the reader of statements does not start; try again")
        except BaseException:
            await self.end()
            raise
        return await self._heard(process, question)

    async def _heard(self, process: _Process, question: bytes) -> bytes | Unreadable:
        try:
            return await process.ask(question, DEADLINE_SECONDS)
        except TimeoutError:
            await self.end()
            return too_complex("it takes too long to read")
        except (OSError, EOFError):
            await self.end()
            return too_complex("it is too deep or too large to read")
        except BaseException:
            # Its answer would come as the answer to the next statement.
            await self.end()
            raise

    async def _running(self) -> _Process:
        if self._process is None or not self._process.is_alive:
            # It reads what strangers wrote: the broker's environment, which may hold secrets, is nothing for it.
            _, process = await asyncio.get_running_loop().subprocess_exec(
                _Process, *self._command, stdin=PIPE, stdout=PIPE, stderr=None, env={}
            )
            self._process = process
            # The first answer takes as long as starting Python does, which is not the statement's fault.
            await process.ask(framed(b""), START_SECONDS)
        return self._process

    async def end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await process.end()


class _Process(asyncio.SubprocessProtocol):
    """One question at a time. Speaks by callbacks: between two streams of asyncio's, asking costs more than reading."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._exited: asyncio.Future[None] = self._loop.create_future()
        self._answer: asyncio.Future[bytes] | None = None
        self._heard = bytearray()
        self._ears: asyncio.SubprocessTransport
        self._mouth: asyncio.WriteTransport

    @property
    def is_alive(self) -> bool:
        return not self._exited.done()

    async def ask(self, question: bytes, seconds: float) -> bytes:
        """Raises `EOFError` when it is gone or stopped making sense, or `TimeoutError`: then it is to be ended."""
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._answer = answer
        deadline = self._loop.call_later(seconds, self._fail, TimeoutError("it does not answer in time"))
        try:
            self._mouth.write(question)
            return await answer
        finally:
            deadline.cancel()
            self._answer = None

    async def end(self) -> None:
        self._kill()
        await self._exited
        self._ears.close()

    def _kill(self) -> None:
        if self.is_alive:
            self._ears.kill()

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._ears = cast(asyncio.SubprocessTransport, transport)
        self._mouth = cast(asyncio.WriteTransport, self._ears.get_pipe_transport(0))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._heard += data
        if len(self._heard) < HEADER:
            return
        size = length(self._heard[:HEADER])
        if self._answer is None or size > MAX_FRAME or len(self._heard) > HEADER + size:
            self._fail(EOFError("it says what nobody asked for"))
            self._kill()
        elif len(self._heard) == HEADER + size:
            answer, self._heard = bytes(self._heard[HEADER:]), bytearray()
            if not self._answer.done():
                self._answer.set_result(answer)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._fail(EOFError("it is gone"))

    def process_exited(self) -> None:
        self._fail(EOFError("it is gone"))
        if not self._exited.done():
            self._exited.set_result(None)
