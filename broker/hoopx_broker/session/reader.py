"""Owns the processes that read statements, so that no statement can take the broker down with it.

PostgreSQL's parser is C and recursive: some statements of a few kilobytes exhaust its stack or take seconds. It runs in
child processes under limits; when one dies or takes too long, the statement counts as unreadable, and only that one.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
        self._process: Process | None = None

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

    async def _heard(self, process: Process, question: bytes) -> bytes | Unreadable:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await _exchange(process, question)
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

    async def _running(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            # It reads what strangers wrote: the broker's environment, which may hold secrets, is nothing for it.
            self._process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE, env={})
            # The first answer takes as long as starting Python does, which is not the statement's fault.
            async with asyncio.timeout(START_SECONDS):
                await _exchange(self._process, framed(b""))
        return self._process

    async def end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()


async def _exchange(process: Process, question: bytes) -> bytes:
    """Raises `OSError` or `EOFError` when the child is gone, or stopped making sense."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(question)
    await process.stdin.drain()
    size = length(await process.stdout.readexactly(HEADER))
    if size > MAX_FRAME:
        raise EOFError("its answer has a length out of bounds")
    return await process.stdout.readexactly(size)
