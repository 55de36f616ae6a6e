"""The audit finds whatever was done to log, recordings or state, and finds nothing where nothing was done."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from hoopx_broker.evidence.auditing import Audited, Wanted, audit
from hoopx_broker.evidence.local import LocalStore
from hoopx_broker.evidence.seen import seen_by
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.verify import verify
from hoopx_broker.storage.events import happened, note
from hoopx_broker.storage.looking import look
from hoopx_broker.tlog.notes import Verifier
from hoopx_broker.tlog.tiles import subtree_hash, unpack_entries
from hoopx_broker.tlog.tree import leaf_hash
from tests.unit.log_stage import NOW, LogStage, played
from tests.unit.recording_scene import KEY, OPENED, HandClock
from tests.unit.test_evidence_sequencer import REWRITTEN, behind_its_back

KEYS = [Verifier.parse(KEY.verifier)]
SESSIONS = [f"s_{number:016x}" for number in range(3)]


async def _recorded(stage: LogStage) -> None:
    for session in SESSIONS:
        recorder = Recorder.create(stage.directory, replace(OPENED, session=session), KEY, HandClock())
        recorder.seal("over")
        proof = verify(stage.directory / f"{session}.hoopx", KEY.verifier)
        sealed = happened(NOW, "session.sealed", session=session, root=proof.root, bytes=proof.bytes)
        await stage.state.run(lambda c, s=session: note(c, happened(NOW, "session.opened", session=s)))  # type: ignore[misc]
        await stage.state.run(lambda c, e=sealed: note(c, e))  # type: ignore[misc]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 307 leaves over three recordings, and its checkpoint when it had 7 leaves."""
    folder = tmp_path_factory.mktemp("whole")

    async def scene(stage: LogStage) -> None:
        await _recorded(stage)
        (folder / "kept").write_text((await stage.signs()).checkpoint)
        shutil.copytree(stage.directory / "log", folder / "old-log")
        await stage.notes(300)
        (folder / "newest").write_text((await stage.signs()).checkpoint)

    played(scene, folder)
    return folder


def audited(folder: Path, *, with_state: bool = True, since: str = "kept", quick: bool = False) -> Audited:
    state = partial(look, folder / "state.db", seen_by("")) if with_state else None
    wanted = Wanted(look=state, since=(folder / since).read_text(), quick=quick)
    return asyncio.run(audit(LocalStore(folder / "recordings"), KEYS, lambda _: None, wanted))


def test_nothing_is_found_where_nothing_was_done(whole: Path) -> None:
    for with_state in (True, False):
        for quick in (True, False):
            came = audited(whole, with_state=with_state, quick=quick)
            assert came.findings == ()
            assert (came.leaves, came.recordings) == (307, 3)


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def _recording(folder: Path, number: int) -> Path:
    return folder / "recordings" / f"{SESSIONS[number]}.hoopx"


def _leaf(folder: Path) -> None:
    path = folder / "recordings/log/tile/entries/000"
    path.write_bytes(path.read_bytes().replace(b"ann@example.com", b"eve@example.com", 1))


def _unreadable_leaf(folder: Path) -> None:
    """A leaf that is no text: nothing may stumble over it."""
    path = folder / "recordings/log/tile/entries/000"
    path.write_bytes(path.read_bytes().replace(b"ann@example.com", b"ann\xff\xfexample.com"[:15], 1))


def _longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def _older_log(folder: Path) -> None:
    shutil.rmtree(folder / "recordings/log")
    shutil.copytree(folder / "old-log", folder / "recordings/log")


ATTACKS: list[tuple[str, Callable[[Path], object], str, str]] = [
    ("a leaf in its bundle", _leaf, "leaf", "leaf 7 of the log was changed"),
    ("a leaf is no text", _unreadable_leaf, "unreadable leaf", "leaf 7 of the log is no event"),
    ("a leaf is no text, and was another", _unreadable_leaf, "leaf", "leaf 7 of the log was changed"),
    ("a tile is longer", lambda f: _longer(f / "recordings/log/tile/0/000"), "tile", "8196"),
    ("a narrow tile is longer", lambda f: _longer(f / "recordings/log/tile/1/000.p/1"), "tile", "000.p/1"),
    ("a tile", lambda f: _flip(f / "recordings/log/tile/0/000", 40), "tile", "its hash 1 is not"),
    ("a tile is gone", lambda f: (f / "recordings/log/tile/0/000").unlink(), "tile", "is missing"),
    ("a bundle is gone", lambda f: (f / "recordings/log/tile/entries/000").unlink(), "bundle", "is missing"),
    ("the checkpoint", lambda f: _flip(f / "recordings/log/checkpoint", 40), "checkpoint", "does not hold"),
    ("a recording", lambda f: _flip(_recording(f, 1), 60), "recording changed", SESSIONS[1]),
    ("a recording is cut", lambda f: _recording(f, 1).write_bytes(b""), "recording changed", SESSIONS[1]),
    ("a recording is gone", lambda f: _recording(f, 2).unlink(), "recording missing", SESSIONS[2]),
    (
        "a recording for another",
        lambda f: shutil.copy(_recording(f, 0), _recording(f, 1)),
        "recording swapped",
        f"holds the recording of `{SESSIONS[0]}`",
    ),
]


@pytest.mark.parametrize(("what", "attack", "kind", "said"), ATTACKS, ids=[attack[0] for attack in ATTACKS])
def test_what_was_done_to_a_store_is_found_offline(
    whole: Path, tmp_path: Path, what: str, attack: Callable[[Path], object], kind: str, said: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    attack(copy)
    found = {finding.kind: finding.what for finding in audited(copy, with_state=False).findings}
    assert said in found[kind]


def test_a_recording_that_nobody_opened_is_found(whole: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    session = "s_00000000000000ff"
    Recorder.create(copy / "recordings", replace(OPENED, session=session), KEY, HandClock()).seal("over")
    [finding] = audited(copy).findings
    assert finding.kind == "recording unknown"
    assert session in finding.what


def test_leaves_cut_off_under_an_older_checkpoint_are_found_by_one_kept_elsewhere_and_by_the_state(
    whole: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    _older_log(copy)
    assert audited(copy, with_state=False).findings == ()  # it was the log once: nothing in it tells
    [finding] = audited(copy, with_state=False, since="newest").findings
    assert finding.what == "the log had 307 leaves and has 7 now: its end was cut off"
    by_state = {finding.kind for finding in audited(copy).findings}
    assert "checkpoint" in by_state


def test_events_changed_behind_the_brokers_back_are_found(whole: Path, tmp_path: Path) -> None:
    for number, statement in enumerate(
        (
            "UPDATE events SET event = replace(event, 'ann@example.com', 'eve@example.com') WHERE leaf = 20",
            "DELETE FROM events WHERE leaf = 20",
        )
    ):
        copy = tmp_path / f"{number}"
        shutil.copytree(whole, copy)
        behind_its_back(copy, statement)
        [finding] = audited(copy).findings
        assert finding.kind == ("events", "events missing")[number]
        assert "20" in finding.what


def test_a_leaf_that_is_rewritten_in_state_bundle_and_tiles_does_not_give_the_root_that_was_signed(
    whole: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    _leaf(copy)
    behind_its_back(copy, REWRITTEN, "UPDATE events SET \"user\" = 'eve@example.com' WHERE leaf = 7")
    tile, bundle = copy / "recordings/log/tile/0/000", copy / "recordings/log/tile/entries/000"
    hashes = [leaf_hash(leaf) for leaf in unpack_entries(bundle.read_bytes())]
    tile.write_bytes(b"".join(hashes))
    (copy / "recordings/log/tile/1/000.p/1").write_bytes(subtree_hash(hashes))
    found = {finding.kind: finding.what for finding in audited(copy).findings}
    assert found == {"root": "the 307 leaves do not give the root that the checkpoint signs"}
