"""What is measured: each case does the same work over one way and gives the seconds of one unit of it."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from psycopg.pq import ConnStatus, ExecStatus, PGconn, abc
from tests.peers.found import program

from benchmarks.ground import ACCOUNTS, CROWD, MASKED_ROWS, PEOPLE, SCALE, WIDE_ROWS
from benchmarks.ways import Way


class Taken(Struct, frozen=True):
    """Seconds of one unit, and how many units were done."""

    seconds: float
    units: int


# `is_warm_up` asks for no more work than warms the way up.
Measure = Callable[[Way, bool], Taken]

# The statement of `pgbench -S` and the transaction of `pgbench`, without the questions about the catalog that pgbench
# asks before its own.
_SELECT_ONLY = f"\\set aid random(1, {ACCOUNTS})\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n"
_TPCB_LIKE = f"""\
\\set aid random(1, {ACCOUNTS})
\\set bid random(1, {SCALE})
\\set tid random(1, {10 * SCALE})
\\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
"""
MODES, CLIENTS = ("simple", "extended", "prepared"), (1, 8, 32)
_WARM_UP = 50  # transactions of each client, and the least that are measured
_CHUNK = 1_000  # rows that libpq holds at once

# Each way but those that cost time and tell nothing new.
PLAIN = (
    "direct",
    "hoopx",
    "hoopx, native",
    "uvloop pipe",
    "asyncio pipe",
    "two pipes, TLS",
    "pgbouncer",
    "haproxy",
    CROWD,
)
LASTING = (*PLAIN, "hoopx, disk")
LOOKED_INTO = (*PLAIN, "hoopx, detectors")

SELECT_WIDE, COPY_WIDE = f"{WIDE_ROWS:,} rows of 6 text columns", f"COPY of {WIDE_ROWS:,} rows of 6 text columns"
FIRST_ROW = f"the first of {WIDE_ROWS:,} rows"
MASKED = f"{PEOPLE:,} rows, 2 of 4 columns masked"


class Case(Struct, frozen=True):
    """`unit` says what one of the measured seconds' divisors is: a transaction, a read, a statement.

    `ways` are those on which it is measured; `writes` where it needs a target that takes writes. `megabytes` is the
    size of what is read, where that counts. `is_quick` are those of a quick run.
    """

    name: str
    unit: str
    measure: Measure
    ways: tuple[str, ...] = PLAIN
    writes: bool = False
    megabytes: float = 0
    is_quick: bool = True


def pgbench_name(mode: str, clients: int) -> str:
    return f"pgbench -S, {mode}, {clients} client{'s' * (clients > 1)}"


def cases(home: Path, seconds: int, megabytes: float) -> list[Case]:
    """All cases; those of pgbench run some `seconds` each time. `megabytes` is the size of the large table."""
    return [*_of_pgbench(home, seconds), *_of_rows(megabytes), *_of_statements()]


def _of_pgbench(home: Path, seconds: int) -> Iterator[Case]:
    script, writing = home / "select-only.sql", home / "tpcb-like.sql"
    script.write_text(_SELECT_ONLY)
    writing.write_text(_TPCB_LIKE)
    for mode in MODES:
        for clients in CLIENTS:
            ways = LASTING if mode == "prepared" and clients < max(CLIENTS) else PLAIN
            ways = LOOKED_INTO if mode == "simple" and clients == 1 else ways
            measure = _pgbench(script, mode, clients, seconds)
            yield Case(
                pgbench_name(mode, clients), "transaction", measure, ways, is_quick=mode != "extended" and clients != 8
            )
    for clients in CLIENTS[:2]:
        name = f"pgbench, like TPC-B, {clients} client{'s' * (clients > 1)}"
        measure = _pgbench(writing, "simple", clients, seconds)
        yield Case(name, "transaction", measure, LASTING, writes=True, is_quick=clients == 1)


def _of_rows(megabytes: float) -> Iterator[Case]:
    select = b"SELECT a, b, c, d, e, f FROM wide"
    yield Case(SELECT_WIDE, "read", _streamed(select), LASTING, megabytes=megabytes)
    yield Case(COPY_WIDE, "read", _copied("COPY wide TO STDOUT"), megabytes=megabytes)
    yield Case(FIRST_ROW, "first row", _first_row(select))
    masked, copied = b"SELECT * FROM wide_masked", "COPY wide_masked TO STDOUT"
    yield Case(f"{MASKED_ROWS:,} rows, 1 of 6 columns masked", "read", _streamed(masked), LOOKED_INTO)
    yield Case(f"the first of {MASKED_ROWS:,} rows, 1 of 6 columns masked", "first row", _first_row(masked))
    yield Case(f"COPY of {MASKED_ROWS:,} rows, 1 of 6 columns masked", "read", _copied(copied), LOOKED_INTO)
    yield Case(MASKED, "read", _repeated(b"SELECT * FROM people", 40), LOOKED_INTO)


def _of_statements() -> Iterator[Case]:
    fresh = _Fresh()
    yield Case("a statement seen before", "statement", _repeated(b"SELECT 1", 400))
    yield Case("the same statement with new constants", "statement", _new(fresh.constant, 200))
    yield Case("a statement of a new shape", "statement", _new(fresh.shape, 100))
    yield Case("opening and closing a connection", "connection", _connecting(10))


class _Fresh:
    """Texts that no connection of this run has seen before."""

    def __init__(self) -> None:
        self._count = 0

    def constant(self) -> bytes:
        self._count += 1
        return b"SELECT abalance FROM pgbench_accounts WHERE aid = %d" % self._count

    def shape(self) -> bytes:
        self._count += 1
        return b"SELECT abalance AS c%d FROM pgbench_accounts WHERE aid = 1" % self._count


def _pgbench(script: Path, mode: str, clients: int, seconds: int) -> Measure:
    command = [str(program("pgbench")), "-n", "-M", mode, "-c", str(clients), "-f", str(script)]

    # As many transactions of each client as the last time lets expect: a time limit would count the logins too.
    transactions: dict[str, int] = {}

    def measure(way: Way, is_warm_up: bool) -> Taken:
        environ = {"PATH": os.environ["PATH"], **way.environment()}
        length = _WARM_UP if is_warm_up else transactions[way.name]
        done = subprocess.run([*command, "-t", str(length)], env=environ, capture_output=True, text=True, check=False)
        found = re.search(r"actually processed: (\d+)[^$]*tps = ([\d.]+) \(without initial", done.stdout)
        assert found is not None, f"{way.processes}: {done.stdout}{done.stderr}"
        rate = float(found.group(2))
        transactions[way.name] = max(_WARM_UP, int(rate * seconds / clients))
        return Taken(1 / rate, int(found.group(1)))

    return measure


def _repeated(sql: bytes, times: int) -> Measure:
    def measure(way: Way, is_warm_up: bool) -> Taken:
        with connected(way) as connection:
            _run(connection, sql)  # planned, judged and cached
            begun = time.perf_counter()
            for _ in range(times):
                _run(connection, sql)
            return Taken((time.perf_counter() - begun) / times, times)

    return measure


def _streamed(sql: bytes) -> Measure:
    """By simple query; libpq holds a thousand rows at a time."""

    def measure(way: Way, is_warm_up: bool) -> Taken:
        with connected(way) as connection:
            begun = time.perf_counter()
            connection.send_query(sql)
            connection.set_chunked_rows_mode(_CHUNK)
            while (result := connection.get_result()) is not None:
                assert result.status in (ExecStatus.TUPLES_CHUNK, ExecStatus.TUPLES_OK), result.error_message
            return Taken(time.perf_counter() - begun, 1)

    return measure


def _first_row(sql: bytes) -> Measure:
    """The median of five, each by a connection of its own that leaves when it has its row."""

    def measure(way: Way, is_warm_up: bool) -> Taken:
        took = []
        for _ in range(5):
            with connected(way) as connection:
                _run(connection, sql + b" LIMIT 0")  # its server knows the table
                begun = time.perf_counter()
                connection.send_query(sql)
                connection.set_single_row_mode()
                result = connection.get_result()
                took.append(time.perf_counter() - begun)
                assert result is not None
                assert result.status == ExecStatus.SINGLE_TUPLE, result.error_message
        return Taken(statistics.median(took), 5)

    return measure


def _copied(sql: str) -> Measure:
    """By psql, which holds nothing; its own clock, without its start and its login."""
    command = [str(program("psql")), "-qX", "-v", "ON_ERROR_STOP=1"]

    def measure(way: Way, is_warm_up: bool) -> Taken:
        environ = {"PATH": os.environ["PATH"], **way.environment()}
        said = f"\\o /dev/null\n\\timing on\n{sql};\n"
        done = subprocess.run(command, input=said, env=environ, capture_output=True, text=True, check=False)
        found = re.search(r"Time: ([\d.]+) ms", done.stdout)
        assert found is not None, f"{way.processes}: {done.stdout[-500:]}{done.stderr}"
        return Taken(float(found.group(1)) / 1000, 1)

    return measure


def _new(text: Callable[[], bytes], times: int) -> Measure:
    def measure(way: Way, is_warm_up: bool) -> Taken:
        with connected(way) as connection:
            _run(connection, text())
            texts = [text() for _ in range(times)]
            begun = time.perf_counter()
            for each in texts:
                _run(connection, each)
            return Taken((time.perf_counter() - begun) / times, times)

    return measure


def _connecting(times: int) -> Measure:
    def measure(way: Way, is_warm_up: bool) -> Taken:
        begun = time.perf_counter()
        for _ in range(times):
            with connected(way):
                pass
        return Taken((time.perf_counter() - begun) / times, times)

    return measure


@contextmanager
def connected(way: Way) -> Iterator[abc.PGconn]:
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
