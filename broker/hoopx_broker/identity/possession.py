"""Which key goes with a token: as its provider bound it, as we did at its first use, and as its bearer proves it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.identity.bindings import Bindings
from hoopx_broker.identity.claims import bound_to
from hoopx_broker.identity.identity import Identity, Presented
from hoopx_broker.identity.jws import NotAccepted, Token
from hoopx_broker.identity.proofs import Proof, Spent, read_proof
from hoopx_broker.identity.spent import SpentEverywhere
from hoopx_broker.identity.standing import Standing
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import OidcIssuer


class Registers(Struct, frozen=True):
    """What is remembered between calls: tokens bound by us, who is out, and proofs that were used.

    `everywhere` is set where others are on the same state, who remember them as well.
    """

    bindings: Bindings
    standing: Standing
    spent: Spent
    everywhere: SpentEverywhere | None = None


class Possession:
    """`registers` is None where nothing can be remembered: then no token is bound, and none that comes bound is taken.

    Every method raises `NotAccepted`.
    """

    def __init__(self, registers: Registers | None, is_here: Callable[[str], bool], clock: Callable[[], float]) -> None:
        self._registers = registers
        self._is_here = is_here
        self._clock = clock

    async def proved(self, presented: Presented, token: Token, identity: Identity, issuer: OidcIssuer) -> Identity:
        """The identity with the key that was proved, for a token that whoever brings it may have."""
        proof = self._proof(presented)
        bound = await self._bound(presented.token, token)
        is_claimed = presented.scheme == "dpop"
        if is_claimed and proof is None:
            raise NotAccepted("it comes without a proof of its key")
        if bound is not None and (proof is None or not is_claimed or proof.thumbprint != bound):
            raise NotAccepted("it is bound to a key that whoever brings it did not prove")
        if issuer.require_proof and not is_claimed:
            raise NotAccepted("it comes as a bearer's, which its issuer's `require_proof` rules out")
        if proof is None:
            return identity
        self._spend(proof, _owner(identity))
        everywhere = self._remembered().everywhere
        if everywhere is not None:
            await everywhere.spend(proof)
        if not is_claimed:
            return replace(identity, key=proof.thumbprint)
        return await self._keyed(presented.token, identity, bound, proof.thumbprint)

    async def lent(self, given: Secret, token: Token, identity: Identity, thumbprint: str) -> Identity:
        """As `proved`, for a token whose exchange is asked for by somebody who proved the key at the exchange."""
        return await self._keyed(given, identity, await self._bound(given, token), thumbprint)

    def check_grant(self, presented: Presented, thumbprint: str | None) -> None:
        """A grant of a session that was opened with the key of this thumbprint: nobody else has that session."""
        proof = self._proof(presented)
        if proof is None or presented.scheme != "dpop":
            raise NotAccepted("it comes without a proof of its key")
        if proof.thumbprint != thumbprint:
            raise NotAccepted("it is bound to another key")
        self._spend(proof)

    async def _bound(self, given: Secret, token: Token) -> str | None:
        """The thumbprint of the key that the token is bound to, by its provider or by us."""
        bound = bound_to(token.claims)
        if bound is None and self._registers is not None:
            return await self._registers.bindings.key_of(given)
        return bound

    async def _keyed(self, token: Secret, identity: Identity, bound: str | None, thumbprint: str) -> Identity:
        """The identity by a token that is bound to this key, or is bound to it now; its login began with the key."""
        bindings = self._remembered().bindings
        if bound is None:
            bound = await bindings.bind(token, thumbprint, identity.expires_at, self._clock())
        if bound != thumbprint:
            raise NotAccepted("it is bound to a key that whoever brings it did not prove")
        began_at = await bindings.began(thumbprint, identity.login)
        login = replace(identity.login, began_at=began_at)
        return replace(identity, login=login, key=thumbprint, is_bound=True)

    def _proof(self, presented: Presented) -> Proof | None:
        if presented.proof is None:
            return None

        def is_asked(url: str) -> bool:
            return url.endswith(presented.path) and self._is_here(url.removesuffix(presented.path))

        return read_proof(presented.proof, presented.method, is_asked, presented.token, self._clock())

    def _spend(self, proof: Proof, owner: str = "") -> None:
        self._remembered().spent.spend(proof, owner)

    def _remembered(self) -> Registers:
        if self._registers is None:
            raise NotAccepted("nothing can be remembered here, so no proof can be spent")
        return self._registers


def _owner(identity: Identity) -> str:
    """Whose keys count together: all of one person, or of all jobs of one name."""
    return f"{identity.login.issuer} {identity.login.subject or identity.who.user}"
