"""Check that whoever brings a token holds the key it is bound to: proofs of possession (DPoP, RFC 9449)."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from hoopx_broker.api.proof import PROOF_TYPE, target_of, thumbprint, token_hash
from hoopx_broker.identity.jws import NotAccepted, is_moment, read_jws, shown, verify_signature
from hoopx_broker.identity.keys import read_key
from hoopx_broker.terms.secret import Secret

# Seconds that a proof may be older or younger than now: clocks of laptops, and a slow line.
WINDOW = 60.0
MAX_PROOF = 4_096  # characters; an RSA key of 4096 bits and its signature take 1,500
MAX_ID = 128
# Proofs that one key may use up in two windows: a pool that opens hundreds of connections at once has room.
MAX_SPENT = 4_000
MAX_KEYS = 10_000  # keys in use within two windows; a hundred new ones in a second is no office
MAX_KEYS_EACH = 1_000  # of these for one person or job, so that nobody takes the room of all; each process may have one


class Proof(Struct, frozen=True):
    """One proof: by which key, its own id, and when it was made (seconds since the Unix epoch)."""

    thumbprint: str
    id: str
    made_at: float


class WrongProof(NotAccepted):
    """A sound proof that does not fit this call. `hint` says what its honest maker would do about it."""

    def __init__(self, why: str, hint: str) -> None:
        super().__init__(why)
        self.hint = hint


def read_proof(raw: str, method: str, is_here: Callable[[str], bool], token: Secret | None, now: float) -> Proof:
    """The proof of a request by `method` to a URL that `is_here` knows. Raises `NotAccepted`.

    It is not spent yet: `Spent.spend` comes last, after the token that it goes with was believed.
    """
    if len(raw) > MAX_PROOF:
        raise NotAccepted("its proof is too long")
    header, claims = read_jws(raw, {PROOF_TYPE})
    jwk = header.get("jwk")
    if not isinstance(jwk, dict) or (key := read_key(jwk)) is None:
        raise NotAccepted("its proof has no usable public key")
    verify_signature(raw, key, header["alg"])
    _check_call(claims, method, is_here, token)
    return Proof(thumbprint(jwk), _id(claims), _made_at(claims, now))


def _check_call(claims: dict[str, Any], method: str, is_here: Callable[[str], bool], token: Secret | None) -> None:
    if claims.get("htm") != method:
        raise NotAccepted("its proof is for another method")
    url = claims.get("htu")
    if not isinstance(url, str) or not is_here(target_of(url)):
        raise WrongProof(f"its proof is for {shown(url)}", "reach the broker by its `public_url`")
    if token is not None and claims.get("ath") != token_hash(token):
        raise NotAccepted("its proof is for another token")


def _id(claims: dict[str, Any]) -> str:
    id_ = claims.get("jti")
    if not isinstance(id_, str) or not 0 < len(id_) <= MAX_ID:
        raise NotAccepted("its proof has no id")
    return id_


def _made_at(claims: dict[str, Any], now: float) -> float:
    made_at = claims.get("iat")
    if not is_moment(made_at):
        raise NotAccepted("its proof has no time")
    if abs(now - made_at) > WINDOW:
        off = f"{abs(now - made_at):.0f} seconds {'behind' if made_at < now else 'ahead'}"
        raise WrongProof(f"its proof is {off}", "set the clock of this machine: it differs from the broker's")
    return float(made_at)


class Spent:
    """Proofs that were used: each serves once, however often it is sent."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_key: OrderedDict[str, OrderedDict[str, float]] = OrderedDict()
        self._owner_of: dict[str, str] = {}
        self._keys_of: Counter[str] = Counter()

    def __len__(self) -> int:
        """Keys that are remembered."""
        return len(self._by_key)

    def spend(self, proof: Proof, owner: str = "") -> None:
        """Raises `NotAccepted` for the second use, and where more proofs came than can be remembered.

        `owner` is whoever was believed with it; empty for a key that is known to be of one use, as of an open session.
        """
        self._forget_old()
        spent = self._by_key.get(proof.thumbprint)
        if spent is None:
            spent = self._begin(proof.thumbprint, owner or proof.thumbprint)
        self._by_key.move_to_end(proof.thumbprint)
        while spent and next(iter(spent.values())) <= self._clock() - 2 * WINDOW:
            spent.popitem(last=False)
        if proof.id in spent:
            raise NotAccepted("its proof was used before")
        if len(spent) >= MAX_SPENT:
            raise _too_many()
        spent[proof.id] = self._clock()

    def _begin(self, name: str, owner: str) -> OrderedDict[str, float]:
        """Room for a key. What is refused takes none."""
        if len(self._by_key) >= MAX_KEYS or self._keys_of[owner] >= MAX_KEYS_EACH:
            raise _too_many()
        self._owner_of[name] = owner
        self._keys_of[owner] += 1
        self._by_key[name] = OrderedDict()
        return self._by_key[name]

    def _forget_old(self) -> None:
        """Keys in the order of their last use: those that used nothing lately have nothing to remember."""
        while self._by_key:
            name, spent = next(iter(self._by_key.items()))
            if spent and next(reversed(spent.values())) > self._clock() - 2 * WINDOW:
                return
            del self._by_key[name]
            owner = self._owner_of.pop(name)
            self._keys_of[owner] -= 1
            if not self._keys_of[owner]:
                del self._keys_of[owner]


def _too_many() -> WrongProof:
    return WrongProof("more proofs came than can be remembered", "try again in a minute")
