"""Whoever waits for the disk is told when all that they had written is on it, and never before."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.verify import verify
from hoopx_broker.terms.entries import Notice
from tests.unit.durable_stage import Disk
from tests.unit.recording_scene import KEY, OPENED, HandClock

NOTICE = Notice("t_1", "NOTICE", "00000", "hello")


async def until(seen: Callable[[], object]) -> None:
    while not seen():  # noqa: ASYNC110 - what is waited for happens in a thread
        await asyncio.sleep(0.001)


def asks(recorder: Recorder, told: list[str], name: str) -> None:
    """What a turn does."""
    recorder.write([NOTICE])
    recorder.settle(lambda: told.append(name), lambda error: told.append(f"{name}: {error.reason}"))


def play(act: Callable[[Disk], Awaitable[None]], patience: float = 20) -> None:
    async def scene() -> None:
        disk = Disk(patience)
        try:
            await act(disk)
        finally:
            disk.let_go()
            await disk.committer.close()

    asyncio.run(scene())


def test_without_a_committer_what_is_written_is_settled_at_once(tmp_path: Path) -> None:
    told: list[str] = []
    recorder = Recorder.create(tmp_path, OPENED, KEY, HandClock())
    asks(recorder, told, "one")
    assert told == ["one"]
    asyncio.run(recorder.settled())
    recorder.seal("bye")


def test_an_fsync_that_had_begun_settles_nothing_that_was_written_later(tmp_path: Path) -> None:
    async def act(disk: Disk) -> None:
        recorder, told = disk.recorder(tmp_path), list[str]()
        await recorder.settled()
        disk.hold()
        asks(recorder, told, "before")
        await until(lambda: disk.synced)
        asks(recorder, told, "after")
        asks(recorder, told, "after that")
        await asyncio.sleep(0.01)
        assert told == []
        syncs: list[tuple[str, int]] = []
        recorder.settle(lambda: syncs.append(("all", len(disk.synced))), lambda _: None)
        disk.let_go()
        await until(lambda: syncs)
        assert told == ["before", "after", "after that"]
        assert syncs == [("all", 2)]  # one more for everybody who came meanwhile

    play(act)


def test_recordings_that_wait_meanwhile_are_synced_in_one_go(tmp_path: Path) -> None:
    async def act(disk: Disk) -> None:
        told: list[str] = []
        recorders = {name: disk.recorder(tmp_path, f"s_{name}") for name in ("a", "b", "c", "d")}
        await asyncio.gather(*(each.settled() for each in recorders.values()))
        disk.hold()
        asks(recorders["a"], told, "a")
        await until(lambda: disk.synced)
        for name in ("b", "c", "d", "b"):
            asks(recorders[name], told, name)
        assert disk.committer.waiting == 4
        disk.let_go()
        await until(lambda: len(told) == 5)
        assert (told[0], sorted(told[1:])) == ("a", ["b", "b", "c", "d"])
        assert sorted(disk.synced) == [f"s_{name}.hoopx" for name in "abcd"]
        assert disk.committer.waiting == 0

    play(act)


def test_the_name_of_a_new_recording_is_on_the_disk_before_anything_is_settled(tmp_path: Path) -> None:
    async def act(disk: Disk) -> None:
        recorder = disk.recorder(tmp_path / "new")
        await recorder.settled()
        assert disk.synced == [recorder.path.name, "new"]
        await recorder.settled()
        assert disk.synced == [recorder.path.name, "new", recorder.path.name]

    play(act)


def test_the_seal_is_on_the_disk_before_it_is_settled_and_the_file_is_held_until_then(tmp_path: Path) -> None:
    async def act(disk: Disk) -> None:
        recorder = disk.recorder(tmp_path)
        await recorder.settled()
        disk.hold()
        recorder.write([NOTICE])
        recorder.seal("bye")
        sealed = asyncio.ensure_future(recorder.settled())
        await until(lambda: disk.synced)
        assert not sealed.done()
        with pytest.raises(RecordingFailed, match="still being written"):
            Recorder.repair(recorder.path, KEY)
        disk.let_go()
        await sealed
        await until(lambda: disk.committer.waiting == 0)
        assert Recorder.repair(recorder.path, KEY).was_sealed
        assert not verify(recorder.path, KEY.verifier).unfinished
        await recorder.settled()  # at any later time

    play(act)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_an_fsync_that_fails_is_the_end_of_its_recording(tmp_path: Path, number: int) -> None:
    async def act(disk: Disk) -> None:
        recorder, told = disk.recorder(tmp_path), list[str]()
        await recorder.settled()
        disk.hold()
        asks(recorder, told, "one")
        await until(lambda: disk.synced)
        asks(recorder, told, "two")
        disk.fault = OSError(number, os.strerror(number))
        disk.let_go()
        await until(lambda: len(told) == 2)
        why = os.strerror(number)
        assert told == [f"one: {why}", f"two: {why}"]
        disk.fault = None  # a second fsync would say that all is well
        with pytest.raises(RecordingFailed, match=why):
            await recorder.settled()
        with pytest.raises(RecordingFailed, match=why):
            recorder.write([NOTICE])
        with pytest.raises(RecordingFailed, match=why):
            recorder.seal("bye")

    play(act)


def test_a_failing_disk_of_one_recording_is_no_matter_of_another(tmp_path: Path) -> None:
    async def act(disk: Disk) -> None:
        disk.fault = OSError(errno.EIO, "Input/output error")
        bad = disk.recorder(tmp_path, "s_bad")
        with pytest.raises(RecordingFailed):
            await bad.settled()
        disk.fault = None
        good = disk.recorder(tmp_path, "s_good")
        await good.settled()
        good.seal("bye")
        await good.settled()

    play(act)


def test_a_disk_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    async def act(disk: Disk) -> None:
        recorder, other, told = disk.recorder(tmp_path), disk.recorder(tmp_path, "s_other"), list[str]()
        await asyncio.gather(recorder.settled(), other.settled())
        disk.hold()
        asks(recorder, told, "one")
        await until(lambda: disk.synced)
        asks(other, told, "other")
        await until(lambda: len(told) == 2)
        assert all("the disk has confirmed nothing" in each for each in told)
        with pytest.raises(RecordingFailed):
            recorder.write([NOTICE])

    play(act, patience=0.1)
