"""Version 1 of the file format: entries framed and chained one by one. It is read for ever, and no longer written.

`docs/recording-format-1.md` is the specification.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from hashlib import sha256
from typing import BinaryIO

import msgspec

from hoopx_broker.recording.failures import BrokenEvidence, Place, TooLarge, TornEnd
from hoopx_broker.recording.order import HASH_SIZE, LENGTH_SIZE, MAX_BODY, Recorded, check_number, check_order
from hoopx_broker.terms.entries import Entry, Opened, Seal, Terminal

HEADER = b"hoopx recording 1\n"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Recorded).decode


def link(root: bytes, body: bytes) -> bytes:
    """The hash over everything up to and with `body`, from the hash `root` over everything before."""
    running = sha256(root)
    running.update(body)
    return running.digest()


class Chain:
    """Where a recording stands: how many entries, the time of the last, and the hash over everything so far."""

    __slots__ = ("count", "root", "t_us")

    def __init__(self) -> None:
        self.count = 0
        self.t_us = 0
        self.root = sha256(HEADER).digest()

    def add(self, t_us: int, entry: Entry) -> tuple[bytes, bytes, bytes]:
        """Number and chain one entry; the three pieces, end to end, are what goes into the file."""
        count = self.count + 1
        body = _encode(Recorded(count, t_us, entry))
        size = len(body)
        if size > MAX_BODY:
            raise TooLarge(f"entry {count} would be {size} bytes long; the bound is {MAX_BODY}")
        self.root = root = link(self.root, body)
        self.count = count
        self.t_us = t_us
        return size.to_bytes(LENGTH_SIZE, "big"), body, root


class Reading:
    """Reads what follows the first line, one entry in memory at a time. Raises `BrokenEvidence`."""

    version = 1

    def __init__(self, stream: BinaryIO) -> None:
        self.chain = Chain()
        self.offset = len(HEADER)
        self.before_seal: Chain | None = None
        self.session = ""
        self.last: type[Entry] | None = None
        self._stream = stream

    def paused(self) -> Reading:
        """One that goes on from here."""
        kept = copy(self)
        kept.chain = copy(self.chain)
        return kept

    def __iter__(self) -> Iterator[Recorded]:
        chain = self.chain
        while framed := self._next():
            body, root = framed
            end = self.offset + LENGTH_SIZE + len(body) + HASH_SIZE
            recorded = self._check(body, root, Place(self.offset, end))
            chain.root = root
            chain.count = recorded.seq
            chain.t_us = recorded.t_us
            self.offset = end
            self.last = type(recorded.entry)
            yield recorded

    def _next(self) -> tuple[bytes, bytes] | None:
        read = self._stream.read
        prefix = read(LENGTH_SIZE)
        if not prefix:
            return None
        number, at = self.chain.count + 1, self.offset
        if self.last is Seal:
            raise BrokenEvidence(number, "something follows the seal", Place(at, at + len(prefix)))
        if len(prefix) < LENGTH_SIZE:
            raise TornEnd(number, "the file ends inside the length of this entry", Place(at, at + len(prefix)))
        size = int.from_bytes(prefix, "big")
        end = at + LENGTH_SIZE + size + HASH_SIZE
        if size > MAX_BODY:
            raise BrokenEvidence(number, f"it claims {size} bytes; the bound is {MAX_BODY}", Place(at, end))
        body = read(size)
        root = read(HASH_SIZE)
        if len(body) < size or len(root) < HASH_SIZE:
            raise TornEnd(number, "the file ends inside this entry", Place(at, end))
        return body, root

    def _check(self, body: bytes, root: bytes, place: Place) -> Recorded:
        chain = self.chain
        number = chain.count + 1
        if link(chain.root, body) != root:
            why = "its hash does not follow from what is before it (changed, dropped or moved)"
            raise BrokenEvidence(number, why, place)
        try:
            recorded = _decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise BrokenEvidence(number, f"it cannot be read: {error}", place) from error
        entry = recorded.entry
        check_number(recorded, number, chain.t_us, place)
        check_order(number, self.last, type(entry), place)
        match entry:
            case Opened():
                self.session = entry.session
            case Seal():
                self._check_form(recorded, body, place)
            case Terminal():
                raise BrokenEvidence(number, "it cannot be read: version 1 knows no terminals", place)
            case _:
                pass
        return recorded

    def _check_form(self, recorded: Recorded, body: bytes, place: Place) -> None:
        """The signature cannot cover the seal itself, so nothing in the seal may be free to vary."""
        if recorded.t_us != self.chain.t_us or body != _encode(recorded):
            raise BrokenEvidence(recorded.seq, "the seal is not in its one permitted form", place)
        self.before_seal = copy(self.chain)
