"""Ways to the same database, beside the direct one and hoopx: pipes of bytes, pgbouncer and haproxy."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from msgspec import Struct, field
from tests.peers.certificates import Authority
from tests.peers.postgres import Postgres
from tests.peers.processes import bound_to_us, eventually

_ROOT = Path(__file__).parents[1]
PROXIES = _ROOT / "tests" / "peers" / "proxies"
_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
}


class Way(Struct, frozen=True):
    """How to get there, as libpq's keywords, and the processes on the way.

    `writing` are the keywords where another target is the one that takes writes.
    """

    keywords: dict[str, str] = field(default_factory=dict)
    processes: dict[str, int] = field(default_factory=dict)
    writing: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of its own within a run."""
        return self.keywords.get("port", "") + self.keywords.get("dbname", "")

    @classmethod
    def of(cls, keywords: Mapping[str, Any], **processes: int) -> Way:
        return cls({name: str(value) for name, value in keywords.items()}, processes)

    def to_write(self) -> Way:
        return Way(self.writing or self.keywords, self.processes)

    def conninfo(self) -> bytes:
        return psycopg.conninfo.make_conninfo(**self.keywords).encode()

    def environment(self) -> dict[str, str]:
        return {_VARIABLES[name]: value for name, value in self.keywords.items()}


def program_of(name: str) -> str | None:
    """Of a proxy: installed, or unpacked by `.ci/peers bench`."""
    unpacked = [PROXIES / "usr" / "sbin" / name]
    return shutil.which(name) or next((str(each) for each in unpacked if each.exists()), None)


@contextmanager
def pgbouncer(home: Path, postgres: Postgres) -> Iterator[Way | None]:
    """A pool on loopback without TLS, as the socket of `hoopx connect` is; TLS from there to the server."""
    program = program_of("pgbouncer")
    if program is None:
        yield None
        return
    place = home / "pgbouncer"
    place.mkdir(mode=0o755)
    port = _free_port()
    users = place / "users.txt"
    users.write_text(f'"{postgres.superuser}" "{postgres.superuser_password}"\n')
    # It refuses root, and nobody can read what is in the server's own directory.
    authority = place / "ca.pem"
    shutil.copyfile(postgres.ca, authority)
    configuration = place / "pgbouncer.ini"
    configuration.write_text(f"""\
[databases]
{postgres.database} = host={postgres.host} port={postgres.port} dbname={postgres.database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = session
default_pool_size = 40
server_tls_sslmode = verify-full
server_tls_ca_file = {authority}
log_connections = 0
log_disconnections = 0
""")
    command = [program, "-q", *_as_nobody(), str(configuration)]
    way = _direct(postgres, port) | {"sslmode": "disable"}
    way.pop("sslrootcert")
    with _running(command, port) as pid:
        yield Way.of(way, pgbouncer=pid)


@contextmanager
def haproxy(home: Path, postgres: Postgres) -> Iterator[Way | None]:
    """A plain splice: one more hop, without a look inside; TLS goes through it."""
    program = program_of("haproxy")
    if program is None:
        yield None
        return
    port = _free_port()
    configuration = home / "haproxy.cfg"
    configuration.write_text(f"""\
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen postgres
  bind 127.0.0.1:{port}
  server one {postgres.host}:{postgres.port}
""")
    with _running([program, "-q", "-db", "-f", str(configuration)], port) as pid:
        yield Way.of(_direct(postgres, port), haproxy=pid)


@contextmanager
def pipe(postgres: Postgres, loop: str) -> Iterator[Way]:
    """The least that one hop costs on `loop`: a splice, TLS goes through it."""
    with _piping(loop, postgres.port) as (pid, port):
        yield Way.of(_direct(postgres, port), pipe=pid)


@contextmanager
def two_pipes(home: Path, postgres: Postgres) -> Iterator[Way]:
    """The least that laptop and broker cost: clear to the first, TLS between them, TLS to the server."""
    authority = Authority.make("pipes")
    ours, theirs = str(authority.write(home / "pipes.pem")), str(postgres.ca)
    (home / "pipes").mkdir()
    own = map(str, authority.write_server(home / "pipes"))
    with _piping("far", postgres.port, theirs, *own) as (far, between), _piping("near", between, ours) as (near, port):
        way = _direct(postgres, port) | {"sslmode": "disable"}
        way.pop("sslrootcert")
        yield Way.of(way, near=near, far=far)


@contextmanager
def _piping(kind: str, to: int, *files: str) -> Iterator[tuple[int, int]]:
    """Its process and its port."""
    command = [*bound_to_us(), sys.executable, "-m", "benchmarks.pipe", kind, str(to), *files]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=_ROOT)
    try:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(30)


def _direct(postgres: Postgres, port: int) -> dict[str, Any]:
    return psycopg.conninfo.conninfo_to_dict(postgres.dsn()) | {"port": port}


@contextmanager
def _running(command: Sequence[str], port: int) -> Iterator[int]:
    process = subprocess.Popen([*bound_to_us(), *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: _listens(port, process), f"{Path(command[0]).name} listens")
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"`{process.args!r}` ended {process.returncode} before it listened")
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _as_nobody() -> list[str]:
    return ["-u", "nobody"] if os.geteuid() == 0 else []


def _free_port() -> int:
    """Neither program can be told to take any port: ask the kernel for one and hand it over at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
