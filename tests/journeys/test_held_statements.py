"""A statement inside a running session of an unmodified client waits for a person, and goes on by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.stage import Stage, running
from tests.peers import clients
from tests.peers.postgres import Postgres

RULE = """
@id("payments-need-a-dba")
@message("a payment is deleted only with a second pair of eyes")
@approvers("dba")
@quorum("1")
forbid (principal, action == Action::"delete", resource is Table)
when { resource.name == "payments" }
unless { context.approvals.contains("dba") };
"""

DELETE_BOUND = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
    connection.execute("SELECT 1", prepare=True)
    gone = connection.execute("DELETE FROM payments WHERE id = %s", (2,)).rowcount
    print("gone", gone, flush=True)
"""


@pytest.fixture
def asking(tmp_path: Path, own_postgres: Postgres) -> Iterator[Stage]:
    """A broker with one rule more than the shipped ones."""
    stage = Stage(tmp_path / "asking", own_postgres)
    (stage.home / "policies" / "90-payments.cedar").write_text(RULE)
    stage.start_broker()
    try:
        yield stage
    finally:
        stage.close()


def count(stage: Stage) -> int:
    return int(stage.postgres.sql("SELECT count(*) FROM payments")[0][0])


def test_psql_waits_for_an_approver_and_goes_on(asking: Stage) -> None:
    before = count(asking)
    deletes = clients.psql("DELETE FROM payments WHERE id = 1", "SELECT 'went on'")
    with running(asking, "exec", "shop-dev", "--", *deletes) as command:
        request = command.says(r"hoopx approve (r_\w+)").group(1)
        assert count(asking) == before, "it ran before anybody agreed"
        shown = asking.hoopx("requests", "show", request, who="dora").fine()
        assert "DELETE FROM payments WHERE id = 1" in shown.out
        asking.hoopx("approve", request, "--yes", who="dora").fine()
        assert "went on" in command.end().fine().out
    assert count(asking) == before - 1


def test_the_approver_sees_the_parameters_of_a_bound_statement(asking: Stage) -> None:
    before = count(asking)
    with running(asking, "exec", "shop-dev", "--", *clients.python(DELETE_BOUND)) as command:
        request = command.says(r"hoopx approve (r_\w+)").group(1)
        assert re.search(r"-- \$1 = \S*2", asking.hoopx("requests", "show", request, who="dora").fine().out)
        asking.hoopx("approve", request, "--yes", who="dora").fine()
        assert "gone 1" in command.end().fine().out
    assert count(asking) == before - 1


def test_a_refused_statement_leaves_its_connection_usable(asking: Stage) -> None:
    before = count(asking)
    deletes = clients.psql("DELETE FROM payments WHERE id = 3", "SELECT 'went on'")
    with running(asking, "exec", "shop-dev", "--", *deletes) as command:
        request = command.says(r"hoopx approve (r_\w+)").group(1)
        asking.hoopx("deny", request, "--comment", "not that one", "--yes", who="dora").fine()
        ended = command.end()
        assert "went on" in ended.out
        assert "42501" in ended.err or "ERROR" in ended.err
    assert count(asking) == before
