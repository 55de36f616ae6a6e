"""Where a recording has to be on the disk first, nothing is sent before it is, and then everything in its order."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec import structs

from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.session import unsettled
from hoopx_broker.session.pump import Pump
from tests.unit.durable_stage import Disk
from tests.unit.test_session_pump import READY, Scene, complete, message, query
from tests.unit.test_session_pump import play as play_scene

CHUNK = 100_000
ROW = message(b"D", b"\0\1" + (CHUNK).to_bytes(4, "big") + b"x" * CHUNK)


def play(directory: Path, act: Callable[[Scene, Disk, Recorder], Awaitable[None]]) -> None:
    async def on_disk(scene: Scene) -> None:
        disk = Disk()
        recorder = disk.recorder(directory)
        scene.around = structs.replace(scene.around, record=recorder.write, settle=recorder.settle)
        scene.pump = Pump(scene.engine, scene.link, scene.around, tls=False)
        await recorder.settled()
        try:
            await scene.log_in()
            await act(scene, disk, recorder)
        finally:
            disk.let_go()
            scene.pump.end("the scene is over")
            await disk.committer.close()

    play_scene(on_disk)


def test_no_statement_and_no_answer_is_sent_before_it_is_on_the_disk(tmp_path: Path) -> None:
    async def act(scene: Scene, disk: Disk, recorder: Recorder) -> None:
        disk.hold()
        scene.pump.client_says(query("select 1"))
        await scene.until(lambda: disk.synced)
        assert b"select 1" in recorder.path.read_bytes()
        assert b"select 1" not in scene.server.heard
        disk.let_go()
        await scene.until(lambda: query("select 1") in scene.server.heard)
        disk.hold()
        await scene.server.says(complete("SELECT 1") + READY)
        await scene.until(lambda: disk.synced)
        assert scene.link.heard == b""
        disk.let_go()
        await scene.until(lambda: scene.link.heard == complete("SELECT 1") + READY)

    play(tmp_path, act)


def test_what_waits_is_sent_in_its_order_with_what_needs_no_entry_behind_it(tmp_path: Path) -> None:
    async def act(scene: Scene, disk: Disk, recorder: Recorder) -> None:
        await scene.asks("select 1")
        disk.hold()
        said = [complete(f"SELECT {n}") for n in range(5)] + [READY]  # which is told by no entry
        for each in said:
            before = recorder.size
            scene.pump.backend_says(each)
            assert (recorder.size > before) == (each != READY)
        scene.pump.client_says(query("select 2"))
        await scene.until(lambda: disk.synced)
        assert (scene.link.heard, query("select 2") in scene.server.heard) == (b"", False)
        disk.let_go()
        await scene.until(lambda: query("select 2") in scene.server.heard)
        assert scene.link.heard == b"".join(said)

    play(tmp_path, act)


def test_a_disk_that_fails_ends_the_stream_with_an_error_in_band(tmp_path: Path) -> None:
    async def act(scene: Scene, disk: Disk, recorder: Recorder) -> None:
        disk.hold()
        scene.pump.client_says(query("select 1"))
        await scene.until(lambda: disk.synced)
        disk.fault = OSError(errno.EIO, "Input/output error")
        disk.let_go()
        await scene.is_over()
        assert b"FATAL" in scene.link.heard
        assert b"could not record this session" in scene.link.heard
        assert b"Input/output error" in scene.link.heard
        assert b"select 1" not in scene.server.heard

    play(tmp_path, act)


def test_an_answer_that_the_disk_lost_is_not_sent(tmp_path: Path) -> None:
    async def act(scene: Scene, disk: Disk, recorder: Recorder) -> None:
        await scene.asks("select 1")
        disk.hold()
        disk.fault = OSError(errno.ENOSPC, "No space left on device")
        await scene.server.says(complete("SELECT 1") + READY)
        await scene.until(lambda: disk.synced)
        disk.let_go()
        await scene.is_over()
        assert complete("SELECT 1") not in scene.link.heard
        assert b"No space left" in scene.link.heard

    play(tmp_path, act)


def test_a_client_that_leaves_leaves_in_its_order(tmp_path: Path) -> None:
    async def act(scene: Scene, disk: Disk, recorder: Recorder) -> None:
        disk.hold()
        scene.pump.client_says(query("select 1"))
        await scene.until(lambda: disk.synced)
        scene.pump.client_left()
        assert not scene.link.closed
        disk.let_go()
        await scene.is_over()
        await scene.server.left.wait()
        assert scene.server.heard.endswith(query("select 1") + b"X\0\0\0\x04")

    play(tmp_path, act)


def test_neither_side_is_read_on_while_too_much_waits(tmp_path: Path) -> None:
    async def act(scene: Scene, disk: Disk, recorder: Recorder) -> None:
        await scene.asks("select x from much")
        disk.hold()
        rows = 2 * unsettled.MAX_WAITING // len(ROW)
        for _ in range(rows):
            scene.pump.backend_says(ROW)
        assert scene.pump._backend._paused
        assert scene.link.is_read
        text = "select '" + "y" * unsettled.MAX_WAITING + "'"
        scene.pump.client_says(query(text))
        await scene.until(lambda: not scene.link.is_read)
        assert scene.link.heard == b""
        disk.let_go()
        await scene.until(lambda: scene.link.heard == ROW * rows and query(text) in scene.server.heard)
        await scene.until(lambda: scene.link.is_read and not scene.pump._backend._paused)

    play(tmp_path, act)
