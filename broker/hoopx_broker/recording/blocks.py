"""The frame of version 2 of the file format: blocks, each chained to all before it.

`docs/recording-format.md` is the specification. Nothing here looks into a block, so it holds for encrypted ones too.
"""

from __future__ import annotations

import struct
from copy import copy
from hashlib import sha256
from typing import NamedTuple, Protocol

from hoopx_broker.recording.codecs import ENCRYPTED, PLAIN, ZSTD, ZSTD_WITH_DICTIONARY
from hoopx_broker.recording.failures import BrokenEvidence, Place, TornEnd
from hoopx_broker.recording.locks import TAG_SIZE
from hoopx_broker.recording.order import HASH_SIZE, MAX_BODY

HEADER = b"hoopx recording 2\n"
# Length of the payload, codec, number of entries.
FRAME = struct.Struct(">IBI")
FRAME_SIZE = FRAME.size
# What is in a block, unpressed: at least the largest entry there may be.
MAX_CONTENT = MAX_BODY
MAX_STORED = MAX_CONTENT + TAG_SIZE
# Each entry becomes some hundreds of bytes of memory at a reader.
MAX_ENTRIES = 1 << 16

_CODECS = frozenset(codec | bit for codec in (PLAIN, ZSTD, ZSTD_WITH_DICTIONARY) for bit in (0, ENCRYPTED))
# What is hashed up to here is joined first: a second call into the hash costs more than the copy.
_JOINED = 4 << 10
_FIRST_ROOT = sha256(HEADER).digest()


class Chain:
    """Where a recording stands: how many blocks and entries, the time of the last, the hash over everything so far."""

    __slots__ = ("blocks", "count", "root", "t_us")

    def __init__(self, root: bytes = _FIRST_ROOT, blocks: int = 0, count: int = 0, t_us: int = 0) -> None:
        self.root = root
        self.blocks = blocks
        self.count = count
        self.t_us = t_us

    def add(self, frame: bytes, payload: bytes, entries: int) -> bytes:
        """Chain one block on; gives its hash."""
        if len(payload) <= _JOINED:
            root = sha256(self.root + frame + payload).digest()
        else:
            running = sha256(self.root + frame)
            running.update(payload)
            root = running.digest()
        self.root = root
        self.blocks += 1
        self.count += entries
        return root


class Readable(Protocol):
    """Gives all bytes asked for unless it is at its end, as a buffered file does."""

    def read(self, size: int, /) -> bytes: ...


class Block(NamedTuple):
    """A block whose hash holds. `entries` is 0 for the head alone."""

    number: int
    codec: int
    entries: int
    frame: bytes
    payload: bytes
    place: Place


class Blocks:
    """Reads blocks, one in memory at a time. `chain` and `offset` tell how far the file holds.

    Whoever finds the seal sets `is_sealed`: nothing may follow then.
    """

    def __init__(self, stream: Readable) -> None:
        self.chain = Chain()
        self.offset = len(HEADER)
        self.is_sealed = False
        self._read = stream.read

    def at(self, chain: Chain, offset: int) -> Blocks:
        """Others over the same file, which must be sought to `offset`: `chain` is how it stands there."""
        other = copy(self)
        other.chain, other.offset, other.is_sealed = copy(chain), offset, False
        return other

    def next(self) -> Block | None:
        """None at the end of the file; raises `BrokenEvidence`."""
        frame = self._read(FRAME_SIZE)
        if not frame:
            return None
        chain, start = self.chain, self.offset
        number, bad = chain.blocks + 1, chain.count + 1 if chain.blocks else 0
        if self.is_sealed:
            raise BrokenEvidence(bad, "something follows the seal", Place(start, start + len(frame), number))
        if len(frame) < FRAME_SIZE:
            place = Place(start, start + len(frame), number)
            raise TornEnd(bad, "the file ends inside the beginning of this block", place)
        size, codec, entries = FRAME.unpack(frame)
        end = start + FRAME_SIZE + size + HASH_SIZE
        place = Place(start, end, number)
        check_frame(number, size, codec, entries, bad, place)
        payload = self._read(size)
        root = self._read(HASH_SIZE)
        if len(payload) < size or len(root) < HASH_SIZE:
            raise TornEnd(bad, "the file ends inside this block", place)
        before = chain.root
        if chain.add(frame, payload, entries) != root:
            chain.root, chain.blocks, chain.count = before, number - 1, chain.count - entries
            why = "its hash does not follow from what is before it (changed, dropped or moved)"
            raise BrokenEvidence(bad, why, place)
        self.offset = end
        return Block(number, codec, entries, frame, payload, place)


def check_frame(number: int, size: int, codec: int, entries: int, bad: int, place: Place) -> None:
    """What may stand before a payload; raises `BrokenEvidence`."""
    if size > MAX_STORED:
        raise BrokenEvidence(bad, f"it claims {size} bytes; the bound is {MAX_STORED}", place)
    if codec not in _CODECS:
        raise BrokenEvidence(bad, f"there is no codec {codec}", place)
    if (entries == 0) != (number == 1):
        raise BrokenEvidence(bad, "the head alone is a block without entries, and the first one", place)
    if entries > MAX_ENTRIES:
        raise BrokenEvidence(bad, f"it claims {entries} entries; the bound is {MAX_ENTRIES}", place)
