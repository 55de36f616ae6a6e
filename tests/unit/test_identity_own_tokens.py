"""What a token says of kind and actor is believed of the embedded issuer's own tokens alone."""

from __future__ import annotations

from typing import Any

import pytest

from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.identity.own import own_principal
from hoopx_broker.terms.errors import Unauthenticated
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.settings import Claims, OidcIssuer
from tests.unit.identity_stage import Door, claims, human, signed, workload

URL = "https://broker.example.com/oidc"
OURS = OidcIssuer(URL, "hoopx", "human", Claims("sub", "groups"))
AGENTS = {"bot": ("agents",), "other": ()}


def own(**said: Any) -> Principal:
    told = {"sub": "ann", "groups": ["dba"], "hoopx_kind": "human"} | said
    return own_principal({name: value for name, value in told.items() if value is not None}, OURS, AGENTS)


def test_a_person() -> None:
    assert own() == Principal("ann", "human", ("dba",), URL, "ann")


def test_an_agent_has_the_groups_that_are_configured_whatever_its_token_says() -> None:
    said = own(hoopx_kind="agent", sub="bot", client_id="bot", groups=["dba", "root"])
    assert said == Principal("bot", "agent", ("agents",), URL, "bot")


def test_an_agent_for_a_person() -> None:
    said = own(hoopx_kind="agent", client_id="bot", act={"sub": "bot"})
    assert said == Principal("bot", "agent", ("agents",), URL, "bot", "ann", ("dba",), URL)


def test_whom_a_provider_named_behind_an_account_is_known_of_whoever_acts_for_it() -> None:
    assert own(hoopx_person="4711").person == "4711"
    agent = own(hoopx_kind="agent", client_id="bot", act={"sub": "bot"}, hoopx_person="4711")
    assert (agent.user, agent.on_behalf_of, agent.person) == ("bot", "ann", "4711")


@pytest.mark.parametrize(
    "said",
    [
        {"hoopx_person": ""},
        {"hoopx_person": 4711},
        {"hoopx_person": ["4711"]},
        {"hoopx_kind": None},
        {"hoopx_kind": "job"},
        {"hoopx_kind": ["human"]},
        # A person's token does not say that somebody acts, whoever wrote that into it.
        {"act": {"sub": "bot"}, "client_id": "bot"},
        {"act": {}},
        {"act": "bot"},
        # An agent's own token names the agent and nobody else.
        {"hoopx_kind": "agent", "client_id": "bot"},
        {"hoopx_kind": "agent", "sub": "bot"},
        {"hoopx_kind": "agent", "sub": "bot", "client_id": "other"},
        {"hoopx_kind": "agent", "sub": "stranger", "client_id": "stranger"},
        {"hoopx_kind": "agent", "sub": ["bot"], "client_id": ["bot"]},
        # Who acts is one configured agent, and the one that the token was given to.
        {"hoopx_kind": "agent", "client_id": "bot", "act": {"sub": "other"}},
        {"hoopx_kind": "agent", "client_id": "stranger", "act": {"sub": "stranger"}},
        {"hoopx_kind": "agent", "client_id": "bot", "act": {"sub": "bot", "act": {"sub": "other"}}},
        {"hoopx_kind": "agent", "client_id": "bot", "act": {"sub": "bot", "iss": URL}},
        {"hoopx_kind": "agent", "client_id": "bot", "act": {"sub": ["bot"]}},
        {"hoopx_kind": "agent", "client_id": "bot", "act": {}},
        {"hoopx_kind": "agent", "client_id": "bot", "act": [{"sub": "bot"}]},
        {"hoopx_kind": "agent", "client_id": "bot", "act": "bot"},
        {"hoopx_kind": "agent", "client_id": "bot", "act": {"sub": "bot"}, "sub": ""},
        {"hoopx_kind": "agent", "client_id": "bot", "act": {"sub": "bot"}, "sub": "ann\u202e"},
    ],
)
def test_anything_else_is_nobody(said: dict[str, Any]) -> None:
    with pytest.raises(NotAccepted):
        own(**said)


@pytest.mark.parametrize("act", [{"sub": "bot"}, {}, "bot", None, False])
@pytest.mark.parametrize("issuer", [human(), workload()])
def test_an_outside_issuer_that_says_act_is_not_believed(issuer: OidcIssuer, act: object) -> None:
    door = Door(issuer)
    aud = issuer.audience
    assert door.who(signed(claims(aud=aud))).on_behalf_of is None
    with pytest.raises(Unauthenticated):
        door.who(signed(claims(aud=aud) | {"act": act}))
    assert "acts for somebody else" in door.notes[0]


def test_an_outside_issuer_cannot_make_an_agent_of_ours() -> None:
    said = claims(hoopx_kind="agent", client_id="bot", sub="bot", email="ann@example.com")
    assert Door().who(signed(said)) == Principal(
        "ann@example.com", "human", ("dba", "developers"), "https://login.example.com", "bot"
    )
