"""Sessions are found by indexes, however many there are, and nobody pays for those of others."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hoopx_broker.storage.connection import Connection, Rows
from hoopx_broker.storage.finding import FIRST, Wanted, _page
from hoopx_broker.storage.marks import Mark
from hoopx_broker.storage.store import Store
from tests.peers.state import state_in

MANY = 50_000
# Ann has every fiftieth session. All read, one in a thousand drops something, and one has touched `rare`.
CROWD = f"""
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO sessions (id, "user", target, state, opened_at, expires_at, reason, ticket, lease, owner, marked)
SELECT 's_' || i, CASE WHEN i % 50 = 0 THEN 'ann' ELSE 'bob' END, 'prod-db', 'ended', i, i + 60, 'r', '', '',
    CASE WHEN i % 50 = 0 THEN 1 ELSE 2 END, 1 FROM n
"""
CROWDS_MARKS = f"""
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO session_marks (owner, kind, mark, opened_at, session)
SELECT CASE WHEN i % 50 = 0 THEN 1 ELSE 2 END, 'effect', 'read', i, 's_' || i FROM n
UNION ALL SELECT CASE WHEN i % 50 = 0 THEN 1 ELSE 2 END, 'effect', 'ddl', i, 's_' || i FROM n WHERE i % 1000 = 0
UNION ALL SELECT 1, 'table', 'rare', i, 's_' || i FROM n WHERE i = 100
"""


class Explaining:
    """Runs what it is given, and keeps how the database goes about it."""

    def __init__(self, connection: Connection, is_postgres: bool) -> None:
        self._connection = connection
        self._explain = "EXPLAIN " if is_postgres else "EXPLAIN QUERY PLAN "
        self.plans: list[str] = []

    def execute(self, sql: str, parameters: Any = (), /) -> Rows:
        plan = self._connection.execute(self._explain + sql, parameters).fetchall()
        self.plans.append("\n".join(str(row[-1]) for row in plan))
        return self._connection.execute(sql, parameters)

    def tell(self, topic: str, message: str = "", /) -> None:
        raise AssertionError("whoever looks for something tells nothing")


def scene(path: Path, play: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        store = await Store.open(state_in(path))
        try:
            await play(store)
        finally:
            await store.close()

    asyncio.run(run())


def _fill(connection: Connection) -> None:
    for name in ("ann", "bob"):
        connection.execute(
            'INSERT INTO session_owners (target, "user", on_behalf_of) VALUES (?, ?, ?)', ("prod-db", name, "")
        )
    connection.execute(CROWD)
    connection.execute(CROWDS_MARKS)
    connection.execute("ANALYZE")


EFFECT, DDL, RARE = Mark("effect", "read"), Mark("effect", "ddl"), Mark("table", "rare")
QUESTIONS = {
    "all that there are": Wanted((1, 2), everybody=True),
    "one's own": Wanted((1,)),
    "what all do": Wanted((1, 2), (EFFECT,), everybody=True),
    "what all do, of one's own": Wanted((1,), (EFFECT,)),
    "what few do": Wanted((1, 2), (DDL, EFFECT), everybody=True),
    "what one did": Wanted((1, 2), (EFFECT, RARE), everybody=True),
    "what nobody did": Wanted((1, 2), (Mark("word", "nothing"),), everybody=True),
    "what is open": Wanted((1, 2), (DDL,), state="open", everybody=True),
    "in a while": Wanted((1, 2), (EFFECT,), since=1000, until=2000, everybody=True),
}


@pytest.mark.usefixtures("each_state")
def test_fifty_thousand_sessions_are_found_by_indexes_alone(tmp_path: Path) -> None:
    is_postgres = not isinstance(state_in(tmp_path), Path)

    async def play(store: Store) -> None:
        await store.run(_fill)
        for name, wanted in QUESTIONS.items():

            def explained(connection: Connection, wanted: Wanted = wanted) -> tuple[list[str], list[str]]:
                explaining = Explaining(connection, is_postgres)
                return [each.place.id for each in _page(explaining, wanted, FIRST, 3)], explaining.plans

            found, plans = await store.run(explained)
            assert found == ANSWERS[name], name
            # What is counted is counted up to a bound: of what is common, PostgreSQL takes the first that it comes by.
            for plan in (plan for plan in plans if "Aggregate" not in plan):
                assert not re.search(r"Seq Scan on session|SCAN (?:m|s|sessions)\b(?! USING)", plan), (name, plan)

    scene(tmp_path, play)


ANSWERS = {
    "all that there are": ["s_50000", "s_49999", "s_49998"],
    "one's own": ["s_50000", "s_49950", "s_49900"],
    "what all do": ["s_50000", "s_49999", "s_49998"],
    "what all do, of one's own": ["s_50000", "s_49950", "s_49900"],
    "what few do": ["s_50000", "s_49000", "s_48000"],
    "what one did": ["s_100"],
    "what nobody did": [],
    "what is open": [],
    "in a while": ["s_2000", "s_1999", "s_1998"],
}
