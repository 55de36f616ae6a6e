"""Recordings of version 2 as no recorder writes them: made block by block, and correctly chained whatever they hold."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from hoopx_broker.recording.blocks import HEADER
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.recording.locks import AgeIdentity, Lock
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.terms.entries import Entry, Opened, Rows, Seal, Statement, Terminal
from hoopx_broker.terms.secret import Secret
from tests.unit.recording_scene import ENDED, ENTRIES, KEY, OPENED, HandClock, data_row

# Made for these tests, and no secret.
IDENTITY = "AGE-SECRET-KEY-1KW6WN0S42E2Q86EPXUSV2MJNDEK4D5XJMFY32V77FVVHS0NH387S50L87C"
RECIPIENT = "age1e4zgpw4sv8vzk8uc9vgs73gnm0w65qlmcdtenll2fdu74pqj7c2qvyzta2"
AGE = AgeIdentity((Secret(IDENTITY),))
SESSION_KEY = Secret(bytes(range(32)).hex())

TERMINAL: tuple[Entry, ...] = (
    Terminal("t_2", 1, "r", b"80x24"),
    Terminal("t_2", 1, "o", b"\x1b[01;32mann@db\x1b[0m$ "),
    Terminal("t_2", 1, "i", b"ls\r"),
)
MANY = Rows("t_1", 6, 400, b"".join(data_row(str(n).encode(), b"somebody") for n in range(400)))
# One block for each of these: several entries, a terminal, rows that are pressed without the dictionary.
BATCHES: tuple[tuple[Entry, ...], ...] = (ENTRIES[:5], *((entry,) for entry in ENTRIES[5:]), TERMINAL, (MANY,))
TOLD = [OPENED, *(entry for batch in BATCHES for entry in batch)]
SMALL = (Statement("t_1", 1, "select 1", "allow"), Statement("t_1", 2, "select 2", "allow"))

NAMED = msgspec.msgpack.encode({"session": OPENED.session})


class Piece(Struct, frozen=True):
    """A block: the codec, how many entries it claims, and its payload as it is stored."""

    codec: int
    entries: int
    payload: bytes


def plain(first: int, *entries: Entry, t_us: int = 0, codec: int = 0) -> Piece:
    content = msgspec.msgpack.encode([(first + n, t_us, entry) for n, entry in enumerate(entries)])
    return Piece(codec, len(entries), content)


def recorder(directory: Path, opened: Opened = OPENED, lock: Lock | None = None, key: EvidenceKey = KEY) -> Recorder:
    """Begun, with this lock instead of a fresh one."""
    path = directory / f"{opened.session}.hoopx"
    return Recorder.begun(path, opened, key, HandClock(), lock)


def record_2(
    directory: Path,
    batches: Sequence[Sequence[Entry]] = BATCHES,
    opened: Opened = OPENED,
    lock: Lock | None = None,
) -> bytes:
    """A sealed recording, each of `batches` in one write."""
    writing = recorder(directory, opened, lock)
    for batch in batches:
        writing.write(batch)
    writing.seal("the client left")
    return writing.path.read_bytes()


def lock() -> Lock:
    """The same key every time, which no recorder does."""
    return Lock((RECIPIENT,), b"not looked into", SESSION_KEY)


def framed(*pieces: Piece) -> bytes:
    """A file of these blocks, the head among them, chained."""
    data, root = [HEADER], sha256(HEADER).digest()
    for piece in pieces:
        frame = struct.pack(">IBI", len(piece.payload), piece.codec, piece.entries)
        root = sha256(root + frame + piece.payload).digest()
        data += [frame, piece.payload, root]
    return b"".join(data)


def signed(*pieces: Piece, session: str = OPENED.session, unfinished: bool = False, t_us: int = 0) -> bytes:
    """Like `framed`, ended and sealed by the broker's key."""
    count = sum(piece.entries for piece in pieces)
    told = [*pieces, plain(count + 1, ENDED, t_us=t_us)]
    root = framed(*told)[-32:]
    end = "unfinished" if unfinished else "finished"
    text = (
        f"hoopx recording 2\nsession {session}\nentries {count + 1}\nblocks {len(told)}\nroot {root.hex()}\nend {end}\n"
    )
    return framed(*told, plain(count + 2, Seal(KEY.sign(text), unfinished), t_us=t_us))


HEAD = Piece(0, 0, NAMED)
BEGIN = (HEAD, plain(1, OPENED))
