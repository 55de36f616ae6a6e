"""Whoever is at a session may be gone for a moment: its link is lost, taken up again, or given up."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from picows import WSMsgType, WSTransport

from hoopx_broker.session.links import ControlLink
from hoopx_broker.session.seat import MAX_KEPT, Seat


class LinkDouble(ControlLink):
    """A double of a link: keeps what is sent, and says what the scene says."""

    def __init__(self) -> None:
        super().__init__(lambda _: None)
        self.sent: list[bytes] = []

    def says(self, text: bytes) -> None:
        self._unread.put_nowait(text)

    def is_cut(self) -> None:
        self.on_ws_disconnected(cast(WSTransport, None))

    def send(self, message: bytes) -> None:
        if not self.is_gone:
            self.sent.append(message)


async def _soon(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, 30)


def test_a_lost_link_is_the_end_where_nobody_asked_for_more() -> None:
    async def scene() -> None:
        link = LinkDouble()
        seat = Seat(link)
        link.is_cut()
        assert await _soon(seat.receive()) is None
        assert seat.is_left

    asyncio.run(scene())


def test_whoever_comes_back_in_time_goes_on_and_hears_what_was_said_meanwhile() -> None:
    async def scene() -> None:
        first, second = LinkDouble(), LinkDouble()
        seat = Seat(first)
        seat.grace = 60
        hearing = asyncio.ensure_future(seat.receive())
        await asyncio.sleep(0)
        first.is_cut()
        await asyncio.sleep(0)
        for number in range(MAX_KEPT + 5):
            seat.send(b"%d" % number)
        assert first.sent == []
        seat.take(second)
        seat.tell_kept()
        assert second.sent == [b"%d" % number for number in range(5, MAX_KEPT + 5)]
        second.says(b"renew")
        assert await _soon(hearing) == b"renew"
        assert not seat.is_left

    asyncio.run(scene())


def test_a_link_that_is_dead_without_anybody_knowing_is_replaced() -> None:
    async def scene() -> None:
        silent, fresh = LinkDouble(), LinkDouble()
        seat = Seat(silent)
        seat.grace = 60
        hearing = asyncio.ensure_future(seat.receive())
        await asyncio.sleep(0)
        seat.take(fresh)
        seat.send(b"told")
        assert (silent.sent, fresh.sent) == ([], [b"told"])
        silent.is_cut()  # noticed at last, and of no consequence
        fresh.says(b"hangup")
        assert await _soon(hearing) == b"hangup"

    asyncio.run(scene())


def test_the_grace_ends() -> None:
    async def scene() -> None:
        link = LinkDouble()
        seat = Seat(link)
        seat.grace = 0.05
        link.is_cut()
        assert await _soon(seat.receive()) is None
        assert seat.is_left

    asyncio.run(scene())


@pytest.mark.parametrize("kind", [WSMsgType.BINARY, WSMsgType.CLOSE])
def test_the_grace_is_no_way_to_speak_otherwise(kind: WSMsgType) -> None:
    """What is no message of text is none of a session, on whatever link."""

    class Frame:
        msg_type, fin = kind, True

    class Transport:
        closed = False

        def send_close(self, *_: object) -> None:
            self.closed = True

        def disconnect(self, *_: object) -> None:
            self.closed = True

    async def scene() -> None:
        link, transport = LinkDouble(), Transport()
        link.on_ws_frame(cast(WSTransport, transport), cast(Any, Frame()))
        assert transport.closed
        assert link._unread.empty()

    asyncio.run(scene())
