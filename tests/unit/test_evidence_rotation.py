"""A log goes on with a new key: old and new evidence is proved by either, and a stolen old key proves nothing new."""

from __future__ import annotations

import asyncio
import io
import shutil
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from hoopx_broker.evidence.auditing import Wanted, audit
from hoopx_broker.evidence.local import LocalStore
from hoopx_broker.evidence.log import Log
from hoopx_broker.evidence.log_files import LogBroken
from hoopx_broker.evidence.seen import seen_by
from hoopx_broker.evidence.sequencer import Sequencer
from hoopx_broker.recording.bundle import BrokenPart, Verified, head, read_part, verify_file
from hoopx_broker.recording.keyring import open_keyring, rotate_key
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.verify import verify
from hoopx_broker.storage import log
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.events import happened, note
from hoopx_broker.storage.happened import Wanted as Asked
from hoopx_broker.storage.happened import newest
from hoopx_broker.storage.looking import look
from hoopx_broker.tlog.checkpoints import open_checkpoint, parse
from hoopx_broker.tlog.notes import Verifier, split_note
from hoopx_broker.tlog.proof_file import ProofFile
from hoopx_broker.tlog.proof_file import parse as parse_proof
from hoopx_broker.tlog.rotation import rotate
from tests.unit.bundle_scene import THIEF
from tests.unit.log_stage import NOW, LogStage, staged
from tests.unit.recording_scene import OPENED, HandClock
from tests.unit.test_evidence_sequencer import Killed, Killing, behind_its_back

BEFORE, AFTER = "s_000000000000000a", "s_000000000000000b"


def broker(folder: Path, scene: Callable[[LogStage], Awaitable[None]]) -> str:
    """A broker as it starts with the keys in `folder`, and the key that it signs with."""
    ring = open_keyring(folder / "keys", "broker.test")

    async def play() -> None:
        async with staged(folder, ring.key) as stage:
            stage.who = replace(stage.who, rotations=ring.notes)
            stage.sequencer = Sequencer(stage.state, stage.log_files, stage.who)
            await scene(stage)

    asyncio.run(play())
    return ring.key.verifier


def rotates(folder: Path, at: int) -> str:
    row = look(folder / "state.db", log.read)
    assert row is not None
    ring = open_keyring(folder / "keys", "broker.test")
    return rotate_key(folder / "keys", ring, row.origin, at).verifier


async def records(stage: LogStage, session: str) -> None:
    key = stage.who.key
    Recorder.create(stage.directory, replace(OPENED, session=session), key, HandClock()).seal("over")
    proof = verify(stage.directory / f"{session}.hoopx", key.verifier)
    facts = {name: getattr(proof, name) for name in ("root", "entries", "blocks", "bytes", "unfinished", "format")}
    signed = Verifier.parse(key.verifier).key_id.hex()
    events = [
        happened(NOW, "session.opened", session=session),
        happened(NOW, "session.sealed", session=session, key=signed, **facts),
    ]

    def work(connection: Connection) -> None:
        for event in events:
            note(connection, event)

    await stage.state.run(work)
    await stage.signs()


async def exports(stage: LogStage, session: str) -> bytes:
    proof = await Log(stage.state, stage.store, stage.who).proof(session)
    part = head(proof.leaf, ProofFile(proof.index, proof.inclusion, proof.checkpoint), proof.rotations)
    return part + (stage.directory / f"{session}.hoopx").read_bytes()


def proved(content: bytes, key: str) -> Verified:
    return verify_file(io.BytesIO(content), key)


def faults(folder: Path, *keys: str, with_state: bool = False, since: str | None = None) -> list[str]:
    state = partial(look, folder / "state.db", seen_by("")) if with_state else None
    parsed = tuple(map(Verifier.parse, keys))
    store = LocalStore(folder / "recordings")
    found = asyncio.run(audit(store, parsed, lambda _: None, Wanted(look=state, since=since))).findings
    return [f"{each.kind}: {each.what}" for each in found]


class Played:
    """A log under three keys one after another; `exported` by session and the number of the key at that time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.exported: dict[tuple[str, int], bytes] = {}
        self.keys = [broker(folder, self._first)]
        self.kept = (folder / "recordings/log/checkpoint").read_text()
        for at in (1, 2):
            rotates(folder, 100 * at)
            self.keys.append(broker(folder, self._later))

    async def _first(self, stage: LogStage) -> None:
        await records(stage, BEFORE)
        await self._export(stage, BEFORE, 0)

    async def _later(self, stage: LogStage) -> None:
        number = len(self.keys)
        await stage.signs()
        await self._export(stage, BEFORE, number)
        if number == 1:
            await records(stage, AFTER)
        await self._export(stage, AFTER, number)

    async def _export(self, stage: LogStage, session: str, number: int) -> None:
        self.exported[session, number] = await exports(stage, session)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return Played(tmp_path_factory.mktemp("rotated"))


def test_what_is_exported_after_rotations_is_proved_by_every_key_of_the_line(played: Played) -> None:
    for session in (BEFORE, AFTER):
        for key in played.keys:
            logged = proved(played.exported[session, 2], key).logged
            assert logged is not None
            assert str(logged.signed_by) == played.keys[2]
            assert str(logged.sealed_by) == played.keys[0 if session == BEFORE else 1]


def test_what_was_exported_before_is_proved_by_the_key_of_then_and_not_by_later_ones(played: Played) -> None:
    """Whoever stole the old key could have made it."""
    for number, key in enumerate(played.keys):
        if number == 0:
            assert proved(played.exported[BEFORE, 0], key).logged
        else:
            with pytest.raises(BrokenPart, match="not signed by"):
                proved(played.exported[BEFORE, 0], key)
    assert proved(played.exported[BEFORE, 1], played.keys[0]).logged


def test_a_rotation_is_an_event_once_and_moves_the_log_once(played: Played) -> None:
    async def starts_again(stage: LogStage) -> None:
        before = await stage.row()
        await stage.signs()
        assert await stage.row() == before
        told = await newest(stage.state, Asked(type="key.rotated"), 10)
        ids = [Verifier.parse(key).key_id.hex() for key in played.keys]
        assert sorted(
            (each.event.facts["rotated_at"], each.event.facts["from"], each.event.facts["to"]) for each in told
        ) == [
            (100, ids[0], ids[1]),
            (200, ids[1], ids[2]),
        ]

    broker(played.folder, starts_again)


def test_an_audit_needs_one_key_of_the_line_and_a_checkpoint_kept_before_still_counts(played: Played) -> None:
    for key in played.keys:
        for with_state in (True, False):
            assert faults(played.folder, key, with_state=with_state, since=played.kept) == []
    assert faults(played.folder, str(THIEF.verifier))


def test_of_recordings_older_than_the_log_a_later_key_sealed_none(played: Played, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(played.folder, tmp_path / "copy"))
    opened = replace(OPENED, session="s_000000000000000c", opened_at=NOW - 86_400)
    newest, oldest = open_keyring(copy / "keys", "broker.test").key, played.keys[0]
    Recorder.create(copy / "recordings", opened, newest, HandClock()).seal("over")
    [said] = faults(copy, oldest)
    assert said.endswith("is not in the log, and was sealed by a key that came after the log was begun")
    assert faults(played.folder, oldest) == []


def test_two_rotations_before_the_next_start_are_two_steps(tmp_path: Path) -> None:
    async def begins(stage: LogStage) -> None:
        await records(stage, BEFORE)

    async def goes_on(stage: LogStage) -> None:
        await stage.signs()
        content.append(await exports(stage, BEFORE))

    content: list[bytes] = []
    first, second, third = broker(tmp_path, begins), rotates(tmp_path, 1), rotates(tmp_path, 2)
    assert broker(tmp_path, goes_on) == third
    for key in (first, second, third):
        assert proved(content[0], key).logged


def test_killed_at_any_step_of_the_first_start_with_a_new_key_the_next_one_hands_over_once(tmp_path: Path) -> None:
    async def begins(stage: LogStage) -> None:
        await records(stage, BEFORE)

    first = broker(tmp_path / "before", begins)
    second = rotates(tmp_path / "before", 100)
    steps, done = 0, False
    while not done:
        steps += 1
        folder = tmp_path / f"{steps}"
        shutil.copytree(tmp_path / "before", folder)

        async def dies(stage: LogStage, at: int = steps) -> None:
            nonlocal done
            with pytest.MonkeyPatch.context() as patch:
                killing = Killing(stage, at, patch)
                try:
                    await stage.signs()
                    done = killing.left > 0
                except Killed:
                    pass

        async def goes_on(stage: LogStage) -> None:
            shown = stage.file("checkpoint").read_text()
            text = open_checkpoint(shown, [Verifier.parse(first), Verifier.parse(second)])[0]
            await stage.signs()
            stage.check(text)
            assert (await stage.row()).key == second
            assert len(await newest(stage.state, Asked(type="key.rotated"), 10)) == 1
            for key in (first, second):
                assert proved(await exports(stage, BEFORE), key).logged

        broker(folder, dies)
        # A copy that is taken at that moment leads from the old key to whatever signed it.
        assert faults(folder, first) == []
        broker(folder, goes_on)
        assert faults(folder, first, with_state=True) == faults(folder, second, with_state=True) == []
    assert steps > 5


def test_a_broker_that_still_has_the_old_key_leaves_the_signing_to_the_new_one(tmp_path: Path) -> None:
    async def signs(stage: LogStage) -> None:
        await stage.notes(3)
        await stage.signs()

    async def keeps_off(stage: LogStage) -> None:
        await stage.notes(3)
        assert not await stage.sequencer.advance()
        assert "which came after this broker's" in stage.sequencer.idle

    broker(tmp_path, signs)
    shutil.copytree(tmp_path / "keys", tmp_path / "old" / "keys")
    rotates(tmp_path, 100)
    broker(tmp_path, signs)
    shutil.copy(tmp_path / "state.db", tmp_path / "old")
    broker(tmp_path / "old", keeps_off)


def _signed_by(folder: Path, key: EvidenceKey, notes: Sequence[str]) -> None:
    """The thief's work on a copy of the store: the checkpoint signed anew, and notes of their choice."""
    path = folder / "recordings/log/checkpoint"
    path.write_text(key.sign(split_note(path.read_text())[0]))
    shutil.rmtree(folder / "recordings/log/keys")
    (folder / "recordings/log/keys").mkdir()
    for number, text in enumerate(notes, 1):
        (folder / f"recordings/log/keys/{number:04}").write_text(text)


def test_a_stolen_old_key_deceives_nobody_who_pinned_a_newer_one(tmp_path: Path) -> None:
    async def begins(stage: LogStage) -> None:
        stolen.append(stage.who.key)
        await records(stage, BEFORE)

    async def goes_on(stage: LogStage) -> None:
        await stage.signs()
        exported.append(await exports(stage, BEFORE))

    stolen: list[EvidenceKey] = []
    exported: list[bytes] = []
    whole = tmp_path / "whole"
    first, second = broker(whole, begins), rotates(whole, 100)
    broker(whole, goes_on)
    [old] = stolen
    thief = EvidenceKey(THIEF.name, THIEF.private)
    origin = parse(split_note((whole / "recordings/log/checkpoint").read_text())[0]).origin
    real = (whole / "recordings/log/keys/0001").read_text()
    away = rotate(origin, old.signer, THIEF, 100)
    other_log = rotate("broker.test/hoopx/ffffffff", old.signer, THIEF, 100)
    around = rotate(origin, THIEF, old.signer, 101)
    attacks: list[tuple[EvidenceKey, tuple[str, ...]]] = [
        (old, ()),
        (old, (real,)),
        (thief, (away,)),
        (thief, (real, away)),
        (thief, (other_log,)),
        (old, (away, around)),
        (thief, ("no note\n",)),
    ]
    for number, (key, notes) in enumerate(attacks):
        copy = tmp_path / f"{number}"
        shutil.copytree(whole, copy)
        _signed_by(copy, key, notes)
        assert any(each.startswith("checkpoint:") for each in faults(copy, second)), number
        forged = _forged(exported[0], key, notes)
        with pytest.raises(BrokenPart):
            proved(forged, second)
    # The limit, which docs/decisions/0029 tells: who knows the stolen key alone believes what it signs.
    assert proved(_forged(exported[0], thief, (away,)), first).logged


def _forged(exported: bytes, key: EvidenceKey, notes: tuple[str, ...]) -> bytes:
    stream = io.BytesIO(exported)
    part = read_part(stream)
    assert part is not None
    proof = parse_proof(part.proof)
    checkpoint = key.sign(split_note(proof.checkpoint)[0])
    return head(part.leaf.encode(), ProofFile(proof.index, proof.inclusion, checkpoint), notes) + stream.read()


def test_notes_changed_in_the_state_or_the_store_stop_the_signing_or_are_found(played: Played, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(played.folder, copy)
    (copy / "recordings/log/keys/0002").unlink()
    assert any("rotation notes" in each for each in faults(copy, played.keys[2], with_state=True))

    for number, why in ((2, "rotation notes in the state do not hold"), (1, "is not what was written there")):
        folder = tmp_path / f"{number}"
        shutil.copytree(played.folder, folder)

        async def refuses(stage: LogStage, why: str = why) -> None:
            await stage.notes(1)
            with pytest.raises(LogBroken, match=why):
                await stage.signs()

        behind_its_back(folder, f"DELETE FROM rotations WHERE number = {number}")
        broker(folder, refuses)
