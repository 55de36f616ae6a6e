"""What a stream stands in: its client's link, its session's hearing and recording, and whoever hears of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from hoopx_broker.session.catalog import Fresh
from hoopx_broker.session.court import Hearing
from hoopx_broker.session.unsettled import Settle
from hoopx_broker.terms.entries import Entry
from hoopx_broker.terms.targets import Target
from hoopx_broker.tunnel.crew import Crew

if TYPE_CHECKING:
    from hoopx_broker.session.pump import Pump


class ClientLink(Protocol):
    """The tunnel's end of a stream."""

    def send(self, data: bytes) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> None: ...


class Surroundings(Struct, frozen=True):
    """What a stream needs of its session."""

    target: Target
    hearing: Hearing
    crew: Crew
    record: Callable[[Sequence[Entry]], None]
    tell: Callable[[str, str], None]  # an event for the person at the session: kind, message
    cancel: Callable[[bytes], Coroutine[Any, Any, None]]
    left: Callable[[Pump], None]
    fresh: Fresh | None = None  # asked before each connection
    settle: Settle | None = None  # where what is recorded has to be on the disk before anything is sent
