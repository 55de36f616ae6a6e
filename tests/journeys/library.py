"""The stage where ordinary life goes on: a rich database, and work that is done with a broker and without.

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
CLASSIFY = """\
    classify:
      library.author.name: person
      library.loan.reader: person
"""
# Who owns the empty database, and may do anything in it, but is no superuser.
BUILDER, BUILDERS_PASSWORD = "builder", "test-builder"
COPY = "library_copy"  # an empty database, for what is restored and migrated


class LibraryStage(Stage):
    """`library-prod` may be read, `library-masked` too but for names of people; `copy-dev` is empty, to be filled."""

    def __init__(self, home: Path, postgres: Postgres) -> None:
        postgres.sql(LIBRARY.read_text())
        postgres.sql("VACUUM")  # what the server does by itself later changes the sizes that psql tells
        postgres.sql(f"CREATE ROLE {READER} LOGIN PASSWORD '{READERS_PASSWORD}' IN ROLE app_read")
        postgres.sql(f'ALTER DATABASE {postgres.database} SET search_path = "$user", public, library')
        postgres.sql(f"CREATE ROLE {BUILDER} LOGIN PASSWORD '{BUILDERS_PASSWORD}'")
        postgres.sql(f"CREATE DATABASE {COPY} OWNER {BUILDER}")
        super().__init__(home, postgres)

    def straight(self, command: Sequence[object], target: str = "library-prod") -> Outcome:
        """The same command without a broker."""
        return run([str(part) for part in command], self.straight_environment(target))

    def straight_environment(self, target: str = "library-prod") -> Mapping[str, str]:
        copy = target == "copy-dev"
        user, password = (BUILDER, BUILDERS_PASSWORD) if copy else (READER, READERS_PASSWORD)
        database = COPY if copy else self.postgres.database
        return {
            "PGHOST": self.postgres.host,
            "PGPORT": str(self.postgres.port),
            "PGUSER": user,
            "PGPASSWORD": password,
            "PGDATABASE": database,
            "DATABASE_URL": f"postgresql://{user}:{password}@{self.postgres.host}:{self.postgres.port}/{database}",
        }

    def emptied(self) -> None:
        """Take everything from the empty database."""
        owned = f"SET ROLE {BUILDER}; DROP OWNED BY {BUILDER} CASCADE"
        self.postgres.sql(f"{owned}; RESET ROLE; CREATE SCHEMA IF NOT EXISTS public", COPY)

    def _targets(self) -> Iterator[str]:
        reader = self._minting(roles="[app_read]", read_only="true")
        yield self._target("library-prod", "{env: prod}", reader)
        yield self._target("library-masked", "{env: prod}", reader) + CLASSIFY
        self._secret("builder-password", BUILDERS_PASSWORD)
        owner = f"{{from: static, user: {BUILDER}, password: file:builder-password}}"
        yield self._target("copy-dev", "{env: dev}", owner).replace("database: app", f"database: {COPY}")
