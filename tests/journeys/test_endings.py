"""However a session ends, it ends for everybody: client, backend and lease."""

from __future__ import annotations

import signal

import psycopg
import pytest

from tests.journeys.stage import Stage, running
from tests.peers import clients
from tests.peers.processes import eventually

TARGET = "shop-prod"


def test_a_session_that_has_run_its_time_ends(stage: Stage) -> None:
    outcome = stage.hoopx("exec", TARGET, "--for", "6s", "--", *clients.lingering("SELECT 1"))
    assert outcome.code != 0
    assert outcome.out == "1\n"
    stage.nothing_remains()


def test_a_database_that_goes_away_is_told_to_the_client_as_an_error(own_stage: Stage) -> None:
    with running(own_stage, "connect", TARGET) as command:
        dsn = command.says(r"postgresql://\S+").group(0)
        with psycopg.connect(dsn, autocommit=True) as connection:
            own_stage.postgres.stop()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        own_stage.postgres.start()
        with psycopg.connect(dsn) as next_one:
            assert next_one.execute("SELECT 1").fetchone() == (1,)
        command.end(signal.SIGINT)
    own_stage.nothing_remains()


def test_a_client_that_vanishes_takes_its_backend_with_it(stage: Stage) -> None:
    with running(stage, "connect", TARGET) as command:
        dsn = command.says(r"postgresql://\S+").group(0)
        psycopg.connect(dsn).close()
        eventually(lambda: not stage.minted_backends(), "the backend is gone while the session is open")
        assert stage.minted()
        command.end(signal.SIGINT)


def test_a_client_that_vanishes_amid_a_huge_answer_takes_its_backend_with_it(stage: Stage) -> None:
    with running(stage, "connect", TARGET) as command:
        connection = psycopg.connect(command.says(r"postgresql://\S+").group(0), autocommit=True)
        connection.pgconn.send_query(b"SELECT repeat('x', 1000) FROM orders a, orders b, orders c")
        stage.await_on_target("SELECT repeat")
        connection.close()
        eventually(lambda: not stage.minted_backends(), "the backend is gone while the session is open")
        command.end(signal.SIGINT)
    stage.nothing_remains()


def test_closing_the_terminal_ends_the_session(stage: Stage) -> None:
    with running(stage, "connect", TARGET) as command:
        command.says(r"postgresql://\S+")
        command.end(signal.SIGHUP)
    stage.nothing_remains()


def test_a_broken_pipe_is_quiet(stage: Stage) -> None:
    outcome = clients.run(["sh", "-c", f"hoopx exec {TARGET} -- yes | head -n 1"], stage.environment("ann"))
    assert outcome.out == "y\n"
    assert "Traceback" not in outcome.err
    stage.nothing_remains()


def test_no_secret_lies_about_after_all_this(stage: Stage) -> None:
    """Neither logs nor state nor recordings nor homes hold a password of the target, a token, or a raw masked value."""
    password = stage.exec(
        TARGET, ["sh", "-c", "psql -XAtc 'SELECT ssn FROM customers WHERE id = 9' >&2; echo $PGPASSWORD"]
    )
    token = stage.environment("ann")["HOOPX_TOKEN"].split(".")[2]
    secrets = [stage.postgres.admin_password, stage.postgres.superuser_password, password.fine().out.strip(), token]
    given = {"admin-password", "superuser-password", "hoopx.yaml"}
    for path in stage.home.rglob("*"):
        if path.is_file() and path.name not in given and not path.name.startswith(("out-", "err-")):
            held = path.read_bytes()
            for secret in [*secrets, "000-12-0009"]:
                assert secret.encode() not in held, path
