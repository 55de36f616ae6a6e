"""Look at both ends of a recording, its head and its seal, without reading what lies between."""

from __future__ import annotations

import io
import re
from hashlib import sha256

import msgspec
from msgspec import Struct

from hoopx_broker.recording import blocks, heads, version1
from hoopx_broker.recording.codecs import PLAIN
from hoopx_broker.recording.failures import BrokenEvidence, TornEnd
from hoopx_broker.recording.order import HASH_SIZE, LENGTH_SIZE, Recorded
from hoopx_broker.terms.entries import Opened, Seal
from hoopx_broker.tlog.notes import BadNote, open_note

# A head is half of that at most, the opening of version 1 a page, a seal a note with one signature.
END_SIZE = 64 << 10

_SEAL = b"\xa4type\xa4seal"
_NEAR = 64  # bytes from the beginning of a block or an entry to the name of its kind, at most
_TEXT = re.compile(
    r"hoopx recording (?P<format>[12])\nsession (?P<session>[^\n]+)\nentries (?P<entries>[0-9]{1,18})\n"
    r"(blocks (?P<blocks>[0-9]{1,18})\n)?root (?P<root>[0-9a-f]{64})\nend (?P<end>finished|unfinished)\n",
    re.ASCII,
)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Recorded).decode
_decode_all = msgspec.msgpack.Decoder(list[Recorded]).decode


class Told(Struct, frozen=True):
    """What a seal says that this key signed. `blocks` is 0 for version 1, which has none."""

    session: str
    format: int
    entries: int
    blocks: int
    root: str
    unfinished: bool


def session_at(head: bytes) -> str:
    """The session that the first bytes of a file are of, `END_SIZE` of them or all. Raises `BrokenEvidence`."""
    match head[: len(blocks.HEADER)]:
        case version1.HEADER:
            return _session_1(head)
        case blocks.HEADER:
            return _session_2(head)
        case _:
            raise BrokenEvidence(0, "not a recording: it does not begin with the line `hoopx recording 2` (or 1)")


def _session_1(head: bytes) -> str:
    at = len(version1.HEADER)
    body, root = _entry(head, at)
    if version1.link(version1.Chain().root, body) != root:
        raise BrokenEvidence(1, "its hash does not follow from what is before it (changed, dropped or moved)")
    try:
        recorded = _decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BrokenEvidence(1, f"it cannot be read: {error}") from error
    if not isinstance(recorded.entry, Opened):
        raise BrokenEvidence(1, "a recording begins with the opening of its session")
    return recorded.entry.session


def _entry(data: bytes, at: int) -> tuple[bytes, bytes]:
    """The entry of version 1 there, and its hash."""
    end = at + LENGTH_SIZE + int.from_bytes(data[at : at + LENGTH_SIZE], "big")
    if end + HASH_SIZE > len(data):
        raise TornEnd(1, "the file ends inside its first entry, or that is longer than any opening")
    return data[at + LENGTH_SIZE : end], data[end : end + HASH_SIZE]


def _session_2(head: bytes) -> str:
    reading = blocks.Blocks(io.BytesIO(head[len(blocks.HEADER) :]))
    block = reading.next()
    if block is None:
        raise TornEnd(0, "the file ends before its head")
    return heads.read(block).session


def seal_at(tail: bytes, vkey: str) -> Told:
    """The seal that a file ends with, by its last bytes, `END_SIZE` of them or all. Raises `BrokenEvidence`."""
    where = tail.rfind(_SEAL)
    if where < 0:
        raise BrokenEvidence(0, "it does not end with a seal")
    for start in range(max(0, where - _NEAR), where):
        if seal := _seal_2(tail, start) or _seal_1(tail, start):
            return _signed(*seal, vkey)
    raise BrokenEvidence(0, "it does not end with a seal in its one permitted form")


_Sealed = tuple[Seal, bytes, bytes, bytes]  # with the frame, the payload and the hash that the file ends with


def _seal_2(tail: bytes, start: int) -> _Sealed | None:
    payload = start + blocks.FRAME_SIZE
    end = len(tail) - HASH_SIZE
    if payload > end or blocks.FRAME.unpack_from(tail, start) != (end - payload, PLAIN, 1):
        return None
    content = tail[payload:end]
    try:
        (recorded,) = _decode_all(content)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if not isinstance(recorded.entry, Seal) or _encode([recorded]) != content:
        return None
    return recorded.entry, tail[start:payload], content, tail[end:]


def _seal_1(tail: bytes, start: int) -> _Sealed | None:
    payload = start + LENGTH_SIZE
    end = len(tail) - HASH_SIZE
    if payload > end or int.from_bytes(tail[start:payload], "big") != end - payload:
        return None
    content = tail[payload:end]
    try:
        recorded = _decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if not isinstance(recorded.entry, Seal) or _encode(recorded) != content:
        return None
    return recorded.entry, b"", content, tail[end:]


def _signed(seal: Seal, frame: bytes, payload: bytes, root: bytes, vkey: str) -> Told:
    try:
        text = open_note(seal.note, vkey)
    except BadNote as error:
        raise BrokenEvidence(0, f"the seal does not hold: {error.message}") from error
    said = _TEXT.fullmatch(text)
    if said is None or (said["end"] == "unfinished") != seal.unfinished or seal.note.count("\n", len(text)) != 2:
        raise BrokenEvidence(0, "the seal is not in its one permitted form")
    if sha256(bytes.fromhex(said["root"]) + frame + payload).digest() != root:
        raise BrokenEvidence(0, "the seal does not follow from what it says it is about")
    numbers = int(said["format"]), int(said["entries"]), int(said["blocks"] or 0)
    return Told(said["session"], *numbers, said["root"], seal.unfinished)
