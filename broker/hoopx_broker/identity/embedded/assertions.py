"""Check that an agent holds its private key: client assertions (private_key_jwt, RFC 7523)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct

from hoopx_broker.identity.claims import MAX_SKEW, check_times
from hoopx_broker.identity.jws import NotAccepted, prove, read_token, shown
from hoopx_broker.identity.keys import KeySet
from hoopx_broker.storage.connection import Connection

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_LIFE = 300.0  # seconds; an assertion is made for one call, and somebody may copy it on its way
MAX_ID = 256
# `client-authentication+jwt` is its own type (draft-ietf-oauth-rfc7523bis); most clients still say `JWT` or nothing.
_TYPES = frozenset({"jwt", "client-authentication+jwt"})


class Assertion(Struct, frozen=True):
    """What holds until it is spent: of which agent, its own id, and its end (seconds since the Unix epoch)."""

    agent: str
    id: str
    expires_at: float


def read_assertion(raw: str, agents: Mapping[str, KeySet], audiences: Collection[str], now: float) -> Assertion:
    """A sound assertion of one of these agents. Raises `NotAccepted`; it is not spent yet."""
    token = read_token(raw, _TYPES)
    agent = token.claims.get("sub")
    if not isinstance(agent, str) or token.claims.get("iss") != agent or agent not in agents:
        raise NotAccepted(f"{shown(agent)} is no agent with a key")
    if (key := agents[agent].pick(token.kid, token.alg)) is None:
        raise NotAccepted(f"its key {shown(token.kid)} is not one of `{agent}`")
    prove(token, key)
    expires_at = check_times(token.claims, now)
    if expires_at > now + MAX_LIFE + MAX_SKEW:
        raise NotAccepted("it holds for longer than five minutes")
    _check_audience(token.claims.get("aud"), audiences)
    return Assertion(agent, _id(token.claims), expires_at)


def spend(connection: Connection, assertion: Assertion, now: float) -> bool:
    """Remember an assertion until its end; False where it was used before."""
    connection.execute("DELETE FROM identity_assertions WHERE expires_at <= ?", (now,))
    added = connection.execute(
        "INSERT INTO identity_assertions (agent, id, expires_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (assertion.agent, assertion.id, assertion.expires_at),
    )
    return added.rowcount == 1


def _check_audience(said: object, audiences: Collection[str]) -> None:
    """For us and nobody else: whoever else it is for could bring it here as well."""
    named = said if isinstance(said, list) else [said]
    if not named or any(each not in audiences for each in named):
        raise NotAccepted(f"its audience {shown(said)} is not this issuer alone")


def _id(claims: dict[str, Any]) -> str:
    id_ = claims.get("jti")
    if not isinstance(id_, str) or not 0 < len(id_) <= MAX_ID:
        raise NotAccepted("it has no id")
    return id_
