"""Go through a recording of version 2 by its frames and hashes, without pressing or decrypting anything.

So it goes as fast as hashing does, and needs no key. Only the head, the opening, the end and the seal are looked into.
"""

from __future__ import annotations

from hashlib import sha256
from typing import BinaryIO

from hoopx_broker.recording import heads
from hoopx_broker.recording.blocks import FRAME, FRAME_SIZE, MAX_ENTRIES, Block, Blocks, Chain
from hoopx_broker.recording.codecs import ENCRYPTED, PLAIN, ZSTD, ZSTD_WITH_DICTIONARY
from hoopx_broker.recording.locks import AgeIdentity
from hoopx_broker.recording.order import HASH_SIZE, Recorded, check_number, check_order
from hoopx_broker.recording.version2 import Opener, check_seal_form, check_session
from hoopx_broker.terms.entries import Ended, Entry, Opened, Seal, Statement

_WINDOW = 1 << 20
_OPENING = 2  # the number of the block with the opening
# A note with one signature, or a reason for the end: more is not looked into.
_MAX_CLOSING = 64 << 10
_TOLD = Statement  # stands for whatever is told between the opening and the end
_ENDED = b"\xa4type\xa5ended"
_SEAL = b"\xa4type\xa4seal"
_SMALL = 1 << 10
_NEAR = 64  # an array, a number and a time have 21 bytes at most


class Sweep:
    """Holds everything that stands in the clear: `head`, `opened` unless it is encrypted, `ended` and `seal`.

    With an `identity` that opens it, `opened` is there in any case. `chain`, `offset` and `before_seal` are as in
    `Reader`. `run` raises `BrokenEvidence` as a `Reader` does, for what can be seen from outside.
    """

    def __init__(self, stream: BinaryIO, identity: AgeIdentity | None = None) -> None:
        self._window = _Window(stream)
        self._blocks = Blocks(self._window)
        self._opener = Opener(identity)
        self._reads_all = identity is not None
        self.chain = self._blocks.chain
        self.opened: Opened | None = None
        self.ended: Recorded | None = None
        self.seal: Seal | None = None
        self.last: type[Entry] | None = None
        self.before_seal: Chain | None = None

    @property
    def offset(self) -> int:
        return self._blocks.offset

    @property
    def head(self) -> heads.Head | None:
        return self._opener.head

    def run(self) -> None:
        """From behind the first line to the end of the file."""
        chain = self.chain
        while True:
            before = chain.root, chain.blocks, chain.count
            block = self._blocks.next()
            if block is None:
                return
            if block.number == 1:
                self._opener.head = heads.read(block)
                continue
            self._look(block, before)
            if self.last is not Ended:
                self._rush()

    def _look(self, block: Block, before: tuple[bytes, int, int]) -> None:
        number = before[2] + 1
        kind = self._kind(block, number)
        check_order(number, self.last, kind, block.place)
        if kind is Seal and self.seal and self.ended:
            check_seal_form(block, number, self.ended.t_us, self.seal)
            self.before_seal = Chain(*before)
            self._blocks.is_sealed = True
        self.last = kind

    def _kind(self, block: Block, number: int) -> type[Entry]:
        """What is in a block, as far as it has to be known."""
        is_hidden = self._opener.is_hidden(block, number) and not self._reads_all
        if block.number == _OPENING:
            return Opened if is_hidden else self._opening(block, number)
        if block.codec != PLAIN or block.entries != 1 or len(block.payload) > _MAX_CLOSING:
            return _TOLD
        (recorded,) = self._opener.entries(block, number)
        match recorded.entry:
            case Ended():
                self.ended = recorded
                self.chain.t_us = recorded.t_us
            case Seal() as seal:
                self.seal = seal
            case _:
                return _TOLD
        return type(recorded.entry)

    def _opening(self, block: Block, number: int) -> type[Entry]:
        first = self._opener.entries(block, number)[0]
        check_number(first, number, 0, block.place)
        if isinstance(first.entry, Opened):
            check_session(first.entry, self._opener, block.place)
            self.opened = first.entry
        return type(first.entry)

    def _rush(self) -> None:
        """Over all blocks that are nothing but good, to the first that needs a look; it is left to be read again."""
        window, chain, unpack, hashed = self._window, self.chain, FRAME.unpack_from, sha256
        body = ENCRYPTED if self._opener.is_encrypted else 0
        codecs = {body | ZSTD, body | ZSTD_WITH_DICTIONARY, body | PLAIN}
        root, blocks, count = chain.root, chain.blocks, chain.count
        while window.fill(root):
            data, at = window.data, HASH_SIZE
            view, room = memoryview(data), len(data) - HASH_SIZE
            ended, seal = _next(_ENDED, data, at), _next(_SEAL, data, at)
            while at + FRAME_SIZE <= room:
                size, codec, entries = unpack(data, at)
                end = at + FRAME_SIZE + size
                if end > room or codec not in codecs or not 0 < entries <= MAX_ENTRIES:
                    break
                before = at - HASH_SIZE
                # To copy little is quicker than to point at it.
                root = hashed(data[before:end] if size < _SMALL else view[before:end]).digest()
                if root != data[end : end + HASH_SIZE]:
                    break
                if ended < end or seal < end:
                    if codec == PLAIN and _may_close(data, at, entries):
                        break
                    # Each is looked for once only, however often the other one is written somewhere.
                    ended = ended if ended >= end else _next(_ENDED, data, end)
                    seal = seal if seal >= end else _next(_SEAL, data, end)
                blocks += 1
                count += entries
                at = end + HASH_SIZE
            window.at = at
            self._blocks.offset += at - HASH_SIZE
            root = data[at - HASH_SIZE : at]
            if at == HASH_SIZE:
                break
        chain.root, chain.blocks, chain.count = root, blocks, count


def _next(mark: bytes, data: bytes, start: int) -> int:
    """Where it stands next; behind `data` where it does not."""
    at = data.find(mark, start)
    return at if at >= 0 else len(data)


def _may_close(data: bytes, at: int, entries: int) -> bool:
    """The name of the kind stands behind number and time, or it is not the end of a session."""
    start = at + FRAME_SIZE
    return entries == 1 and (
        data.find(_ENDED, start, start + _NEAR) >= 0 or data.find(_SEAL, start, start + _NEAR) >= 0
    )


class _Window:
    """A stream of which a good piece is in memory, behind the hash of what comes before it."""

    def __init__(self, stream: BinaryIO) -> None:
        self.data = b""
        self.at = 0
        self._stream = stream

    def fill(self, root: bytes) -> bool:
        """Put `root` before what is not read yet, and more behind it. False where there is no more."""
        more = self._stream.read(_WINDOW)
        self.data = root + self.data[self.at :] + more
        self.at = HASH_SIZE
        return bool(more) or len(self.data) > HASH_SIZE

    def read(self, size: int) -> bytes:
        """As a file does."""
        piece = self.data[self.at : self.at + size]
        self.at += len(piece)
        if len(piece) == size:
            return piece
        return piece + self._stream.read(size - len(piece))
