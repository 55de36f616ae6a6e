"""A statement inside a running session of an unmodified client waits for a person, and goes on by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent, indent

import pytest

from tests.journeys.stage import Stage, playing, running
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
    with playing(stage):
        yield stage


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


# Each would delete a payment by a statement that was prepared first, which nobody has to approve, and run by SQL.
RUN_BY_SQL = {
    "EXECUTE": """
        connection.pgconn.prepare(b"later", b"DELETE FROM payments WHERE id > 390")
        ask("EXECUTE later")
    """,
    "EXPLAIN ANALYZE EXECUTE": """
        connection.pgconn.prepare(b"later", b"DELETE FROM payments WHERE id > 390")
        ask("EXPLAIN ANALYZE EXECUTE later")
    """,
    "EXECUTE in a multi-statement": """
        connection.pgconn.prepare(b"later", b"DELETE FROM payments WHERE id > 390")
        ask("SELECT 1; EXECUTE later; SELECT 2")
    """,
    "EXECUTE prepared before": """
        connection.pgconn.prepare(b"first", b"EXECUTE later")
        connection.pgconn.prepare(b"later", b"DELETE FROM payments WHERE id > 390")
        print(connection.pgconn.exec_prepared(b"first", []).error_message)
    """,
    "after a doubt": """
        connection.pgconn.prepare(b"later", b"DELETE FROM payments WHERE id > 390")
        ask("PREPARE later AS SELECT 1")
        ask("EXECUTE later")
    """,
    "FETCH from a portal of the protocol": """
        import os, socket, struct, time
        def message(tag, body):
            return tag + struct.pack(">i", len(body) + 4) + body
        text = b"DELETE FROM payments WHERE id > 390 RETURNING id"
        with socket.socket(fileno=os.dup(connection.pgconn.socket)) as wire:
            wire.sendall(
                message(b"P", b"later\\0" + text + b"\\0\\0\\0")
                + message(b"B", b"open\\0later\\0" + bytes(6))
                + message(b"P", b"\\0FETCH ALL FROM open\\0\\0\\0")
                + message(b"B", b"\\0\\0" + bytes(6))
                + message(b"E", bytes(5))
                + message(b"S", b"")
            )
            wire.settimeout(3)
            heard = b""
            try:
                while heard[-6:-1] != b"Z\\0\\0\\0\\5":
                    heard += wire.recv(65536)
                print(heard)
            except TimeoutError:  # it is held before it is bound
                print("waits for an approval", b"waits" in heard)
    """,
    "PREPARE by SQL": """
        ask("PREPARE mine(int) AS DELETE FROM payments WHERE id > $1")
        ask("EXECUTE mine(390)")
    """,
}
CLIENT = """
import psycopg
def ask(text):
    try:
        connection.execute(text)
    except psycopg.Error as error:
        print(error.sqlstate, error)
with psycopg.connect(autocommit=True) as connection:
"""


@pytest.mark.parametrize("how", RUN_BY_SQL)
def test_sql_does_not_run_what_was_prepared_without_approval(asking: Stage, how: str) -> None:
    before = count(asking)
    script = CLIENT + indent(dedent(RUN_BY_SQL[how]), "    ")
    seen = asking.exec("shop-dev", clients.python(script)).fine().out
    assert "approval" in seen
    assert count(asking) == before
