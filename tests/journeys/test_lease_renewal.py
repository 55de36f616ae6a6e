"""A session outlives its first credential where that is renewed, ends with it where not, and the recording tells."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.journeys.stage import Stage, playing, running
from tests.peers import clients
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually

TARGET = "shop-long"
KEEPER, PASSWORD = "long_admin", "a-long-enough-password"
# Says its role, how often its end was moved, and at last why it was cut.
WATCHING = """
    import os, psycopg
    asked = "SELECT rolvaliduntil::text FROM pg_roles WHERE rolname = current_user"
    with psycopg.connect("", autocommit=True) as connection:
        ends = []
        try:
            while len(ends) < int(os.environ["CHANGES"]):
                (end,) = connection.execute(asked).fetchone()
                if end not in ends:
                    ends.append(end)
                    print("end", len(ends), flush=True)
                connection.execute("SELECT pg_sleep(0.1)")
        except psycopg.Error as error:
            print(error.sqlstate, error, flush=True)
"""


class LongStage(Stage):
    """Sessions may last an hour, on credentials of seconds."""

    def _targets(self) -> Iterator[str]:
        login = f"user: {KEEPER}, password: {PASSWORD}, roles: [app_read], ttl: 4s"
        yield self._target(TARGET, "{env: dev}", f"{{from: postgres-role, {login}}}") + "    session: 1h\n"


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[LongStage]:
    postgres.sql(f"CREATE ROLE {KEEPER} LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
    postgres.sql(f"GRANT app_read TO {KEEPER} WITH ADMIN OPTION")
    with playing(LongStage(tmp_path_factory.mktemp("long"), postgres)) as stage:
        yield stage
    postgres.sql(f"DROP ROLE {KEEPER}")


def test_a_session_outlives_its_first_credential_and_its_recording_tells_so(long: LongStage) -> None:
    watching = clients.python(WATCHING)
    with running(long, "exec", TARGET, "--", *watching, CHANGES="3") as command:
        said = command.end()
    assert said.out.splitlines() == ["end 1", "end 2", "end 3"]
    long.nothing_remains()
    [session] = long.listed("sessions", "ls")
    story = long.hoopx("sessions", "replay", session["id"]).fine().out.splitlines()
    told = [line for line in story if line.split()[1:2] == ["lease"]]
    events = [line.split()[3] for line in told]
    assert events == ["issued:", *["renewed:"] * (len(events) - 2), "revoked:"]
    assert len(events) >= 4
    assert told[-1].endswith("the credential is revoked, and the target was seen to refuse its login")
    long.hoopx("sessions", "verify", session["id"], who="olga").fine()


def test_a_credential_that_cannot_be_renewed_ends_its_session_with_the_reason(long: LongStage) -> None:
    with running(long, "exec", TARGET, "--", *clients.python(WATCHING), CHANGES="99") as command:
        command.says("end 1\n")
        long.postgres.sql(f"ALTER ROLE {KEEPER} PASSWORD 'another'")
        long.postgres.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{KEEPER}'")
        try:
            outcome = command.end()
        finally:
            long.postgres.sql(f"ALTER ROLE {KEEPER} PASSWORD '{PASSWORD}'")
    assert "57P01" in outcome.out
    assert "the session is over: its credential has ended: the source `postgres-role` of target" in outcome.out
    assert "this session ends at " in outcome.err
    eventually(lambda: not long.minted(), "tried again until it was revoked")
    long.nothing_remains()
