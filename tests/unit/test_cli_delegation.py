"""A person's token becomes one of their agent: asked for at the broker alone, kept in memory, renewed in time."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import SupportsIndex
from urllib.parse import parse_qs

import msgspec
import pytest

from hoopx_broker.api.messages import About
from hoopx_broker.api.proof import ProofKey
from hoopx_broker.terms.errors import BadInput, Denied, HoopxError, Unauthenticated
from hoopx_broker.terms.secret import Secret
from hoopx_cli import trust
from hoopx_cli.api import Api
from hoopx_cli.credential import Credential
from hoopx_cli.delegation import EXCHANGE, Delegation, agent_of
from hoopx_cli.kit import Kit
from hoopx_cli.output import of_process
from hoopx_cli.settings import Settings
from hoopx_cli.staying import renewals
from tests.unit.test_cli_api import HttpDouble

HUMAN = Credential(Secret("token-of-ann"), ProofKey.create(), "DPoP")


class Issuer:
    """A double of the broker and the issuer inside it. `answers` are what its token endpoint says, in this order."""

    def __init__(self, http: HttpDouble) -> None:
        self.http = http
        self.endpoint = f"{http.url}/oidc/token"
        self.answers: list[tuple[int, object]] = []
        self.agents: tuple[str, ...] = ("claude",)
        self.now = 1_000_000.0
        self.humans = 0
        http.answer = self._answer
        settings = Settings(http.url, str(http.ca), Path("/nonexistent"))
        self.api = Api(settings, trust.context(settings), self.human)

    def human(self) -> Credential:
        self.humans += 1
        return HUMAN

    def delegation(self, agent: str = "claude") -> Delegation:
        return Delegation(self.api, self.http.url, self.human, agent, lambda: self.now)

    def asked(self) -> list[dict[str, list[str]]]:
        """The forms that the token endpoint heard."""
        return [parse_qs(body.decode()) for method, _, _, body in self.http.heard if method == "POST"]

    def _answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        status, said = 200, object()
        match path:
            case "/oidc/.well-known/openid-configuration":
                said = {"token_endpoint": self.endpoint}
            case "/v1/about":
                said = About("1", "key", agents=self.agents)
            case "/oidc/token":
                status, said = self.answers.pop(0)
            case _:
                status, said = 404, {}
        body = msgspec.json.encode(said)
        return status, {"Content-Length": str(len(body))}, body


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[Issuer]:
    with HttpDouble(tmp_path).running() as http:
        yield Issuer(http)


def granted(token: str, life: object = 900) -> tuple[int, object]:
    return 200, {"access_token": token, "token_type": "DPoP", "expires_in": life}


def test_the_token_of_an_agent_is_bound_to_the_key_of_its_human(issuer: Issuer) -> None:
    issuer.answers = [granted("token-of-claude")]
    got = issuer.delegation().credential()
    assert (got.token.reveal(), got.key, got.scheme) == ("token-of-claude", HUMAN.key, "DPoP")
    (form,) = issuer.asked()
    assert form == {
        "grant_type": [EXCHANGE],
        "client_id": ["claude"],
        "subject_token": ["token-of-ann"],
        "subject_token_type": ["urn:ietf:params:oauth:token-type:jwt"],
    }


def test_it_is_kept_until_near_its_end_and_then_exchanged_anew(issuer: Issuer) -> None:
    issuer.answers = [granted("one"), granted("two")]
    delegation = issuer.delegation()
    assert delegation.credential() is delegation.credential()
    issuer.now += 805
    assert delegation.credential().token.reveal() == "one"
    issuer.now += 10
    assert delegation.credential().token.reveal() == "two"
    assert issuer.humans == 2, "with the human's token of then"


def test_one_that_is_about_to_end_with_its_humans_is_not_asked_for_on_and_on(issuer: Issuer) -> None:
    issuer.answers = [granted("one", 30), granted("two", 20), granted("three", 5)]
    delegation = issuer.delegation()
    for token, seconds in (("one", 10), ("two", 10), ("three", 4)):
        assert delegation.credential().token.reveal() == token
        issuer.now += seconds - 1
        assert delegation.credential().token.reveal() == token
        issuer.now += 1
    assert len(issuer.asked()) == 3


def test_sessions_that_stay_signed_in_get_a_new_one_in_time_and_no_storm_of_them(issuer: Issuer) -> None:
    """As `hoopx_cli.staying` asks, when the person's own token ends with it and no later one can follow."""
    ends = issuer.now + 120
    slept: list[float] = []

    def answer() -> tuple[int, object]:
        if ends - issuer.now < 1:  # as the issuer inside the broker refuses it
            return 400, {"error": "invalid_request", "error_description": "the subject token is about to end"}
        claims = base64.urlsafe_b64encode(json.dumps({"exp": ends, "jti": len(slept)}).encode()).decode().rstrip("=")
        return granted(f"e30.{claims}.x", ends - issuer.now)

    class Answers(list[tuple[int, object]]):
        def pop(self, _: SupportsIndex = 0) -> tuple[int, object]:
            return answer()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        issuer.now += seconds

    async def scene() -> None:
        issuer.answers = Answers()
        delegation = issuer.delegation()
        first = delegation.credential()
        async with asyncio.timeout(20):
            async for _ in renewals(first, delegation.credential, lambda: issuer.now, sleep):
                pass

    with pytest.raises(Unauthenticated, match="about to end"):
        asyncio.run(scene())
    assert 3 <= len(issuer.asked()) <= 14


@pytest.mark.parametrize("endpoint", ["https://evil.example.com/oidc/token", "http://127.0.0.1/oidc/token", "nonsense"])
def test_the_humans_token_goes_to_no_other_place(issuer: Issuer, endpoint: str) -> None:
    issuer.endpoint = endpoint
    with pytest.raises(BadInput, match="calls itself"):
        issuer.delegation().credential()
    assert issuer.asked() == []


def test_a_broker_without_an_issuer_of_its_own_has_no_agents(issuer: Issuer) -> None:
    issuer.http.answer = lambda path: (404, {"Content-Length": "0"}, b"")
    with pytest.raises(BadInput, match="no issuer of its own"):
        issuer.delegation().credential()


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        ("invalid_client", BadInput, "knows no agent `claude`"),
        ("unauthorized_client", BadInput, "knows no agent `claude`"),
        ("invalid_request", Unauthenticated, "only people"),
        ("invalid_dpop_proof", Unauthenticated, "only people"),
        ("server_error", Denied, "only people"),
    ],
)
def test_a_refusal_says_who_can_act(issuer: Issuer, error: str, kind: type[HoopxError], said: str) -> None:
    issuer.answers = [(400, {"error": error, "error_description": "only people\x1b[2J"})]
    with pytest.raises(kind, match=said) as refused:
        issuer.delegation().credential()
    assert "\x1b" not in str(refused.value)
    assert "token-of-ann" not in str(refused.value) + refused.value.hint


@pytest.mark.parametrize("answer", [(200, {}), (200, []), (500, "x"), granted("t", "soon"), (200, {"access_token": 7})])
def test_what_is_no_token_is_refused(issuer: Issuer, answer: tuple[int, object]) -> None:
    issuer.answers = [answer]
    with pytest.raises(Denied):
        issuer.delegation().credential()


def _about(*agents: str) -> About:
    return About("1", "key", agents=agents)


def test_the_agent_is_the_one_that_is_named_or_the_only_one() -> None:
    assert agent_of("named", {"HOOPX_AGENT_NAME": "other"}, lambda: _about("claude")) == "named"
    assert agent_of("", {"HOOPX_AGENT_NAME": "other"}, lambda: _about("claude")) == "other"
    assert agent_of("", {}, lambda: _about("claude")) == "claude"


@pytest.mark.parametrize("known", [(), ("claude", "codex\x1b[2J")])
def test_of_none_or_several_one_has_to_be_named(known: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as refused:
        agent_of("", {}, lambda: _about(*known))
    assert "--as" in refused.value.hint
    assert "\x1b" not in refused.value.hint
    assert all(name[:5] in refused.value.hint for name in known)


def test_inside_an_agents_environment_the_kept_login_is_not_used(tmp_path: Path) -> None:
    environ = {"HOOPX_AGENT": "1", "HOOPX_HOME": str(tmp_path), "HOME": str(tmp_path)}
    with pytest.raises(Denied, match="does not act as the person"):
        Kit(environ, of_process({})).credential()
    own = Kit(environ | {"HOOPX_TOKEN": "its-own"}, of_process({})).credential()
    assert own.token.reveal() == "its-own"


def test_a_delegation_shows_no_token() -> None:
    assert "token-of-ann" not in json.dumps(repr(HUMAN))
