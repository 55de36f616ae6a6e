"""A worker's end of its channel: connections come in, and the other workers are asked and answered."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

from hoopx_broker.tunnel.channel import Broken, Channel, Kind, Message
from hoopx_broker.tunnel.crew import Crew

ANSWER_SECONDS = 5.0

Answer = Callable[[bytes], Awaitable[bytes]]


class Others(Protocol):
    """The workers of one broker. This one is `number` among `workers`."""

    number: int
    workers: int

    async def ask(self, to: int, what: bytes, body: bytes) -> bytes | None:
        """None where that worker does not answer, or has no answer."""


class Alone:
    """A broker of one process."""

    number, workers = 0, 1

    async def ask(self, to: int, what: bytes, body: bytes) -> bytes | None:
        return None


ALONE = Alone()


class Post:
    """Questions are told apart by their first byte."""

    def __init__(self, channel: Channel, number: int, workers: int) -> None:
        self.number = number
        self.workers = workers
        self._channel = channel
        self._answers: dict[bytes, Answer] = {}
        self._asked: dict[int, asyncio.Future[bytes | None]] = {}
        self._numbers = 0
        self._take: Callable[[socket.socket], None] = socket.socket.close
        self._lost: Callable[[], None] = lambda: None
        self._crew: Crew | None = None

    def serve(self, take: Callable[[socket.socket], None], lost: Callable[[], None], crew: Crew) -> None:
        """`take` gets connections, what has come before this too; `lost` is called where the usher is gone."""
        self._take, self._lost, self._crew = take, lost, crew
        asyncio.get_running_loop().add_reader(self._channel.fileno(), self._hear)

    def tell(self, present: bytes) -> None:
        """That this worker serves; `present` is for the usher."""
        self._channel.send(Message(Kind.PRESENT, self.number, self.number, body=present))

    def stop_taking(self) -> None:
        self._take = socket.socket.close

    def answer(self, what: bytes, by: Answer) -> None:
        self._answers[what] = by

    async def ask(self, to: int, what: bytes, body: bytes) -> bytes | None:
        self._numbers = (self._numbers + 1) % (1 << 32)
        number, future = self._numbers, asyncio.get_running_loop().create_future()
        self._asked[number] = future
        try:
            if not self._channel.send(Message(Kind.QUESTION, to, self.number, number, what + body)):
                return None
            async with asyncio.timeout(ANSWER_SECONDS):
                answer: bytes | None = await future
                return answer
        except TimeoutError:
            return None
        finally:
            del self._asked[number]

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._channel.fileno())
        self._channel.close()

    def _hear(self) -> None:
        try:
            messages = self._channel.receive()
        except Broken:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._lost()
            return
        for message in messages:
            self._on_message(message)

    def _on_message(self, message: Message) -> None:
        match message.kind:
            case Kind.CONNECTION:
                if message.connection is not None:
                    self._take(message.connection)
            case Kind.QUESTION:
                assert self._crew is not None
                self._crew.start(self._answer(message), "answer")
            case Kind.ANSWER | Kind.NO_ANSWER:
                future = self._asked.get(message.number)
                if future is not None and not future.done():
                    future.set_result(message.body if message.kind is Kind.ANSWER else None)
            case Kind.PRESENT:
                pass

    async def _answer(self, message: Message) -> None:
        by = self._answers.get(message.body[:1])
        kind, body = Kind.NO_ANSWER, b""
        try:
            if by is not None:
                kind, body = Kind.ANSWER, await by(message.body[1:])
        finally:
            self._channel.send(Message(kind, message.sender, self.number, message.number, body))
