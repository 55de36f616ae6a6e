"""A broker that is killed after it told, and before it could write that down, tells it again: as the same message."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import standardwebhooks

from hoopx_broker.notices.courier import CLAIM_SECONDS
from tests.peers.receiver import Answered, Got, receiver
from tests.unit.notices_sender import SECRET, send
from tests.unit.notices_stage import stage


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
        module = [sys.executable, "-m", "tests.unit.notices_sender"]
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
