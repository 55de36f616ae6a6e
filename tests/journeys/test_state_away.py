"""The broker's state goes away while sessions open: whoever asks hears why at once, and nothing is left half open."""

from __future__ import annotations

import re
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.journeys.stage import Stage, playing, running
from tests.journeys.test_two_brokers import Broker
from tests.peers import found
from tests.peers.clients import Outcome
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually
from tests.peers.state import url_of

TARGET = "shop-prod"


@pytest.fixture(scope="module")
def scene(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    found.require("psql")
    with playing(Stage(tmp_path_factory.mktemp("state-away"), postgres)) as played:
        yield played


@contextmanager
def locked(stage: Stage) -> Iterator[None]:
    """Another program has the state's file to itself."""
    with closing(sqlite3.connect(stage.home / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def unwritable(stage: Stage) -> Iterator[None]:
    """No file of the broker may grow, as on a disk that is full."""
    before = resource.prlimit(stage.broker.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(stage.broker.pid, resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("away", "why"), [(locked, "locked"), (unwritable, "disk I/O error|disk is full")])
def test_while_the_state_cannot_be_written_no_session_opens(
    scene: Stage, away: Callable[[Stage], AbstractContextManager[None]], why: str
) -> None:
    with away(scene):
        _is_refused(scene.psql(TARGET, "SELECT 1"), why)
        assert not scene.minted()
    _is_as_before(scene)


def test_a_state_that_goes_while_the_credential_is_made_leaves_no_credential(scene: Stage) -> None:
    with running(scene, "exec", TARGET, "--", "true") as command, locked_once_made(scene, locked(scene)):
        _is_refused(command.end(), "locked")
    _is_as_before(scene)


def test_a_database_of_the_state_that_stops_while_the_credential_is_made_leaves_no_credential(
    postgres: Postgres, own_postgres: Postgres, tmp_path: Path
) -> None:
    @contextmanager
    def stopped() -> Iterator[None]:
        own_postgres.stop()
        try:
            yield
        finally:
            own_postgres.start()

    own_postgres.sql("CREATE DATABASE broker TEMPLATE template0 ENCODING 'UTF8'", database="postgres")
    with playing(Broker(tmp_path / "home", postgres, url_of(own_postgres, "broker"))) as stage:
        with running(stage, "exec", TARGET, "--", "true") as command, locked_once_made(stage, stopped()):
            _is_refused(command.end(), "the state `postgresql://[^`]*`")
            _is_refused(stage.psql(TARGET, "SELECT 1"), "the state `postgresql://[^`]*`")
        _is_as_before(stage)


@contextmanager
def locked_once_made(stage: Stage, away: AbstractContextManager[None]) -> Iterator[None]:
    """The state goes away between the order of a role and its making."""
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%CREATE ROLE%'"
    with ExitStack() as stack:
        with making_waits(stage.postgres):
            eventually(lambda: stage.postgres.sql(waits), "a role is being made")
            stack.enter_context(away)
        yield


@contextmanager
def making_waits(server: Postgres) -> Iterator[None]:
    """No role can be made meanwhile; one that is being made waits."""
    with psycopg.connect(server.dsn()) as other:
        other.execute("LOCK TABLE pg_authid IN SHARE MODE")
        yield


def _is_refused(outcome: Outcome, why: str) -> None:
    assert (outcome.code, outcome.out) == (14, "")
    assert re.search(why, outcome.err), outcome.err
    assert len(outcome.err.strip().splitlines()) == 2, "what happened, and what to do"


def _is_as_before(stage: Stage) -> None:
    stage.nothing_remains()
    assert stage.listed("sessions", "ls", "--state", "open") == []
    # What may have been made unseen is looked for a while longer; nobody holds it.
    assert {each["state"] for each in stage.listed("leases", "ls", who="sam")} <= {"ending"}
    # A broker that heard nothing of its state for long is taken for gone, and says so until it has joined again.
    eventually(lambda: stage.psql(TARGET, "SELECT 'again'").out == "again\n", "sessions open again")
