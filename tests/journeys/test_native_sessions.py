"""Sessions of native clients: approved while they wait, shared by a pool, cancelled, cut, gone soon after the last."""

from __future__ import annotations

import re
import signal
import sys

import pexpect
import pytest

from tests.journeys import native
from tests.journeys.stage import CAST, Running, Stage
from tests.peers import clients
from tests.peers.found import program
from tests.peers.processes import eventually

pytestmark = pytest.mark.usefixtures("tidy", "alone")

TARGET, GUARDED = "shop-prod", "payments-prod"
ENDLESS = "SELECT count(*) FROM orders a, orders b, orders c, orders d, orders e"
REQUEST = r"HINT: +an approver runs `hoopx approve (r_\w+)`"
# Connections of one client side by side; they say that they stand, and stay until they are ended.
HOLDING = """
    import psycopg, sys, time
    held = [psycopg.connect(autocommit=True) for _ in range(int(sys.argv[1]))]
    print(len({one.execute('SELECT pg_backend_pid()').fetchone()[0] for one in held}), 'stand', flush=True)
    time.sleep(600)
"""


def open_sessions(stage: Stage, who: str = "ann", target: str = TARGET) -> list[str]:
    listed = stage.listed("sessions", "ls", "--state", "open", who=who)
    return [one["id"] for one in listed if (one["user"], one["target"]) == (who, target)]


def eventually_without_sessions(stage: Stage) -> None:
    eventually(lambda: not open_sessions(stage) and not open_sessions(stage, target=GUARDED), "no session is open")
    stage.nothing_remains()


# Approval.


def asked(client: Running) -> str:
    """The id of the request, as the NOTICE on the client's stderr has it."""
    return client.says(REQUEST).group(1)


def test_psql_waits_with_a_notice_until_somebody_approves(stage: Stage) -> None:
    command, before = clients.psql("SELECT count(*) FROM payments"), stage.minted()
    with native.running(stage, GUARDED, command, PGOPTIONS="-c hoopx.reason=month\\ end") as client:
        request = asked(client)
        assert re.search(r"NOTICE:  this session waits for 1 of `dba` until \S+ \S+ UTC: request", client.err)
        assert f"/requests/{request}" in client.err
        assert stage.minted() <= before
        shown = stage.hoopx("approve", request, who="dora").fine()
        assert "month end" in shown.err + shown.out
        assert client.end().fine().out == "400\n"
    eventually_without_sessions(stage)


def test_a_refusal_reaches_the_waiting_client(stage: Stage) -> None:
    before = stage.minted()
    with native.running(stage, GUARDED, clients.psql("SELECT 1"), PGOPTIONS="-c hoopx.reason=try") as client:
        stage.hoopx("deny", asked(client), "--comment", "not today", who="dora").fine()
        outcome = client.end()
    assert outcome.code == 2
    assert "not today" in outcome.err
    assert stage.minted() <= before


def test_who_leaves_while_waiting_opens_nothing_and_finds_the_approval_when_coming_back(stage: Stage) -> None:
    options, before = {"PGOPTIONS": "-c hoopx.reason=impatient"}, stage.minted()
    with native.running(stage, GUARDED, clients.psql("SELECT 1"), **options) as client:
        request = asked(client)
        client.end(signal.SIGKILL)
    stage.hoopx("approve", request, who="dora").fine()
    assert not open_sessions(stage, target=GUARDED)
    assert stage.minted() <= before
    assert native.psql(stage, GUARDED, "SELECT 2", **options).fine().out == "2\n"
    assert native.psql(stage, GUARDED, "SELECT 3", **options).fine().out == "3\n"  # joins, without another approval
    eventually_without_sessions(stage)


def test_several_connections_wait_for_one_request_and_open_one_session(stage: Stage) -> None:
    options = {"PGOPTIONS": "-c hoopx.reason=together"}
    first = native.running(stage, GUARDED, clients.psql("SELECT 1"), **options)
    second = native.running(stage, GUARDED, clients.psql("SELECT 2"), **options)
    with first as one, second as two:
        assert asked(one) == asked(two)
        stage.hoopx("approve", asked(two), who="dora").fine()
        assert (one.end().fine().out, two.end().fine().out) == ("1\n", "2\n")
    eventually_without_sessions(stage)


# One session for a pool.


def share_one_lease(stage: Stage, connections: int) -> None:
    assert len(open_sessions(stage)) == 1
    [role] = stage.minted()
    backends = stage.minted_backends()
    assert {user for _, user in backends} == {role}
    # The session may have a connection of its own too, by which it reads the catalog.
    assert len(backends) in (connections, connections + 1)


def test_a_pool_shares_one_session_and_one_lease_which_end_soon_after_it(stage: Stage) -> None:
    eventually_without_sessions(stage)
    with native.running(stage, TARGET, clients.python(HOLDING, "4")) as client:
        client.says("4 stand")
        assert len(open_sessions(stage)) == 1
        assert len(stage.minted()) == 1
        assert len(stage.minted_streams()) == 4
    eventually_without_sessions(stage)
    assert stage.listed("sessions", "ls", "--limit", "1")[0]["end"] == "its last connection is gone"


def test_asyncpgs_pool_too(stage: Stage) -> None:
    script = """
        import asyncio, asyncpg

        async def main():
            async with asyncpg.create_pool(ssl='require', min_size=4, max_size=4) as pool:
                print(sum(await asyncio.gather(*(pool.fetchval('SELECT $1::int', n) for n in range(20)))), flush=True)
                await asyncio.sleep(600)

        asyncio.run(main())
    """
    with native.running(stage, TARGET, clients.python(script)) as client:
        client.says("190")
        assert len(open_sessions(stage)) == 1
        assert len(stage.minted_streams()) == 4
    eventually_without_sessions(stage)


def test_nobody_joins_the_session_of_another_person_reason_or_group(stage: Stage) -> None:
    holding = clients.python(HOLDING, "1")
    eventually_without_sessions(stage)
    demoted = stage.mint.token("ann", ("developers", "newcomers"))
    with (
        native.running(stage, TARGET, holding) as ann,
        native.running(stage, TARGET, holding, who="bob") as bob,
        native.running(stage, TARGET, holding, PGOPTIONS="-c hoopx.reason=another") as purpose,
        native.running(stage, TARGET, holding, token=demoted) as group,
    ):
        for client in (ann, bob, purpose, group):
            client.says("1 stand")
        assert len(open_sessions(stage)) == 3
        assert len(open_sessions(stage, who="bob")) == 1
        assert len(stage.minted()) == 4
    eventually_without_sessions(stage)


def test_an_ended_session_cuts_its_connections_and_the_next_one_gets_a_new_session(stage: Stage) -> None:
    with native.running(stage, TARGET, clients.psql("SELECT 1", "\\! sleep 60", "SELECT 2")) as client:
        client.says(r"1\n")
        [session] = open_sessions(stage)
        stage.hoopx("sessions", "kill", session, who="dora").fine()
        native.psql(stage, TARGET, "SELECT 1").fine()
        assert session not in open_sessions(stage)
    eventually_without_sessions(stage)


def test_what_a_client_hears_when_its_session_is_ended(stage: Stage) -> None:
    script = """
        import psycopg
        with psycopg.connect(autocommit=True) as connection:
            print('stands', flush=True)
            try:
                while True:
                    connection.execute('SELECT pg_sleep(1)')
            except psycopg.Error as error:
                print(error.sqlstate, error, flush=True)
    """
    with native.running(stage, TARGET, clients.python(script)) as client:
        client.says("stands")
        [session] = open_sessions(stage)
        stage.hoopx("sessions", "kill", session, who="dora").fine()
        assert "57P01 the session is over: `dora` ended it" in client.end().fine().out
    eventually_without_sessions(stage)


def test_a_client_that_vanishes_takes_its_backend_and_its_session_with_it(stage: Stage) -> None:
    with native.running(stage, TARGET, clients.psql(ENDLESS)) as client:
        stage.await_on_target(ENDLESS)
        client.end(signal.SIGKILL)
        eventually_without_sessions(stage)


def test_a_broker_that_stops_tells_those_who_wait_and_those_who_are_in(own_stage: Stage) -> None:
    with (
        native.running(own_stage, GUARDED, clients.psql("SELECT 1")) as waiting,
        native.running(own_stage, TARGET, clients.psql(ENDLESS)) as working,
    ):
        asked(waiting)
        own_stage.await_on_target(ENDLESS)
        assert own_stage.stop_broker() == 0
        assert "the broker stops" in waiting.end().err
        assert "the broker stops" in working.end().err
    own_stage.nothing_remains()


def test_an_idle_connection_is_cut_as_the_target_says_and_a_working_one_is_not(own_stage: Stage) -> None:
    own_stage.stop_broker()
    written = own_stage.config.read_text()
    own_stage.config.write_text(written.replace(f"  {TARGET}:\n", f"  {TARGET}:\n    idle: 1s\n"))
    own_stage.start_broker()
    script = """
        import psycopg, time
        with psycopg.connect(autocommit=True) as connection:
            connection.execute('SELECT pg_sleep(3)')
            print('still here')
            time.sleep(3)
            try:
                connection.execute('SELECT 1')
            except psycopg.Error as error:
                print(error)
    """
    outcome = native.run(own_stage, TARGET, clients.python(script)).fine()
    assert outcome.out.startswith("still here\n")
    assert "takes for idle" in outcome.out
    eventually_without_sessions(own_stage)
    [session] = own_stage.listed("sessions", "ls", "--limit", "1")
    replayed = own_stage.hoopx("sessions", "replay", session["id"], "-o", "json").fine().out
    assert "takes for idle" in replayed


# Cancel.


def test_ctrl_c_in_psql_cancels_the_query_and_not_the_connection(stage: Stage) -> None:
    """libpq before 17 sends its cancel request in the clear."""
    command = clients.psql(options=("-v", "PROMPT1=ready> ", "-P", "pager=off"))
    environ = native.environment(stage, TARGET, TERM="dumb")
    terminal = pexpect.spawn(command[0], command[1:], env=environ, timeout=30, encoding="utf-8")
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


@pytest.mark.parametrize("version", ["3.0", "3.2"])
@pytest.mark.parametrize("way", ["cancel", "cancel_safe"])
def test_psycopg_cancels_in_the_clear_and_by_tls_with_the_key_of_either_version(
    stage: Stage, version: str, way: str
) -> None:
    script = """
        import psycopg, sys, threading, warnings

        over = threading.Event()

        def keep_cancelling():
            while not over.wait(0.2):
                getattr(connection, sys.argv[2])()

        with psycopg.connect(autocommit=True, max_protocol_version=sys.argv[3]) as connection:
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
    assert native.run(stage, TARGET, clients.python(script, ENDLESS, way, version)).fine().out == "57014\n1\n"


def test_a_foreign_key_cancels_nothing_and_is_answered_like_a_right_one(stage: Stage) -> None:
    script = """
        import os, socket, struct, sys

        def cancel(key):
            with socket.create_connection((os.environ['PGHOST'], int(os.environ['PGPORT']))) as connection:
                connection.sendall(struct.pack('!II', 8 + len(key), 80877102) + key)
                return connection.recv(100)

        print([cancel(os.urandom(size)) for size in (8, 36, 260)])
    """
    with native.running(stage, TARGET, clients.psql(ENDLESS)) as client:
        stage.await_on_target(ENDLESS)
        assert native.run(stage, TARGET, clients.python(script)).fine().out == "[b'', b'', b'']\n"
        assert client.process.poll() is None
        stage.await_on_target(ENDLESS)
        client.send(signal.SIGKILL)
    eventually_without_sessions(stage)


# Secrets.


def test_tokens_lie_nowhere_after_all_this(stage: Stage) -> None:
    tokens = [stage.mint.token("ann", CAST["ann"]), stage.mint.token("ann", CAST["ann"], lifetime=-10)]
    for token in tokens:
        native.psql(stage, TARGET, "SELECT 1", token=token)
        native.psql(stage, TARGET, "SELECT 1", who="bob", token=token)
        native.psql(stage, "nowhere", "SELECT 1", token=token)
    for path in stage.home.rglob("*"):
        if path.is_file() and not path.name.startswith(("out-", "err-")):
            held = path.read_bytes()
            for token in tokens:
                assert token.rpartition(".")[2].encode() not in held, path


def test_who_is_logged_in_needs_nothing_but_hoopx_token(stage: Stage) -> None:
    connection = native.conninfo(stage, TARGET)
    line = f'PGPASSWORD=$(hoopx token shop-prod) {program("psql")} -XAtc "SELECT 40 + 2" "{connection}"'
    assert clients.run(["sh", "-c", line], stage.environment("ann")).fine().out == "42\n"
