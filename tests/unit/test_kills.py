"""A sample of `make kills`, and whether it would notice a broker that does not keep to its word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.terms.entries import Entry, Rows, Statement
from tests.kills import lane
from tests.kills.victim import Life, live
from tests.peers.postgres import Postgres


@pytest.fixture(scope="module")
def server(postgres: Postgres) -> Iterator[Postgres]:
    lane.let_in(postgres)
    yield postgres
    for user in lane.USERS:
        postgres.sql(f"DROP ROLE {user}")


def test_what_the_server_began_and_clients_read_is_on_record_after_a_kill(server: Postgres, tmp_path: Path) -> None:
    tally = lane.run(server, tmp_path, 2, 1, print)
    assert tally.rounds == 2
    assert tally.begun > 0
    assert tally.read > 0


@pytest.mark.parametrize(("kind", "what"), [("Statement", "the server began"), ("Rows", "a client has read")])
def test_a_recorder_that_leaves_something_out_is_found(server: Postgres, tmp_path: Path, kind: str, what: str) -> None:
    victim = {"Statement": forget_statements, "Rows": forget_rows}[kind]
    with pytest.raises(lane.LawBroken, match=what):
        lane.run(server, tmp_path, 3, 2, print, victim)


def forget_statements(life: Life, ready: Connection) -> None:
    _forget(Statement)
    live(life, ready)


def forget_rows(life: Life, ready: Connection) -> None:
    _forget(Rows)
    live(life, ready)


def _forget(kind: type[Entry]) -> None:
    """From here on, in this process, the recorder leaves out what is of this kind."""
    write = Recorder.write

    def forgetful(self: Recorder, entries: Sequence[Entry]) -> None:
        write(self, [entry for entry in entries if not isinstance(entry, kind)])

    Recorder.write = forgetful  # type: ignore[method-assign]
