"""End a login by any token of it (RFC 7009)."""

from __future__ import annotations

from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.jws import NotAccepted, prove, read_token


async def end_login(issuer: Embedded, token: str, client: str) -> None:
    """Of a token that is none of ours, or of another client, there is nothing to end, and nobody is told."""
    logins = issuer.tokens.logins
    if await logins.end(token, client):
        return
    try:
        family = await _login_of_access_token(issuer, token, client)
    except NotAccepted:
        return
    await logins.end_family(family, "logged out")


async def _login_of_access_token(issuer: Embedded, token: str, client: str) -> str:
    """A login without refresh tokens has nothing else that names it. Past its end, it still does."""
    read = read_token(token)
    key = await issuer.keys.find(read.kid, read.alg)
    if key is None or read.claims.get("iss") != issuer.url or read.claims.get("hoopx_kind") != "human":
        raise NotAccepted("it is no access token of a person here")
    prove(read, key)
    family = read.claims.get("sid")
    if read.claims.get("client_id") != client or not isinstance(family, str):
        raise NotAccepted("it is of another client")
    return family
