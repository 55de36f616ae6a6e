"""The proof of possession that comes with a call of the token endpoint (DPoP, RFC 9449 section 5)."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from starlette.requests import Request

from hoopx_broker.identity.embedded.refusals import OAuthError
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.identity.proofs import Proof, Spent, WrongProof, read_proof

METHOD = "POST"


class Possession(Struct, frozen=True):
    """What a call proves: a key, or nothing. The proof is checked; it is spent only for a call that is believed.

    Strangers could else fill the memory of spent proofs, and nobody could be answered.
    """

    proof: Proof | None
    spent: Spent

    @property
    def key(self) -> str | None:
        """The thumbprint of the proved key."""
        return self.proof.thumbprint if self.proof is not None else None

    def spend(self, owner: str) -> None:
        """Raises `OAuthError` for a proof that was used before. `owner` is whom the call was believed to be of."""
        if self.proof is None:
            return
        try:
            self.spent.spend(self.proof, owner)
        except NotAccepted as refusal:
            raise _not_a_proof(refusal) from None


def possession(request: Request, url: str, spent: Spent, now: Callable[[], float]) -> Possession:
    """The proof of a request to the endpoint at `url`. Raises `OAuthError` for one that does not hold."""
    match request.headers.getlist("dpop"):
        case []:
            return Possession(None, spent)
        case [raw]:
            try:
                return Possession(read_proof(raw, METHOD, lambda target: target == url, None, now()), spent)
            except NotAccepted as refusal:
                raise _not_a_proof(refusal) from None
        case _:
            raise OAuthError("invalid_dpop_proof", "send one proof")


def _not_a_proof(refusal: NotAccepted) -> OAuthError:
    hint = f": {refusal.hint}" if isinstance(refusal, WrongProof) else ""
    return OAuthError("invalid_dpop_proof", f"the proof of possession is not accepted{hint}")
