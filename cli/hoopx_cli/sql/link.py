"""One connection to the database of a session, through the session's own tunnel: no port is opened on this machine."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from hoopx_broker.api.messages import Ended
from hoopx_broker.terms.errors import BackendFailed, Denied, HoopxError, Unreachable
from hoopx_broker.tunnel.client import Stream, UpgradeRefused
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Side
from hoopx_broker.wire.postgres import frames, messages
from hoopx_broker.wire.postgres.frames import Frame, Framer
from hoopx_cli.session import Session
from hoopx_cli.sql import wire
from hoopx_cli.sql.happenings import Failed, Happening

# What has come and nobody has read yet: beyond it the broker, and by it the server, is made to wait.
MAX_UNREAD = 256 * 1024
# While data is sent for a COPY, only notices come, and they wait until it is through.
MAX_NOTICES = 10_000
# The broker logs in at the target meanwhile.
START_SECONDS = 60
CANCEL_SECONDS = 10
# The control channel hears of a session's end at about the same time as the stream.
END_SECONDS = 3


class LinkLost(HoopxError):
    """The connection is over; what ran on it may or may not have come to its end."""


class Link:
    """A stream of the session and what is said on it. Made by `linked`."""

    def __init__(self, session: Session) -> None:
        self.state = "I"  # as ReadyForQuery tells it: idle, in a transaction (T), in a failed one (E)
        self._session = session
        self._framer = Framer(Side.BACKEND)
        self._heard: deque[bytes] = deque()
        self._read: deque[Frame] = deque()
        self._unread = 0
        self._is_slowed = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._ended: str | None = None
        self._stream: Stream | None = None
        self._key = b""

    async def start(self) -> None:
        """Raises a `HoopxError` where there is no connection to be had."""
        try:
            async with asyncio.timeout(START_SECONDS):
                self._stream = await self._dial(self)
                self._stream.send(wire.startup(self._session.opened.database))
                await self._until_ready()
        except TimeoutError:
            raise BackendFailed(f"`{self._target}` does not answer", "try again in a moment") from None

    async def run(self, text: str, parameters: Sequence[str | None] | None = None) -> AsyncIterator[Happening]:
        """Send one statement, and give what happens to its end. Raises `LinkLost`, and `BadInput` for no text."""
        self._send(wire.query(text) if parameters is None else wire.bound_query(text, parameters))
        while (frame := await self._frame()).kind != frames.READY:
            happening = wire.happening(frame)
            if happening is not None:
                yield happening
        self.state = chr(frame.data[5])

    async def copy(self, chunk: bytes) -> bool:
        """Send data for a COPY as fast as it is taken; False where it failed, and no more is wanted."""
        await self._room.wait()
        while self._heard:
            self._read.extend(self._taken())
        if len(self._read) > MAX_NOTICES:
            raise BrokenPeer("the server does not stop talking while it is sent data")
        if self._ended is not None or any(frame.kind == frames.ERROR for frame in self._read):
            return False
        self._send(wire.copy_data(chunk))
        return True

    def copied(self) -> None:
        self._send(wire.COPY_DONE)

    def copy_fails(self, reason: str) -> None:
        self._send(wire.copy_fail(reason))

    async def cancel(self) -> None:
        """Ask the server to stop what runs here; when this returns, the server knows."""
        if not self._key:
            return
        messenger = _Messenger()
        with suppress(HoopxError, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                stream = await self._dial(messenger)
                stream.send(messages.cancel_request(self._key))
                await messenger.is_over.wait()
                stream.close()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.send(messages.TERMINATE)
            self._stream.close()

    # -- what the stream tells

    def far_says(self, data: bytes) -> None:
        self._heard.append(data)
        self._unread += len(data)
        if self._unread > MAX_UNREAD and self._stream is not None and not self._is_slowed:
            self._is_slowed = True
            self._stream.stop_reading()
        self._news.set()

    def far_is_full(self) -> None:
        self._room.clear()

    def far_has_room(self) -> None:
        self._room.set()

    def far_ended(self, reason: str) -> None:
        self._ended = reason or "the connection was closed"
        self._room.set()
        self._news.set()

    # -- within

    @property
    def _target(self) -> str:
        return self._session.opened.target

    async def _frame(self) -> Frame:
        """The next frame. Raises `LinkLost`."""
        while not self._read:
            self._read.extend(await self._frames())
        return self._read.popleft()

    async def _frames(self) -> list[Frame]:
        while not self._heard:
            if self._ended is not None:
                raise LinkLost(f"the connection to `{self._target}` is lost: {self._ended}", "connect again")
            self._news.clear()
            await self._news.wait()
        return self._taken()

    def _taken(self) -> list[Frame]:
        """The frames that are whole by what was heard next."""
        data = self._heard.popleft()
        self._unread -= len(data)
        if self._is_slowed and self._unread <= MAX_UNREAD // 2 and self._stream is not None:
            self._is_slowed = False
            self._stream.go_on_reading()
        return self._framer.feed(data)

    async def _until_ready(self) -> None:
        while True:
            frame = await self._frame()
            match frame.kind:
                case frames.READY:
                    return
                case frames.KEY_DATA:
                    self._key = frame.data[5:]
                case frames.ERROR:
                    raise self._refused(frame)
                case _:
                    pass

    def _refused(self, frame: Frame) -> HoopxError:
        told = wire.happening(frame)
        assert isinstance(told, Failed)
        report = told.report
        kind = Denied if report.code == "42501" else BackendFailed
        detail = f": {report.detail}" if report.detail else ""
        return kind(f"{report.message}{detail}", report.hint or "the broker's log says why")

    async def _dial(self, near: Link | _Messenger) -> Stream:
        try:
            return await self._session.dial(near)
        except UpgradeRefused as refused:
            message = f"the broker opens no connection for this session (HTTP {refused.status}): it is over"
            raise LinkLost(message, "open it again") from None
        except OSError as error:
            why = error.strerror or "no answer in time"
            raise Unreachable(f"the broker cannot be reached: {why}", "is it running?") from None

    def _send(self, data: bytes) -> None:
        if self._stream is not None:
            self._stream.send(data)


class _Messenger:
    """The near side of a stream that carries one cancel request, and is answered by its end."""

    def __init__(self) -> None:
        self.is_over = asyncio.Event()

    def far_says(self, data: bytes) -> None:
        """Nothing is said on it."""

    def far_is_full(self) -> None:
        """One packet always has room."""

    def far_has_room(self) -> None: ...

    def far_ended(self, reason: str) -> None:
        self.is_over.set()


@asynccontextmanager
async def linked(session: Session) -> AsyncIterator[Link]:
    """A connection of the session, closed afterwards; what breaks it is told by why the session ended, where it did."""
    link = Link(session)
    try:
        await link.start()
        yield link
    except (LinkLost, BrokenPeer) as error:
        raise await why_lost(session, error) from None
    finally:
        link.close()


async def why_lost(session: Session, error: LinkLost | BrokenPeer) -> HoopxError:
    """The connection broke: is it the session's end, the broker's, or only this connection's?"""
    target = session.opened.target
    try:
        async with asyncio.timeout(END_SECONDS):
            ended = await session.over()
    except TimeoutError:
        if session.is_lost:  # it may come back, but what ran here is gone
            return Unreachable("the broker was lost; it ends the session by itself", "connect again when it is back")
        hint = "connect again" if isinstance(error, LinkLost) else "update hoopx"
        return BackendFailed(str(error), hint)
    if isinstance(ended, Ended):
        return BackendFailed(f"the session with `{target}` ended: {ended.reason}", "open another one")
    return Unreachable("the broker was lost; it ends the session by itself", "connect again when it is back")
