"""The ground that is measured on: a PostgreSQL, a broker in front of it, an open `hoopx connect`, and their data."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from msgspec import Struct
from tests.journeys.stage import Running, Stage, running
from tests.peers.postgres import Foundry, Postgres, installations

from benchmarks.ways import Way, haproxy, pgbouncer

TARGET, LOOKED_INTO = "bench", "bench-detect"
ACCOUNTS = 100_000  # what `pgbench -S` reads at scale 1
WIDE_ROWS = 200_000
PEOPLE = 1_000

_DATA = f"""
CREATE TABLE accounts (aid integer PRIMARY KEY, bid integer, abalance integer, filler char(84));
INSERT INTO accounts SELECT n, 1, 0, '' FROM generate_series(1, {ACCOUNTS}) n;
CREATE TABLE wide AS SELECT 'first ' || n AS a, 'second ' || n AS b, 'third column of row ' || n AS c,
  repeat('x', n % 40) AS d, md5(n::text) AS e, md5((n + 1)::text) AS f FROM generate_series(1, {WIDE_ROWS}) n;
CREATE TABLE wide_masked AS SELECT * FROM wide;
CREATE TABLE people AS SELECT n AS id, 'Person ' || n AS name, 'person' || n || '@example.com' AS email,
  '000-12-' || to_char(n, 'FM0000') AS ssn FROM generate_series(1, {PEOPLE}) n;
GRANT SELECT ON accounts, wide, wide_masked, people TO app_read;
ANALYZE;
"""
# The tests' server logs every statement and knows few buffers; a database's own settings win over its command line.
_QUIET = "ALTER DATABASE app SET log_statement = 'none'"
_CLASSIFY = """\
    classify:
      public.people.email: email
      public.people.ssn: national-id
      public.customers.email: email
      public.wide_masked.c: note
"""


class BenchStage(Stage):
    """A stage with two targets: some columns of the one are classified, as in earnest, and the other is looked into."""

    def _targets(self) -> Iterator[str]:
        reader = (
            f"{{from: postgres-role, user: {self.postgres.admin}, password: file:admin-password, roles: [app_read]}}"
        )
        yield self._target(TARGET, "{env: prod}", reader) + _CLASSIFY
        yield self._target(LOOKED_INTO, "{env: prod}", reader) + "    detect: all\n"


class Ground(Struct, frozen=True):
    """`ways` are the paths to the same database; the first is the direct one. None: that program is not here."""

    stage: BenchStage
    ways: dict[str, Way | None]

    @property
    def postgres(self) -> Postgres:
        return self.stage.postgres


@contextmanager
def ground() -> Iterator[Ground]:
    """Everything started; gone, without a trace, at the end."""
    with tempfile.TemporaryDirectory(prefix="hoopx-bench-") as place:
        home = Path(place)
        home.chmod(0o711)  # the server may run as `nobody`, and has to get through
        servers = home / "servers"
        servers.mkdir(mode=0o711)
        with Foundry(servers).server(installations()[0]) as postgres:
            postgres.sql(_QUIET)
            postgres.sql(_DATA)
            yield from _with_broker(home, postgres)


def _with_broker(home: Path, postgres: Postgres) -> Iterator[Ground]:
    stage = BenchStage(home / "stage", postgres)
    try:
        stage.start_broker()
        with (
            running(stage, "connect", TARGET, "-o", "json") as command,
            running(stage, "connect", LOOKED_INTO, "-o", "json") as looking,
            pgbouncer(home, postgres) as pooled,
            haproxy(home, postgres) as spliced,
        ):
            ways = {
                "direct": _direct(postgres),
                "hoopx": _through(command),
                "hoopx, detectors": _through(looking),
                "pgbouncer": pooled,
                "haproxy": spliced,
            }
            yield Ground(stage, ways)
    finally:
        stage.close()


def _direct(postgres: Postgres) -> Way:
    return Way.of(psycopg.conninfo.conninfo_to_dict(postgres.dsn()))


def _through(command: Running) -> Way:
    command.says(r"(?s)\{.*\"url\".*\}")
    said = json.loads(command.out.splitlines()[0])
    return Way.of(psycopg.conninfo.conninfo_to_dict(said["url"]))
