"""What is measured: each case does the same work over one way and gives the seconds of one unit of it."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from psycopg.pq import ConnStatus, ExecStatus, PGconn, abc
from tests.peers.found import program

from benchmarks.ground import ACCOUNTS, PEOPLE, WIDE_ROWS
from benchmarks.ways import Way


class Taken(Struct, frozen=True):
    """Seconds of one unit, and how many units were done."""

    seconds: float
    units: int


Measure = Callable[[Way], Taken]

# The statement of `pgbench -S`, without the questions about the catalog that pgbench asks before its own.
_SELECT_ONLY = f"\\set aid random(1, {ACCOUNTS})\nSELECT abalance FROM accounts WHERE aid = :aid;\n"
_MODES = ("simple", "extended", "prepared")


class Case(Struct, frozen=True):
    """`unit` says what one of the measured seconds' divisors is: a transaction, a read, a statement."""

    name: str
    unit: str
    measure: Measure


def cases(home: Path, seconds: int) -> list[Case]:
    """All cases; those of pgbench run `seconds` each time."""
    script = home / "select-only.sql"
    script.write_text(_SELECT_ONLY)
    counted = _Fresh()
    return [
        *(
            Case(f"pgbench -S, {mode}, {clients} client{'s' * (clients > 1)}", "transaction", measure)
            for mode in _MODES
            for clients in (1, 8)
            for measure in [_pgbench(script, mode, clients, seconds)]
        ),
        Case(f"{WIDE_ROWS:,} rows of 6 text columns", "read", _repeated(b"SELECT a, b, c, d, e, f FROM wide", 1)),
        Case(f"{WIDE_ROWS:,} rows, 1 of 6 columns masked", "read", _repeated(b"SELECT * FROM wide_masked", 1)),
        Case(f"COPY of {WIDE_ROWS:,} rows, 1 of 6 columns masked", "read", _copied(b"COPY wide_masked TO STDOUT", 1)),
        Case(f"{PEOPLE:,} rows, 2 of 4 columns masked", "read", _repeated(b"SELECT * FROM people", 40)),
        Case("a statement seen before", "statement", _repeated(b"SELECT 1", 400)),
        Case("the same statement with new constants", "statement", _new(counted.constant, 200)),
        Case("a statement of a new shape", "statement", _new(counted.shape, 100)),
        Case("opening and closing a connection", "connection", _connecting(10)),
    ]


class _Fresh:
    """Texts that no connection of this run has seen before."""

    def __init__(self) -> None:
        self._count = 0

    def constant(self) -> bytes:
        self._count += 1
        return b"SELECT abalance FROM accounts WHERE aid = %d" % self._count

    def shape(self) -> bytes:
        self._count += 1
        return b"SELECT abalance AS c%d FROM accounts WHERE aid = 1" % self._count


def _pgbench(script: Path, mode: str, clients: int, seconds: int) -> Measure:
    command = [str(program("pgbench")), "-n", "-M", mode, "-c", str(clients), "-T", str(seconds), "-f", str(script)]

    def measure(way: Way) -> Taken:
        environ = {"PATH": os.environ["PATH"], **way.environment()}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        found = re.search(r"actually processed: (\d+)[^$]*tps = ([\d.]+) \(without initial", done.stdout)
        assert found is not None, f"{way.processes}: {done.stdout}{done.stderr}"
        return Taken(1 / float(found.group(2)), int(found.group(1)))

    return measure


def _repeated(sql: bytes, times: int) -> Measure:
    def measure(way: Way) -> Taken:
        with _connected(way) as connection:
            _run(connection, sql)  # planned, judged and cached
            begun = time.perf_counter()
            for _ in range(times):
                _run(connection, sql)
            return Taken((time.perf_counter() - begun) / times, times)

    return measure


def _copied(sql: bytes, times: int) -> Measure:
    def measure(way: Way) -> Taken:
        with _connected(way) as connection:
            begun = time.perf_counter()
            for _ in range(times):
                result = connection.exec_(sql)
                assert result.status == ExecStatus.COPY_OUT, result.error_message
                while connection.get_copy_data(0)[0] > 0:
                    pass
            return Taken((time.perf_counter() - begun) / times, times)

    return measure


def _new(text: Callable[[], bytes], times: int) -> Measure:
    def measure(way: Way) -> Taken:
        with _connected(way) as connection:
            _run(connection, text())
            texts = [text() for _ in range(times)]
            begun = time.perf_counter()
            for each in texts:
                _run(connection, each)
            return Taken((time.perf_counter() - begun) / times, times)

    return measure


def _connecting(times: int) -> Measure:
    def measure(way: Way) -> Taken:
        begun = time.perf_counter()
        for _ in range(times):
            with _connected(way):
                pass
        return Taken((time.perf_counter() - begun) / times, times)

    return measure


@contextmanager
def _connected(way: Way) -> Iterator[abc.PGconn]:
    """libpq itself, so that no driver's work is measured along."""
    connection = PGconn.connect(way.conninfo())
    try:
        assert connection.status == ConnStatus.OK, connection.error_message
        yield connection
    finally:
        connection.finish()


def _run(connection: abc.PGconn, sql: bytes) -> None:
    result = connection.exec_(sql)
    assert result.status == ExecStatus.TUPLES_OK, result.error_message
