"""A certified relying party of somebody else's drives the embedded issuer, and is content with what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import LocalAgent
from hoopx_cli.signin import Prompt
from tests.peers import found
from tests.peers.oidc import Provider, embedded_provider
from tests.peers.relying_party import drive
from tests.unit.identity_stage import jwk, jwks

REVIEWER = ec.generate_private_key(ec.SECP256R1())
SECRET = "a secret of the report bot, /with: signs that want % encoding+"
AGENTS = {
    "reviewer-bot": LocalAgent("reviewer-bot", ("agents",), jwks=jwks(jwk(REVIEWER, "k1"))),
    "report-bot": LocalAgent("report-bot", ("agents",), secret=Secret(SECRET)),
    "claude": LocalAgent("claude", ("agents",)),
}
BY_KEY = {"client": "reviewer-bot", "key": ECAlgorithm.to_jwk(REVIEWER, as_dict=True) | {"kid": "k1"}}
BY_SECRET = {"client": "report-bot", "secret": SECRET}
BY_NOTHING = {"client": "claude"}
PERSON = {"client": "hoopx-cli"}

binding = pytest.mark.parametrize("dpop", [False, True], ids=["bearer", "dpop"])


class Party:
    """The relying party at the issuer, and dora, who does what it asks people to do."""

    def __init__(self, provider: Provider, ca: Path) -> None:
        self._provider, self._ca = provider, ca

    def does(self, job: str, orders: dict[str, Any], *, dpop: bool) -> dict[str, Any]:
        given = orders | {"issuer": self._provider.sign_in.issuer, "dpop": dpop}
        return drive(job, given, self._ca, self._dora)

    def _dora(self, prompt: Prompt) -> None:
        self._provider.answer(prompt, "dora")


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Party]:
    found.require("openid-client")
    home = tmp_path_factory.mktemp("issuer")
    with embedded_provider(home, AGENTS) as provider:
        yield Party(provider, home / "ca.pem")


def said(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


@binding
@pytest.mark.parametrize("way", ["device", "code"])
def test_a_person_logs_in_and_the_login_lives_by_tokens_of_one_use(party: Party, way: str, dpop: bool) -> None:
    done = party.does(way, PERSON, dpop=dpop)
    first, second = done["first"], done["second"]
    assert first["claims"]["sub"] == "dora"
    assert first["claims"]["groups"] == ["dba", "developers"]
    assert first["type"] == second["type"] == ("dpop" if dpop else "bearer")
    assert second["refresh"] != first["refresh"]
    assert second["access"] != first["access"]
    assert (done["reused"], done["after"]) == ("invalid_grant", "invalid_grant")
    assert ("cnf" in said(first["access"])) is dpop
    assert said(first["access"]).get("cnf") == said(second["access"]).get("cnf")


@binding
def test_a_login_that_was_revoked_is_over(party: Party, dpop: bool) -> None:
    assert party.does("revoke", PERSON, dpop=dpop)["after"] == "invalid_grant"


@binding
@pytest.mark.parametrize(
    "orders",
    [
        pytest.param(BY_KEY, id="private_key_jwt"),
        pytest.param(BY_SECRET | {"by": "basic"}, id="client_secret_basic"),
        pytest.param(BY_SECRET | {"by": "post"}, id="client_secret_post"),
    ],
)
def test_an_agent_comes_by_a_credential_of_its_own(party: Party, orders: dict[str, Any], dpop: bool) -> None:
    first = party.does("credentials", orders, dpop=dpop)["first"]
    claims = said(first["access"])
    assert (claims["sub"], claims["client_id"], claims["hoopx_kind"]) == (orders["client"], orders["client"], "agent")
    assert (first["type"], "cnf" in claims) == (("dpop", True) if dpop else ("bearer", False))
    assert first.get("refresh") is None


@pytest.mark.parametrize("orders", [BY_KEY, BY_SECRET | {"by": "basic"}, BY_NOTHING], ids=["key", "secret", "nothing"])
def test_an_agent_gets_a_persons_token_exchanged_and_names_both(party: Party, orders: dict[str, Any]) -> None:
    done = party.does("exchange", orders, dpop=True)
    claims, person = said(done["first"]["access"]), said(done["person"]["access"])
    assert (claims["sub"], claims["act"]) == ("dora", {"sub": orders["client"]})
    assert claims["cnf"] == person["cnf"]
    assert claims["exp"] <= person["exp"]
    assert done["first"]["issued"] == "urn:ietf:params:oauth:token-type:access_token"
    assert done["first"].get("refresh") is None
    assert done["chained"] == "invalid_request"


def test_an_exchange_without_a_key_is_refused(party: Party) -> None:
    with pytest.raises(AssertionError, match="invalid_dpop_proof"):
        party.does("exchange", BY_NOTHING, dpop=False)


@pytest.mark.parametrize(("by", "told"), [("basic", "WWW_AUTHENTICATE_CHALLENGE"), ("post", "invalid_client")])
def test_an_agent_by_a_wrong_secret_is_refused(party: Party, by: str, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        party.does("credentials", BY_SECRET | {"secret": "wrong", "by": by}, dpop=False)
