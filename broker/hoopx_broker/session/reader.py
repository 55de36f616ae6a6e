"""Owns the process that reads statements, so that no statement can take the broker down with it.

PostgreSQL's parser is C and recursive: some statements of a few kilobytes exhaust its stack or take seconds. It runs in
a child process under limits; when that dies or takes too long, the statement counts as unreadable, and only that one.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process

from hoopx_broker.policy.facts.wire import decode
from hoopx_broker.terms.facts import StatementFacts, Unreadable

# Reading takes some tens of microseconds; the slowest statement within the size limit that does not hang, 0.6 s.
DEADLINE_SECONDS = 2.0
START_SECONDS = 20.0
_LENGTH = 4
_CHILD = "hoopx_broker.policy.facts.child"

Facts = tuple[StatementFacts, ...]


class StatementReader:
    """One child process, started when needed and again when it died. Statements are read one after the other."""

    def __init__(self) -> None:
        self._child: Process | None = None
        self._turn = asyncio.Lock()

    async def read(self, text: bytes) -> Facts | Unreadable:
        async with self._turn:
            try:
                child = await self._running()
                return decode(await asyncio.wait_for(_exchange(child, text), DEADLINE_SECONDS))
            except TimeoutError:
                await self._kill()
                return Unreadable("it takes too long to read")
            except (OSError, EOFError):
                await self._kill()
                return Unreadable("it is too deep or too large to read")
            except asyncio.CancelledError:
                # Its answer would come as the answer to the next statement.
                await self._kill()
                raise

    async def _running(self) -> Process:
        if self._child is None or self._child.returncode is not None:
            self._child = await asyncio.create_subprocess_exec(sys.executable, "-m", _CHILD, stdin=PIPE, stdout=PIPE)
            # The first answer takes as long as starting Python does, which is not the statement's fault.
            await asyncio.wait_for(_exchange(self._child, b""), START_SECONDS)
        return self._child

    async def _kill(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            child.kill()
            await child.wait()

    async def close(self) -> None:
        async with self._turn:
            await self._kill()


async def _exchange(child: Process, text: bytes) -> bytes:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(len(text).to_bytes(_LENGTH, "big") + text)
    await child.stdin.drain()
    length = int.from_bytes(await child.stdout.readexactly(_LENGTH), "big")
    return await child.stdout.readexactly(length)
