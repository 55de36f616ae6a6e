"""Read a PostgreSQL target's catalog: names, columns, places that are classified, views, partitions, hidden calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
import psycopg

from hoopx_broker.policy.views import suspects, with_views
from hoopx_broker.seams.libpq import keywords
from hoopx_broker.session.catalog_rows import (
    Connection,
    read_catalog,
    read_definitions,
    read_function,
    read_search_path,
)
from hoopx_broker.session.definitions import read_definitions_of
from hoopx_broker.session.estimates import Estimate, estimate
from hoopx_broker.session.plea import Plea
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.terms.catalog import Catalog
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.facts import FunctionName, StatementFacts, Unreadable
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.outline import Outline
from hoopx_broker.terms.targets import Target
from hoopx_broker.tunnel.crew import Crew

CONNECT_SECONDS = 10
QUERY_MILLISECONDS = 10_000
# A migration may hold a table for minutes, and every new statement would wait for it.
LOCK_MILLISECONDS = 200
# Migrations change the catalog every few milliseconds, and a login takes longer than reading it does.
KEPT_SECONDS = 3.0

# What the next connection logs in with: some secrets live for minutes, and a lease may be renewed.
Fresh = Callable[[], Awaitable[DatabaseLogin]]


class CatalogReader:
    """Reads with the lease's own login. The connection is kept for the next reading, if one comes soon."""

    def __init__(
        self,
        target: Target,
        credential: DatabaseLogin,
        crew: Crew,
        reader: StatementReader,
        fresh: Fresh | None = None,
    ) -> None:
        self._target = target
        self._reader = reader
        self._credential = credential
        self._fresh = fresh
        self._crew = crew
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self._closing: asyncio.Task[None] | None = None

    def renew(self, credential: DatabaseLogin) -> None:
        """From now on logs in with this."""
        self._credential = credential

    async def catalog(self, before: Catalog | None = None) -> Catalog:
        """The whole catalog; what never changes in it is taken from `before`. Raises `BackendFailed`."""
        async with self._connected() as connection:
            catalog = await read_catalog(connection, self._target, before)
            return await self._with_views(connection, catalog, before) if catalog.flows else catalog

    async def _with_views(self, connection: Connection, catalog: Catalog, before: Catalog | None) -> Catalog:
        views = suspects(catalog)
        try:
            texts = await read_definitions(connection, views)
        except psycopg.errors.LockNotAvailable:
            # Somebody changes a table under a view. Until that is done, the view is what it was.
            texts = before.texts if before is not None else {}
        known = before.definitions if before is not None else {}
        outlines = {text: known[text] if text in known else await self._outline(text) for text in texts.values()}
        catalog = msgspec.structs.replace(catalog, definitions=outlines, texts=texts)
        return with_views(catalog, {view: outlines[texts[view]] if view in texts else None for view in views})

    async def _outline(self, definition: str) -> Outline | None:
        facts = await self._reader.read(definition.encode())
        return facts[0].outline if not isinstance(facts, Unreadable) and len(facts) == 1 else None

    async def search_path(self) -> str:
        """The path that connections of this login start with, as the server writes it. Raises `BackendFailed`."""
        async with self._connected() as connection:
            return await read_search_path(connection)

    async def function(self, oid: int) -> FunctionName | None:
        """The function of this oid. Raises `BackendFailed`."""
        async with self._connected() as connection:
            return await read_function(connection, oid)

    async def definitions(self, facts: Sequence[StatementFacts]) -> str:
        """As `definitions.read_definitions_of`. Raises `BackendFailed`."""
        async with self._connected() as connection:
            return await read_definitions_of(connection, facts)

    async def estimate(self, plea: Plea, canonical: str) -> Estimate:
        """As `estimates.estimate`; what fails is told in it."""
        try:
            async with self._connected() as connection:
                return await estimate(connection, plea, canonical)
        except BackendFailed:
            return Estimate(unknown="the database could not be asked")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        async with self._turn:
            if self._closing is not None:
                self._closing.cancel()
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = await self._connect()
                yield self._connection
            except psycopg.Error as error:
                await self._hang_up()
                raise BackendFailed(
                    f"hoopx cannot read the catalog of `{self._target.name}`: {_first_line(error)}",
                    "check that the server is up and that the lease's role may connect to the database",
                ) from error
            except BaseException:  # in the middle of an answer, which the next question would get
                await self._hang_up()
                raise
            self._closing = self._crew.start(self._close_soon(), "catalog connection")

    async def _connect(self) -> Connection:
        if self._fresh is not None:
            self._credential = await self._fresh()
        try:
            connection = await self._log_in()
        except psycopg.Error as error:  # of libpq's own, which has no codes for a connection that never was
            raise BackendFailed(
                f"the login that the source `{self._target.source}` gave does not lead into `{self._target.name}`:"
                f" {_first_line(error)}",
                "where the server refuses it, correct it at its source, and see that the clocks of the machines agree;"
                " else look whether the server is up, and at `address` and `tls`",
            ) from error
        await connection.execute("SET search_path TO pg_catalog")
        return connection

    async def _log_in(self) -> Connection:
        return await psycopg.AsyncConnection.connect(
            **keywords(self._target),
            dbname=self._target.database,
            user=self._credential.user,
            password=self._credential.password.reveal(),
            connect_timeout=CONNECT_SECONDS,
            options=f"-c statement_timeout={QUERY_MILLISECONDS} -c lock_timeout={LOCK_MILLISECONDS}",
            application_name="hoopx catalog",
            autocommit=True,
        )

    async def _close_soon(self) -> None:
        await asyncio.sleep(KEPT_SECONDS)
        async with self._turn:
            await self._hang_up()

    async def close(self) -> None:
        """Nobody reads any more."""
        if self._closing is not None:
            self._closing.cancel()
        await self._hang_up()

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
