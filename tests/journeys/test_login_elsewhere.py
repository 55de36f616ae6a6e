"""`hoopx login` at an identity provider of somebody else's, found by discovery, and work with what it gave."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from hoopx_cli.signin import Prompt
from tests.journeys.stage import Stage, playing, running
from tests.peers import clients
from tests.peers.glewlwyd import Binding, glewlwyd_provider
from tests.peers.oidc import NodeDesk, Provider, node_provider
from tests.peers.postgres import Postgres
from tests.peers.processes import closed_port


@pytest.fixture(scope="module", params=["jwt", "opaque", "glewlwyd", "glewlwyd-dpop"])
def provider(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """npm `oidc-provider`, whose access tokens are JWTs for us, or opaque, so that the ID token must do; glewlwyd."""
    match request.param:
        case "jwt" | "opaque" as tokens:
            running: AbstractContextManager[Provider] = node_provider(tokens)
        case kind:
            binding = Binding.ON if kind == "glewlwyd-dpop" else Binding.OFF
            running = glewlwyd_provider(tmp_path_factory.mktemp("glewlwyd"), binding)
    with running as found:
        yield found


@pytest.fixture
def office(tmp_path: Path, postgres: Postgres, provider: Provider) -> Iterator[Stage]:
    """A broker that takes people from that provider."""
    with playing(taking(Stage(tmp_path / "office", postgres), provider)) as stage:
        yield stage


def taking(stage: Stage, provider: Provider) -> Stage:
    people = f"""\
identity:
  - issuer: {provider.sign_in.issuer}
    client_id: {provider.sign_in.client_id}
    audience: {provider.sign_in.audience}
    claims: {{user: email, groups: groups}}
"""
    text = stage.config.read_text()
    stage.config.write_text(text[: text.index("identity:")] + people + text[text.index("targets:") :])
    return stage


def log_in(office: Stage, provider: Provider, person: str) -> None:
    with running(office, "login", who="lena") as login:
        said = login.says(r"open (\S+) and type the code: (\S+)")
        complete = login.says(r"or open (\S+) and compare").group(1)
        provider.answer(Prompt(said.group(2), said.group(1), complete, 0), person)
        assert login.end().fine().err.rstrip().endswith(f"as {person}@example.com")


def test_a_person_of_another_provider_logs_in_and_works(office: Stage, provider: Provider) -> None:
    log_in(office, provider, "ann")
    [me] = office.listed("whoami", who="lena")
    assert (me["user"], me["groups"]) == ("ann@example.com", ["developers"])
    selected = office.hoopx(
        "exec", "shop-prod", "--", *clients.psql("SELECT email, id FROM customers WHERE id = 1"), who="lena"
    )
    assert selected.fine().out == "*****|1\n"
    office.hoopx("logout", who="lena").fine()
    assert office.hoopx("whoami", who="lena").code == 11


def test_a_person_who_says_no_is_not_logged_in(office: Stage, provider: Provider) -> None:
    """Where a provider knows no way to say it, they leave the terminal."""
    with running(office, "login", who="lena") as login:
        said = login.says(r"open (\S+) and type the code: (\S+)")
        provider.answer(Prompt(said.group(2), said.group(1), None, 0), "ann", "no")
        ended = login.end() if provider.can_decline else login.end(signal.SIGINT)
        assert ended.code == (11 if provider.can_decline else 130)
    assert office.hoopx("whoami", who="lena").code == 11


def test_a_logout_at_the_provider_ends_what_is_open_and_the_login_with_it(tmp_path: Path, postgres: Postgres) -> None:
    port = closed_port()
    environ = {
        "LOGOUT_URI": f"https://127.0.0.1:{port}/v1/logout",
        "NODE_TLS_REJECT_UNAUTHORIZED": "0",  # the broker's own certificate; what is sent there proves itself
    }
    with node_provider("jwt", **environ) as provider:
        stage = taking(Stage(tmp_path / "office", postgres), provider)
        stage.config.write_text(stage.config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}", 1))
        with playing(stage):
            log_in(stage, provider, "ann")
            waiting = clients.psql("SELECT pg_sleep(50), 'logout'")
            with running(stage, "exec", "shop-prod", "--", *waiting, who="lena") as work:
                stage.await_on_target("SELECT pg_sleep(50), ''logout")
                desk = provider.desk
                assert isinstance(desk, NodeDesk)
                desk.log_out("ann")
                began = time.monotonic()
                assert work.end().code != 0
                assert time.monotonic() - began < 10
            stage.nothing_remains()
            assert stage.hoopx("whoami", who="lena").code == 11
