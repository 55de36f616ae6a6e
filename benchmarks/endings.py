"""How long a login lives on when its session ends, where many end at once: by the brake, by their clients, by a stop.

For each session the time from what ends it until the server says that its role can not log in and has no backend, and
a login with its password is then refused. The password was set beside the broker, which tells nobody its own.
"""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from tests.journeys.crowd import Crowd, gathered
from tests.journeys.stage import Running, Stage
from tests.peers.postgres import Foundry, Postgres, installations
from tests.peers.processes import eventually

from benchmarks.openings import Samples

End = Callable[[Stage, Running], object]

TARGET = "shop-prod"
SESSIONS = 200
CONNECTIONS = 600  # two for each session, its client's and the one that reads the catalog
LOOK_EVERY = 0.02
PATIENCE = 180.0
_PASSWORD = "known-to-the-benchmark"

_LIVING = """
SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'hoopx\\_s\\_%' AND rolcanlogin
UNION SELECT usename::text FROM pg_stat_activity WHERE usename LIKE 'hoopx\\_s\\_%'
"""
_BUSY = """
SELECT count(DISTINCT usename) FROM pg_stat_activity WHERE usename LIKE 'hoopx\\_s\\_%' AND query LIKE '%pg_sleep%'
"""
_LEFT = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'hoopx\\_s\\_%'"


def measure_endings(sessions: int) -> Samples:
    """Seconds, one for each session and way to end it; and those of the openings before."""
    found: Samples = {}
    for name, end in _WAYS.items():
        with _ground() as stage:
            opened, ended, dropped = _measure(stage, sessions, end)
        found.setdefault("opening, 8 at once", []).extend(opened)
        found[f"end {name}"] = ended
        found[f"end {name}, last role dropped"] = [dropped]
    return found


def _measure(stage: Stage, sessions: int, end: End) -> tuple[list[float], list[float], float]:
    """Seconds of each opening, of each end, and until the last role was dropped."""
    crowd = gathered(stage, Crowd(TARGET, sessions, "SELECT pg_sleep(600)"), "ann")
    try:
        eventually(lambda: "ready\n" in crowd.out or crowd.process.poll() is not None, "the crowd is there", PATIENCE)
        eventually(lambda: stage.postgres.sql(_BUSY) == [(sessions,)], "every session is busy", PATIENCE)
        roles = _know_passwords(stage.postgres)
        assert len(roles) == sessions
        begun = time.perf_counter()
        with ThreadPoolExecutor(2) as pool:
            ending = pool.submit(end, stage, crowd)
            ended = _watch(stage.postgres, roles, begun)
            ending.result()
        eventually(lambda: stage.postgres.sql(_LEFT) == [(0,)], "every role is dropped", PATIENCE)
        dropped = time.perf_counter() - begun
        opened = [float(line.split()[1]) for line in crowd.out.splitlines() if line.startswith("opened ")]
        return opened, list(ended.values()), dropped
    finally:
        crowd.close()


def _know_passwords(postgres: Postgres) -> set[str]:
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        roles = {str(name) for (name,) in connection.execute(_LIVING)}
        for role in roles:
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), _PASSWORD))
    return roles


def _watch(postgres: Postgres, roles: set[str], begun: float) -> Mapping[str, float]:
    """Looks at all of them every 20 ms. Whoever seems gone is probed, and counts when the probe is refused."""
    ended: dict[str, float] = {}
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection, ThreadPoolExecutor(1) as prober:
        probes = {}
        while len(ended) < len(roles):
            now = time.perf_counter() - begun
            assert now < PATIENCE, f"{len(roles) - len(ended)} sessions never end"
            living = {str(name) for (name,) in connection.execute(_LIVING)}
            for role in roles - living - ended.keys():
                ended[role] = now
                probes[role] = prober.submit(_is_refused, postgres, role)
            time.sleep(LOOK_EVERY)
        assert all(probe.result() for probe in probes.values()), "a login got in after its end"
    return ended


def _is_refused(postgres: Postgres, role: str) -> bool:
    try:
        psycopg.connect(postgres.dsn(role, _PASSWORD)).close()
    except psycopg.OperationalError:
        return True
    return False


def _pull_the_brake(stage: Stage, _: Running) -> None:
    stage.hoopx("leases", "revoke", "--all", "--yes", "--reason", "benchmark", who="sam")


def _kill_the_clients(_: Stage, crowd: Running) -> None:
    crowd.send(signal.SIGKILL)


def _stop_the_broker(stage: Stage, _: Running) -> None:
    stage.stop_broker()
    stage.start_broker()  # what it left after eight seconds is this one's


_WAYS: dict[str, End] = {
    "by `hoopx leases revoke --all`": _pull_the_brake,
    "by killed clients": _kill_the_clients,
    "by a broker that stops": _stop_the_broker,
}


@contextmanager
def _ground() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="hoopx-endings-") as place:
        home = Path(place)
        home.chmod(0o711)  # the server may run as `nobody`, and has to get through
        (home / "servers").mkdir(mode=0o711)
        with Foundry(home / "servers").server(installations()[0]) as postgres:
            postgres.shut_down()
            postgres.max_connections = CONNECTIONS
            postgres.start()
            postgres.sql("ALTER DATABASE app SET log_statement = 'none'")
            stage = Stage(home / "stage", postgres)
            try:
                stage.start_broker()
                yield stage
            finally:
                stage.close()
