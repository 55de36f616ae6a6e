"""The ground that is measured on: a PostgreSQL, a broker in front of it, an open `hoopx connect`, and their data."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psycopg
from msgspec import Struct
from tests.journeys.stage import CAST, Running, Stage, running
from tests.peers.found import program
from tests.peers.postgres import Foundry, Postgres, installations
from tests.peers.state import url_of

from benchmarks.ways import Way, haproxy, pgbouncer, pipe, two_pipes

TARGET, LOOKED_INTO, WRITABLE = "bench", "bench-detect", "bench-dev"
WAYS = (
    "direct",
    "hoopx",
    "hoopx, native",
    "hoopx, disk",
    "hoopx, detectors",
    "uvloop pipe",
    "asyncio pipe",
    "two pipes, TLS",
    "pgbouncer",
    "haproxy",
)
CROWD = "hoopx, 2 workers"  # started only where it is asked for: it needs a state in PostgreSQL, and two processes more
SCALE = 8  # of pgbench: as many branches, so that eight clients seldom wait for each other
ACCOUNTS = 100_000 * SCALE
WIDE_ROWS, MASKED_ROWS, PEOPLE = 1_000_000, 200_000, 1_000
CONNECTIONS = 600  # hundreds of sessions, each with a client's and, for a moment, the one that reads the catalog

_DATA = f"""
CREATE TABLE wide AS SELECT 'first ' || n AS a, 'second ' || n AS b, 'third column of row ' || n AS c,
  repeat('x', n % 40) AS d, md5(n::text) AS e, md5((n + 1)::text) AS f FROM generate_series(1, {WIDE_ROWS}) n;
CREATE TABLE wide_masked AS SELECT * FROM wide LIMIT {MASKED_ROWS};
CREATE TABLE people AS SELECT n AS id, 'Person ' || n AS name, 'person' || n || '@example.com' AS email,
  '000-12-' || to_char(n, 'FM0000') AS ssn FROM generate_series(1, {PEOPLE}) n;
GRANT SELECT ON wide, wide_masked, people TO app_read;
GRANT SELECT ON pgbench_accounts, pgbench_branches, pgbench_tellers, pgbench_history TO app_read, app_write;
GRANT INSERT, UPDATE ON pgbench_accounts, pgbench_branches, pgbench_tellers, pgbench_history TO app_write;
VACUUM ANALYZE;
"""
# What passes of a read of the large table: of each row its head and six lengths beside the text.
_SIZE = "SELECT (sum(31 + length(concat(a, b, c, d, e, f))) / 1e6)::float FROM wide"
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
    """A stage with three targets: some columns of the first are classified, as in earnest, the second is looked into.

    The third takes writes.
    """

    def _targets(self) -> Iterator[str]:
        login = f"user: {self.postgres.admin}, password: file:admin-password"
        reader = f"{{from: postgres-role, {login}, roles: [app_read], connection_limit: 200}}"
        yield self._target(TARGET, "{env: prod}", reader) + _CLASSIFY
        yield self._target(LOOKED_INTO, "{env: prod}", reader) + "    detect: all\n"
        writer = reader.replace("[app_read]", "[app_read, app_write], read_only: false")
        yield self._target(WRITABLE, "{env: dev}", writer) + _CLASSIFY


class LastingStage(BenchStage):
    """Its broker records at the level `disk`."""

    def configuration(self) -> str:
        return super().configuration() + "evidence: {durability: disk}\n"


class CrowdStage(BenchStage):
    """Its broker has two workers, and its state is beside the data."""

    def __init__(self, home: Path, postgres: Postgres) -> None:
        with psycopg.connect(postgres.dsn(database="postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE hoopx_state TEMPLATE template0 ENCODING 'UTF8'")
        super().__init__(home, postgres)

    def configuration(self) -> str:
        self._secret("state-url", url_of(self.postgres, "hoopx_state").url.reveal())
        return super().configuration().replace("state: sqlite:state.db", "state: file:state-url")

    def options(self) -> list[str]:
        return ["--workers", "2"]


class Ground(Struct, frozen=True):
    """`ways` are the paths to the same database; the first is the direct one. None: that program is not here."""

    home: Path
    stage: BenchStage
    ways: dict[str, Way | None]
    megabytes: float  # of the large table, as it passes

    @property
    def postgres(self) -> Postgres:
        return self.stage.postgres


@contextmanager
def ground(wanted: Container[str] = WAYS) -> Iterator[Ground]:
    """What the wanted ways need, started; gone, without a trace, at the end."""
    with tempfile.TemporaryDirectory(prefix="hoopx-bench-") as place:
        home = Path(place)
        home.chmod(0o711)  # the server may run as `nobody`, and has to get through
        servers = home / "servers"
        servers.mkdir(mode=0o711)
        with Foundry(servers).server(installations()[0]) as postgres:
            postgres.shut_down()
            postgres.max_connections = CONNECTIONS
            postgres.start()
            postgres.sql(_QUIET)
            _fill(postgres)
            yield from _with_broker(home, postgres, wanted)


def _fill(postgres: Postgres) -> None:
    environ = {"PATH": os.environ["PATH"], **_direct(postgres).environment()}
    subprocess.run([program("pgbench"), "-iq", "-s", str(SCALE)], env=environ, check=True, capture_output=True)
    for statement in filter(str.strip, _DATA.split(";")):
        postgres.sql(statement)


def _with_broker(home: Path, postgres: Postgres, wanted: Container[str]) -> Iterator[Ground]:
    with ExitStack() as gone:
        stage = begun(gone, BenchStage(home / "stage", postgres))
        makers: dict[str, Callable[[], Way | None]] = {
            "direct": lambda: _direct(postgres),
            "hoopx": lambda: _to_both(gone, stage),
            "hoopx, native": lambda: native(stage),
            "hoopx, disk": lambda: _to_both(gone, begun(gone, LastingStage(home / "lasting", postgres))),
            "hoopx, detectors": lambda: through(gone, stage, LOOKED_INTO),
            "uvloop pipe": lambda: gone.enter_context(pipe(postgres, "uvloop")),
            "asyncio pipe": lambda: gone.enter_context(pipe(postgres, "asyncio")),
            CROWD: lambda: _to_both(gone, begun(gone, CrowdStage(home / "crowd", postgres))),
            "two pipes, TLS": lambda: gone.enter_context(two_pipes(home, postgres)),
            "pgbouncer": lambda: gone.enter_context(pgbouncer(home, postgres)),
            "haproxy": lambda: gone.enter_context(haproxy(home, postgres)),
        }
        ways = {name: make() for name, make in makers.items() if name in wanted}
        yield Ground(home, stage, ways, postgres.sql(_SIZE)[0][0])


def begun(gone: ExitStack, stage: BenchStage) -> BenchStage:
    """With its broker, until `gone` is closed."""
    gone.callback(stage.close)
    stage.start_broker()
    return stage


def _direct(postgres: Postgres) -> Way:
    return Way.of(psycopg.conninfo.conninfo_to_dict(postgres.dsn()))


def _to_both(gone: ExitStack, stage: BenchStage) -> Way:
    """Each target by a `hoopx connect` of its own; the one that takes writes waits until it is asked for."""
    way = through(gone, stage, TARGET)
    return msgspec.structs.replace(way, writing=through(gone, stage, WRITABLE).keywords)


def through(gone: ExitStack, stage: Stage, target: str) -> Way:
    """By `hoopx connect`: laptop and broker."""
    command: Running = gone.enter_context(running(stage, "connect", target, "-o", "json"))
    command.says(r"(?s)\{.*\"url\".*\}")
    said = json.loads(command.out.splitlines()[0])
    keywords = psycopg.conninfo.conninfo_to_dict(said["url"])
    return Way.of(keywords, broker=stage.broker.pid, laptop=command.process.pid)


def native(stage: Stage) -> Way:
    """Straight to the broker's port, a token for a password: one hop."""
    where = {"host": "127.0.0.1", "port": urlsplit(stage.url).port, "sslmode": "require"}
    who = {"user": "ann", "password": stage.mint.token("ann", CAST["ann"]), "dbname": TARGET}
    way = Way.of(where | who, broker=stage.broker.pid)
    return msgspec.structs.replace(way, writing=way.keywords | {"dbname": WRITABLE})
