"""The sequencer: events become leaves, whatever step it is killed at; and what was signed once is never left."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hoopx_broker.evidence.local import LocalStore
from hoopx_broker.evidence.log_files import LogBroken
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.storage import log
from hoopx_broker.storage.connection import Connection
from tests.unit.log_stage import LogStage, played
from tests.unit.recording_scene import OTHER_KEY


def test_a_log_that_grows_by_any_steps_is_the_same_log_with_the_same_tiles(tmp_path: Path) -> None:
    async def scene(stage: LogStage) -> None:
        first = await stage.signs()
        assert first.size == 1  # `log.started`
        for count in (1, 2, 251, 1, 1, 300, 2_000):
            await stage.notes(count)
            row = await stage.signs()
            leaves = stage.check(stage.checkpoint())
            assert len(leaves) == row.size
        assert row.size == 2_557
        assert row.checkpoint == stage.file("checkpoint").read_text()
        assert leaves == await stage.state.run(lambda connection: log.leaves(connection, 0, 9_999))
        assert b'"type":"log.started"' in leaves[0]

    played(scene, tmp_path)


def test_partial_tiles_go_when_the_full_one_is_there(tmp_path: Path) -> None:
    async def scene(stage: LogStage) -> None:
        for count in (3, 4, 400):
            await stage.notes(count)
            await stage.signs()
        partial = [name for name in stage.files() if ".p/" in name]
        assert partial == ["log/tile/0/001.p/152", "log/tile/1/000.p/1", "log/tile/entries/001.p/152"]

    played(scene, tmp_path)


class Killed(BaseException):
    """Nothing catches it, as nothing catches kill -9."""


class Killing:
    """Counts the steps of a sequencer, transactions and puts, and ends it right after the one of that number."""

    def __init__(self, stage: LogStage, at: int, patch: pytest.MonkeyPatch) -> None:
        self.left = at
        patch.setattr(stage.state, "run", self._after(stage.state.run))
        patch.setattr(stage.store, "put", self._after(stage.store.put))
        patch.setattr(stage.store, "delete", self._after(stage.store.delete))

    def _after(self, work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def then(*arguments: Any, **named: Any) -> Any:
            if self.left <= 0:
                raise Killed  # what runs beside the one that was killed is killed too
            done = await work(*arguments, **named)
            self.left -= 1
            if self.left == 0:
                raise Killed
            return done

        return then


def test_killed_after_any_step_the_next_start_goes_on_and_every_step_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def begin(stage: LogStage) -> None:
        await stage.notes(250)
        await stage.signs()
        await stage.notes(20)

    played(begin, tmp_path / "before")
    steps = 0
    done = False
    finals = set()
    while not done:
        steps += 1
        shutil.copytree(tmp_path / "before", tmp_path / f"{steps}")

        async def dies(stage: LogStage, at: int = steps) -> bool:
            killing = Killing(stage, at, monkeypatch)
            try:
                await stage.sequencer.advance()
            except Killed:
                return False
            assert killing.left > 0
            return True

        async def goes_on(stage: LogStage) -> tuple[str, int]:
            shown = stage.checkpoint()
            await stage.signs()
            stage.check(shown)  # whoever saw that one can still follow
            stage.check(stage.checkpoint())
            row = await stage.row()
            assert row.checkpoint == stage.file("checkpoint").read_text()
            return row.checkpoint, row.size

        done = played(dies, tmp_path / f"{steps}")
        finals.add(played(goes_on, tmp_path / f"{steps}"))
    assert steps > 12
    assert {size for _, size in finals} == {271}
    assert len(finals) == 1


def test_a_store_that_was_emptied_is_filled_from_the_state(tmp_path: Path) -> None:
    async def begin(stage: LogStage) -> dict[str, bytes]:
        await stage.notes(700)
        await stage.signs()
        return stage.files()

    async def again(stage: LogStage) -> dict[str, bytes]:
        assert not await stage.sequencer.advance()
        return stage.files()

    before = played(begin, tmp_path)
    shutil.rmtree(tmp_path / "recordings" / "log")
    assert played(again, tmp_path) == before
    (tmp_path / "recordings/log/tile/0/001").unlink()
    (tmp_path / "recordings/log/tile/entries/000").unlink()
    assert played(again, tmp_path) == before


def test_a_store_that_is_emptied_under_a_running_sequencer_is_filled_before_anything_is_signed(tmp_path: Path) -> None:
    async def scene(stage: LogStage) -> None:
        await stage.notes(700)
        await stage.signs()
        shutil.rmtree(stage.directory / "log")
        stage.sequencer._edge.clear()  # as after a restart of nothing but the store
        await stage.notes(3)
        await stage.signs()
        stage.check(stage.checkpoint())

    played(scene, tmp_path)


def test_an_older_checkpoint_in_the_store_is_replaced(tmp_path: Path) -> None:
    async def begin(stage: LogStage) -> None:
        await stage.notes(3)
        older = (await stage.signs()).checkpoint
        await stage.notes(300)
        await stage.signs()
        stage.file("checkpoint").write_text(older)

    async def again(stage: LogStage) -> None:
        await stage.sequencer.advance()
        assert stage.checkpoint().size == 304

    played(begin, tmp_path)
    played(again, tmp_path)


def test_a_newer_checkpoint_in_the_store_stops_the_sequencer(tmp_path: Path) -> None:
    """The state was put back from a backup: what was signed since would be signed over."""

    async def grows(stage: LogStage) -> None:
        await stage.notes(5)
        await stage.signs()

    async def is_stopped(stage: LogStage) -> None:
        before = stage.files()
        with pytest.raises(LogBroken, match=r"over 11 leaves, and the state knows of 6 only"):
            await stage.signs()
        assert stage.files() == before

    played(grows, tmp_path)
    shutil.copy(tmp_path / "state.db", tmp_path / "backup.db")
    played(grows, tmp_path)
    shutil.copy(tmp_path / "backup.db", tmp_path / "state.db")
    for rest in tmp_path.glob("state.db-*"):
        rest.unlink()
    played(is_stopped, tmp_path)


def test_a_store_with_another_log_stops_the_sequencer(tmp_path: Path) -> None:
    async def grows(stage: LogStage) -> None:
        await stage.notes(5)
        await stage.signs()

    async def is_stopped(stage: LogStage) -> None:
        with pytest.raises(LogBroken, match="the store holds another log"):
            await stage.signs()

    played(grows, tmp_path / "one")
    played(grows, tmp_path / "two")
    shutil.rmtree(tmp_path / "one" / "recordings")
    shutil.copytree(tmp_path / "two" / "recordings", tmp_path / "one" / "recordings")
    played(is_stopped, tmp_path / "one")


def behind_its_back(folder: Path, *statements: str) -> None:
    """Whoever owns the file of the state takes its walls down first."""
    connection = sqlite3.connect(folder / "state.db")
    walls = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (name,) in walls:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        assert connection.execute(statement).rowcount > 0
    connection.commit()
    connection.close()


REWRITTEN = "UPDATE events SET event = replace(event, 'ann@example.com', 'eve@example.com') WHERE leaf = 7"
FORGED = "UPDATE log SET checkpoint = replace(checkpoint, 'broker.test/hoopx', 'broker.test/other')"


@pytest.mark.parametrize(
    ("statement", "is_emptied", "said"),
    [
        (REWRITTEN, True, "the events in the state are not the 301 leaves that were signed"),
        ("DELETE FROM events WHERE leaf = 260", False, "event 260 of the log is missing in the state"),
        (REWRITTEN.replace("7", "299"), False, "events from 256 to 301 in the state are not what was signed: entry 43"),
        (FORGED, False, "the checkpoint in the state does not hold"),
        ("UPDATE log SET size = 300", False, "is over 301 leaves"),
    ],
)
def test_nothing_is_signed_over_events_that_are_not_those_signed_before(
    tmp_path: Path, statement: str, is_emptied: bool, said: str
) -> None:
    async def grows(stage: LogStage) -> None:
        await stage.notes(300)
        await stage.signs()

    async def is_stopped(stage: LogStage) -> None:
        await stage.notes(1)
        size = (await stage.row()).size
        with pytest.raises(LogBroken, match=said):
            await stage.signs()
        assert (await stage.row()).size == size
        assert await stage.state.run(log.waiting) >= 1

    played(grows, tmp_path)
    behind_its_back(tmp_path, statement)
    if is_emptied:
        shutil.rmtree(tmp_path / "recordings" / "log")
    played(is_stopped, tmp_path)


def test_tiles_that_were_changed_are_not_gone_on_from(tmp_path: Path) -> None:
    async def grows(stage: LogStage) -> None:
        await stage.notes(300)
        await stage.signs()

    async def is_stopped(stage: LogStage) -> None:
        await stage.notes(1)
        with pytest.raises(LogBroken, match="the tiles in the store are not those of the 301 leaves"):
            await stage.signs()

    async def is_mended(stage: LogStage) -> None:
        await stage.signs()
        assert stage.checkpoint().size == 302
        stage.check(stage.checkpoint())

    played(grows, tmp_path)
    tile = tmp_path / "recordings/log/tile/0/001.p/45"
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    played(is_stopped, tmp_path)
    tile.unlink()  # moved away, as the error says
    played(is_mended, tmp_path)


def test_a_broker_with_another_key_signs_nothing_and_says_so(tmp_path: Path) -> None:
    async def grows(stage: LogStage) -> None:
        await stage.notes(5)
        await stage.signs()

    async def keeps_off(stage: LogStage) -> None:
        await stage.notes(5)
        before = stage.files()
        assert not await stage.sequencer.advance()
        assert "which this broker does not have" in stage.sequencer.idle
        assert stage.files() == before
        assert await stage.state.run(log.waiting) == 5

    played(grows, tmp_path)
    played(keeps_off, tmp_path, OTHER_KEY)


def test_a_store_that_fails_is_tried_again_and_nothing_is_shown_before_its_tiles_are_there(tmp_path: Path) -> None:
    async def scene(stage: LogStage) -> None:
        await stage.notes(5)
        shown = await stage.signs()
        await stage.notes(5)
        (stage.directory / "log/tile/0/000.p").rename(stage.directory / "away")
        (stage.directory / "log/tile/0/000.p").write_text("no directory")
        with pytest.raises(Exception, match="cannot be used"):
            await stage.signs()
        assert await stage.row() == shown
        (stage.directory / "log/tile/0/000.p").unlink()
        (stage.directory / "away").rename(stage.directory / "log/tile/0/000.p")
        await stage.signs()
        assert len(stage.check(stage.checkpoint())) == 11

    played(scene, tmp_path)


def test_no_broker_is_between_another_ones_turn_and_its_signature(
    tmp_path: Path, each_state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two brokers on one state: the one whose turn it was and that others took for gone must not sign any more."""

    async def scene(stage: LogStage) -> None:
        stage.broker = "b_one"
        other = LogStage(stage.state, LocalStore(stage.directory), stage.directory, broker="b_two")
        for broker in ("b_one", "b_two"):
            await stage.state.run(partial(_enter, broker=broker))
        await stage.notes(3)
        await stage.signs()
        assert not await other.sequencer.advance()
        assert other.sequencer.idle == "another broker signs the log"
        await stage.notes(3)

        signed: list[str] = []
        sign = EvidenceKey.sign

        def sign_and_tell(key: EvidenceKey, text: str) -> str:
            signed.append(text)
            return sign(key, text)

        monkeypatch.setattr(EvidenceKey, "sign", sign_and_tell)

        async def taken_over() -> None:
            await stage.state.run(lambda c: c.execute("UPDATE brokers SET gone_at = 9 WHERE id = 'b_one'").close())
            await other.signs()

        put = stage.log_files.put

        async def put_slowly(contents: Mapping[str, bytes]) -> None:
            await put(contents)
            await taken_over()

        monkeypatch.setattr(stage.log_files, "put", put_slowly)
        with pytest.raises(Exception, match="taken for gone"):
            await stage.signs()
        assert len(signed) == 1  # the other one's
        row = await other.row()
        assert (row.sequencer, row.size) == ("b_two", 7)
        other.check(other.checkpoint())

    played(scene, tmp_path)


def _enter(connection: Connection, broker: str) -> None:
    connection.execute(
        "INSERT INTO brokers (id, home, url, verifier, since, seen_at, gone_at) VALUES (?, '', '', '', 0, 0, 0)",
        (broker,),
    )
