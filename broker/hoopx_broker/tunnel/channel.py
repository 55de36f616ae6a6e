"""Between the usher and a worker: connections that are handed over, and short messages, on a socket of this machine."""

from __future__ import annotations

import array
import os
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from enum import IntEnum
from struct import Struct as Packed

from msgspec import Struct

# The answer to a question holds a token and an identity at most; both are bounded far below.
MAX_BODY = 64 * 1024
_READ = 256 * 1024
_DESCRIPTORS = 16  # that one read may bring; the kernel ends a read behind each that it brings
_SIZE = array.array("i").itemsize
_HEAD = Packed("!BBBxII")  # kind, to, from, number, length


class Kind(IntEnum):
    """What a message is."""

    CONNECTION = 1  # comes with a descriptor
    PRESENT = 2  # a worker serves from now on, or has another id; for the usher alone
    QUESTION = 3
    ANSWER = 4
    NO_ANSWER = 5


_KINDS = frozenset(Kind)


class Message(Struct, frozen=True):
    """`to` and `sender` are numbers of workers; an answer has the `number` of its question."""

    kind: Kind
    to: int
    sender: int
    number: int = 0
    body: bytes = b""
    connection: socket.socket | None = None


class Broken(Exception):
    """The other end is gone."""


class Channel:
    """One end. Nothing on it ever waits: what finds no room is refused."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)  # noqa: FBT003 - as socket has it
        self.end = end
        self._owed = b""
        self._held = b""
        self._descriptors: deque[int] = deque()

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(one), cls(other)

    def fileno(self) -> int:
        return self.end.fileno()

    def send(self, message: Message) -> bool:
        """False where there is no room. A connection stays the caller's to close."""
        head = _HEAD.pack(message.kind, message.to, message.sender, message.number, len(message.body))
        rights = [message.connection.fileno()] if message.connection is not None else []
        try:
            if self._owed:
                self._owed = self._owed[self.end.send(self._owed) :]
            if self._owed:
                return False
            data = head + message.body
            sent = socket.send_fds(self.end, [data], rights) if rights else self.end.send(data)
        except OSError:
            return False
        self._owed = data[sent:]
        return True

    def receive(self) -> list[Message]:
        """What has come. Raises `Broken`."""
        try:
            data, rights, _, _ = self.end.recvmsg(_READ, socket.CMSG_LEN(_DESCRIPTORS * _SIZE))
        except (BlockingIOError, InterruptedError):
            return []
        except OSError as error:
            raise Broken from error
        for level, kind, content in rights:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                given = array.array("i", content[: len(content) - len(content) % _SIZE])
                for each in given:
                    os.set_inheritable(each, False)  # noqa: FBT003 - as os has it
                self._descriptors.extend(given)
        if not data:
            raise Broken
        self._held += data
        return list(self._messages())

    def close(self) -> None:
        while self._descriptors:
            with suppress(OSError):
                os.close(self._descriptors.popleft())
        self.end.close()

    def _messages(self) -> Iterator[Message]:
        while len(self._held) >= _HEAD.size:
            kind, to, sender, number, length = _HEAD.unpack_from(self._held)
            if length > MAX_BODY or kind not in _KINDS:
                raise Broken
            if len(self._held) < _HEAD.size + length:
                return
            body = self._held[_HEAD.size : _HEAD.size + length]
            self._held = self._held[_HEAD.size + length :]
            yield Message(Kind(kind), to, sender, number, body, self._connection() if kind == Kind.CONNECTION else None)

    def _connection(self) -> socket.socket | None:
        return socket.socket(fileno=self._descriptors.popleft()) if self._descriptors else None
