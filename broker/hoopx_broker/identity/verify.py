"""Say whose token this is, or refuse it without telling why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from hoopx_broker.identity import backchannel
from hoopx_broker.identity.backchannel import Logout
from hoopx_broker.identity.claims import (
    bound_to,
    check_times,
    check_use,
    client_of,
    is_meant_for,
    issued_at,
    login_of,
    principal,
)
from hoopx_broker.identity.discovery import OnlineKeys
from hoopx_broker.identity.documents import fetcher
from hoopx_broker.identity.identity import Identity, Login, Presented
from hoopx_broker.identity.jws import NotAccepted, Token, prove, read_token, shown
from hoopx_broker.identity.keys import Key, KeySource, PinnedKeys, read_keys
from hoopx_broker.identity.pinned import FileKeys
from hoopx_broker.identity.possession import Possession, Registers
from hoopx_broker.identity.proofs import WrongProof
from hoopx_broker.identity.spiffe import check_svid, is_trust_domain, speaks_of, uses_of
from hoopx_broker.terms.errors import BadInput, Unauthenticated, Unreachable
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import OidcIssuer


def _unheard(_: str) -> None:
    """For issuers whose keys never change on disk."""


class Trust(Struct, frozen=True):
    """An issuer that the broker believes, and where its keys come from."""

    issuer: OidcIssuer
    keys: KeySource
    # How its claims are read; set for the embedded issuer, whose tokens say more than others may.
    read: Callable[[dict[str, Any]], tuple[Principal, Login]] | None = None

    def bearer(self, claims: dict[str, Any]) -> tuple[Principal, Login]:
        """Who the bearer is, and the signing in behind that. Raises `NotAccepted`."""
        if self.read is not None:
            return self.read(claims)
        return principal(claims, self.issuer), login_of(claims, self.issuer)


def trust(issuer: OidcIssuer, clock: Callable[[], float], note: Callable[[str], None] = _unheard) -> Trust:
    """Believe an issuer by its pinned keys where there are any, else by those it publishes.

    `note` hears why keys that were changed on disk are not taken.
    """
    uses = uses_of(issuer.issuer)
    if issuer.jwks is None:
        return Trust(issuer, OnlineKeys(issuer.issuer, fetcher(issuer.ca), clock, issuer.jwks_url, uses))
    if issuer.jwks_file is None:
        return Trust(issuer, PinnedKeys(read_keys(issuer.jwks, uses)))
    return Trust(issuer, FileKeys(issuer.jwks_file, issuer.jwks, clock, note, uses))


class Gate:
    """The one place where a token becomes an `Identity`.

    `is_here` knows the URLs under which the broker can be reached: a proof for another one was made for somebody else.
    `note` hears why a token was refused, in words that hold neither the token nor anything of it but names.
    """

    def __init__(
        self,
        trusted: Iterable[Trust],
        clock: Callable[[], float],
        note: Callable[[str], None],
        registers: Registers | None = None,
        is_here: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._trusted = tuple(trusted)
        self._clock = clock
        self._note = note
        self._registers = registers
        self._keys = Possession(registers, is_here, clock)
        _check_distinct([trust.issuer for trust in self._trusted])

    async def who(self, token: Secret | str) -> tuple[Principal, float]:
        """The bearer, and when the token ends (seconds since the Unix epoch). Raises `Unauthenticated`.

        For callers that can prove no key: a token that is bound to one is refused.
        """
        identity = await self.identify(Presented(token if isinstance(token, Secret) else Secret(token)))
        return identity.who, identity.expires_at

    async def identify(self, presented: Presented) -> Identity:
        """Who calls. Raises `Unauthenticated`, which says no more than that, and what an honest caller may do."""
        hint = "log in again with `hoopx login`; why a job is refused stands in the broker's log"
        try:
            return await self._judge(presented, read_token(presented.token.reveal()))
        except WrongProof as refusal:
            self._note(f"token refused: {refusal}")
            hint = refusal.hint
        except NotAccepted as refusal:
            self._note(f"token refused: {refusal}")
        raise Unauthenticated("this token is not accepted", hint)

    async def received(self, token: Secret) -> Identity:
        """Whose token this is, which its issuer itself gave to the broker, for a person who logs in at our pages.

        Nobody brought it, so nobody proves a key for it. Raises `Unauthenticated`.
        """
        try:
            identity, _ = await self._believe(read_token(token.reveal()))
        except NotAccepted as refusal:
            self._note(f"login at the pages refused: {refusal}")
            raise Unauthenticated("this login is not accepted", "why stands in the broker's log") from None
        return identity

    async def exchanged(self, token: Secret, thumbprint: str) -> Identity:
        """Whose token is to be exchanged by whoever proved this key elsewhere. Raises `Unauthenticated`.

        It must be bound to that key, and is bound to it here where it was not bound before.
        """
        try:
            read = read_token(token.reveal())
            identity, _ = await self._believe(read)
            # Before it is bound: with a job's token its other processes go on.
            if identity.who.kind != "human" and bound_to(read.claims) is None:
                raise NotAccepted(f"it is a token of kind `{identity.who.kind}`, and people alone lend theirs")
            return self._in_good_standing(await self._keys.lent(token, read, identity, thumbprint))
        except NotAccepted as refusal:
            self._note(f"exchange refused: {refusal}")
            raise Unauthenticated("this token is not accepted") from None

    async def _judge(self, presented: Presented, token: Token) -> Identity:
        """First all that the token says of itself, then the proof that came with it; what was proved is spent last."""
        identity, issuer = await self._believe(token)
        return self._in_good_standing(await self._keys.proved(presented, token, identity, issuer))

    async def _believe(self, token: Token) -> tuple[Identity, OidcIssuer]:
        """What a token says, and that it holds; whether its bearer may have it is not asked yet."""
        trust = self._trust_of(token)
        if is_trust_domain(trust.issuer.issuer):
            check_svid(token)
        prove(token, await _key(trust, token))
        expires_at = check_times(token.claims, self._clock())
        check_use(token.claims)
        who, login = trust.bearer(token.claims)
        identity = Identity(who, login, issued_at(token.claims), expires_at, client=client_of(token.claims))
        return self._in_good_standing(identity), trust.issuer

    def _in_good_standing(self, identity: Identity) -> Identity:
        if self._registers is not None:
            self._registers.standing.check(identity)
        return identity

    def check_grant(self, presented: Presented, thumbprint: str | None) -> None:
        """May whoever brings this grant use it? Raises `Unauthenticated` but for a proof of the session's key."""
        try:
            self._keys.check_grant(presented, thumbprint)
        except NotAccepted as refusal:
            self._note(f"grant refused: {refusal}")
            raise Unauthenticated("this grant is not accepted", "open a new session") from None

    async def logout(self, raw: str) -> Logout:
        """End what a logout token names, once. Raises `Unauthenticated`."""
        try:
            token = read_token(raw, backchannel.TYPES)
            named = [trust for trust in self._trusted if trust.issuer.issuer == token.claims.get("iss")]
            meant = [trust for trust in named if backchannel.is_meant_for(token.claims, trust.issuer)]
            if len(meant) != 1 or self._registers is None:
                raise NotAccepted("it is not from an issuer at whose client people log in here")
            prove(token, await _key(meant[0], token))
            logout = backchannel.read_logout(token, self._clock())
            if not await self._registers.standing.logout(logout.revocations, logout.jti, logout.expires_at):
                raise NotAccepted("it came before")
        except NotAccepted as refusal:
            self._note(f"logout token refused: {refusal}")
            raise Unauthenticated("this token is not accepted") from None
        return logout

    def _trust_of(self, token: Token) -> Trust:
        """The one trust that issuer and audience name; a token that means two of them means neither."""
        named = [trust for trust in self._trusted if _names(token.claims, trust.issuer.issuer)]
        if not named:
            raise NotAccepted(f"its issuer {shown(token.claims.get('iss'))} is not known")
        meant = [trust for trust in named if is_meant_for(token.claims, trust.issuer)]
        if len(meant) != 1:
            raise NotAccepted(f"its audience {shown(token.claims.get('aud'))} names not exactly one use of its issuer")
        return meant[0]


def _names(claims: dict[str, Any], issuer: str) -> bool:
    """A trust domain stands in the subject, every other issuer in `iss`."""
    return speaks_of(claims, issuer) if is_trust_domain(issuer) else claims.get("iss") == issuer


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
