"""People with PostgreSQL's own clients and no `hoopx` command on the way: a token is their password."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.journeys.stage import CAST, Running, Stage
from tests.peers import clients
from tests.peers.clients import Outcome, plain_environment


def conninfo(stage: Stage, target: str, who: str = "ann", **more: str) -> str:
    """A connection string without the password, which stands in the environment."""
    port = urlsplit(stage.url).port
    words = {"host": "127.0.0.1", "port": str(port), "user": who, "dbname": target, "sslmode": "require", **more}
    return " ".join(f"{name}='{value}'" for name, value in words.items())


def environment(stage: Stage, target: str, who: str = "ann", token: str | None = None, **more: str) -> dict[str, str]:
    """What libpq and asyncpg read."""
    return plain_environment() | {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(urlsplit(stage.url).port),
        "PGUSER": who,
        "PGDATABASE": target,
        "PGSSLMODE": "require",
        "PGPASSWORD": stage.mint.token(who, CAST[who]) if token is None else token,
        **more,
    }


def run(stage: Stage, target: str, command: Sequence[str], who: str = "ann", **more: str) -> Outcome:
    """Run a client to its end."""
    return clients.run(command, environment(stage, target, who, **more))


def psql(stage: Stage, target: str, *sql: str, who: str = "ann", **more: str) -> Outcome:
    return run(stage, target, clients.psql(*sql), who, **more)


def end_lingering(stage: Stage) -> None:
    """End what earlier scenes left: a session outlives its last native client by some seconds."""
    for session in stage.listed("sessions", "ls", "--state", "open", who="dora"):
        stage.hoopx("sessions", "kill", session["id"], who="dora")  # or it has just ended by itself
    stage.nothing_remains()


@contextmanager
def running(stage: Stage, target: str, command: Sequence[str], who: str = "ann", **more: str) -> Iterator[Running]:
    """A client beside the scene, ended with it."""
    client = Running(command, environment(stage, target, who, **more), Path(stage.home))
    try:
        yield client
    finally:
        client.close()
