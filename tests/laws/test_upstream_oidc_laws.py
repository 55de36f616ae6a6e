"""What must hold of a provider of OpenID Connect, whatever it says: a proper name, or one kind of refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hoopx_broker.identity.claims import MAX_NAME
from hoopx_broker.identity.declined import Declined
from hoopx_broker.identity.embedded.upstream.oidc import OidcProvider
from hoopx_broker.identity.embedded.upstream.trips import Trip
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.terms.errors import Unreachable
from tests.laws.depth import examples
from tests.unit.issuer_stage import START
from tests.unit.upstream_stage import ProviderDouble, upstream

BACK = "https://broker.example.com/oidc/upstream/example-corp/callback"
VERIFIER = "v" * 43
CHALLENGE = "7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM"

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["ann@example.com", "id-of-ann"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
claims = st.dictionaries(
    st.sampled_from(["sub", "email", "email_verified", "groups", "aud", "azp", "exp", "nonce", "iss", "act"]), values
)
tokens = st.dictionaries(st.sampled_from(["id_token", "access_token", "refresh_token", "error", "token_type"]), values)
descriptions = st.dictionaries(
    st.sampled_from(
        [
            "authorization_endpoint",
            "token_endpoint",
            "userinfo_endpoint",
            "scopes_supported",
            "token_endpoint_auth_methods_supported",
            "authorization_response_iss_parameter_supported",
        ]
    ),
    values,
    max_size=2,
)
some = settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def double() -> Iterator[ProviderDouble]:
    with ProviderDouble().running() as running:
        yield running


TRIP = Trip("example-corp", "state", "nonce", VERIFIER, "_r", "cookie", "token", "192.0.2.7", START)


def met(double: ProviderDouble) -> OidcProvider:
    """The broker's side, which knows nothing of the provider yet."""
    double.nonces["state"], double.challenges["state"] = "nonce", CHALLENGE
    return OidcProvider(upstream(double), BACK, lambda: START)


def prove(provider: OidcProvider, answer: dict[str, str]) -> None:
    try:
        who = asyncio.run(provider.prove(TRIP, answer)).who
    except (NotAccepted, Declined, Unreachable):
        return
    for name in (who.user, *who.groups):
        assert 0 < len(name) <= MAX_NAME
        assert name.isprintable()
    assert who.kind == "human"
    assert who.subject


def honest(double: ProviderDouble) -> dict[str, str]:
    return {"code": "ann.state", "state": "state", "iss": double.url}


@some
@given(said=claims, userinfo=st.none() | claims, token=tokens, description=descriptions)
@example(said={}, userinfo=None, token={}, description={})
@example(said={"email": None}, userinfo={"sub": "id-of-ann", "email": 7}, token={}, description={})
def test_whatever_it_says_there_is_a_proper_name_or_none(
    double: ProviderDouble, said: Any, userinfo: Any, token: Any, description: Any
) -> None:
    double.said, double.userinfo, double.token, double.description = said, userinfo, token, description
    prove(met(double), honest(double))


@pytest.fixture(scope="module")
def provider(double: ProviderDouble) -> OidcProvider:
    return met(double)


@some
@given(answer=st.dictionaries(st.sampled_from(["code", "iss", "error", "state"]), st.text(max_size=30)))
def test_whatever_answer_a_browser_brings_there_is_one_kind_of_refusal(
    double: ProviderDouble, provider: OidcProvider, answer: dict[str, str]
) -> None:
    double.said, double.userinfo, double.token, double.description = {}, None, {}, {}
    if provider.is_answer(TRIP, answer):
        prove(provider, answer)


def test_the_honest_one_is_believed(double: ProviderDouble) -> None:
    """So that the laws above are not kept by refusing everything."""
    double.said, double.userinfo, double.token, double.description = {}, None, {}, {}
    assert asyncio.run(met(double).prove(TRIP, honest(double))).who.user == "ann@example.com"
