"""`hoopx connect`: a local socket that native clients use, and that opens to nobody else."""

from __future__ import annotations

import re
import signal
import stat
from pathlib import Path

import psycopg
import pytest

from tests.journeys.stage import Running, Stage, running
from tests.peers import clients

TARGET = "shop-prod"
DSN = r"postgresql://\S+"


def _dsn(command: Running) -> str:
    command.says(DSN)
    found = re.search(DSN, command.out)
    assert found is not None, "the connection string is data: it belongs on stdout"
    return found.group(0).strip("'\"")


def test_a_native_client_connects_by_the_printed_string(stage: Stage) -> None:
    with running(stage, "connect", TARGET) as command:
        with psycopg.connect(_dsn(command)) as connection:
            assert connection.execute("SELECT count(*) FROM orders").fetchone() == (400,)
        assert command.end(signal.SIGINT).code == 130
    stage.nothing_remains()


def test_many_connections_share_one_session_and_one_role(stage: Stage) -> None:
    with running(stage, "connect", TARGET) as command:
        dsn = _dsn(command)
        opened = [psycopg.connect(dsn) for _ in range(5)]
        seen = {connection.execute("SELECT current_user").fetchone() for connection in opened}
        for connection in opened:
            connection.close()
        assert len(seen) == 1


def test_a_wrong_local_password_is_refused_and_opens_nothing(stage: Stage) -> None:
    with running(stage, "connect", TARGET) as command:
        dsn = _dsn(command)
        before = stage.postgres.log_position()
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(dsn, password="guess")
        assert "connection authorized: user=hoopx_" not in stage.postgres.log(before).replace("hoopx_admin", "")


def test_after_its_end_nothing_listens_any_more(stage: Stage) -> None:
    with running(stage, "connect", TARGET) as command:
        dsn = _dsn(command)
        command.end(signal.SIGTERM)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn, connect_timeout=5)


def test_a_unix_socket_is_for_its_owner_only(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / ".s.PGSQL.5432"
    with running(stage, "connect", TARGET, "--socket", str(path)) as command:
        command.says(DSN)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with psycopg.connect(host=str(tmp_path), dbname="app", user="anyone") as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        command.end(signal.SIGINT)
    assert not path.exists()


def test_a_command_after_connect_runs_inside_the_session(stage: Stage) -> None:
    outcome = stage.hoopx("connect", TARGET, "--", *clients.psql("SELECT 'inside'"))
    assert outcome.fine().out == "inside\n"


def test_a_large_result_arrives_whole_and_in_order(stage: Stage) -> None:
    sql = "SELECT a.id, b.id FROM orders a, orders b ORDER BY a.id, b.id"
    seen = stage.psql(TARGET, sql).fine().out.splitlines()
    assert len(seen) == 160_000
    assert (seen[0], seen[-1]) == ("1|1", "400|400")


def test_rows_go_in_by_copy_where_writing_is_permitted(stage: Stage) -> None:
    script = """
        import psycopg
        with psycopg.connect() as connection:
            with connection.cursor().copy('COPY analytics_daily FROM STDIN') as copy:
                copy.write_row(('2031-01-01', 7, 1.5))
            seen = connection.execute("SELECT visitors FROM analytics_daily WHERE day = '2031-01-01'")
            print(seen.fetchone()[0])
            connection.rollback()
    """
    assert stage.exec("shop-dev", clients.python(script)).fine().out == "7\n"
