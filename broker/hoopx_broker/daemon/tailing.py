"""Give a recording as it grows, until its session is over: for whoever watches it live."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import BinaryIO

# How much later than it is written something is seen.
LOOK_SECONDS = 0.25
# Proxies on the way cut what is silent for a minute, and who watches wants to know that the broker still lives.
ALIVE_SECONDS = 15.0
# A slow reader is waited for: so much of the recording is in memory for each.
_CHUNK = 64 * 1024
_LENGTH = 4


async def growing(
    path: Path, is_over: Callable[[], Awaitable[bool]], is_gone: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    """Pieces of the file, each after its length (4 bytes, big-endian), until `is_over` and all was given.

    An empty piece says that so far this is all: the first when what was there has been given, and more of them while
    nothing happens. Ends early where `is_gone` says that nobody listens, or where the file was cut back.
    """
    with path.open("rb") as file:
        quiet, is_first = 0.0, True
        while not await is_gone():
            ended = await is_over()  # asked before the file is read to its end: nothing is written afterwards
            async for piece in _there(file):
                quiet = 0.0
                yield _framed(piece)
            if is_first or quiet >= ALIVE_SECONDS:
                yield _framed(b"")
                is_first, quiet = False, 0.0
            if ended or os.fstat(file.fileno()).st_size < file.tell():
                return
            await asyncio.sleep(LOOK_SECONDS)
            quiet += LOOK_SECONDS


async def whole(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same of a recording that grows no more, wherever it is."""
    async for chunk in chunks:
        for at in range(0, len(chunk), _CHUNK):
            yield _framed(chunk[at : at + _CHUNK])
    yield _framed(b"")


def _framed(piece: bytes) -> bytes:
    return len(piece).to_bytes(_LENGTH, "big") + piece


async def _there(file: BinaryIO) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, _CHUNK):
        yield piece
