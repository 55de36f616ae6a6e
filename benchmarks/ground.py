"""The ground that is measured on: a PostgreSQL, a broker in front of it, an open `hoopx connect`, and their data."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from msgspec import Struct
from tests.journeys.stage import CAST, Running, Stage, running
from tests.peers.postgres import Foundry, Postgres, installations
from tests.peers.state import url_of

from benchmarks.ways import Way, haproxy, pgbouncer, pipe, two_pipes

TARGET, LOOKED_INTO = "bench", "bench-detect"
WAYS = (
    "direct",
    "hoopx",
    "hoopx, native",
    "hoopx, disk",
    "hoopx, detectors",
    "pipe",
    "two pipes, TLS",
    "pgbouncer",
    "haproxy",
)
CROWD = "hoopx, 2 workers"  # started only where it is asked for: it needs a state in PostgreSQL, and two processes more
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

    stage: BenchStage
    ways: dict[str, Way | None]

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
            postgres.sql(_QUIET)
            postgres.sql(_DATA)
            yield from _with_broker(home, postgres, wanted)


def _with_broker(home: Path, postgres: Postgres, wanted: Container[str]) -> Iterator[Ground]:
    with ExitStack() as gone:
        stage = _begun(gone, BenchStage(home / "stage", postgres))
        makers: dict[str, Callable[[], Way | None]] = {
            "direct": lambda: _direct(postgres),
            "hoopx": lambda: _through(gone, stage, TARGET),
            "hoopx, native": lambda: _native(stage),
            "hoopx, disk": lambda: _through(gone, _begun(gone, LastingStage(home / "lasting", postgres)), TARGET),
            "hoopx, detectors": lambda: _through(gone, stage, LOOKED_INTO),
            CROWD: lambda: _through(gone, _begun(gone, CrowdStage(home / "crowd", postgres)), TARGET),
            "pipe": lambda: gone.enter_context(pipe(postgres)),
            "two pipes, TLS": lambda: gone.enter_context(two_pipes(home, postgres)),
            "pgbouncer": lambda: gone.enter_context(pgbouncer(home, postgres)),
            "haproxy": lambda: gone.enter_context(haproxy(home, postgres)),
        }
        yield Ground(stage, {name: make() for name, make in makers.items() if name in wanted})


def _begun(gone: ExitStack, stage: BenchStage) -> BenchStage:
    gone.callback(stage.close)
    stage.start_broker()
    return stage


def _direct(postgres: Postgres) -> Way:
    return Way.of(psycopg.conninfo.conninfo_to_dict(postgres.dsn()))


def _through(gone: ExitStack, stage: Stage, target: str) -> Way:
    """By `hoopx connect`: laptop and broker."""
    command: Running = gone.enter_context(running(stage, "connect", target, "-o", "json"))
    command.says(r"(?s)\{.*\"url\".*\}")
    said = json.loads(command.out.splitlines()[0])
    keywords = psycopg.conninfo.conninfo_to_dict(said["url"])
    return Way.of(keywords, broker=stage.broker.pid, laptop=command.process.pid)


def _native(stage: Stage) -> Way:
    """Straight to the broker's port, a token for a password: one hop."""
    where = {"host": "127.0.0.1", "port": urlsplit(stage.url).port, "sslmode": "require"}
    who = {"user": "ann", "password": stage.mint.token("ann", CAST["ann"]), "dbname": TARGET}
    return Way.of(where | who, broker=stage.broker.pid)
