"""The file format of recordings, version 1: entries framed and chained, and a strict reader of them.

`docs/recording-format.md` is the specification.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import copy
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from hoopx_broker.recording.failures import BrokenEvidence, TooLarge, TornEnd
from hoopx_broker.terms.entries import Ended, Entry, Opened, Seal
from hoopx_broker.terms.errors import BadInput

HEADER = b"hoopx recording 1\n"
SUFFIX = ".hoopx"
# The wire lets one message of 256 MiB through, in one entry with what arrived around it. A reader holds one entry in
# memory at a time, on a laptop too.
MAX_BODY = 272 << 20
LENGTH_SIZE = 4
HASH_SIZE = 32

# The id becomes a file name and a line of the seal: nothing that could leave a directory or a line.
_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Recorded(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The body of an entry: its number from 1, microseconds since the first entry, and what happened."""

    seq: int
    t_us: int
    entry: Entry


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Recorded).decode
_EDGES: frozenset[type[Entry] | None] = frozenset({None, Opened, Ended, Seal})


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


class Reader:
    """Reads a recording once, forward, one entry in memory at a time; raises `BrokenEvidence` at the first bad one.

    `chain` and `offset` tell how far it holds, `before_seal` what the seal is about. A missing seal is not this
    reader's business, since a session may still be running; everything else is: lengths, chain, numbers, times,
    order, the form of the seal.
    `stream` must give all bytes asked for unless it is at its end, as a buffered file does.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.chain = Chain()
        self.offset = 0
        self.before_seal: Chain | None = None
        self._stream = stream
        self._last: type[Entry] | None = None

    def __iter__(self) -> Iterator[Recorded]:
        if self._stream.read(len(HEADER)) != HEADER:
            raise BrokenEvidence(0, "not a recording of version 1: it does not begin with the line `hoopx recording 1`")
        self.offset = len(HEADER)
        while framed := self._next():
            body, root = framed
            recorded = self._check(body, root)
            self.chain.root = root
            self.chain.count = recorded.seq
            self.chain.t_us = recorded.t_us
            self.offset += LENGTH_SIZE + len(body) + HASH_SIZE
            self._last = type(recorded.entry)
            yield recorded

    def _next(self) -> tuple[bytes, bytes] | None:
        read = self._stream.read
        prefix = read(LENGTH_SIZE)
        if not prefix:
            return None
        if self._last is Seal:
            raise BrokenEvidence(self.chain.count + 1, "something follows the seal")
        if len(prefix) < LENGTH_SIZE:
            raise TornEnd(self.chain.count + 1, "the file ends inside the length of this entry")
        size = int.from_bytes(prefix, "big")
        if size > MAX_BODY:
            raise BrokenEvidence(self.chain.count + 1, f"it claims {size} bytes; the bound is {MAX_BODY}")
        body = read(size)
        root = read(HASH_SIZE)
        if len(body) < size or len(root) < HASH_SIZE:
            raise TornEnd(self.chain.count + 1, "the file ends inside this entry")
        return body, root

    def _check(self, body: bytes, root: bytes) -> Recorded:
        chain = self.chain
        number = chain.count + 1
        if link(chain.root, body) != root:
            raise BrokenEvidence(number, "its hash does not follow from what is before it (changed, dropped or moved)")
        try:
            recorded = _decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise BrokenEvidence(number, f"it cannot be read: {error}") from error
        if recorded.seq != number:
            raise BrokenEvidence(number, f"it is numbered {recorded.seq}")
        if recorded.t_us < chain.t_us:
            raise BrokenEvidence(number, "its time is before the time of the entry before it")
        kind = type(recorded.entry)
        if kind in _EDGES or self._last in _EDGES:
            self._check_order(number, kind)
        if kind is Seal:
            self._check_form(number, recorded, body)
        return recorded

    def _check_order(self, number: int, kind: type[Entry]) -> None:
        """The order is: Opened, anything, Ended, Seal."""
        if (kind is Opened) != (self._last is None):
            raise BrokenEvidence(number, "a recording begins with the opening of its session, and holds no second one")
        if (kind is Seal) != (self._last is Ended):
            raise BrokenEvidence(number, "the seal follows the end of the session, and nothing else does")

    def _check_form(self, number: int, recorded: Recorded, body: bytes) -> None:
        """The signature cannot cover the seal itself, so nothing in the seal may be free to vary."""
        if recorded.t_us != self.chain.t_us or body != _encode(recorded):
            raise BrokenEvidence(number, "the seal is not in its one permitted form")
        self.before_seal = copy(self.chain)


def is_session_id(text: str) -> bool:
    return _SESSION_ID.fullmatch(text) is not None


def path_of(directory: Path, session: str) -> Path:
    """Where the recording of a session lives; raises `BadInput` for what cannot be an id."""
    if not is_session_id(session):
        raise BadInput(f"{session!r} cannot be the id of a session", "copy it from `hoopx sessions ls`")
    return directory / (session + SUFFIX)
