"""Prove recordings where they lie, whole or by their ends, telling how far it is."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

from hoopx_broker.evidence.findings import Tell
from hoopx_broker.evidence.shelves import Lying
from hoopx_broker.recording.ends import END_SIZE, Told, seal_at, session_at
from hoopx_broker.recording.verify import Proof, prove
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.tlog.notes import Verifier

_BUFFER = 1 << 20
_TELL_EVERY = 1 << 22

T = TypeVar("T")


class Progress:
    """So many recordings of so many, so many bytes of so many."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._number = self._of = 0
        self._bytes = self._of_bytes = self._next = 0

    def begin(self, sizes: Sequence[int]) -> None:
        self._number, self._of = 0, len(sizes)
        self._bytes, self._of_bytes, self._next = 0, sum(sizes), 0

    def count(self) -> None:
        self._number += 1
        self.read(0)

    def read(self, size: int) -> None:
        self._bytes += size
        if self._bytes >= self._next or not size:
            self._next = self._bytes + _TELL_EVERY
            megabytes = f"{self._bytes / 1e6:.0f} of {self._of_bytes / 1e6:.0f} MB"
            self._tell(f"recordings: {self._number} of {self._of}, {megabytes}")


async def proved(lying: Lying, keys: Sequence[Verifier], progress: Progress) -> tuple[Proof, Verifier]:
    """By the first key that fits; raises what the last one says."""

    async def by(key: Verifier) -> Proof:
        pulled = _Pulled(lying.read(), asyncio.get_running_loop(), progress)
        return await asyncio.to_thread(prove, io.BufferedReader(pulled, _BUFFER), str(key))

    return await _by_any(keys, by)


async def ends(lying: Lying, keys: Sequence[Verifier]) -> tuple[str, Told]:
    """Whose recording it is by its head, and what its seal says."""
    head = await _joined(lying.read(0, END_SIZE))
    tail = await _joined(lying.read(max(0, lying.size - END_SIZE)))

    async def by(key: Verifier) -> Told:
        return seal_at(tail, str(key))

    session = session_at(head)
    return session, (await _by_any(keys, by))[0]


async def _by_any(keys: Sequence[Verifier], work: Callable[[Verifier], Any]) -> tuple[Any, Verifier]:
    error: HoopxError | None = None
    for key in keys:
        try:
            return await work(key), key
        except HoopxError as failed:
            error = failed
    assert error is not None
    raise error


async def _joined(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


class _Pulled(io.RawIOBase):
    """What a store gives in chunks, as a file for a thread to read."""

    def __init__(self, chunks: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop, progress: Progress) -> None:
        self._chunks = chunks
        self._loop = loop
        self._progress = progress
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size

    async def _next(self) -> bytes:
        piece = await anext(self._chunks, b"")
        self._progress.read(len(piece))
        return piece
