"""Version 2 of the file format: entries in blocks, pressed and perhaps encrypted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from typing import BinaryIO

import msgspec

from hoopx_broker.recording import heads
from hoopx_broker.recording.blocks import FRAME, HEADER, MAX_CONTENT, MAX_ENTRIES, Block, Blocks, Chain
from hoopx_broker.recording.codecs import ENCRYPTED, PLAIN, UnreadableBlock, press, unpress
from hoopx_broker.recording.failures import BrokenEvidence, Locked, Place, TooLarge
from hoopx_broker.recording.locks import TAG_SIZE, AgeIdentity, CannotOpen, Lock
from hoopx_broker.recording.order import Recorded, check_number, check_order
from hoopx_broker.terms.entries import Ended, Entry, Opened, Seal

# Several entries that are more than this together do not share a block: a reader holds one block at a time.
_FULL = 4 << 20

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Recorded]).decode
_decode_one = msgspec.msgpack.Decoder(Recorded).decode
# How a reading stands before a block: the chain, the offset, the time of the end, and what kind of entry was last.
_Before = tuple[Chain, int, int, type[Entry] | None]
_CLOSING: frozenset[type[Entry]] = frozenset({Ended, Seal})


class Scribe:
    """Makes blocks of entries, each chained to those before; the pieces, end to end, are what goes into the file."""

    __slots__ = ("_lock", "_session", "chain")

    def __init__(self, session: str, lock: Lock | None = None, chain: Chain | None = None) -> None:
        self.chain = chain or Chain()
        self._session = session
        self._lock = lock

    def begin(self) -> list[bytes]:
        """The first line and the head."""
        return [HEADER, *self._block(PLAIN, 0, heads.written(self._session, self._lock))]

    def add(self, t_us: int, entries: Sequence[Entry]) -> list[bytes]:
        """Number, press, encrypt and chain entries: one block, unless they are many or large."""
        if not entries:
            return []
        first, count = self.chain.count + 1, len(entries)
        content = (
            _encode([(first, t_us, entries[0])])
            if count == 1
            else _encode([(first + n, t_us, entry) for n, entry in enumerate(entries)])
        )
        if count > 1 and (len(content) > _FULL or count > MAX_ENTRIES):
            return [*self.add(t_us, entries[: count // 2]), *self.add(t_us, entries[count // 2 :])]
        if len(content) > MAX_CONTENT:
            raise TooLarge(f"entry {first} would be {len(content)} bytes long; the bound is {MAX_CONTENT}")
        codec, pressed = press(content)
        self.chain.t_us = t_us
        return (
            self._block(codec, count, pressed)
            if self._lock is None
            else self._locked(self._lock, codec, count, pressed)
        )

    def close(self, t_us: int, entry: Ended | Seal) -> list[bytes]:
        """The end and the seal stand alone and in the clear: who has no key proves and repairs by them."""
        self.chain.t_us = t_us
        return self._block(PLAIN, 1, _encode([(self.chain.count + 1, t_us, entry)]))

    def _block(self, codec: int, entries: int, payload: bytes) -> list[bytes]:
        frame = FRAME.pack(len(payload), codec, entries)
        return [frame, payload, self.chain.add(frame, payload, entries)]

    def _locked(self, lock: Lock, codec: int, entries: int, pressed: bytes) -> list[bytes]:
        frame = FRAME.pack(len(pressed) + TAG_SIZE, codec | ENCRYPTED, entries)
        payload = lock.close(self._session, self.chain.blocks + 1, frame, pressed)
        return [frame, payload, self.chain.add(frame, payload, entries)]


class Reading:
    """Reads what follows the first line, one block in memory at a time. Raises `BrokenEvidence`.

    What is encrypted needs `identity`: without a fitting one `Locked` is raised where it begins. `head` is there then.
    """

    version = 2

    def __init__(self, stream: BinaryIO, identity: AgeIdentity | None = None) -> None:
        self._blocks = Blocks(stream)
        self._opener = Opener(identity)
        self._ended_us = 0
        self._told = 0  # the number of the last entry that was given away
        self.chain = self._blocks.chain
        self.before_seal: Chain | None = None
        self.last: type[Entry] | None = None
        self._before: _Before = (copy(self.chain), self._blocks.offset, self._ended_us, self.last)

    @property
    def offset(self) -> int:
        return self._blocks.offset

    @property
    def head(self) -> heads.Head | None:
        return self._opener.head

    @property
    def session(self) -> str:
        return self.head.session if self.head else ""

    def paused(self) -> Reading:
        """One that goes on behind the last entry that was given away, with the block that holds it."""
        kept = copy(self)
        chain, kept._ended_us, kept.last = self._before[0], *self._before[2:]
        kept._blocks = self._blocks.at(chain, self._before[1])
        kept.chain = kept._blocks.chain
        return kept

    def __iter__(self) -> Iterator[Recorded]:
        chain = self.chain
        while True:
            self._before = (copy(chain), self._blocks.offset, self._ended_us, self.last)
            before = chain.root, chain.blocks, chain.count
            block = self._blocks.next()
            if block is None:
                return
            if block.number == 1:
                self._opener.head = heads.read(block)
                continue
            found = self._checked(block, before[2], self._opener.entries(block, before[2] + 1))
            if self.last is Seal:
                self.before_seal = Chain(*before, self._ended_us)
                self._blocks.is_sealed = True
            for recorded in found:
                if recorded.seq > self._told:
                    self._told = recorded.seq
                    yield recorded

    def _checked(self, block: Block, count: int, found: list[Recorded]) -> list[Recorded]:
        for at, recorded in enumerate(found):
            number, entry = count + 1 + at, recorded.entry
            kind = type(entry)
            if kind in _CLOSING:
                found[at] = recorded = self._closing(block, number, recorded)
            check_number(recorded, number, self.chain.t_us, block.place)
            check_order(number, self.last, kind, block.place)
            if isinstance(entry, Opened):
                check_session(entry, self._opener, block.place)
            self.chain.t_us, self.last = recorded.t_us, kind
        return found

    def _closing(self, block: Block, number: int, recorded: Recorded) -> Recorded:
        """The time of the end is 0 where who wrote it had no key to read the time of the entry before."""
        if isinstance(recorded.entry, Seal):
            check_seal_form(block, number, self._ended_us, recorded.entry)
        else:
            self._ended_us = recorded.t_us
            if not (self._opener.is_encrypted and recorded.t_us == 0):
                return recorded
        return Recorded(recorded.seq, max(recorded.t_us, self.chain.t_us), recorded.entry)


class Opener:
    """Gets the entries out of blocks. `head` is known as soon as the first block was read."""

    def __init__(self, identity: AgeIdentity | None = None) -> None:
        self.head: heads.Head | None = None
        self._identity = identity
        self._lock: Lock | None = None

    def entries(self, block: Block, first: int) -> list[Recorded]:
        """Of which `first` is the number of the first. Raises `BrokenEvidence`, or `Locked`."""
        try:
            content = unpress(block.codec & ~ENCRYPTED, self._unlocked(block, first), MAX_CONTENT)
        except (UnreadableBlock, CannotOpen) as error:
            raise BrokenEvidence(first, f"its block cannot be read: {error}", block.place) from error
        if not content.startswith(array_head(block.entries)):
            raise BrokenEvidence(first, f"its block does not hold {block.entries} entries", block.place)
        try:
            found = _decode(content)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            at = first + _good(content)
            raise BrokenEvidence(at, f"it cannot be read: {error}", block.place) from error
        self._check_codec(block, first, found)
        return found

    @property
    def is_encrypted(self) -> bool:
        return self.head is not None and bool(self.head.recipients)

    def is_hidden(self, block: Block, first: int) -> bool:
        """Is the block encrypted? Raises `BrokenEvidence` where it may not be."""
        if block.codec & ENCRYPTED and not self.is_encrypted:
            raise BrokenEvidence(first, "it is encrypted, and the head names nobody who could read it", block.place)
        return bool(block.codec & ENCRYPTED)

    def _unlocked(self, block: Block, first: int) -> bytes:
        head = self.head
        if not self.is_hidden(block, first) or head is None:
            return block.payload
        if self._lock is None:
            if self._identity is None:
                to = ", ".join(head.recipients)
                raise Locked(
                    f"the recording is encrypted to {to}", "give the file of one of these keys by `--identity`"
                )
            self._lock = self._identity.lock(head.recipients, head.key)
        return self._lock.open(head.session, block.number, block.frame, block.payload)

    def _check_codec(self, block: Block, first: int, found: list[Recorded]) -> None:
        """The end and the seal are alone and in the clear; nothing else is where the recording is encrypted."""
        for at, recorded in enumerate(found):
            if type(recorded.entry) in _CLOSING:
                if block.codec != PLAIN or block.entries != 1:
                    raise BrokenEvidence(first + at, "the end and the seal stand alone and in the clear", block.place)
            elif self.is_encrypted and not block.codec & ENCRYPTED:
                raise BrokenEvidence(first + at, "it is in the clear in an encrypted recording", block.place)


def check_session(opened: Opened, opener: Opener, place: Place) -> None:
    """The head is of the session that is opened."""
    if opener.head is None or opened.session != opener.head.session:
        raise BrokenEvidence(1, f"it opens session `{opened.session}`, which is not the one of the head", place)


def check_seal_form(block: Block, number: int, ended_us: int, seal: Seal) -> None:
    """The signature cannot cover the seal itself, so nothing in the seal may be free to vary."""
    if block.codec != PLAIN or block.payload != _encode([(number, ended_us, seal)]):
        raise BrokenEvidence(number, "the seal is not in its one permitted form", block.place)


def array_head(size: int) -> bytes:
    """How MessagePack begins an array, in its shortest form."""
    if size < 16:
        return bytes([0x90 | size])
    return b"\xdc" + size.to_bytes(2, "big") if size < 1 << 16 else b"\xdd" + size.to_bytes(4, "big")


def _good(content: bytes) -> int:
    """How many entries of a bad block are good ones before the first bad one."""
    try:
        pieces = msgspec.msgpack.decode(content, type=list[msgspec.Raw])
        for at, piece in enumerate(pieces):
            try:
                _decode_one(piece)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                return at
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    return 0
