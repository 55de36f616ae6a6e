"""What a stream may not send yet, in its order: the disk does not have what it tells of."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from hoopx_broker.recording.committer import Failed, Settled
from hoopx_broker.wire.effects import Cancel, StartTls

# Calls one of the two, once, when what is recorded by now is settled; those who ask are called in their order.
Settle = Callable[[Settled, Failed], None]

# What may wait in each direction before that side is not read any more, beside what was read last, of at most 256 KB.
# At 5 ms for an fsync that still lets 200 MB/s through.
MAX_WAITING = 1 << 20
# What a turn costs beside its bytes, so that many small ones are bounded as well.
_TURN_BYTES = 512

Sends = tuple[bytes, bytes, Sequence[StartTls | Cancel]]


class _Turn:
    __slots__ = ("answers", "requests", "to_backend", "to_client", "todo")

    def __init__(self) -> None:
        self.to_backend: list[bytes] = []
        self.to_client: list[bytes] = []
        self.todo: list[StartTls | Cancel] = []
        self.requests = self.answers = _TURN_BYTES


class Unsettled:
    """Turns that are recorded: what each sends to the backend, to the client, and does."""

    __slots__ = ("_answers", "_requests", "_turns")

    def __init__(self) -> None:
        self._turns: deque[_Turn] = deque()
        self._requests = self._answers = 0

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def is_full_of_requests(self) -> bool:
        return self._requests > MAX_WAITING

    @property
    def is_full_of_answers(self) -> bool:
        return self._answers > MAX_WAITING

    def add(self, to_backend: bytes, to_client: bytes, todo: Sequence[StartTls | Cancel], *, is_noted: bool) -> bool:
        """Whether it waits for something of its own. What told of nothing goes with what is before it."""
        if is_noted or not self._turns:
            self._turns.append(_Turn())
            self._requests += _TURN_BYTES
            self._answers += _TURN_BYTES
        turn = self._turns[-1]
        turn.to_backend.append(to_backend)
        turn.to_client.append(to_client)
        turn.todo += todo
        turn.requests += len(to_backend)
        turn.answers += len(to_client)
        self._requests += len(to_backend)
        self._answers += len(to_client)
        return is_noted

    def take(self) -> Sends:
        """What the oldest sends."""
        turn = self._turns.popleft()
        self._requests -= turn.requests
        self._answers -= turn.answers
        return b"".join(turn.to_backend), b"".join(turn.to_client), turn.todo

    def clear(self) -> None:
        self._turns.clear()
        self._requests = self._answers = 0
