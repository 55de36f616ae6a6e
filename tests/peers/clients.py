"""Real database clients as processes: what a person or a script would run."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from tests.peers.found import program

# One process that connects, runs its argument, says what came, and stays connected until it is ended.
LINGERING = """
    import psycopg, sys, time
    with psycopg.connect(autocommit=True) as connection:
        print(connection.execute(sys.argv[1]).fetchone()[0], flush=True)
        time.sleep(600)
"""
HOOPX = Path(sys.executable).with_name("hoopx")  # the installed command
CLIENT_LIMIT = 60.0  # seconds; every scene here takes one or two


class Outcome(Struct, frozen=True):
    """How a process ended. `code` is negative when a signal ended it, as in `subprocess`."""

    code: int
    out: str
    err: str

    def fine(self) -> Outcome:
        """This outcome, after making sure that the process ended 0."""
        assert self.code == 0, f"ended {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"
        return self


def run(
    command: Sequence[str | Path],
    environ: Mapping[str, str] | None = None,
    stdin: str = "",
    limit: float = CLIENT_LIMIT,
) -> Outcome:
    """Run to the end with only PATH, HOME and `environ` in the environment."""
    done = subprocess.run(
        [str(part) for part in command],
        env=plain_environment() | dict(environ or {}),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=limit,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def plain_environment() -> dict[str, str]:
    """No PG*, HOOPX_* or colour of the developer's own shell leaks into a scene."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PGAPPNAME": "hoopx-test", "PGCONNECT_TIMEOUT": "30"}


def psql(*sql: str, options: Sequence[str] = ("-At",)) -> list[str]:
    """The command line that runs each `sql` in turn: unaligned, tuples only, without the user's ~/.psqlrc."""
    commands = [part for each in sql for part in ("-c", each)]
    return [str(program("psql")), "-X", *options, *commands]


def pgbench(script: Path, mode: str, transactions: int = 20, clients: int = 2) -> list[str]:
    """The command line for pgbench with a script; `mode` is simple, extended or prepared."""
    load = ["-n", "-M", mode, "-c", str(clients), "-t", str(transactions)]
    return [str(program("pgbench")), *load, "-f", str(script)]


def lingering(sql: str) -> list[str]:
    """The command line of a client that runs `sql`, prints the first value, and stays connected."""
    return python(LINGERING, sql)


def python(script: str, *arguments: str) -> list[str]:
    """The command line for a Python script with psycopg at hand; indented as it suits the scene."""
    return [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *arguments]
