"""The two ways to the same fresh database: psql directly, and psql under `hoopx exec` with a broker between."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from tests.journeys.stage import Stage, playing
from tests.journeys.tokens import AUDIENCE, ISSUER
from tests.peers import clients
from tests.peers.clients import HOOPX
from tests.peers.found import program
from tests.peers.postgres import Foundry, Installation, Postgres, installations
from tests.regress.source import Suite

ROOT = Path(__file__).parents[2]
DATABASE, TARGET = "regression", "regression"
ALLOW_ALL = '@id("everything")\npermit (principal, action, resource);\n'
FILE_LIMIT = 900.0  # seconds; the longest file takes some twenty on an idle machine
# The line of the server's source code: errors that hoopx answers itself come from another server's.
_LOCATION = re.compile(rb"^LOCATION: .*\n", re.MULTILINE)
# Temporary tables are numbered by the place of their backend among all of the server; hoopx has one of its own there.
_PLACE = re.compile(rb"^(SCHEMA NAME:  pg_temp_)\d+", re.MULTILINE)
# As pg_regress creates it.
_DATABASE = [
    f"CREATE DATABASE {DATABASE} TEMPLATE template0",
    *(
        f"ALTER DATABASE {DATABASE} SET {setting} TO '{value}'"
        for setting, value in {
            "lc_messages": "C",
            "lc_monetary": "C",
            "lc_numeric": "C",
            "lc_time": "C",
            "bytea_output": "hex",
            "timezone_abbreviations": "Default",
            # Not pg_regress's: the tests' server logs every statement.
            "log_statement": "none",
        }.items()
    ),
]
# Its own temporary server allows prepared transactions. Statistics that change by themselves change plans.
_SERVER = {"max_prepared_transactions": "2", "autovacuum": "off"}


class Manner(Struct, frozen=True):
    """How psql is run: with the SQLSTATE of each error, and with its queries sent by the extended protocol."""

    verbose: bool = False
    extended: bool = False


PLAIN = Manner()


class Side(Protocol):
    """One way to a database."""

    def run(self, shell: str, environ: Mapping[str, str]) -> str:
        """Run a shell command that starts psql; give what was said beside psql's own output."""
        ...


class Direct:
    """psql logs in to the server."""

    def __init__(self, postgres: Postgres) -> None:
        self._login = {
            "PGHOST": postgres.host,
            "PGPORT": str(postgres.port),
            "PGUSER": postgres.superuser,
            "PGPASSWORD": postgres.superuser_password,
            "PGDATABASE": DATABASE,
        }

    def run(self, shell: str, environ: Mapping[str, str]) -> str:
        return clients.run(["sh", "-c", shell], self._login | dict(environ), limit=FILE_LIMIT).err


class Through(Stage):
    """psql is a child of `hoopx exec`; the broker logs in as the same superuser, under a policy that permits all."""

    def run(self, shell: str, environ: Mapping[str, str]) -> str:
        command = [str(HOOPX), "exec", "-q", TARGET, "--", "sh", "-c", shell]
        return clients.run(command, self.environment("ann") | dict(environ), limit=FILE_LIMIT).err

    def _write_configuration(self) -> None:
        super()._write_configuration()
        for shipped in [*(self.home / "policies").glob("*.cedar")]:
            shipped.unlink()
        shutil.rmtree(self.home / "policies" / "tests")
        (self.home / "policies" / "everything.cedar").write_text(ALLOW_ALL)

    def configuration(self) -> str:
        return f"""\
listen: 127.0.0.1:0
state: sqlite:state.db
recordings: file:recordings
policies: policies
identity:
  - issuer: {ISSUER}
    kind: workload
    audience: {AUDIENCE}
    jwks_file: keys.json
    claims: {{user: sub, groups: groups}}
targets:
  {TARGET}:
    kind: postgres
    address: {self.postgres.host}:{self.postgres.port}
    database: {DATABASE}
    tls: {{mode: verify-full, ca: {self.postgres.ca}}}
    credentials: {{from: static, user: {self.postgres.superuser}, password: file:superuser-password}}
"""


class Course:
    """One run over files of the suite, each with what the files before it left in the database."""

    def __init__(self, suite: Suite, side: Side, ground: Path, manner: Manner) -> None:
        self._suite, self._side, self._ground, self._manner = suite, side, ground, manner
        (ground / "results").mkdir(mode=0o777)
        (ground / "results").chmod(0o777)
        (ground / "testtablespace").mkdir(mode=0o777)
        self._home = ground / "suite"  # where the server, which may be another user, can read it
        shutil.copytree(suite.home, self._home)

    def run(self, name: str) -> bytes:
        """The output of one file, as pg_regress would take it; what names this run's directory is made neutral."""
        said = self._ground / "results" / f"{name}.out"
        told = self._side.run(self._command(name, said), self._environ(name))
        output = (said.read_bytes() if said.exists() else b"") + told.encode()
        if self._manner.verbose:
            output = _PLACE.sub(rb"\1N", _LOCATION.sub(b"", output))
        return output.replace(bytes(self._ground), b"<ground>")

    def _command(self, name: str, said: Path) -> str:
        relay = [sys.executable, "-m", "tests.regress.extended"] if self._manner.extended else []
        hide = ["-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on"]
        verbosity = ["-v", "VERBOSITY=verbose"] if self._manner.verbose else []
        psql = shlex.join([*relay, str(_psql(self._suite.installation)), "-X", "-a", "-q", *hide, *verbosity])
        return f"cd {self._ground}; {psql} < {self._home}/sql/{name}.sql > {said} 2>&1"

    def _environ(self, name: str) -> dict[str, str]:
        return {
            "PGAPPNAME": f"pg_regress/{name}",
            "PG_ABS_SRCDIR": str(self._home),
            "PG_ABS_BUILDDIR": str(self._ground),
            "PG_LIBDIR": str(self._home),
            "PG_DLSUFFIX": ".so",
            "PGTZ": "America/Los_Angeles" if self._suite.installation.major >= 15 else "PST8PDT",
            "PGDATESTYLE": "Postgres, MDY",
            "PGOPTIONS": "-c intervalstyle=postgres_verbose",
            "PYTHONPATH": str(ROOT),
            "LANG": "C",
            "LC_ALL": "",
            "LC_MESSAGES": "C",
        }


def _psql(server: Installation) -> Path:
    """The one that came with the server; else the newest, whose commands go on with the protocol's new parts."""
    newest = sorted(installations(), key=lambda each: each.major, reverse=True)
    found = (each.bin / "psql" for each in (server, *newest) if (each.bin / "psql").exists())
    return next(found, program("psql"))


@contextmanager
def fresh_server(foundry: Foundry, suite: Suite) -> Iterator[Postgres]:
    with foundry.server(suite.installation) as postgres:
        for name, value in _SERVER.items():
            postgres.sql(f"ALTER SYSTEM SET {name} = '{value}'", database="postgres")
        postgres.shut_down()
        postgres.start()
        for statement in _DATABASE:
            postgres.sql(statement, database="postgres")
        yield postgres


@contextmanager
def direct(foundry: Foundry, suite: Suite, manner: Manner = PLAIN) -> Iterator[Course]:
    with fresh_server(foundry, suite) as postgres, _ground() as ground:
        yield Course(suite, Direct(postgres), ground, manner)


@contextmanager
def through(foundry: Foundry, suite: Suite, manner: Manner = PLAIN) -> Iterator[tuple[Course, Path]]:
    """With the directory of the broker's recordings."""
    with fresh_server(foundry, suite) as postgres, _ground() as ground, tempfile.TemporaryDirectory() as home:
        stage = Through(Path(home) / "stage", postgres)
        with playing(stage):
            yield Course(suite, stage, ground, manner), stage.home / "recordings"


@contextmanager
def _ground() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o711)
        yield Path(made)
