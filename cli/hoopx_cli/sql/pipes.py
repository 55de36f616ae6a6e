"""Read standard input and write standard output without ever holding up the event loop: a reader may stop for hours."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

from hoopx_cli.output import writing

# A pipe that is said to have room takes so many bytes at once, whoever else writes (POSIX's PIPE_BUF, on Linux).
_PIECE = 4096
_CHUNK = 64 * 1024


class Outlet:
    """Where data goes. Files take everything at once; pipes and terminals are written to as they have room."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._waits = True

    # Has whoever reads it seen enough of the result?
    is_unwanted = False

    @property
    def is_showing(self) -> bool:
        """Has another program the screen?"""
        return False

    async def end(self) -> None:
        """A result, or what there is of it, is all written."""

    def leave(self) -> None:
        """Nobody wants the rest of it."""

    async def write(self, data: bytes) -> None:
        """Raises `OSError` where nobody reads any more, `BadInput` where a disk is full."""
        rest = memoryview(data)
        while rest:
            if self._waits:
                loop = asyncio.get_running_loop()
                self._waits = await _ready(self._handle, loop.add_writer, loop.remove_writer)
            try:
                with writing():
                    rest = rest[os.write(self._handle, rest[:_PIECE] if self._waits else rest) :]
            except BlockingIOError:  # whoever started us made it so, and another was faster
                await asyncio.sleep(0)


async def chunks(handle: int) -> AsyncIterator[bytes]:
    """What can be read, as it comes, to its end."""
    loop = asyncio.get_running_loop()
    waits = True
    while True:
        waits = waits and await _ready(handle, loop.add_reader, loop.remove_reader)
        data = os.read(handle, _CHUNK)
        if not data:
            return
        yield data


async def lines(handle: int) -> AsyncIterator[bytes]:
    """Lines with their ends; the last may have none."""
    parts: list[bytes] = []
    async for chunk in chunks(handle):
        *whole, rest = chunk.split(b"\n")
        for each in whole:
            parts.append(each)
            yield b"".join(parts) + b"\n"
            parts = []
        if rest:
            parts.append(rest)
    if parts:
        yield b"".join(parts)


async def _ready(handle: int, watch: Callable[..., Any], unwatch: Callable[[int], Any]) -> bool:
    """Waits until there is room, or something to read; False for files, which are always ready."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def now() -> None:
        if not future.done():
            future.set_result(None)

    try:
        watch(handle, now)
    except OSError:  # epoll takes no files
        return False
    try:
        await future
    finally:
        unwatch(handle)
    return True
