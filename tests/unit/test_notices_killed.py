"""A broker that is killed after it told, and before it could write that down, tells it again: as the same message."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import standardwebhooks

from hoopx_broker.notices.courier import CLAIM_SECONDS
from tests.peers.processes import eventually
from tests.peers.receiver import Answered, Got, receiver
from tests.unit.notices_sender import SECRET, send
from tests.unit.notices_stage import NOON, stage


def test_killed_between_telling_and_writing_it_down(tmp_path: Path) -> None:
    async def written() -> float:
        async with stage(tmp_path) as s:
            await s.happens("asked")
            await s.happens("approved")
            return s.now

    now = asyncio.run(written())
    state = tmp_path / "state.db"
    with receiver(tmp_path) as there:
        killed: list[subprocess.Popen[bytes]] = []

        def kill(_: Got) -> Answered:
            os.kill(killed[0].pid, signal.SIGKILL)
            killed[0].wait()
            return Answered()

        there.otherwise = kill
        module = [sys.executable, "-m", "tests.unit.notices_sender", "send"]
        killed.append(subprocess.Popen([*module, str(state), there.url, str(there.ca), str(now)]))
        assert killed[0].wait(30) == -signal.SIGKILL
        assert [got.headers["webhook-id"] for got in there.got] == [got.headers["webhook-id"] for got in there.got[:1]]
        there.otherwise = lambda _: Answered()
        asyncio.run(send(state, there.url, there.ca, now + 1))  # nobody knows yet that it is dead
        assert len(there.got) == 1
        asyncio.run(send(state, there.url, there.ca, now + CLAIM_SECONDS + 1))
        first, again, later = there.got
    assert first.headers["webhook-id"] == again.headers["webhook-id"] != later.headers["webhook-id"]
    assert first.body == again.body
    for got in (first, again, later):
        standardwebhooks.Webhook(SECRET).verify(got.body, got.headers)
    with sqlite3.connect(state) as connection:
        assert connection.execute("SELECT DISTINCT state FROM notices").fetchall() == [("told",)]
    connection.close()


def test_killed_at_any_moment_nothing_is_lost_and_all_is_in_order(tmp_path: Path) -> None:
    """While it writes down and tells. `HOOPX_KILLS` says how often; twice where it does not."""
    state, chance = tmp_path / "state.db", random.Random(7)
    with receiver(tmp_path) as there:
        now = NOON
        for _ in range(int(os.environ.get("HOOPX_KILLS", "2"))):
            heard = len(there.got)
            module = [sys.executable, "-m", "tests.unit.notices_sender", "be_busy"]
            busy = subprocess.Popen([*module, str(state), there.url, str(there.ca), str(now)])
            eventually(lambda heard=heard: len(there.got) > heard, "it tells")  # type: ignore[misc]
            time.sleep(chance.random() / 4)
            busy.kill()
            busy.wait()
            now += 2 * CLAIM_SECONDS
        asyncio.run(send(state, there.url, there.ca, now))
        got = [got.headers["webhook-id"] for got in there.got]
    with sqlite3.connect(state) as connection:
        rows = connection.execute("SELECT id, request, state FROM notices ORDER BY number").fetchall()
    connection.close()
    assert {state for _, _, state in rows} == {"told"}
    first = {notice: place for place, notice in reversed(list(enumerate(got)))}
    assert first.keys() == {notice for notice, _, _ in rows}
    for request in {request for _, request, _ in rows}:
        places = [first[notice] for notice, of, _ in rows if of == request]
        assert places == sorted(places)
