"""A real MariaDB for tests: TLS, an administrator that is no superuser, and a log of every statement it heard."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql

from tests.peers.certificates import Authority
from tests.peers.found import mariadb_root
from tests.peers.processes import bound_to_us, unprivileged

ADMIN, ADMIN_PASSWORD = "hoopx_admin", "test-admin"
START_LIMIT = 60.0
# Small files: an empty server of the usual size writes 100 MB before it answers.
SMALL = ("--innodb-log-file-size=8M", "--innodb-data-file-path=ibdata1:4M:autoextend", "--innodb-use-native-aio=0")
HASTY = ("--debug-no-sync", "--innodb-flush-log-at-trx-commit=0")  # a crash of the machine may lose what tests wrote
SEED = f"""
CREATE DATABASE app;
CREATE TABLE app.customers (id int PRIMARY KEY, name varchar(40), ssn varchar(20),
  short varchar(4) GENERATED ALWAYS AS (right(ssn, 4)) STORED);
INSERT INTO app.customers (id, name, ssn) VALUES (1, 'Ann', '000-12-3456');
CREATE TABLE app.orders (id int PRIMARY KEY, item varchar(40));
INSERT INTO app.orders VALUES (1, 'widget');
CREATE VIEW app.contacts AS SELECT id, name, ssn FROM app.customers;
CREATE VIEW app.safe AS SELECT id, name FROM app.customers;
CREATE ROLE app_read;
GRANT SELECT ON app.* TO app_read;
CREATE ROLE app_write;
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE VIEW, EVENT ON app.* TO app_write;
CREATE USER {ADMIN} IDENTIFIED BY '{ADMIN_PASSWORD}';
GRANT CREATE USER, PROCESS, CONNECTION ADMIN ON *.* TO {ADMIN};
GRANT SELECT, UPDATE ON mysql.* TO {ADMIN};
GRANT SELECT ON app.* TO {ADMIN} WITH GRANT OPTION;
GRANT app_read TO {ADMIN} WITH ADMIN OPTION;
GRANT app_write TO {ADMIN} WITH ADMIN OPTION
"""


class MariaDb:
    """A running server."""

    host = "127.0.0.1"
    admin, admin_password = ADMIN, ADMIN_PASSWORD

    def __init__(self, home: Path, port: int, sockets: Path) -> None:
        self.port = port
        self.ca, self.foreign_ca = home / "ca.pem", home / "foreign-ca.pem"
        self._log = home / "general.log"
        self._binlog = home / "data"
        self._socket = sockets / "s"

    def sql(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        """Run as `root`, each statement of `text`; rows of the last."""
        with pymysql.connect(unix_socket=str(self._socket), user="root", autocommit=True) as connection:
            rows: list[tuple[Any, ...]] = []
            for statement in filter(str.strip, text.split(";\n")):
                with connection.cursor() as cursor:
                    cursor.execute(statement, values or None)
                    rows = list(cursor.fetchall())
            return rows

    def log_in(self, user: str, password: str) -> pymysql.Connection[Any]:
        return pymysql.connect(
            host=self.host, port=self.port, user=user, password=password, ssl_ca=str(self.ca), autocommit=True
        )

    def users(self) -> set[str]:
        """Those that were made for sessions."""
        return {str(user) for (user,) in self.sql("SELECT User FROM mysql.user WHERE User LIKE 'hoopx\\_s\\_%'")}

    def heard(self) -> str:
        """All statements, and what goes to replicas."""
        written = [self._log, *self._binlog.glob("binlog.0*")]
        return "".join(file.read_bytes().decode(errors="replace") for file in written)


@contextmanager
def running(folder: Path) -> Iterator[MariaDb]:
    """A seeded server, gone at the end."""
    root = mariadb_root()
    assert root is not None
    usr, data = root / "usr", folder / "data"
    sockets = Path(tempfile.mkdtemp(prefix="hpm"))
    where = (f"--basedir={usr}", f"--datadir={data}")
    made = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    _run([*unprivileged(), str(usr / "bin/mariadb-install-db"), "--no-defaults", *where, *made, *SMALL, *HASTY])
    Authority.make("somebody else").write(folder / "foreign-ca.pem")
    authority = Authority.make("hoopx test authority")
    authority.write(folder / "ca.pem")
    certificate, key = authority.write_server(folder)
    server = MariaDb(folder, _free_port(), sockets)
    options = [
        *(f"--port={server.port}", "--bind-address=127.0.0.1", f"--socket={server._socket}", "--skip-name-resolve"),
        *(f"--ssl-cert={certificate}", f"--ssl-key={key}", f"--pid-file={folder / 'pid'}"),
        *("--general-log", f"--general-log-file={server._log}", f"--log-bin={data / 'binlog'}", "--server-id=1"),
        *(f"--lc-messages-dir={usr}/share/mysql", f"--character-sets-dir={usr}/share/mysql/charsets"),
        *(["--user=root"] if os.geteuid() == 0 and not unprivileged() else []),
        *("--event-scheduler=ON", *SMALL, *HASTY),
    ]
    command = [*unprivileged(), *bound_to_us(), str(usr / "sbin/mariadbd"), "--no-defaults", *where, *options]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
    try:
        _await_login(server, process, folder / "server.log")
        server.sql(SEED)
        yield server
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(sockets, ignore_errors=True)
        shutil.rmtree(data, ignore_errors=True)


def _run(command: list[str]) -> None:
    environ = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, timeout=START_LIMIT)
    if done.returncode != 0:
        raise RuntimeError(f"mariadb-install-db failed: {(done.stdout + done.stderr)[-2000:]}")


def _await_login(server: MariaDb, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        if "ready for connections" in log.read_text(errors="replace"):
            server.sql("SELECT 1")
            return
        time.sleep(0.05)
    raise RuntimeError(f"MariaDB did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
