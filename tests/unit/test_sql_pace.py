"""`hoopx sql` and who reads its output: a huge result costs no memory, and a reader that stops stops nothing else."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.processes import eventually
from tests.unit.cli_stage import Stage, stage_in

ROWS = 20_000  # of a kilobyte
MAX_GROWTH_KB = 6_000  # the answer is three times as much


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage_in(tmp_path_factory.mktemp("s")) as playing:
        yield playing


def test_a_huge_result_is_passed_on_in_little_memory(stage: Stage) -> None:
    with stage.begun("sql", "prod-db", f"flood {ROWS}") as process:
        assert process.stdout is not None
        before = _steady(process)  # nobody has read anything yet
        rows = 0
        for line in process.stdout:
            rows += "xxxx" in line
            if rows == ROWS - 1000:
                assert _peak_kb(process) - before < MAX_GROWTH_KB
        assert rows == ROWS
        assert process.wait(60) == 0


def test_a_reader_that_stops_does_not_keep_the_session(stage: Stage) -> None:
    """Nobody reads the pipe, and it is full: a signal still ends it in order."""
    hangups = stage.double.hangups
    with stage.begun("sql", "prod-db", f"flood {ROWS}", "-o", "csv") as process:
        _steady(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    assert stage.double.hangups == hangups + 1


def test_a_reader_that_leaves_ends_it(stage: Stage) -> None:
    with stage.begun("sql", "prod-db", f"flood {ROWS}", "-o", "csv") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 0


def test_a_broker_that_is_lost_is_said(stage: Stage) -> None:
    with stage.begun("sql", "prod-db", f"flood {ROWS}", "-o", "csv") as process:
        assert process.stdout is not None
        process.stdout.readline()
        stage.double.vanish()
        process.stdout.read()
        assert process.wait(60) == 14


def _steady(process: subprocess.Popen[str]) -> int:
    """Kilobytes, once they stay the same: the pipe is full, and so is all that waits behind it."""
    seen: list[int] = []

    def is_steady() -> bool:
        seen.append(_peak_kb(process))
        time.sleep(0.1)
        return len(seen) > 5 and seen[-1] == seen[-5] and seen[-1] > 20_000

    eventually(lambda: is_steady() or None, "the memory is steady")
    return seen[-1]


def _peak_kb(process: subprocess.Popen[str]) -> int:
    """The most that it ever had."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        pytest.skip("memory is read from /proc, which this system does not have")
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])
