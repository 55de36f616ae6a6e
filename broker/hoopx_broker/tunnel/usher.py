"""Accepts connections and hands each to its worker, by its first bytes, which stay where they are."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable

from hoopx_broker.tunnel.door import ACCEPT_AGAIN_SECONDS, ACCEPT_AT_ONCE
from hoopx_broker.tunnel.http import HANDSHAKE_SECONDS
from hoopx_broker.tunnel.strangers import MAX_STRANGERS
from hoopx_broker.tunnel.way import MAX_LOOK, way
from hoopx_broker.wire.client_hello import More

# Gives a connection to the worker of this number; closes what that one does not take.
Hand = Callable[[socket.socket, int], None]


class Usher:
    """Who says too little is looked at again when more has come, and cut when that takes too long, or too many wait.

    `selector` calls what it has as data.
    """

    def __init__(
        self,
        listening: socket.socket,
        selector: selectors.BaseSelector,
        workers: int,
        hand: Hand,
        clock: Callable[[], float],
    ) -> None:
        listening.setblocking(False)  # noqa: FBT003 - as socket has it
        self._listening = listening
        self._selector = selector
        self._workers = workers
        self._hand = hand
        self._clock = clock
        self._waiting: dict[socket.socket, float] = {}  # until when; in the order in which they came
        self._accepts_at: float | None = None
        self._is_open = False

    def __len__(self) -> int:
        """Connections of which nobody knows yet whose they are."""
        return len(self._waiting)

    def open(self) -> None:
        """Accept from now on."""
        self._is_open = True
        self._selector.register(self._listening, selectors.EVENT_READ, self._accept)

    def let_go(self) -> None:
        """In a child, whose selector is closed: nothing of this is its own."""
        self._listening.close()
        for connection in self._waiting:
            connection.close()

    def close(self) -> None:
        """Nobody is let in any more. Safe to repeat."""
        self._leave_listening()
        self._is_open, self._accepts_at = False, None
        self._listening.close()
        for connection in list(self._waiting):
            self._cut(connection)

    def next_at(self) -> float | None:
        """When `look` is to be called at the latest."""
        times = [until for until in (next(iter(self._waiting.values()), None), self._accepts_at) if until is not None]
        return min(times, default=None)

    def look(self) -> None:
        """Cut those whose time is over; accept again."""
        now = self._clock()
        while self._waiting and next(iter(self._waiting.values())) <= now:
            self._cut(next(iter(self._waiting)))
        if self._accepts_at is not None and self._accepts_at <= now:
            self._accepts_at = None
            self.open()

    def _accept(self) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            if not self._is_open:
                return
            try:
                connection, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no descriptor or no memory left: until some connections have ended
                self._leave_listening()
                self._accepts_at = self._clock() + ACCEPT_AGAIN_SECONDS
                return
            connection.setblocking(False)  # noqa: FBT003 - as socket has it
            self._receive(connection)

    def _receive(self, connection: socket.socket) -> None:
        """What came with the connection itself needs no waiting."""
        needed = self._needed(connection)
        if not needed:
            return
        if len(self._waiting) >= MAX_STRANGERS:
            self._cut(next(iter(self._waiting)))
        self._waiting[connection] = self._clock() + HANDSHAKE_SECONDS
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._go_on(connection))
        _wake_at(connection, needed)

    def _go_on(self, connection: socket.socket) -> None:
        if connection not in self._waiting:
            return  # cut in this very turn
        needed = self._needed(connection)
        if needed:
            _wake_at(connection, needed)

    def _needed(self, connection: socket.socket) -> int:
        """How many bytes must have come before it is looked at again; 0 when it is in other hands, or gone."""
        try:
            data = connection.recv(MAX_LOOK, socket.MSG_PEEK)
            host = str(connection.getpeername()[0])
        except (BlockingIOError, InterruptedError):
            return 1
        except OSError:
            self._cut(connection)
            return 0
        led = way(data, host, self._workers)
        if isinstance(led, More) and (not data or self._is_no_more(connection, len(data))):
            self._cut(connection)  # the peer has closed its side
            return 0
        if isinstance(led, More):
            return led.needed
        self._let_go(connection)
        _wake_at(connection, 1)
        self._hand(connection, led)
        return 0

    def _is_no_more(self, connection: socket.socket, seen: int) -> bool:
        """Woken for more, and there is none: so it is said by the kernel that nothing more will come."""
        known = connection in self._waiting
        return known and seen < connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)

    def _cut(self, connection: socket.socket) -> None:
        self._let_go(connection)
        connection.close()

    def _let_go(self, connection: socket.socket) -> None:
        if self._waiting.pop(connection, None) is not None:
            self._selector.unregister(connection)

    def _leave_listening(self) -> None:
        if self._is_open and self._accepts_at is None:
            self._selector.unregister(self._listening)


def _wake_at(connection: socket.socket, size: int) -> None:
    """Be told of it once so many bytes have come, or no more will: else what is there already would wake us again."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
    except OSError:  # it is gone; reading it says so
        return
