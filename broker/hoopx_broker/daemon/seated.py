"""A broker that is one of several workers: what it does beside what every broker does."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from hoopx_broker.daemon.borrowing import PASS, handed_over
from hoopx_broker.daemon.neighbours import LOOK_SECONDS, Neighbours
from hoopx_broker.daemon.tunnels import Tunnels
from hoopx_broker.daemon.workers import MAX_WORKERS, Present, Seat
from hoopx_broker.identity.passes import Passes
from hoopx_broker.recording.room import Room
from hoopx_broker.session.streams import CANCEL
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.settings import BrokerConfig
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.tunnel.door import Door
from hoopx_broker.tunnel.post import Post


class Seated(Struct, frozen=True):
    """A worker: its seat, its post, and where the broker is reached."""

    seat: Seat
    post: Post
    public_url: str

    def present(self, broker: str, ready: str) -> bytes:
        return msgspec.json.encode(Present(broker, ready))


def check_workers(settings: BrokerConfig, workers: int) -> None:
    """Raises `BadInput`."""
    if not 1 < workers <= MAX_WORKERS:
        raise BadInput(
            f"{workers} workers are none that could run", f"`--workers` takes a number from 1 to {MAX_WORKERS}"
        )
    if isinstance(settings.state, Path):
        raise BadInput(
            f"several workers need a state that they share, and the file `{settings.state}` is for one process",
            "let `state` name a PostgreSQL database (docs/state.md), or start without `--workers`",
        )


def take_seat(
    seated: Seated,
    ready: str,
    neighbours: Neighbours,
    door: Door,
    tunnels: Tunnels,
    passes: Passes,
    crew: Crew,
    stop: asyncio.Event,
) -> None:
    """Answer the other workers, and take connections from here on, as long as there is somebody who gives them."""

    async def cancel(key: bytes) -> bytes:
        await tunnels.streams.cancel_here(key)
        return b""

    async def hand_over(word: bytes) -> bytes:
        return handed_over(passes, word)

    async def tell() -> None:
        """Under a new id it begins anew where it was cut off: whoever follows on its seat is to know that one."""
        told = ""
        while True:
            if told != neighbours.broker:
                told = neighbours.broker
                seated.post.tell(seated.present(told, ready))
            await asyncio.sleep(LOOK_SECONDS)

    seated.post.answer(CANCEL, cancel)
    seated.post.answer(PASS, hand_over)
    seated.post.serve(door.take, stop.set, crew)
    crew.start(tell(), "present")


async def measure(room: Room, recordings: Path) -> None:
    """The other workers record here too, and any of them takes to the store what is done."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        with suppress(OSError):
            await asyncio.to_thread(room.measure, recordings)
