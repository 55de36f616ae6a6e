"""The stage where ordinary life goes on: a rich database with nothing masked, and work done with a broker and without.

A scene runs a client twice in one session: through the broker, and straight at the server. What comes must be equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.journeys.stage import Stage
from tests.peers.clients import Outcome, run
from tests.peers.postgres import Postgres

LIBRARY = Path(__file__).parents[1] / "peers" / "library.sql"
# Somebody who may do at the server itself what a minted role of `library-prod` may do there.
READER, READERS_PASSWORD = "reader", "test-reader"
COPY = "library_copy"  # an empty database, for what is restored and migrated


class LibraryStage(Stage):
    """`library-prod` may be read, `library-dev` written to; `copy-dev` is empty, its login owns everything in it."""

    def __init__(self, home: Path, postgres: Postgres) -> None:
        postgres.sql(LIBRARY.read_text())
        postgres.sql(f"CREATE ROLE {READER} LOGIN PASSWORD '{READERS_PASSWORD}' IN ROLE app_read")
        postgres.sql(f'ALTER DATABASE {postgres.database} SET search_path = "$user", public, library')
        postgres.sql(f"CREATE DATABASE {COPY}")
        super().__init__(home, postgres)

    def straight(self, command: Sequence[str | Path], database: str = "app", user: str = READER) -> Outcome:
        """The same command without a broker."""
        return run(command, self.straight_environment(database, user))

    def straight_environment(self, database: str = "app", user: str = READER) -> Mapping[str, str]:
        password = READERS_PASSWORD if user == READER else self.postgres.superuser_password
        return {
            "PGHOST": self.postgres.host,
            "PGPORT": str(self.postgres.port),
            "PGUSER": user,
            "PGPASSWORD": password,
            "PGDATABASE": database,
            "DATABASE_URL": f"postgresql://{user}:{password}@{self.postgres.host}:{self.postgres.port}/{database}",
        }

    def _targets(self) -> Iterator[str]:
        yield self._target("library-prod", "{env: prod}", self._minting(roles="[app_read]", read_only="true"))
        writer = self._minting(roles="[app_read, app_write]", read_only="false")
        yield self._target("library-dev", "{env: dev}", writer)
        owner = f"{{from: static, user: {self.postgres.superuser}, password: file:superuser-password}}"
        yield self._target("copy-dev", "{env: dev}", owner).replace("database: app", f"database: {COPY}")
