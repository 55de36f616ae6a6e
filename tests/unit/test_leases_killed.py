"""A broker that is killed at any step of a lease's life leaves no login, no connection and no open lease behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from tests.peers.lease_life import Outcome, Play
from tests.peers.postgres import Postgres

# In the suite every eleventh exchange with the server; all of them with HOOPX_EVERY_STEP=1.
NTH = 1 if os.environ.get("HOOPX_EVERY_STEP") else 11


def play(server: Postgres, folder: Path) -> Outcome:
    scene = Play(
        str(folder),
        server.host,
        server.port,
        str(server.ca),
        server.database,
        server.admin,
        server.admin_password,
        NTH,
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.peers.lease_life"],
        input=msgspec.json.encode(scene),
        stdout=subprocess.PIPE,
        check=True,
        timeout=300,
    )
    return msgspec.json.decode(done.stdout, type=Outcome)


def test_killed_at_any_step_nothing_is_left_after_the_next_start(postgres: Postgres, tmp_path: Path) -> None:
    outcome = play(postgres, tmp_path)
    told = [step.partition(": ")[2] for step in outcome.steps.values()]
    assert {"before issue", "after issue", "live", "in use", "before renew", "after renew", "renewed"} < set(told)
    assert {"before revoke", "after revoke", "in the server", "ended"} < set(told)
    assert told.count("after a transaction of the state") >= 6
    assert outcome.survived == ()
    assert outcome.unended == {}
    left = postgres.roles("hoopx_s_step")
    assert {step for session, step in outcome.steps.items() if f"hoopx_{session}" in left} == set()
    assert postgres.sql("SELECT usename FROM pg_stat_activity WHERE usename LIKE 'hoopx_s_step%'") == []
