"""Say whose token this is, or refuse it without telling why."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from hoopx_broker.identity.claims import check_times, check_use, is_meant_for, principal
from hoopx_broker.identity.discovery import OnlineKeys
from hoopx_broker.identity.documents import fetcher
from hoopx_broker.identity.jws import NotAccepted, Token, prove, read_token, shown
from hoopx_broker.identity.keys import Key, KeySource, PinnedKeys, read_keys
from hoopx_broker.terms.errors import BadInput, Unauthenticated, Unreachable
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import OidcIssuer


class Trust(Struct, frozen=True):
    """An issuer that the broker believes, and where its keys come from."""

    issuer: OidcIssuer
    keys: KeySource


def trust(issuer: OidcIssuer, clock: Callable[[], float]) -> Trust:
    """Believe an issuer by its pinned keys where there are any, else by those it publishes."""
    if issuer.jwks is not None:
        return Trust(issuer, PinnedKeys(read_keys(issuer.jwks)))
    return Trust(issuer, OnlineKeys(issuer.issuer, fetcher(issuer.ca), clock))


class Gate:
    """The one place where a token becomes a `Principal`.

    `note` hears why a token was refused, in words that hold neither the token nor anything of it but names.
    """

    def __init__(self, trusted: Iterable[Trust], clock: Callable[[], float], note: Callable[[str], None]) -> None:
        self._trusted = tuple(trusted)
        self._clock = clock
        self._note = note
        _check_distinct([trust.issuer for trust in self._trusted])

    async def who(self, token: Secret | str) -> tuple[Principal, float]:
        """The bearer, and when the token ends (seconds since the Unix epoch). Raises `Unauthenticated`."""
        try:
            return await self._judge(read_token(token.reveal() if isinstance(token, Secret) else token))
        except NotAccepted as refusal:
            self._note(f"token refused: {refusal}")
        raise Unauthenticated("this token is not accepted", "log in again with `hoopx login`")

    async def _judge(self, token: Token) -> tuple[Principal, float]:
        trust = self._trust_of(token)
        prove(token, await _key(trust, token))
        expires_at = check_times(token.claims, self._clock())
        check_use(token.claims)
        return principal(token.claims, trust.issuer), expires_at

    def _trust_of(self, token: Token) -> Trust:
        """The one trust that issuer and audience name; a token that means two of them means neither."""
        named = [trust for trust in self._trusted if trust.issuer.issuer == token.claims.get("iss")]
        if not named:
            raise NotAccepted(f"its issuer {shown(token.claims.get('iss'))} is not known")
        meant = [trust for trust in named if is_meant_for(token.claims, trust.issuer)]
        if len(meant) != 1:
            raise NotAccepted(f"its audience {shown(token.claims.get('aud'))} names not exactly one use of its issuer")
        return meant[0]


async def _key(trust: Trust, token: Token) -> Key:
    try:
        key = await trust.keys.find(token.kid, token.alg)
    except Unreachable as error:
        raise NotAccepted(error.message) from None
    if key is None:
        raise NotAccepted(f"its key {shown(token.kid)} is not one of `{trust.issuer.issuer}`")
    return key


def _check_distinct(issuers: list[OidcIssuer]) -> None:
    """Two entries that the same token could mean would make its bearer a matter of order."""
    seen: set[tuple[str, str]] = set()
    for issuer in issuers:
        accepted = {issuer.audience} | ({issuer.client_id} if issuer.kind == "human" and issuer.client_id else set())
        for audience in accepted:
            if (issuer.issuer, audience) in seen:
                raise BadInput(
                    f"two identity entries of `{issuer.issuer}` accept the audience `{audience}`",
                    "give each its own audience and client_id",
                )
            seen.add((issuer.issuer, audience))
