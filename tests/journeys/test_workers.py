"""A broker of two processes on one port: each session is at one of them, and everything works at whichever it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from hoopx_broker.terms.settings import StateUrl
from tests.journeys.stage import Stage, playing
from tests.peers import clients
from tests.peers.postgres import Postgres
from tests.peers.state import fresh_state

LONG = clients.psql("SELECT pg_sleep(600)")


class Crowd(Stage):
    def __init__(self, home: Path, postgres: Postgres, state: StateUrl) -> None:
        self._state = state
        super().__init__(home, postgres)

    def configuration(self) -> str:
        self._secret("state-url", self._state.url.reveal())
        return super().configuration().replace("state: sqlite:state.db", "state: file:state-url")

    def options(self) -> list[str]:
        return ["--workers", "2"]

    def pids(self) -> dict[int, int]:
        """The process of each worker that was started last, as the log has it."""
        found = re.findall(r'"number": (\d), "pid": (\d+), "event": "worker.started"', self.broker_said())
        return {int(number): int(pid) for number, pid in found}

    def worker_of(self, who: str, session: str) -> int:
        """Which worker has this open session: by the id of its broker, in the state."""
        with psycopg.connect(self._state.url.reveal()) as state:
            [(broker,)] = state.execute("SELECT broker FROM hoopx.sessions WHERE id = %s", (session,)).fetchall()
            rows = state.execute("SELECT id FROM hoopx.brokers WHERE gone_at = 0 ORDER BY since").fetchall()
        return [each for (each,) in rows].index(broker)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory, state_server: Postgres) -> Iterator[Crowd]:
    home = tmp_path_factory.mktemp("crowd")
    with fresh_state(state_server) as state, playing(Crowd(home, state_server, state)) as stage:
        yield stage


def test_sessions_are_spread_and_all_of_them_work(crowd: Crowd) -> None:
    for _ in range(4):
        assert crowd.psql("shop-dev", "SELECT 41 + 1").fine().out.strip() == "42"
