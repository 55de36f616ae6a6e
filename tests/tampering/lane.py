"""The law: whatever was changed, verification fails, and names the first entry that is not as it was."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct, structs

from hoopx_broker.recording import blocks, version1
from hoopx_broker.recording.bundle import Verified, head, verify_file
from hoopx_broker.recording.failures import BrokenEvidence
from tests.tampering import damage
from tests.unit.blocks_scene import BATCHES, lock, record_2
from tests.unit.bundle_scene import FIRST, THIEF, proved, sealed_event
from tests.unit.recording_scene import KEY, OPENED, record_1

OTHER = structs.replace(OPENED, session="s_fedcba9876543210")
_HASH = 32

Verify = Callable[[bytes], Verified]


class LawBroken(AssertionError):
    """Something was changed, and it was not seen, or not where it is."""


class Subject(Struct, frozen=True):
    """A file that verifies. Its parts begin at `starts`, with the entry in `entries` as their first (0: before any)."""

    name: str
    whole: bytes
    other: bytes
    starts: list[int]
    entries: list[int]
    last: int
    sound: tuple[bytes, ...]  # what verifies as well: the same recording, proved otherwise
    is_export: bool

    def first_bad(self, changed: bytes) -> int:
        """The entry that is to be named: that of the first byte which is not as it was."""
        at = alike(self.whole, changed)
        if at >= len(self.whole):
            return self.last + 1
        place = self._part(at)
        # Of version 2, a file that ends before its head lacks the opening.
        is_bare_line = at == len(changed) == self.starts[place] and self.whole[:at].endswith(blocks.HEADER)
        return 1 if is_bare_line else self.entries[place]

    def last_bad(self, changed: bytes) -> int:
        """Where what is foreign is over: a beginning that another file has too is sound as far as it goes."""
        same = alike(self.whole[::-1], changed[::-1])
        return self.entries[min(len(self.entries) - 1, self._part(max(0, len(self.whole) - same - 1)) + 1)]

    def _part(self, at: int) -> int:
        return max(n for n, start in enumerate(self.starts) if start <= at)


def subjects(directory: Path) -> tuple[Subject, ...]:
    """Recordings of every kind, alone and with their proof; each with one of another session by the same key."""
    places = (directory / str(n) for n in range(10))
    directory.joinpath("0").mkdir()
    directory.joinpath("1").mkdir()
    first = record_1(next(places)).read_bytes(), record_1(next(places), opened=OTHER).read_bytes()
    plain = record_2(next(places)), record_2(next(places), BATCHES[:-1], OTHER)
    locked = record_2(next(places), lock=lock()), record_2(next(places), BATCHES[:-1], OTHER, lock())
    bare = {"version 1": first, "version 2": plain, "version 2, encrypted": locked}
    return tuple(
        each
        for name, (whole, other) in bare.items()
        for each in (
            subject(name, whole, other, 0),
            subject(f"export of {name}", _exported(whole) + whole, _exported(other) + other, len(_exported(whole))),
        )
    )


def check(subject: Subject, changed: bytes, verify: Verify, *, is_foreign: bool) -> None:
    """Raises `LawBroken`."""
    try:
        proof = verify(changed)
        if proof.logged is None and subject.is_export:
            raise BrokenEvidence(0, "what is left is a bare recording, and it is said that the log does not prove it")
    except BrokenEvidence as broken:
        first = subject.first_bad(changed)
        if broken.entry != first and not (is_foreign and first <= broken.entry <= subject.last_bad(changed)):
            raise LawBroken(f"entry {first} is the first bad one, and it says: {broken}") from None
        return
    raise LawBroken("it verifies")


def _check_sound(whole: bytes, verify: Verify) -> None:
    try:
        verify(whole)
    except BrokenEvidence as broken:
        raise LawBroken(f"nothing was changed, and it says: {broken}") from None


def run(subjects: tuple[Subject, ...], cases: int, seed: int, verify: Verify | None = None) -> dict[str, int]:
    """Gives how many changes were found, by what was done. Raises `LawBroken` with what leads there again.

    In each case something that is whole is verified first.
    """
    found: dict[str, int] = {}
    for number in range(cases):
        chance = random.Random(f"{seed}:{number}")
        subject, act = chance.choice(subjects), chance.choice(damage.ALL)
        changed = act(subject.whole, subject.other, subject.starts, chance)
        if changed == subject.whole:
            continue
        try:
            _check_sound(chance.choice(subject.sound), verify or verified)
            check(subject, changed, verify or verified, is_foreign=act in damage.FOREIGN)
        except LawBroken as broken:
            raise LawBroken(f"seed {seed}, case {number}, {act.__name__} of {subject.name}: {broken}") from None
        found[act.__name__] = found.get(act.__name__, 0) + 1
    return found


def verified(content: bytes) -> Verified:
    return verify_file(io.BytesIO(content), KEY.verifier)


_leaves: dict[bytes, bytes] = {}


def _exported(recording: bytes) -> bytes:
    """The proof part of this recording; the same each time, though its leaf has an id of chance."""
    if recording not in _leaves:
        leaf = sealed_event(recording)
        _leaves[recording] = head(leaf, proved(leaf))
    return _leaves[recording]


def _proved_otherwise(recording: bytes) -> tuple[bytes, ...]:
    """By another log, and by a checkpoint that somebody else signed too."""
    leaf = sealed_event(recording)
    others = proved(leaf, origin="broker.test/hoopx/89abcdef"), proved(leaf, (THIEF, FIRST))
    return tuple(head(leaf, proof) + recording for proof in others)


def subject(name: str, whole: bytes, other: bytes, offset: int) -> Subject:
    """Its recording begins at `offset`."""
    verified(whole)
    verified(other)
    recording = whole[offset:]
    sound = (whole, *(_proved_otherwise(recording) if offset else ()))
    places = list(_places(whole[offset:]))
    lead = [(0, 0)] if offset else []
    starts, entries = zip(*lead, *((start + offset, entry) for start, entry in places), strict=True)
    last = places[-1][1]
    return Subject(name, whole, other, list(starts), list(entries), last, sound, bool(offset))


def _places(recording: bytes) -> Iterator[tuple[int, int]]:
    """Where the first line and each block (or entry, of version 1) begins, and the number of its first entry."""
    yield 0, 0
    if recording.startswith(version1.HEADER):
        at, entry = len(version1.HEADER), 1
        while at < len(recording):
            yield at, entry
            at, entry = at + 4 + int.from_bytes(recording[at : at + 4], "big") + _HASH, entry + 1
        return
    at, entry = len(blocks.HEADER), 0
    while at < len(recording):
        yield at, entry
        entry = max(1, entry + int.from_bytes(recording[at + 5 : at + 9], "big"))
        at += 9 + int.from_bytes(recording[at : at + 4], "big") + _HASH


def alike(one: bytes, other: bytes) -> int:
    """How many bytes from the beginning on are the same."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low
