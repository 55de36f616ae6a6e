"""The log as the broker has it: what is noted gets in soon, and whoever waits for a proof gets one at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hoopx_broker.evidence import log as evidence_log
from hoopx_broker.evidence.local import LocalStore
from hoopx_broker.evidence.log import LeafProof, Log
from hoopx_broker.terms.errors import BackendFailed, Unknown
from hoopx_broker.tlog.checkpoints import open_checkpoint
from hoopx_broker.tlog.notes import Verifier
from hoopx_broker.tlog.proofs import check_inclusion
from hoopx_broker.tlog.tiles import Bundle, Tile, unpack_entries
from hoopx_broker.tlog.tree import leaf_hash
from tests.unit.log_stage import LogStage, played
from tests.unit.recording_scene import KEY

SESSION = "s_0123456789abcdef"


def running(scene: Callable[[LogStage, Log], Awaitable[None]], folder: Path) -> None:
    async def play(stage: LogStage) -> None:
        log = Log(stage.state, stage.store, stage.who)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(log.run())
            try:
                await scene(stage, log)
            finally:
                task.cancel()

    played(play, folder)


def check(proof: LeafProof) -> None:
    checkpoint, _ = open_checkpoint(proof.checkpoint, [Verifier.parse(KEY.verifier)])
    check_inclusion(leaf_hash(proof.leaf), proof.index, checkpoint.size, checkpoint.root, proof.inclusion)


def test_whoever_waits_for_a_proof_gets_it_without_waiting_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_log, "GATHER_SECONDS", 60.0)

    async def scene(stage: LogStage, log: Log) -> None:
        await stage.notes(300)
        await stage.notes_seal(SESSION, "ab" * 32)
        proof = await log.proof(SESSION)
        check(proof)
        assert b'"root":"abab' in proof.leaf
        await stage.notes(300)
        check(await log.proof(SESSION))  # there already, and under whatever is the newest by now
        with pytest.raises(Unknown, match="is not in the log"):
            await log.proof("s_of_nobody")

    running(scene, tmp_path)


def test_what_comes_together_shares_a_checkpoint(tmp_path: Path) -> None:
    async def scene(stage: LogStage, log: Log) -> None:
        grown: list[None] = []
        log.grew = lambda: grown.append(None)
        for _ in range(20):
            await stage.notes(2)
        while (await log.health()).waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert (await log.health()).size == 41
        assert len(grown) <= 3

    running(scene, tmp_path)


def test_a_broken_log_goes_on_noting_says_so_and_goes_on_when_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_log, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(evidence_log, "BROKEN_SECONDS", 0.05)

    async def scene(stage: LogStage, log: Log) -> None:
        await stage.notes(10)
        await stage.notes_seal(SESSION)
        await log.proof(SESSION)
        tile = stage.file("tile/0/000.p/12")
        content = tile.read_bytes()
        log._sequencer._edge.clear()
        tile.write_bytes(bytes(len(content)))
        with pytest.raises(BackendFailed, match="does not prove its leaf 10"):
            await log.proof(SESSION)
        await stage.notes(3)
        await stage.notes_seal("s_later")
        with pytest.raises(BackendFailed, match="did not get into the log within 0 s: the tiles in the store"):
            await log.proof("s_later")
        health = await log.health()
        assert (health.size, health.waiting) == (12, 4)
        assert "the tiles in the store" in health.broken
        tile.write_bytes(content)
        check(await log.proof("s_later"))
        while (await log.health()).broken:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    running(scene, tmp_path)


def test_a_broker_without_tiles_on_its_disk_proves_and_serves_from_the_state(tmp_path: Path) -> None:
    """Another broker signs, on a disk of its own."""

    async def scene(stage: LogStage, log: Log) -> None:
        await stage.notes(700)
        await stage.notes_seal(SESSION)
        await log.proof(SESSION)
        other = Log(stage.state, LocalStore(tmp_path / "elsewhere"), stage.who)
        check(await other.proof(SESSION))
        for place in (Tile(0, 0), Tile(0, 2, 190), Tile(1, 0, 2), Bundle(1), Bundle(2, 190)):
            assert await other.content(place) == await log.content(place)
        assert len(unpack_entries(await other.content(Bundle(2, 190)))) == 190
        with pytest.raises(Unknown):
            await other.content(Tile(0, 2, 191))
        with pytest.raises(Unknown):
            await log.content(Tile(1, 0, 3))
        assert await other.checkpoint() == stage.file("checkpoint").read_text()

    running(scene, tmp_path)


def test_a_partial_tile_that_a_full_one_replaced_is_served_as_its_beginning(tmp_path: Path) -> None:
    async def scene(stage: LogStage) -> None:
        log = Log(stage.state, stage.store, stage.who)
        await stage.notes(100)
        await stage.signs()
        tile, bundle = await log.content(Tile(0, 0, 101)), await log.content(Bundle(0, 101))
        await stage.notes(300)
        await stage.signs()
        assert not list(stage.file("tile/0/000.p").iterdir())
        assert await log.content(Tile(0, 0, 101)) == tile
        assert await log.content(Bundle(0, 101)) == bundle

    played(scene, tmp_path)
