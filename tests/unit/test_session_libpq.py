"""What libpq is told of a target: everything, and no password for a server that nobody has verified."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hoopx_broker.seams.libpq import keywords
from hoopx_broker.session.catalog import CatalogReader
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, TlsModeName, UpstreamTls
from hoopx_broker.tunnel.crew import Crew
from tests.peers.postgres import Postgres


def _target(server: Postgres, mode: TlsModeName = "verify-full", ca: str | None = None) -> Target:
    tls = UpstreamTls(mode, ca or str(server.ca))
    return Target("shop", "postgres", server.host, server.port, server.database, tls, "static")


def _read(server: Postgres, target: Target) -> None:
    async def look() -> None:
        crew = Crew(lambda name, error: None)
        login = DatabaseLogin(server.superuser, Secret(server.superuser_password))
        reader = CatalogReader(target, login, crew, StatementReader())  # no view to read, so it starts no child
        try:
            await reader.catalog()
        finally:
            await reader.close()
            await crew.close()

    asyncio.run(look())


def test_public_authorities_are_found_somewhere() -> None:
    target = Target("shop", "postgres", "db.example.com", 5432, "app", UpstreamTls("verify-full"), "static")
    found = keywords(target)["sslrootcert"]
    assert found == "system" or Path(found).is_file()


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_an_unverified_server_is_never_told_the_password(mode: TlsModeName) -> None:
    target = Target("shop", "postgres", "db.example.com", 5432, "app", UpstreamTls(mode), "static")
    assert keywords(target)["require_auth"] == "!password"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PGHOSTADDR", "192.0.2.1"),
        ("PGSSLROOTCERT", "/nonexistent"),
        ("PGSSLCERT", "/nonexistent"),
        ("PGTARGETSESSIONATTRS", "standby"),
        ("PGREQUIREAUTH", "none"),
        ("PGGSSENCMODE", "require"),
        ("PGOPTIONS", "-c search_path=elsewhere -c no_such_setting=1"),
    ],
)
def test_the_brokers_environment_steers_nothing(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    _read(postgres, _target(postgres))


def test_a_server_with_another_authoritys_certificate_is_not_read(postgres: Postgres) -> None:
    with pytest.raises(BackendFailed, match="certificate"):
        _read(postgres, _target(postgres, ca=str(postgres.foreign_ca)))


def test_the_keywords_are_all_known_to_libpq(postgres: Postgres) -> None:
    login: dict[str, Any] = {"user": postgres.superuser, "password": postgres.superuser_password}
    with psycopg.connect(**keywords(_target(postgres)), dbname=postgres.database, **login) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
