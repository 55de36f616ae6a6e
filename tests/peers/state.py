"""States for tests: a file or a fresh database of a real PostgreSQL, chosen by where a test says that its state is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg

from hoopx_broker.storage.store import Store
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import StateUrl
from tests.peers.postgres import SUPERUSER, SUPERUSER_PASSWORD, Postgres

TEMPLATE = "hoopx_state_template"
_numbers = count(1)
_places: dict[Path, StateUrl] = {}


def state_in(folder: Path) -> Path | StateUrl:
    """The database that was put in the place of this folder, else a file in it."""
    return _places.get(folder, folder / "state.db")


def url_of(server: Postgres, database: str, user: str = SUPERUSER, password: str = SUPERUSER_PASSWORD) -> StateUrl:
    where = f"{server.host}:{server.port}"
    query = f"sslmode=verify-full&sslrootcert={server.ca}"
    return StateUrl(
        Secret(f"postgresql://{user}:{password}@{where}/{database}?{query}"), f"postgresql://{where}/{database}"
    )


def make_template(server: Postgres) -> None:
    """Migrated once, copied for each test."""
    with psycopg.connect(server.dsn(database="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0 ENCODING 'UTF8'")
    asyncio.run(_migrated(url_of(server, TEMPLATE)))


async def _migrated(where: StateUrl) -> None:
    await (await Store.open(where)).close()


@contextmanager
def fresh_state(server: Postgres, template: str = TEMPLATE) -> Iterator[StateUrl]:
    """A state of its own, gone at the end."""
    name = f"state_{next(_numbers)}"
    with psycopg.connect(server.dsn(database="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield url_of(server, name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


class SharedState:
    """One state for many tests: emptied for each, which is quicker than to make it."""

    def __init__(self, server: Postgres, database: str) -> None:
        self._connection = psycopg.connect(server.dsn(database=database), autocommit=True)
        self._connection.execute("SET session_replication_role = replica")  # the walls do not stand in its way
        rows = self._connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname = 'hoopx' AND tablename <> 'schema_version'"
        ).fetchall()
        self._tables = [str(name) for (name,) in rows]
        self.url = url_of(server, database)

    def empty(self) -> StateUrl:
        """Tables that were just made are mostly empty: looking is quicker than to truncate them all."""
        looks = " UNION ALL ".join(f"(SELECT '{name}' FROM {name} LIMIT 1)" for name in self._tables)
        used = [str(name) for (name,) in self._connection.execute(looks).fetchall()]
        if used:
            self._connection.execute(f"TRUNCATE {', '.join(used)} CASCADE")
        return self.url

    def close(self) -> None:
        self._connection.close()


@contextmanager
def in_place_of(folder: Path, where: StateUrl) -> Iterator[None]:
    _places[folder] = where
    try:
        yield
    finally:
        del _places[folder]
