"""`hoopx agent`: a command that works on behalf of a human, does less, and is known by both names."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from hoopx_broker.terms.errors import Denied
from hoopx_cli.api import Api
from hoopx_cli.delegation import Delegation
from hoopx_cli.kit import Kit
from hoopx_cli.output import of_process
from tests.journeys.agents import AGENT, PEOPLE, AgentStage
from tests.journeys.stage import playing
from tests.journeys.test_login import log_in
from tests.peers import clients, found
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually

READ = "SELECT count(*) FROM analytics_daily"
# A command that stays until its file appears, and prints its environment first.
STAY = """
import json, os, sys, time
print(json.dumps(dict(os.environ)), flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def agents(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentStage]:
    found.require("psql")
    with playing(AgentStage(tmp_path_factory.mktemp("agents"), postgres)) as played:
        yield played


def staying(until: Path) -> list[str]:
    return [*clients.python(STAY), str(until)]


def environment_in(out: str) -> dict[str, str]:
    line = next(line for line in out.splitlines() if line.startswith("{"))
    said: dict[str, str] = json.loads(line)
    return said


def test_an_agents_statement_in_a_recording_names_its_human(agents: AgentStage) -> None:
    agents.hoopx("agent", "--target", "shop-prod", "--", *clients.psql(READ)).fine()
    session = agents.listed("sessions", "ls", "--limit", "1", who="ann")[0]
    assert (session["user"], session["on_behalf_of"]) == (AGENT, "ann")
    story = agents.hoopx("sessions", "replay", session["id"], who="ann").fine().out
    assert "who          claude (agent) on behalf of ann, groups: agents" in story
    assert "human        ann, groups: developers" in story
    assert READ in story
    lines = agents.hoopx("sessions", "export", session["id"], "--format", "jsonl", who="ann").fine().out.splitlines()
    principal = json.loads(lines[0])["principal"]
    assert (principal["user"], principal["kind"], principal["on_behalf_of"]) == (AGENT, "agent", "ann")
    assert principal["their_issuer"] == PEOPLE, "not the broker's own issuer, from which the agent's token is"
    proof = agents.hoopx("sessions", "verify", session["id"], who="ann").fine().out
    assert "claude on behalf of ann" in proof
    table = agents.hoopx("sessions", "ls", "--user", "ann", who="ann").fine().out
    assert "claude on behalf of ann" in table


def test_an_agent_may_less_than_its_human(agents: AgentStage) -> None:
    assert agents.psql("shop-prod", "SELECT count(*) FROM orders").fine().out == "400\n"
    refused = agents.hoopx(
        "agent", "--target", "shop-prod", "--", *clients.psql("SELECT count(*) FROM orders", READ, options=("-At",))
    )
    assert "rule `agents-analytics-only` forbids this statement" in refused.err
    assert agents.hoopx(
        "agent", "--target", "shop-dev", "--", *clients.psql("DELETE FROM orders WHERE id = 1")
    ).err.count("agents-analytics-only")


def test_what_its_human_may_not_its_agent_may_not_and_hears_why(agents: AgentStage) -> None:
    listed = agents.hoopx("agent", "--", "true", who="ann").fine().err
    assert "shop-open" in listed
    listed = agents.hoopx("agent", "--", "true", who="eve").fine().err
    assert "shop-prod" in listed
    assert "shop-open" not in listed
    refused = agents.hoopx("agent", "--target", "shop-open", "--", "true", who="eve")
    assert refused.code == 10
    assert "policy gives no target `shop-open` to `claude on behalf of eve`" in refused.err


def test_whoever_may_nothing_gets_no_agent_that_may(agents: AgentStage) -> None:
    refused = agents.hoopx("agent", "--", "true", who="nobody")
    assert (refused.code, "no target" in refused.err) == (10, True)


def test_only_the_target_that_is_touched_has_a_session(agents: AgentStage, tmp_path: Path) -> None:
    done = tmp_path / "done"
    before = agents.open_sessions()
    with agents.agent("--target", "shop-prod", "--target", "shop-dev", "--", *staying(done)) as command:
        command.says(r"\{.*SHOP_PROD_DATABASE_URL")
        environ = environment_in(command.out)
        assert "DATABASE_URL" not in environ, "with several targets nothing is the default"
        assert agents.open_sessions() == before, "nobody has connected yet"
        with psycopg.connect(environ["SHOP_PROD_DATABASE_URL"]) as connection:
            assert connection.execute(READ).fetchone() is not None
            assert agents.open_sessions() == [*before, ("shop-prod", AGENT, "ann")]
        done.touch()
        command.end().fine()
    assert agents.open_sessions() == before
    agents.nothing_remains()


def test_a_session_ends_when_nobody_uses_it_and_comes_back(agents: AgentStage, tmp_path: Path) -> None:
    done = tmp_path / "done"
    with agents.agent("--target", "shop-prod", "--idle", "1s", "--", *staying(done)) as command:
        command.says(r"\{.*SHOP_PROD_DATABASE_URL")
        url = environment_in(command.out)["DATABASE_URL"]
        roles = set()
        for _ in range(2):
            with psycopg.connect(url) as connection:
                roles |= {connection.execute("SELECT current_user").fetchone()}
            eventually(lambda: not agents.open_sessions(), "the session ends by itself")
            agents.nothing_remains()
        assert len(roles) == 2, "each session has a credential of its own"
        done.touch()
        command.end().fine()


def test_the_first_connection_waits_for_an_approval_and_gets_it(agents: AgentStage) -> None:
    command_line = clients.psql("SELECT 'let in'")
    with agents.agent("--target", "payments-prod", "--", *command_line) as command:
        request = command.says(r"hoopx approve (r_\w+)").group(1)
        command.says(r"NOTICE:  this session waits for 1 of `dba`: request `r_\w+`")
        for told in (["requests", "ls"], ["requests", "show", request]):
            assert "claude on behalf of ann" in agents.hoopx(*told, who="dora").fine().out
        (filed,) = [one for one in agents.listed("requests", "ls", who="dora") if one["id"] == request]
        assert (filed["requester"], filed["on_behalf_of"]) == (AGENT, "ann")
        assert agents.hoopx("approve", request, "--yes", who="ann").code == 10, "ann is behind it"
        assert "claude on behalf of ann" in agents.hoopx("approve", request, "--yes", who="dora").fine().out
        assert "let in" in command.end().fine().out


def test_a_write_waits_where_the_label_says_so_and_runs_once_somebody_agreed(agents: AgentStage) -> None:
    update = clients.psql("UPDATE orders SET id = id WHERE id = 1", "SELECT count(*) FROM orders WHERE id = 1")
    with agents.agent("--target", "shop-open", "--", *update) as command:
        request = command.says(r"hoopx approve (r_\w+)").group(1)
        agents.hoopx("approve", request, "--yes", who="dora").fine()
        assert command.end().fine().out == "UPDATE 1\n1\n"


def test_the_child_has_nothing_of_its_human(agents: AgentStage) -> None:
    more = {
        "HOOPX_AGENT_NAME": AGENT,
        "HOOPX_ID_TOKEN": "i",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "a",
        "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere",
        "PGPASSWORD": "theirs",
        "PGPASSFILE": "/theirs",
        "DATABASE_URL": "postgresql://theirs",
    }
    given = agents.environment("ann", **more)
    dump = clients.python("import json, os; print(json.dumps(dict(os.environ)))")
    told = agents.hoopx("agent", "--target", "shop-prod", "--", *dump, **more).fine()
    environ = environment_in(told.out)
    assert {name for name in environ if name.startswith("HOOPX")} == {"HOOPX_AGENT"}
    assert not {"ACTIONS_ID_TOKEN_REQUEST_TOKEN", "DBUS_SESSION_BUS_ADDRESS", "PGPASSFILE"} & environ.keys()
    assert "theirs" not in (environ["PGPASSWORD"], environ["DATABASE_URL"])
    secrets = [given["HOOPX_TOKEN"], given["HOOPX_HOME"], "theirs"]
    assert not [value for value in environ.values() for secret in secrets if secret in value]


def test_an_agent_does_not_act_as_its_human_by_the_kept_login(agents: AgentStage) -> None:
    script = """
        import subprocess, sys
        done = subprocess.run(["hoopx", "ls"], capture_output=True, text=True)
        print(done.returncode, done.stderr)
    """
    said = agents.hoopx("agent", "--target", "shop-prod", "--", *clients.python(script)).fine().out
    assert said.startswith("10 hoopx: an agent does not act as the person")


def test_a_foreign_local_password_opens_no_session(agents: AgentStage, tmp_path: Path) -> None:
    done = tmp_path / "done"
    with agents.agent("--target", "shop-prod", "--", *staying(done)) as command:
        command.says(r"\{.*SHOP_PROD_DATABASE_URL")
        with pytest.raises(psycopg.OperationalError, match="wrong password"):
            psycopg.connect(environment_in(command.out)["DATABASE_URL"], password="guess")
        assert not agents.open_sessions()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_hoopx_ends_every_session(agents: AgentStage, tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM goes to the child, which ends by it; after `kill -9` the broker finds out."""
    with agents.agent("--target", "shop-prod", "--target", "shop-dev", "--", *staying(tmp_path / "never")) as command:
        command.says(r"\{.*SHOP_PROD_DATABASE_URL")
        environ = environment_in(command.out)
        held = [psycopg.connect(environ[f"SHOP_{name}_DATABASE_URL"]) for name in ("PROD", "DEV")]
        assert len(agents.open_sessions()) == 2
        command.send(number)
        eventually(lambda: not agents.open_sessions(), "no session is open")
        agents.nothing_remains()
        for connection in held:
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
            connection.close()


def test_the_exit_code_is_the_commands_own(agents: AgentStage) -> None:
    assert agents.hoopx("agent", "--target", "shop-prod", "--", "sh", "-c", "exit 7").code == 7
    assert agents.hoopx("agent", "--target", "shop-prod", "--", "no-such-command").code == 127


def test_instructions_are_printed_or_written_where_asked_and_nowhere_else(agents: AgentStage, tmp_path: Path) -> None:
    printed = agents.hoopx("agent", "--target", "shop-prod", "--instructions", "-", "--", "true").fine().out
    assert "You are the agent `claude` and work on behalf of `ann`" in printed
    assert "`$SHOP_PROD_DATABASE_URL`" in printed
    assert "public.customers.email" in printed
    assert not re.search(r"postgresql://\S+:\S+@", printed), "no password"
    file = tmp_path / "AGENTS.md"
    show = ["sh", "-c", 'cat "$HOOPX_AGENT_INSTRUCTIONS"']
    told = agents.hoopx("agent", "--target", "shop-prod", "--instructions", str(file), "--", *show).fine()
    assert told.out == file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"AGENTS.md"}


def test_what_the_instructions_say_of_psql_works(agents: AgentStage) -> None:
    several = ["--target", "shop-prod", "--target", "shop-dev", "--instructions", "-"]
    text = agents.hoopx("agent", *several, "--", "true").fine().out
    line = re.search(r"`(u=.* psql .*)`", text)
    assert line is not None
    typed = f"{line.group(1)} -Atc 'SELECT 42'"
    told = agents.hoopx("agent", *several[:4], "--", "sh", "-c", typed).fine()
    assert told.out == "42\n"
    alone = agents.hoopx("agent", *several[:2], "--", "psql", "-Atc", "SELECT 42").fine()
    assert alone.out == "42\n"


def test_only_a_known_agent_without_a_credential_of_its_own_acts_for_anybody(agents: AgentStage) -> None:
    for name in ("nobody-knows-it", "reviewer"):
        refused = agents.hoopx("agent", "--as", name, "--", "true")
        assert refused.code == 2
        assert f"knows no agent `{name}`" in refused.err
        assert "--as: claude" in refused.err


def test_a_job_has_no_agent(agents: AgentStage) -> None:
    token = agents.mint.token("ann", ("developers",))
    refused = agents.hoopx("agent", "--", "true", HOOPX_TOKEN=token)
    assert refused.code == 11


def test_an_agent_sees_masked_what_its_human_sees_raw(agents: AgentStage) -> None:
    mail = "SELECT email FROM customers WHERE id = 1"
    assert "@" in agents.psql("shop-open", mail, who="dora").fine().out
    raw = agents.psql("shop-open", mail, who="dora").fine().out
    seen = agents.hoopx("agent", "--target", "shop-open", "--", *clients.psql(mail), who="dora").fine().out
    assert seen.strip()
    assert seen != raw


def test_a_person_who_logged_in_has_an_agent_until_they_log_out(agents: AgentStage, tmp_path: Path) -> None:
    """By the device flow, with a login that is kept and a key that goes with it."""
    log_in(agents, "--issuer", f"{agents.url}/oidc")
    with agents.agent("--target", "shop-prod", "--", *staying(tmp_path / "never"), who="lena") as command:
        command.says(r"\{.*SHOP_PROD_DATABASE_URL")
        url = environment_in(command.out)["DATABASE_URL"]
        with psycopg.connect(url, autocommit=True) as connection:
            assert connection.execute(READ).fetchone() is not None
            assert ("shop-prod", AGENT, "lena") in agents.open_sessions()
            agents.hoopx("logout", who="lena").fine()
            eventually(lambda: not agents.open_sessions(), "the session ends with the login")
            with pytest.raises(psycopg.OperationalError):
                connection.execute(READ)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)


def test_who_is_revoked_has_no_agent_any_more(agents: AgentStage, tmp_path: Path) -> None:
    with agents.agent("--target", "shop-prod", "--", *staying(tmp_path / "never"), who="bob") as command:
        command.says(r"\{.*SHOP_PROD_DATABASE_URL")
        url = environment_in(command.out)["DATABASE_URL"]
        with psycopg.connect(url, autocommit=True) as connection:
            assert connection.execute(READ).fetchone() is not None
            try:
                agents.hoopx("admin", "revoke", "bob", "--reason", "left", who="sam").fine()
                eventually(lambda: not agents.open_sessions(), "the session ends with its human")
                with pytest.raises(psycopg.OperationalError):
                    psycopg.connect(url)
            finally:
                agents.hoopx("admin", "restore", "bob", who="sam").fine()


def test_an_agent_approves_nothing_by_its_humans_groups(agents: AgentStage) -> None:
    """Dora is a dba; her agent asks the broker directly, with the token that it would get."""
    asked = agents.hoopx("request", "payments-prod", "--reason", "look", who="bob").fine().out.strip()
    kit = Kit(agents.environment("dora"), of_process({}))
    delegation = Delegation(kit.api, kit.settings.broker, kit.credential, AGENT)
    api = Api(kit.settings, kit.tls, delegation.credential)
    assert (api.whoami().user, api.whoami().on_behalf_of, api.whoami().their_groups) == (AGENT, "dora", ("dba",))
    with pytest.raises(Denied, match="decided by people"):
        api.vote(asked, "approve", "")
    assert api.requests() == []
    agents.hoopx("approve", asked, "--yes", who="dave").fine()


def test_a_group_that_its_human_lost_is_not_lent_to_an_agent_by_an_older_token(agents: AgentStage) -> None:
    def of_ina(*groups: str, age: int) -> str:
        at, id_ = int(time.time()) - age, str(time.monotonic_ns())
        return agents.mint.token("ina", groups, iss=PEOPLE, iat=at, jti=id_)

    command = ["agent", "--target", "shop-prod", "--", *clients.psql(READ)]
    agents.hoopx(*command, HOOPX_TOKEN=of_ina("developers", age=60)).fine()
    agents.hoopx("whoami", HOOPX_TOKEN=of_ina(age=30)).fine()
    refused = agents.hoopx(*command, HOOPX_TOKEN=of_ina("developers", age=60))
    assert refused.code == 10, refused.err
    agents.hoopx(*command, HOOPX_TOKEN=of_ina("developers", age=0)).fine()
