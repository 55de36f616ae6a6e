"""How much memory the broker needs: for a session in which nothing happens, and for a client that does not read.

All figures are KiB of one broker process by its PSS, garbage collected first.
"""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from psycopg.pq import ConnStatus, PGconn, abc
from tests.journeys.crowd import Crowd, gathered
from tests.peers.processes import eventually

from benchmarks.ground import TARGET, BenchStage, Ground, begun, native, through
from benchmarks.ways import Way

Figures = dict[str, float]

WITHOUT_CLIENT, WITH_CLIENT = "an idle session, no connection", "an idle session with a connection"
CONNECTION, NATIVE = "a further connection, `hoopx connect`", "a further connection, native"
_ENDLESS = b"SELECT repeat('x', 500), generate_series(1, 1000000000)"
_ENDLESS_MASKED = b"SELECT a.* FROM wide_masked a CROSS JOIN wide_masked b"
SLOW = {
    "a client that does not read, `hoopx connect`": ("hoopx", _ENDLESS),
    "a client that does not read, native": ("native", _ENDLESS),
    "a client that does not read masked rows, `hoopx connect`": ("hoopx", _ENDLESS_MASKED),
}
GROWTH = ": growth in the last second"
PATIENCE = 180.0
_AT_LEAST, _AT_MOST = 2.0, 12.0  # seconds that slow readers are watched
_READERS = 4


class WatchedStage(BenchStage):
    """Its broker tells when it has tidied up its memory."""

    def program(self) -> list[str]:
        return [sys.executable, str(Path(__file__).with_name("watched.py")), str(self._said_tidy)]

    @property
    def _said_tidy(self) -> Path:
        return self.home / "tidy"

    def memory(self) -> float:
        """KiB, of the broker's own process."""
        before = self._tidied()
        self.broker.send_signal(signal.SIGUSR1)
        eventually(lambda: self._tidied() > before, "the broker has tidied up", PATIENCE)
        return _pss(self.broker.pid)

    def _tidied(self) -> int:
        return self._said_tidy.read_text().count("tidy\n") if self._said_tidy.exists() else 0

    def said_tidy(self) -> str:
        return self._said_tidy.read_text()


def is_known() -> bool:
    return Path("/proc/self/smaps_rollup").exists()


def measure_memory(on: Ground, sessions: int) -> Figures:
    """Each by a broker of its own and by a difference: what a broker needs by itself is in none of them."""
    found: Figures = {}
    with _broker(on) as stage:
        found["the broker without a session"] = stage.memory()
        found[WITHOUT_CLIENT] = _of_crowd(stage, Crowd(TARGET, sessions))
    with _broker(on) as stage:
        found[WITH_CLIENT] = _of_crowd(stage, Crowd(TARGET, sessions, "SELECT 1"))
    for name, kind in ((CONNECTION, "hoopx"), (NATIVE, "native")):
        with _broker(on) as stage, _way(stage, kind) as way:
            found[name] = _of_connections(stage, way, sessions // 2)
    for name, (kind, sql) in SLOW.items():
        with _broker(on) as stage, _way(stage, kind) as way:
            found[name], found[name + GROWTH] = _of_slow(stage, way, sql)
    return found


@contextmanager
def _broker(on: Ground) -> Iterator[WatchedStage]:
    """What is made once is made before it is measured."""
    with ExitStack() as gone:
        stage = WatchedStage(on.home / "watched", on.postgres)
        begun(gone, stage)
        _of_crowd(stage, Crowd(TARGET, 8, "SELECT 1"))
        yield stage


@contextmanager
def _way(stage: WatchedStage, kind: str) -> Iterator[Way]:
    with ExitStack() as gone:
        way = through(gone, stage, TARGET) if kind == "hoopx" else native(stage)
        with _connections(way, 1):
            yield way


def _of_crowd(stage: WatchedStage, crowd: Crowd) -> float:
    there = len(stage.minted())
    with _settled(stage, crowd.count) as of_one:
        running = gathered(stage, crowd, "ann")
        try:
            eventually(lambda: "ready\n" in running.out or running.process.poll() is not None, "it is there", PATIENCE)
            assert running.process.poll() is None, running.err
            _await_catalogs(stage)
            return of_one()
        finally:
            running.close()
            eventually(lambda: len(stage.minted()) <= there, "the sessions are over", PATIENCE)


def _of_connections(stage: WatchedStage, way: Way, count: int) -> float:
    with _settled(stage, count) as of_one, _connections(way, count):
        _await_catalogs(stage)
        return of_one()


@contextmanager
def _settled(stage: WatchedStage, count: int) -> Iterator[Callable[[], float]]:
    _await_catalogs(stage)
    before = stage.memory()
    yield lambda: (stage.memory() - before) / count


def _of_slow(stage: WatchedStage, way: Way, sql: bytes) -> tuple[float, float]:
    """KiB for each client when it grows no more, and what it grew by in the last second that was watched."""
    with _connections(way, _READERS) as connections, _settled(stage, _READERS):
        before = stage.memory()
        for connection in connections:
            connection.send_query(sql)
        seen = [0.0]
        until, at_most = time.monotonic() + _AT_LEAST, time.monotonic() + _AT_MOST
        while time.monotonic() < until or (seen[-1] > seen[-2] * 1.01 and time.monotonic() < at_most):
            time.sleep(1)
            seen.append((_pss(stage.broker.pid) - before) / _READERS)
    return seen[-1], seen[-1] - seen[-2]


@contextmanager
def _connections(way: Way, count: int) -> Iterator[list[abc.PGconn]]:
    """Idle, each after a statement."""
    opened: list[abc.PGconn] = []
    try:
        for _ in range(count):
            connection = PGconn.connect(way.conninfo())
            opened.append(connection)
            assert connection.status == ConnStatus.OK, connection.error_message
            connection.exec_(b"SELECT 1")
        yield opened
    finally:
        for connection in opened:
            connection.finish()


def _await_catalogs(stage: WatchedStage) -> None:
    """Each session keeps the connection by which it read the catalog for a moment."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hoopx catalog'"
    eventually(lambda: stage.postgres.sql(asked) == [(0,)], "no session reads the catalog", PATIENCE)


def _pss(pid: int) -> float:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return float(found.group(1))
