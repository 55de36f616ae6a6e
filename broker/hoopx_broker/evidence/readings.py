"""Read recordings through in threads, from wherever they are: the event loop fetches, a thread makes sense of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import AsyncGeneratorType
from typing import BinaryIO, Protocol, TypeVar

from hoopx_broker.recording.pieces import as_file
from hoopx_broker.terms.errors import BackendFailed

T = TypeVar("T")

# Of their own: those who fetch use the common ones. Few, because reading takes all of a core.
_THREADS = 2
# A disk or a store that gives nothing for so long does not work.
PATIENCE_SECONDS = 60.0


class Open(Protocol):
    """The bytes of a session's recording from `start`, as `evidence.recordings.Recordings.open` gives them."""

    def __call__(self, session: str, start: int = 0, /) -> Awaitable[AsyncIterator[bytes]]: ...


class Readings:
    """Used from one event loop."""

    def __init__(self, open_: Open) -> None:
        self._open = open_
        self._threads = ThreadPoolExecutor(_THREADS, "hoopx-reading")

    async def read(self, session: str, work: Callable[[BinaryIO], T]) -> T:
        """What `work` makes of the recording, in a thread, a piece in memory at a time.

        Raises what `work` raises, and a `HoopxError` where the recording is not to be had.
        """
        loop = asyncio.get_running_loop()
        fetched = _Fetched(await self._open(session), loop)
        try:
            return await loop.run_in_executor(self._threads, work, as_file(fetched.next))
        finally:
            await fetched.close()

    def close(self) -> None:
        """Those who read are to be gone by then."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Fetched:
    """Pieces that the loop fetches for a thread."""

    def __init__(self, pieces: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._pieces = pieces
        self._loop = loop
        self._coming: Future[bytes | None] | None = None
        self._is_closed = False

    def next(self) -> bytes | None:
        """In the thread."""
        self._coming = coming = asyncio.run_coroutine_threadsafe(self._fetch(), self._loop)
        try:
            return coming.result(PATIENCE_SECONDS)
        except TimeoutError:
            coming.cancel()
            raise BackendFailed("the recording does not come", "try again; is its disk or store well?") from None

    async def close(self) -> None:
        """Whoever still reads gets an end. What is being fetched is cut off, and closes by that. In the loop."""
        self._is_closed = True
        if self._coming is not None:
            self._coming.cancel()
        if isinstance(self._pieces, AsyncGeneratorType) and not self._pieces.ag_running:
            await self._pieces.aclose()

    async def _fetch(self) -> bytes | None:
        while not self._is_closed:
            piece = await anext(self._pieces, None)
            if piece is None or piece:
                return piece
        return None
