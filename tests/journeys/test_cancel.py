"""A running query can be cancelled through the tunnel, as if the server were next door."""

from __future__ import annotations

import sys

import pexpect
import pytest

from tests.journeys.stage import Stage
from tests.peers import clients
from tests.peers.clients import HOOPX

TARGET = "shop-prod"
ENDLESS = "SELECT count(*) FROM orders a, orders b, orders c, orders d, orders e"


@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_psycopg_cancels_a_running_query(stage: Stage, version: str) -> None:
    script = """
        import psycopg, sys, threading

        over = threading.Event()

        def keep_cancelling():
            while not over.wait(0.2):
                connection.cancel_safe()

        with psycopg.connect(autocommit=True, max_protocol_version=sys.argv[2]) as connection:
            canceller = threading.Thread(target=keep_cancelling)
            canceller.start()
            try:
                connection.execute(sys.argv[1])
            except psycopg.errors.QueryCanceled as error:
                print(error.sqlstate)
            over.set()
            canceller.join()
            print(connection.execute('SELECT 1').fetchone()[0])
    """
    assert stage.exec(TARGET, clients.python(script, ENDLESS, version)).fine().out == "57014\n1\n"


def test_ctrl_c_in_psql_cancels_the_query_and_not_the_session(stage: Stage) -> None:
    arguments = ["exec", TARGET, "--", *clients.psql(options=("-v", "PROMPT1=ready> ", "-P", "pager=off"))]
    terminal = pexpect.spawn(
        str(HOOPX), arguments, env=stage.environment("ann", TERM="dumb"), timeout=30, encoding="utf-8"
    )
    terminal.logfile_read = sys.stdout
    terminal.expect_exact("ready> ")
    terminal.sendline(ENDLESS + ";")
    stage.await_on_target(ENDLESS)
    terminal.sendintr()
    terminal.expect_exact("canceling statement due to user request")
    terminal.expect_exact("ready> ")
    terminal.sendline("SELECT 'still ' || 'here';")
    terminal.expect_exact("still here")
    terminal.sendline("\\q")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    stage.nothing_remains()
