"""What happens at the identity provider reaches sessions that are open: groups and departures; and stolen tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hoopx_cli.signin import Prompt
from tests.journeys.stage import Running, Stage, playing, running
from tests.peers import clients
from tests.peers.oidc import NodeDesk, Provider, Tokens, node_provider
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually

TARGET = "shop-prod"
# Seconds that tokens live. `hoopx` renews a minute before their end: a session hears of its people every few seconds.
LIFE = 64


class Office:
    """A broker, and a real provider that it takes people from and that tells it of logouts."""

    def __init__(self, stage: Stage, provider: Provider) -> None:
        self.stage = stage
        self.provider = provider
        assert isinstance(provider.desk, NodeDesk)
        self.desk = provider.desk

    def log_in(self, person: str, who: str = "lena") -> None:
        with running(self.stage, "login", who=who) as login:
            said = login.says(r"open (\S+) and type the code: (\S+)")
            self.provider.answer(Prompt(said.group(2), said.group(1), None, 0), person)
            login.end().fine()

    @contextmanager
    def at_work(self, who: str = "lena") -> Iterator[Running]:
        command = [*clients.psql("SELECT 1"), "-c", "\\! sleep 100"]
        with running(self.stage, "exec", TARGET, "--", *command, who=who) as work:
            work.says(r"1\n")
            yield work

    def kept(self, who: str = "lena") -> str:
        """All that lies in somebody's home."""
        files = (self.stage.home / f"home-{who}").rglob("*")
        return "".join(path.read_text(errors="replace") for path in files if path.is_file())


@pytest.fixture
def office(request: pytest.FixtureRequest, tmp_path: Path, postgres: Postgres) -> Iterator[Office]:
    """The provider's access tokens are JWTs where a scene does not ask for others."""
    tokens: Tokens = getattr(request, "param", "jwt")
    with node_provider(tokens, LIFE=str(LIFE)) as provider:
        stage = Stage(tmp_path / "office", postgres)
        people = f"""\
identity:
  - issuer: {provider.sign_in.issuer}
    client_id: {provider.sign_in.client_id}
    audience: {provider.sign_in.audience}
    claims: {{user: email, groups: groups}}
"""
        text = stage.config.read_text()
        stage.config.write_text(text[: text.index("identity:")] + people + text[text.index("targets:") :])
        with playing(stage):
            yield Office(stage, provider)


@pytest.mark.parametrize("office", ["jwt", "opaque"], indirect=True)
def test_a_session_goes_on_while_its_login_is_renewed_and_ends_when_a_group_is_lost(office: Office) -> None:
    office.log_in("dora")
    before = office.kept()
    with office.at_work() as work:
        _until_renewed(office, before)
        assert work.process.poll() is None
        office.desk.set_groups("dora", ["developers"])
        ended = work.end()
    assert "`dora@example.com` is not in `dba` any more" in ended.err
    [me] = office.stage.listed("whoami", who="lena")
    assert me["groups"] == ["developers"]
    office.stage.nothing_remains()


def test_whoever_left_is_out_of_their_sessions_with_the_next_renewal(office: Office) -> None:
    office.log_in("ann")
    with office.at_work() as work:
        office.desk.take_out("ann")
        ended = work.end()
    assert "the session ends: your login has ended" in ended.err
    office.stage.nothing_remains()


def test_the_token_of_a_login_opens_nothing_for_another_process(office: Office) -> None:
    office.log_in("ann")
    [login] = _logins(office.kept())
    for token in (login["bearer"], login.get("refresh")):
        assert token
        assert office.stage.hoopx("whoami", who="thief", HOOPX_TOKEN=token).code == 11
        assert office.stage.hoopx("exec", TARGET, "--", "true", who="thief", HOOPX_TOKEN=token).code == 11
    office.stage.hoopx("whoami", who="lena").fine()
    office.stage.hoopx("exec", TARGET, "--", "true", who="lena").fine()


def _until_renewed(office: Office, before: str) -> None:
    eventually(lambda: office.kept() != before, "the login is renewed")


def _logins(kept: str) -> list[dict[str, str]]:
    """The logins in a home, wherever in the file they stand."""
    found: list[dict[str, str]] = []

    def look(value: object) -> None:
        if isinstance(value, dict):
            if "bearer" in value:
                found.append(value)
            for inner in value.values():
                look(inner)

    decoder = json.JSONDecoder()
    at = 0
    while (at := kept.find("{", at)) >= 0:
        value, end = decoder.raw_decode(kept[at:])
        look(value)
        at += end
    return found
