"""What must hold of tokens and logins whatever somebody sends."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jwt import PyJWS

from hoopx_broker.identity.claims import MAX_GROUPS, MAX_NAME
from hoopx_broker.identity.jws import NotAccepted, read_token
from hoopx_broker.identity.keys import KeySet, read_keys
from hoopx_broker.terms.errors import BadInput, Unauthenticated
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.settings import Claims
from tests.unit.identity_stage import RSA_KEY, Door, claims, human, jwk, segment, signed, workload

HONEST = signed(claims())
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.="

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.text() | st.text(alphabet=ALPHABET, max_size=200))
def test_whatever_is_no_token_is_refused_in_the_same_words(text: str) -> None:
    with pytest.raises(Unauthenticated, match="this token is not accepted"):
        Door().who(text)


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "cty", "zip"]), json_values), json_values)
@example({"alg": "RS256", "kid": None}, {"iss": {}})
def test_any_header_over_any_body_gives_a_token_or_one_kind_of_refusal(header: dict[str, Any], body: Any) -> None:
    try:
        read_token(f"{segment(header)}.{segment(body)}.AAAA")
    except NotAccepted:
        return


@given(st.integers(0, len(HONEST) - 1), st.sampled_from(ALPHABET))
@example(len(HONEST) - 1, "=")
def test_one_changed_sign_anywhere_breaks_a_token(place: int, sign: str) -> None:
    changed = HONEST[:place] + sign + HONEST[place + 1 :]
    if changed == HONEST:
        return
    with pytest.raises(Unauthenticated):
        Door().who(changed)


@given(st.integers(0, len(HONEST) - 1))
def test_no_part_of_a_token_is_a_token(length: int) -> None:
    with pytest.raises(Unauthenticated):
        Door().who(HONEST[:length])


@given(json_values, json_values, json_values)
def test_whatever_a_proved_token_says_its_bearer_has_a_proper_name_or_none(sub: Any, groups: Any, aud: Any) -> None:
    body = claims() | {"sub": sub, "groups": groups, "aud": ["hoopx", aud]}
    principal = _who(body)
    if principal is None:
        return
    for name in (principal.user, *principal.groups):
        assert 0 < len(name) <= MAX_NAME
        assert name.isprintable()
    assert len(principal.groups) <= MAX_GROUPS


CLAIMS = ["iss", "sub", "aud", "azp", "exp", "nbf", "iat", "auth_time", "email", "email_verified", "groups", "sid"]
MORE = ["cnf", "act", "events", "client_id", "hoopx_kind", "scope", "jti", "nonce", "acr", "ref", "repository"]
# What other writers of JSON write, too: integers of any length.
giants = st.integers(64, 1500).flatmap(lambda bits: st.sampled_from([2**bits, -(2**bits)]))


said_besides = st.dictionaries(st.sampled_from(CLAIMS + MORE), json_values | giants, max_size=4)


@given(said_besides, st.sampled_from(["hoopx", "jobs"]))
@example({"exp": 10**400}, "hoopx")
@example({"auth_time": -(10**400)}, "hoopx")
@example({"email": "\ud800"}, "hoopx")
@example({"cnf": {"jkt": "a"}, "act": {"sub": "bot"}}, "jobs")
def test_whatever_a_proved_token_says_its_bearer_is_somebody_or_hears_the_one_refusal(
    changes: dict[str, Any], audience: str
) -> None:
    body = json.dumps(claims() | {"aud": audience} | changes).encode()
    door = Door(human(), workload(audience="jobs"))
    try:
        door.who(PyJWS().encode(body, RSA_KEY, "RS256", {"kid": "r1"}))
    except Unauthenticated as refusal:
        told = refusal.message
    else:
        return
    assert (told, len(door.notes)) == ("this token is not accepted", 1)


def _who(body: dict[str, Any]) -> Principal | None:
    token = PyJWS().encode(msgspec.json.encode(body), RSA_KEY, "RS256", {"kid": "r1"})
    try:
        return Door(human(claims=Claims("sub", "groups"))).who(token)
    except Unauthenticated:
        return None


@given(st.binary() | json_values.map(msgspec.json.encode) | json_values.map(lambda v: msgspec.json.encode({"keys": v})))
def test_any_document_is_a_key_set_or_bad_input(document: bytes) -> None:
    try:
        assert isinstance(read_keys(document), KeySet)
    except BadInput:
        return


@given(
    st.dictionaries(
        st.sampled_from(["kty", "n", "e", "crv", "x", "y", "alg", "use", "key_ops", "kid", "d"]), json_values
    )
)
def test_any_disturbance_of_a_key_is_passed_over_or_leaves_a_strong_one(changes: dict[str, Any]) -> None:
    try:
        keys = read_keys(msgspec.json.encode({"keys": [jwk(RSA_KEY, "r1") | changes]}))
    except BadInput:
        return
    assert all(key.fits("RS256") or key.alg is not None for key in keys.keys)


def test_the_honest_token_is_one() -> None:
    assert Door().who(HONEST).user == "ann@example.com"
