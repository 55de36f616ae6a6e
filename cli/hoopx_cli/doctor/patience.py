"""Wait for what may never answer: a resolver, a keyring, a broker that trickles. Never longer than said."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from hoopx_broker.terms.errors import Unreachable

T = TypeVar("T")


class TooSlow(Unreachable):
    """It did not answer in time."""


class _Work(Generic[T]):
    """A call in a thread of its own, which the end of the process does not wait for."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self.results: list[T] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.results.append(self._work())
        except BaseException as error:  # it is raised again where it was waited for
            self.error = error


def within(seconds: float, what: str, work: Callable[[], T]) -> T:
    """What `work` gives or raises. Raises `TooSlow` after so many seconds; the call is left to itself then."""
    done: _Work[T] = _Work(work)
    thread = threading.Thread(target=done.run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TooSlow(f"{what} did not answer within {seconds:g} s", "try again; if it stays so, it hangs")
    if done.error is not None:
        raise done.error
    return done.results[0]
