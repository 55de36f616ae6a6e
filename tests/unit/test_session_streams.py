"""Cancel keys: only the very key that a client was given does anything."""

from __future__ import annotations

import asyncio
import os

import pytest

from hoopx_broker.session.streams import Streams
from hoopx_broker.wire.postgres.beginning import KEY_BYTES

KEY = bytes(range(KEY_BYTES))


class Pump:
    """What finding a stream sees of its pump."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.cancelled = 0

    async def cancel_query(self) -> None:
        self.cancelled += 1


def cancelled(given: bytes, said: bytes, *, has_left: bool = False) -> int:
    pump, streams = Pump(given), Streams()
    streams.add(pump)  # type: ignore[arg-type]
    streams.add(Pump(os.urandom(KEY_BYTES)))  # type: ignore[arg-type]
    if has_left:
        streams.remove(pump)  # type: ignore[arg-type]
    asyncio.run(streams.cancel(said))
    return pump.cancelled


@pytest.mark.parametrize("given", [KEY, KEY[:8]])
def test_the_right_key_cancels_in_either_version(given: bytes) -> None:
    assert cancelled(given, given) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (KEY, KEY[:8]),
        (KEY[:8], KEY),
        (KEY, KEY[:-1] + b"x"),
        (KEY, KEY + b"\0"),
        (KEY[:8], KEY[:7]),
        (KEY[:8], KEY[:7] + b"x"),
        (KEY[:8], b""),
        (KEY, bytes(reversed(KEY))),
    ],
)
def test_what_only_resembles_it_cancels_nothing(given: bytes, said: bytes) -> None:
    assert cancelled(given, said) == 0


def test_a_key_is_worth_nothing_after_its_stream() -> None:
    assert cancelled(KEY, KEY, has_left=True) == 0


def test_the_key_of_a_client_that_turns_out_newer_still_finds_its_stream() -> None:
    """It is not known before the start-up packet how much of the key its client gets."""
    pump, streams = Pump(KEY[:8]), Streams()
    streams.add(pump)  # type: ignore[arg-type]
    pump.key = KEY
    asyncio.run(streams.cancel(KEY))
    assert pump.cancelled == 1
    streams.remove(pump)  # type: ignore[arg-type]
    assert len(streams) == 0
