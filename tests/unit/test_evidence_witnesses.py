"""Witnesses cosign the log as it grows; and a fork of it, which they refuse, is told wherever somebody looks."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace
from structlog.testing import capture_logs

from hoopx_broker.evidence import log as evidence_log
from hoopx_broker.evidence import witnesses as rounds
from hoopx_broker.evidence.sequencer import Sequencer
from hoopx_broker.recording.keyring import open_keyring
from hoopx_broker.storage import cosigned, log
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.errors import StateFailed
from hoopx_broker.storage.happened import Wanted, newest
from hoopx_broker.terms.audit import Event
from hoopx_broker.tlog.checkpoints import Checkpoint, parse
from hoopx_broker.tlog.cosignatures import cosignatures, parse_witness
from hoopx_broker.tlog.notes import split_note
from tests.peers.found import require
from tests.peers.litewitness import litewitness
from tests.peers.processes import closed_port
from tests.peers.witness_double import WitnessDouble, double
from tests.unit.log_stage import NOW, LogStage, staged
from tests.unit.test_evidence_rotation import broker, rotates
from tests.unit.witness_stage import Asked, Asking, asking, client

SESSION = "s_0123456789abcdef"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "PACE_SECONDS", 0.01)
    monkeypatch.setattr(rounds, "FIRST_RETRY_SECONDS", 0.02)
    monkeypatch.setattr(rounds, "LAST_RETRY_SECONDS", 0.1)
    monkeypatch.setattr(evidence_log, "GATHER_SECONDS", 0.01)


@pytest.fixture
def witness() -> Iterator[WitnessDouble]:
    with double() as there:
        yield there


@pytest.fixture
def second() -> Iterator[WitnessDouble]:
    with double(8) as there:
        yield there


Scene = Callable[[Asking], Coroutine[Any, Any, None]]


def played(folder: Path, scene: Scene, *witnesses: Asked, already: int = 0) -> None:
    """A broker on what is in `folder`, whose log has some more leaves `already`, and witnesses that know of it."""

    async def play() -> None:
        async with staged(folder) as stage:
            await stage.notes(already)
            row = await stage.signs()
            for each in witnesses:
                if not each.size(row.origin):
                    each.trust(row.origin, row.key)
            async with asking(stage, [client(each) for each in witnesses]) as there:
                await scene(there)
                assert there.reported == []

    asyncio.run(play())


def of_type(asks: Asking, type_: str) -> Coroutine[Any, Any, list[Event]]:
    async def found() -> list[Event]:
        return [each.event for each in await newest(asks.stage.state, Wanted(type=type_), 10)]

    return found()


def cosigned_by(note: str, *witnesses: Asked) -> int:
    """How many of them have cosigned the note."""
    return len(cosignatures(note, [parse_witness(each.key) for each in witnesses]))


def test_every_checkpoint_that_lasts_is_cosigned_by_all_and_shown_everywhere(
    tmp_path: Path, witness: WitnessDouble, second: WitnessDouble
) -> None:
    second.name = "double.test/w2"
    second.key = str(replace(parse_witness(second.key), name=second.name))

    async def scene(asks: Asking) -> None:
        for count in (1, 40, 300):
            await asks.stage.notes(count)
            await asks.until_cosigned()
        await asks.stage.notes_seal(SESSION)
        await asks.until_cosigned()
        row = await asks.stage.row()
        assert row.size == 343
        assert witness.size(row.origin) == second.size(row.origin) == 343
        shown = await asks.log.checkpoint()
        assert cosigned_by(shown, witness, second) == 2
        assert len(split_note(row.checkpoint)[1]) == 1  # what is signed next is compared with this
        proof = await asks.log.proof(SESSION)
        assert cosigned_by(proof.checkpoint, witness, second) == 2
        assert [each.size for each in await asks.kept()] == [343]

        async def in_store() -> bool:
            return [asks.stage.file(name).read_text() for name in ("cosigned", "checkpoint")] == [shown, shown]

        await asks.until(in_store)

    played(tmp_path, scene, witness, second)


def test_it_is_so_with_a_real_witness(tmp_path: Path) -> None:
    require("litewitness")
    (tmp_path / "witness").mkdir()

    async def scene(asks: Asking) -> None:
        for count in (1, 300):
            await asks.stage.notes(count)
            await asks.until_cosigned()
        assert cosigned_by(await asks.log.checkpoint(), real) == 1

    async def forks(asks: Asking) -> None:
        assert "does not go on from what it has seen" in await asks.until_disputed()

    with litewitness(tmp_path / "witness") as real:
        asyncio.run(_signs(tmp_path / "one"))
        shutil.copytree(tmp_path / "one", tmp_path / "copy")
        played(tmp_path / "one", scene, real)
        played(tmp_path / "copy", forks, real, already=500)


async def _signs(folder: Path) -> None:
    async with staged(folder) as stage:
        await stage.signs()


@pytest.mark.usefixtures("each_state")
def test_what_only_one_of_two_cosigns_is_kept_beside_what_both_did(
    tmp_path: Path, witness: WitnessDouble, second: WitnessDouble
) -> None:
    """Whoever wants both gets what both have seen; whoever wants the newest gets that."""
    second.name = "double.test/w2"
    second.key = str(replace(parse_witness(second.key), name=second.name))

    async def scene(asks: Asking) -> None:
        await asks.stage.notes_seal(SESSION)
        await asks.until_cosigned()
        both = (await asks.stage.row()).size
        row = await asks.stage.row()
        second.distrust(row.origin, row.key)
        for _ in range(3):
            await asks.stage.notes(5)
            await asks.until_cosigned(missing=1)
        assert [each.size for each in await asks.kept()] == [both + 15, both]
        assert parse(split_note((await asks.log.proof(SESSION)).checkpoint)[0]).size == both
        assert cosigned_by(await asks.log.checkpoint(), witness, second) == 1
        second.trust(row.origin, row.key)
        await asks.until_cosigned()
        assert [each.size for each in await asks.kept()] == [both + 15]

    played(tmp_path, scene, witness, second)


def test_a_witness_that_is_away_keeps_nobody_waiting_and_is_asked_until_it_answers(
    tmp_path: Path, witness: WitnessDouble
) -> None:
    away = WitnessDouble(f"http://127.0.0.1:{closed_port()}", Ed25519PrivateKey.from_private_bytes(bytes([8]) * 32))
    away.name = "away.test/w"
    away.key = str(replace(parse_witness(away.key), name=away.name))

    async def scene(asks: Asking) -> None:
        with capture_logs() as lines:
            await asks.stage.notes_seal(SESSION)
            await asks.until_cosigned(missing=1)

            async def four() -> list[Any]:
                tries = [each for each in lines if each["event"] == "witness.not_cosigned"]
                return tries if len(tries) > 3 else []

            tries = await asks.until(four)
        assert "cannot be reached: ConnectError" in tries[0]["why"]
        assert [each["tries"] for each in tries[:4]] == [1, 2, 3, 4]
        assert cosigned_by((await asks.log.proof(SESSION)).checkpoint, witness) == 1

    played(tmp_path, scene, witness, away)


def test_what_lacks_is_as_old_as_the_first_event_that_a_witness_has_not_seen(
    tmp_path: Path, witness: WitnessDouble
) -> None:
    async def scene(asks: Asking) -> None:
        assert (await asks.witnesses.health()).missing in (0, 1)
        await asks.until_cosigned()
        assert (await asks.witnesses.health()) == rounds.Cosigning(0, 0.0, "")
        row = await asks.stage.row()
        witness.distrust(row.origin, row.key)
        asks.stage.who = replace(asks.stage.who, clock=lambda: NOW + 100.0)
        asks.witnesses._around = replace(asks.witnesses._around, clock=lambda: NOW + 100.0)
        await asks.stage.notes(3)  # one each second, from `NOW` on
        await asks.until_cosigned(missing=1)
        assert (await asks.witnesses.health()).seconds == 100.0
        witness.trust(row.origin, row.key)
        await asks.until_cosigned()

    played(tmp_path, scene, witness)


def test_only_the_broker_that_signs_the_log_asks(
    tmp_path: Path, witness: WitnessDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "LOOK_SECONDS", 0.02)

    async def scene(asks: Asking) -> None:
        origin = (await asks.stage.row()).origin
        looks: list[None] = []
        read = log.read

        def counted(connection: Connection) -> log.LogRow | None:
            looks.append(None)
            return read(connection)

        monkeypatch.setattr(log, "read", counted)

        async def ten() -> bool:
            return len(looks) > 9

        await asks.until(ten)
        assert witness.size(origin) == 0
        assert (await asks.witnesses.health()).missing == 1  # and yet it tells what lacks
        monkeypatch.setattr(asks.stage, "broker", "")
        await asks.until_cosigned()  # its turn has come

    async def play() -> None:
        async with staged(tmp_path) as stage:
            row = await stage.signs()
            witness.trust(row.origin, row.key)
            stage.broker = "another one"
            async with asking(stage, [client(witness)]) as there:
                await scene(there)

    asyncio.run(play())


def test_cosignatures_of_a_broker_that_lost_its_turn_are_not_kept(tmp_path: Path, witness: WitnessDouble) -> None:
    async def play() -> None:
        async with staged(tmp_path) as stage:
            row = await stage.signs()
            with pytest.raises(StateFailed):
                await stage.state.run(
                    lambda connection: cosigned.add(connection, "another one", row, "— x AAAAAAAA\n", [])
                )
            assert await stage.state.run(cosigned.listed) == ()

    asyncio.run(play())


# Forks.


def copied(folder: Path) -> tuple[Path, Path]:
    """A broker's directory, and a copy of it as somebody makes it who starts it a second time elsewhere."""

    async def begins() -> None:
        async with staged(folder / "one") as stage:
            await stage.notes(10)
            await stage.signs()

    asyncio.run(begins())
    shutil.copytree(folder / "one", folder / "copy")
    return folder / "one", folder / "copy"


async def grows(asks: Asking) -> None:
    await asks.stage.notes(20)
    await asks.until_cosigned()


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (5, "has seen 31 leaves of the log"),  # and this one has fewer
        (20, "has seen another log of 31 leaves"),
        (300, "does not go on from what it has seen"),
    ],
)
def test_a_fork_of_the_log_is_told_by_health_event_and_log(
    tmp_path: Path, witness: WitnessDouble, more: int, why: str
) -> None:
    one, copy = copied(tmp_path)

    async def forks(asks: Asking) -> None:
        with capture_logs() as lines:
            assert why in await asks.until_disputed()
            told = await asks.until(lambda: of_type(asks, "witness.disputed"))
        assert told[0].facts["witness"] == "double.test/w1"
        assert "double.test/w1" in str(told[0].facts["why"])
        assert {each["log_level"] for each in lines if each["event"] == "witness.disputed"} <= {"error"}
        # It goes on, as nobody lets a witness stop sessions; and the event comes once, not with each refusal.
        await asks.stage.notes(5)
        await asks.until_cosigned(missing=1)
        assert len(await of_type(asks, "witness.disputed")) == 1
        assert await asks.kept() == ()

    played(one, grows, witness)
    played(copy, forks, witness, already=more)
    played(one, grows, witness)  # the witness has not moved


def test_a_state_that_was_put_back_is_told(tmp_path: Path, witness: WitnessDouble) -> None:
    one, _ = copied(tmp_path)
    played(one, grows, witness)
    shutil.copytree(one, tmp_path / "older")
    played(one, grows, witness)

    async def goes_on(asks: Asking) -> None:
        await asks.stage.notes(1)
        assert "has seen 51 leaves of the log" in await asks.until_disputed()

    played(tmp_path / "older", goes_on, witness)


def test_a_witness_that_forgot_is_told_of_once_and_gets_all_again(tmp_path: Path, witness: WitnessDouble) -> None:
    async def scene(asks: Asking) -> None:
        await grows(asks)
        row = await asks.stage.row()
        older = witness.seen(row.origin)
        await grows(asks)
        for _ in range(2):
            witness.has_seen(older)
            await grows(asks)
        [told] = await of_type(asks, "witness.went_back")
        assert (told.facts["known"], told.facts["witness"]) == (older.size, "double.test/w1")
        assert (await asks.witnesses.health()).disputed == ""

    played(tmp_path, scene, witness)


# Keys that follow one another.


def test_under_a_new_key_the_log_stays_and_the_witness_must_be_told_of_the_key(
    tmp_path: Path, witness: WitnessDouble
) -> None:
    folder = tmp_path

    async def cosigned_once(stage: LogStage) -> None:
        row = await stage.signs()
        witness.trust(row.origin, row.key)
        await stage.notes_seal(SESSION)
        async with asking(stage, [client(witness)]) as asks:
            await asks.until_cosigned()

    async def goes_on(stage: LogStage) -> None:
        await stage.signs()
        row = await stage.row()
        async with asking(stage, [client(witness)]) as asks:
            with capture_logs() as lines:
                await asks.until_cosigned(missing=1)

                async def tries() -> list[Any]:
                    return [each for each in lines if each["event"] == "witness.not_cosigned"]

                told = await asks.until(tries)
            assert "does not know the key that signs the log" in told[0]["why"]
            # What it cosigned under the old key proves nothing to who pinned the new one.
            assert cosigned_by((await asks.log.proof(SESSION)).checkpoint, witness) == 0
            witness.trust(row.origin, row.key)
            await asks.until_cosigned()
            assert cosigned_by((await asks.log.proof(SESSION)).checkpoint, witness) == 1
            assert {each.key for each in await asks.kept()} == {row.key}

    old = broker(folder, cosigned_once)
    new = rotates(folder, 100)
    assert broker(folder, goes_on) == new != old
    assert open_keyring(folder / "keys", "broker.test").key.verifier == new


def test_a_stolen_old_key_gets_no_cosignature_once_the_witness_was_told_to_let_go_of_it(
    tmp_path: Path, witness: WitnessDouble
) -> None:
    async def goes_on(stage: LogStage) -> None:
        row = await stage.signs()
        witness.trust(row.origin, row.key)
        async with asking(stage, [client(witness)]) as asks:
            await asks.until_cosigned()

    broker(tmp_path, goes_on)
    shutil.copytree(tmp_path, tmp_path / "stolen")

    async def old_key() -> str:
        async with staged(tmp_path) as stage:
            return (await stage.row()).key

    old = asyncio.run(old_key())
    rotates(tmp_path, 100)
    broker(tmp_path, goes_on)

    async def thief(stage: LogStage) -> None:
        row = await stage.row()
        witness.distrust(row.origin, old)
        await stage.notes(50)
        stage.sequencer = Sequencer(stage.state, stage.log_files, stage.who)
        await stage.signs()
        async with asking(stage, [client(witness)]) as asks:
            await asks.until_cosigned(missing=1)
            assert all(each.size < 50 for each in await asks.kept())

    broker(tmp_path / "stolen", thief)


# What must not happen around a witness.


def test_a_witness_that_disputes_and_cosigns_by_turns_does_not_fill_the_log(
    tmp_path: Path, witness: WitnessDouble
) -> None:
    async def scene(asks: Asking) -> None:
        await grows(asks)
        origin = (await asks.stage.row()).origin
        for _ in range(4):
            known = witness.seen(origin)
            witness.has_seen(Checkpoint(origin, 9_000, bytes(32)))
            await asks.stage.notes(1)
            assert "has seen 9000 leaves" in await asks.until_disputed()
            witness.has_seen(known)
            await asks.until_cosigned()
        assert len(await of_type(asks, "witness.disputed")) == 1

    played(tmp_path, scene, witness)


def test_a_fault_with_one_witness_keeps_no_other_from_being_asked(
    tmp_path: Path, witness: WitnessDouble, second: WitnessDouble
) -> None:
    second.name = "double.test/w2"
    second.key = str(replace(parse_witness(second.key), name=second.name))
    odd = client(second)

    async def fails(*_: object) -> None:
        raise RuntimeError("what nobody thought of")

    odd.ask = fails  # type: ignore[assignment]

    async def play() -> None:
        async with staged(tmp_path) as stage:
            row = await stage.signs()
            witness.trust(row.origin, row.key)
            async with asking(stage, [odd, client(witness)]) as asks:
                for _ in range(2):
                    await stage.notes(1)
                    await asks.until_cosigned(missing=1)
                assert cosigned_by(await asks.log.checkpoint(), witness) == 1
                assert {str(error) for error in asks.reported} == {"what nobody thought of"}

    asyncio.run(play())


def test_no_witness_is_sent_a_proof_that_does_not_hold(tmp_path: Path, witness: WitnessDouble) -> None:
    """Tiles were changed in the store: it would seem to the witness that the log was forked."""

    async def scene(asks: Asking) -> None:
        await grows(asks)  # and from now on the signer has the edge of the log in memory
        tile = asks.stage.file("tile/1/000.p/1")
        whole = tile.read_bytes()
        tile.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        with capture_logs() as lines:
            await asks.stage.notes(40)
            await asks.until_cosigned(missing=1)

            async def told() -> list[Any]:
                return [each for each in lines if each["event"] == "witness.not_cosigned"]

            [first, *_] = await asks.until(told)
        assert "the tiles in the store do not prove the checkpoint" in first["why"]
        assert (await asks.witnesses.health()).disputed == ""
        tile.write_bytes(whole)
        await asks.until_cosigned()

    played(tmp_path, scene, witness, already=300)
