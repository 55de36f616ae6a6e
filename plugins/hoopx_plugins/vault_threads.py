"""Wait for Vault in a thread; what is made there when nobody waits any more is undone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

from hoopx_broker.terms.errors import BackendFailed

T = TypeVar("T")

# Threads of its own: those that wait for a silent Vault must not be missing where the broker needs one.
_THREADS = ThreadPoolExecutor(max_workers=32, thread_name_prefix="vault")


async def in_thread(work: Callable[[], T], undo: Callable[[T], None]) -> T:
    """What `work` makes. A thread cannot be stopped: where the wait is cut off, `undo` gets what came of it."""
    hand: _Hand[T] = _Hand()

    def make() -> T:
        made = work()
        if not hand.offer(made):
            _quietly(undo, made)
        return made

    loop = asyncio.get_running_loop()
    try:
        return await loop.run_in_executor(_THREADS, make)
    except asyncio.CancelledError:
        for made in hand.withdraw():
            loop.run_in_executor(_THREADS, _quietly, undo, made)
        raise


def afterwards(undo: Callable[[], None]) -> None:
    """Undo in a thread what nobody waits for; for when there is no time left to wait."""
    _THREADS.submit(_quietly, lambda _: undo(), None)


class _Hand(Generic[T]):
    """Held out for what is made, until it is withdrawn: one of the two sides has it, never none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_out = True
        self._taken: list[T] = []

    def offer(self, made: T) -> bool:
        with self._lock:
            if self._is_out:
                self._taken.append(made)
            return self._is_out

    def withdraw(self) -> list[T]:
        with self._lock:
            self._is_out = False
            return self._taken


def _quietly(undo: Callable[[T], None], made: T) -> None:
    with suppress(BackendFailed):  # nobody is there to hear it; what was pinned is revoked by the keeper
        undo(made)
