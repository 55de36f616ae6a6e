"""The test ground itself: a ground that lies makes every test on it a lie."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.peers.found import SUPPORTED, Peer, peers, require
from tests.peers.postgres import Postgres, installations
from tests.peers.processes import eventually


def test_every_supported_version_is_met_here() -> None:
    require("every postgres")
    assert {server.major for server in installations()} >= set(SUPPORTED)


def test_each_server_speaks_tls_and_scram(each_postgres: Postgres) -> None:
    assert each_postgres.sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [(True,)]
    stored = each_postgres.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'hoopx_admin'")
    assert stored[0][0].startswith("SCRAM-SHA-256$")


def test_a_wrong_password_is_refused(postgres: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.dsn(password="wrong"))


def test_a_foreign_authority_is_refused(postgres: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(postgres.dsn(sslrootcert=str(postgres.foreign_ca)))


def test_one_database_insists_on_tls(postgres: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="pg_hba"):
        psycopg.connect(postgres.dsn(database="tls_only", sslmode="disable"))


def test_the_log_holds_what_the_server_heard_and_nothing_else(postgres: Postgres) -> None:
    before = postgres.log_position()
    postgres.sql("SELECT 'heard me'")
    assert "SELECT 'heard me'" in postgres.log(before)
    assert "never said" not in postgres.log(before)


def test_the_admin_can_mint_roles_but_is_no_superuser(each_postgres: Postgres) -> None:
    dsn = each_postgres.dsn(each_postgres.admin, each_postgres.admin_password)
    with psycopg.connect(dsn, autocommit=True) as admin:
        assert admin.execute("SHOW is_superuser").fetchone() == ("off",)
        admin.execute("CREATE ROLE minted_in_test LOGIN IN ROLE app_read")
        assert "minted_in_test" in each_postgres.roles()
        admin.execute("DROP ROLE minted_in_test")


def test_the_database_is_seeded_with_people_who_do_not_exist(postgres: Postgres) -> None:
    assert postgres.sql("SELECT name, email, ssn FROM customers WHERE id = 1") == [
        ("Ann Example 1", "person1@example.com", "000-12-0001")
    ]


def test_a_stopped_server_comes_back_where_it_was(own_postgres: Postgres) -> None:
    own_postgres.sql("INSERT INTO analytics_daily VALUES ('2030-01-01', 1, 1)")
    own_postgres.stop()
    with pytest.raises(psycopg.OperationalError):
        own_postgres.sql("SELECT 1")
    own_postgres.start()
    assert own_postgres.sql("SELECT visitors FROM analytics_daily WHERE day = '2030-01-01'") == [(1,)]


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal of Linux")
def test_killed_tests_leave_no_server_behind(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, time\n"
        "from tests.peers.postgres import Foundry, installations\n"
        "with Foundry(pathlib.Path(sys.argv[1])).server(installations()[0]) as server:\n"
        "    print(server.pid, server.socket_dir, flush=True)\n"
        "    time.sleep(600)\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, cwd=root, text=True
    ) as tests:
        assert tests.stdout is not None
        server, sockets = tests.stdout.readline().split()
        tests.send_signal(signal.SIGKILL)
    eventually(lambda: _is_gone(int(server)), "the server is gone")
    shutil.rmtree(sockets)


def test_a_missing_peer_skips_visibly_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = [Peer("psql", None, "apt-get install postgresql-client"), Peer("extra", None, "none", optional=True)]
    monkeypatch.setattr("tests.peers.found.peers", lambda: lost)
    with pytest.raises(pytest.skip.Exception, match="apt-get install postgresql-client"):
        require("psql", {})
    with pytest.raises(pytest.fail.Exception, match="apt-get install postgresql-client"):
        require("psql", {"CI": "true"})
    with pytest.raises(pytest.skip.Exception):
        require("extra", {"CI": "true"})


def test_every_peer_names_its_install_line() -> None:
    assert all(peer.install for peer in peers())


def _is_gone(pid: int) -> bool:
    """No such process, or one that only waits to be collected by whoever adopted it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
