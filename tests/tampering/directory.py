"""A small directory of evidence, changed at random: `hoopx audit verify` finds it, and names what it is.

Recordings, and a log of two bundles and their tiles, as a copied store has them: no broker and no state.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.evidence.auditing import Wanted, audit
from hoopx_broker.evidence.findings import Finding
from hoopx_broker.evidence.local import LocalStore
from hoopx_broker.recording.blocks import FRAME_SIZE, HEADER
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.verify import verify
from hoopx_broker.seams.store import NotStored, Stored
from hoopx_broker.storage.events import happened, note
from hoopx_broker.terms.entries import Statement
from hoopx_broker.tlog.notes import Verifier, sign
from hoopx_broker.tlog.tree import HASH_SIZE
from tests.tampering import damage
from tests.tampering.lane import LawBroken, Subject, alike, subject
from tests.unit.bundle_scene import THIEF
from tests.unit.log_stage import NOW, LogStage, played
from tests.unit.recording_scene import KEY, OPENED, HandClock

SESSIONS = tuple(f"s_{number:016x}" for number in range(2))
LEAVES = 262  # a full bundle and a few leaves more
CHECKPOINT = "log/checkpoint"
KEYS = [Verifier.parse(KEY.verifier)]

Files = Mapping[str, bytes]
Auditor = Callable[[Files], Sequence[Finding]]


class InMemory(LocalStore):
    """A double of the directory, so that a change costs no writing."""

    def __init__(self, files: Files) -> None:
        super().__init__(Path("nowhere"))
        self._files = files

    async def get(
        self, name: str, start: int = 0, length: int | None = None, *, version: str = ""
    ) -> AsyncIterator[bytes]:
        if name not in self._files:
            raise NotStored(f"`{name}` is not there", "it was taken away")
        yield self._files[name][start : None if length is None else start + length]

    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        for name in sorted(self._files):
            if name.startswith(prefix):
                yield Stored(name, len(self._files[name]))


class Place(Struct, frozen=True):
    """One file of the directory, and where its parts begin: blocks, hashes, leaves, lines."""

    name: str
    whole: bytes
    other: bytes
    starts: list[int]
    recording: Subject | None = None


class Directory(Struct, frozen=True):
    """`kept` is the newest checkpoint, as somebody has it elsewhere."""

    files: Files
    places: tuple[Place, ...]
    kept: str

    def audited(self, files: Files, *, quick: bool = False) -> Sequence[Finding]:
        wanted = Wanted(since=self.kept, quick=quick)
        return asyncio.run(audit(InMemory(files), KEYS, lambda _: None, wanted)).findings


def made(place: Path) -> Directory:
    """Beside it another one is made, of which a change may take what stands at the same place."""
    files, others = _evidence(place / "one", 1), _evidence(place / "other", 2)
    places = tuple(_place(name, whole, others[name]) for name, whole in sorted(files.items()))
    return Directory(files, places, files[CHECKPOINT].decode())


def run(directory: Directory, cases: int, seed: int, auditor: Auditor | None = None) -> dict[str, int]:
    """As `lane.run`: how many changes were found, by what was done."""
    look, found = auditor or directory.audited, dict[str, int]()
    if sound := look(directory.files):
        raise LawBroken(f"nothing was changed, and it says: {sound}")
    for number in range(cases):
        chance = random.Random(f"{seed}:directory:{number}")
        place, act = chance.choice(directory.places), chance.choice(_ACTS)
        changed = act(directory, place, chance)
        if changed == directory.files:
            continue
        findings = look(changed)
        if act is _harmless or _is_same_note(place, changed):
            wrong = "that is no damage" if findings else None
        else:
            wrong = _wrong(directory, place, changed, findings, act is _foreign)
            wrong = wrong or (_missed(directory, place, changed) if auditor is None else None)
        if wrong is not None:
            told = "; ".join(f"{each.kind}: {each.what}" for each in findings) or "nothing"
            raise LawBroken(f"seed {seed}, case {number}, {act.__name__} of {place.name}: {wrong}; it says: {told}")
        name = f"directory: {act.__name__.strip('_')}"
        found[name] = found.get(name, 0) + 1
    return found


Act = Callable[[Directory, Place, random.Random], Files]


def _changed(directory: Directory, place: Place, chance: random.Random) -> Files:
    act = chance.choice([act for act in damage.ALL if act not in damage.FOREIGN])
    return {**directory.files, place.name: act(place.whole, place.other, place.starts, chance)}


def _foreign(directory: Directory, place: Place, chance: random.Random) -> Files:
    act = chance.choice(damage.FOREIGN)
    return {**directory.files, place.name: act(place.whole, place.other, place.starts, chance)}


def _removed(directory: Directory, place: Place, _: random.Random) -> Files:
    return {name: content for name, content in directory.files.items() if name != place.name}


def _exchanged(directory: Directory, place: Place, _: random.Random) -> Files:
    """The whole file of that name in the other directory."""
    return {**directory.files, place.name: place.other}


def _confused(directory: Directory, place: Place, chance: random.Random) -> Files:
    """Another file under this name."""
    return {**directory.files, place.name: chance.choice(directory.places).whole}


def _harmless(directory: Directory, _: Place, chance: random.Random) -> Files:
    """What a store may hold besides: a narrower tile from before, a torn end, what somebody else signed."""
    tile = directory.files["log/tile/0/000"]
    width = chance.randrange(1, 256)
    signed = sign(directory.kept.partition("\n\n")[0] + "\n", "somebody.test/else", THIEF.private)
    more = chance.choice(
        (
            {f"log/tile/0/000.p/{width}": tile[: width * HASH_SIZE]},
            {f"{SESSIONS[0]}.torn-{width}": chance.randbytes(width)},
            {CHECKPOINT: (directory.kept + signed.partition("\n\n")[2]).encode()},
        )
    )
    return {**directory.files, **more}


_ACTS: tuple[Act, ...] = (*[_changed] * 7, _foreign, _removed, _exchanged, _confused, _harmless)


def _is_same_note(place: Place, changed: Files) -> bool:
    """A signature that stands there twice is none more (c2sp.org/signed-note has readers pass over it)."""
    now, parts = changed.get(place.name), [place.whole[start:end] for start, end in pairwise(place.starts)]
    signature = place.whole[place.starts[-1] :]
    return place.name == CHECKPOINT and now is not None and now == b"".join([*parts, signature, signature])


def _wrong(
    directory: Directory, place: Place, changed: Files, findings: Sequence[Finding], is_foreign: bool
) -> str | None:
    """What is wrong with what was found."""
    if not findings:
        return "it verifies"
    now = changed.get(place.name)
    if place.name == CHECKPOINT:
        return None if {each.kind for each in findings} & {"checkpoint", "root", "since"} else "it is not named"
    if place.recording is not None:
        return _wrong_recording(place, place.recording, now, findings[0], is_foreign)
    first = findings[0]
    at = alike(place.whole, now or b"")
    part = max(n for n, start in enumerate(place.starts) if start <= at or n == 0)
    if "/entries/" not in place.name:
        named = f"`{place.name}`" in first.what
        hash_ = f"its hash {part} " in first.what or now is None or len(now) != len(place.whole)
        return None if named and hash_ else f"hash {part} is the first bad one"
    bundle = int(re.sub(r"\.p/.*|[x/]", "", place.name.partition("entries/")[2]))
    leaf = f"leaf {bundle * 256 + part} of the log"
    named = f"`{place.name}`" in first.what or any(leaf in each.what for each in findings)
    return None if named else f"{leaf} is the first bad one"


def _missed(directory: Directory, place: Place, changed: Files) -> str | None:
    """A quick look passes over nothing but what lies between head and seal."""
    if directory.audited(changed, quick=True):
        return None
    now, whole = changed.get(place.name, b""), place.whole
    head = len(HEADER) + FRAME_SIZE + int.from_bytes(whole[len(HEADER) :][:4], "big") + HASH_SIZE
    seal = whole.rfind(b"\xa4type\xa4seal") - len(whole)
    is_between = place.recording is not None and now[:head] == whole[:head] and now[seal:] == whole[seal:]
    return None if is_between and len(now) == len(whole) else "a quick look passes over it"


def _wrong_recording(
    place: Place, recording: Subject, now: bytes | None, first: Finding, is_foreign: bool
) -> str | None:
    if place.name.removesuffix(".hoopx") not in first.what:
        return "the recording is not named"
    told = re.search(r"`: entry (\d+)", first.what)
    if told is None or now is None:
        return None  # whole, and not this one; or gone
    at, bad = int(told[1]), recording.first_bad(now)
    fits = at == bad or (is_foreign and bad <= at <= recording.last_bad(now))
    return None if fits else f"entry {bad} is the first bad one"


def _evidence(folder: Path, statements: int) -> Files:
    async def scene(stage: LogStage) -> None:
        for session in SESSIONS:
            await _recorded(stage, session, statements)
        await stage.notes(LEAVES - 2 * len(SESSIONS) - 1)
        row = await stage.signs()
        assert stage.checkpoint().size == LEAVES, row

    folder.mkdir()
    played(scene, folder)
    root = folder / "recordings"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


async def _recorded(stage: LogStage, session: str, statements: int) -> None:
    recorder = Recorder.create(stage.directory, replace(OPENED, session=session), KEY, HandClock())
    for n in range(statements):
        recorder.write([Statement("t_1", n, f"select {n} from a_table where it = {statements}", "allow")])
    recorder.seal("over")
    proof = verify(recorder.path, KEY.verifier)
    opened = happened(NOW, "session.opened", session=session)
    sealed = happened(NOW, "session.sealed", session=session, root=proof.root, bytes=proof.bytes)
    await stage.state.run(lambda connection: note(connection, opened))
    await stage.state.run(lambda connection: note(connection, sealed))


def _place(name: str, whole: bytes, other: bytes) -> Place:
    if name.endswith(".hoopx"):
        recording = subject(name, whole, other, 0)
        return Place(name, whole, other, recording.starts, recording)
    return Place(name, whole, other, _starts(name, whole))


def _starts(name: str, whole: bytes) -> list[int]:
    if name == CHECKPOINT:
        return [0, *(match.end() for match in re.finditer(rb"\n(?=.)", whole, re.DOTALL))]
    if "/entries/" not in name:
        return list(range(0, len(whole), HASH_SIZE))
    starts, at = list[int](), 0
    while at < len(whole):
        starts.append(at)
        at += 2 + int.from_bytes(whole[at : at + 2], "big")
    return starts
