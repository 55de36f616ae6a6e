"""Connections that nobody knows yet: bounded in number, so that those who say nothing do not keep others out."""

from __future__ import annotations

from collections.abc import Callable

# Each costs a descriptor and some 50 KB while TLS shakes hands. An honest client is a stranger for milliseconds.
MAX_STRANGERS = 256


class Strangers:
    """When there are too many, the one that has been here longest is cut: it had more time than anybody needs."""

    def __init__(self, most: int = MAX_STRANGERS) -> None:
        self._most = most
        self._cuts: dict[object, Callable[[], object]] = {}  # in the order in which they came

    def enter(self, cut: Callable[[], object]) -> Callable[..., None]:
        """Give what ends this connection; call what comes back, with anything, when it is no stranger any more."""
        if len(self._cuts) >= self._most:
            self._cuts.pop(next(iter(self._cuts)))()
        mark = object()
        self._cuts[mark] = cut
        return lambda *_: self._forget(mark)

    def cut_all(self) -> None:
        while self._cuts:
            self._cuts.pop(next(iter(self._cuts)))()

    def _forget(self, mark: object) -> None:
        self._cuts.pop(mark, None)
