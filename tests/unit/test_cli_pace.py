"""A slow side slows the other down, through the whole laptop: memory stays where it was."""

from __future__ import annotations

import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.pq.abc import PGconn

from tests.peers.processes import eventually
from tests.unit.cli_broker_double import ROW
from tests.unit.cli_stage import Stage, stage_in

ROWS = 200_000
# The kernel's buffers on both sides and a few frames on the way; the answer itself is fifteen times as much.
MAX_GROWTH_KB = 12_000


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage_in(tmp_path_factory.mktemp("s")) as playing:
        yield playing


def test_a_client_that_does_not_read_a_huge_answer_costs_no_memory(stage: Stage) -> None:
    with stage.begun("connect", "prod-db") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("warm up")
            before = _resident_kb(process)
            pg = connection.pgconn
            pg.send_query(f"flood {ROWS}".encode())
            pg.set_single_row_mode()
            pg.flush()
            _until_it_stops_growing(process)
            assert _resident_kb(process) - before < MAX_GROWTH_KB
            assert _rows(pg) == ROWS


def _rows(pg: PGconn) -> int:
    """Count the rows of the answer and look at each; `get_result` alone waits with the interpreter's lock held."""
    rows = 0
    while True:
        while pg.is_busy():
            select.select([pg.socket], [], [], 30)
            pg.consume_input()
        result = pg.get_result()
        if result is None:
            return rows
        rows += result.ntuples
        assert result.get_value(0, 0) in (ROW, None), result.error_message


def _until_it_stops_growing(process: subprocess.Popen[str]) -> None:
    seen: list[int] = []

    def is_steady() -> bool:
        seen.append(_resident_kb(process))
        time.sleep(0.1)
        return len(seen) > 5 and seen[-1] == seen[-5]

    eventually(lambda: is_steady() or None, "the memory is steady")


def _resident_kb(process: subprocess.Popen[str]) -> int:
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        pytest.skip("memory is read from /proc, which this system does not have")
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1])
