"""Fetch an issuer's keys, found by OpenID Connect Discovery, and keep them no longer than they may be believed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from msgspec import Struct

from hoopx_broker.identity.documents import Fetch, checked_url, is_inside
from hoopx_broker.identity.keys import SIGNATURES, Key, KeySet, read_keys
from hoopx_broker.terms.errors import BadInput, HoopxError, Unreachable

FRESH = 600.0  # seconds; a key that a provider withdraws is believed at most this long while the provider answers
MAX_AGE = 3600.0  # seconds; and this long while it does not, so that a short outage does not lock everyone out
PAUSE = 10.0  # seconds between two calls: a stranger's tokens with made-up key ids must not make us call at will


class Metadata(Struct, frozen=True):
    """The part of a discovery document that the broker reads."""

    issuer: str
    jwks_uri: str


def discovery_url(issuer: str) -> str:
    return issuer.rstrip("/") + "/.well-known/openid-configuration"


def read_metadata(data: bytes, issuer: str) -> Metadata:
    """A discovery document that speaks of exactly this issuer. Raises `BadInput`."""
    try:
        metadata = msgspec.json.decode(data, type=Metadata)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadInput(f"the discovery document of `{issuer}` cannot be read", "is this an OIDC issuer?") from None
    if metadata.issuer != issuer:
        raise BadInput(f"the discovery document of `{issuer}` speaks of another issuer", "write the name as it does")
    checked_url(metadata.jwks_uri, "jwks_uri of the discovery document")
    if is_inside(metadata.jwks_uri) and not is_inside(issuer):
        raise BadInput(f"the discovery document of `{issuer}` points into this machine", "look at the provider")
    return metadata


class OnlineKeys:
    """A `KeySource` fed by the provider's JWKS: at `jwks_url`, or where its discovery document says."""

    def __init__(
        self,
        issuer: str,
        fetch: Fetch,
        clock: Callable[[], float],
        jwks_url: str | None = None,
        uses: frozenset[str] = SIGNATURES,
    ) -> None:
        self._issuer = issuer if jwks_url is not None else checked_url(issuer, "issuer")
        self._jwks_url = checked_url(jwks_url, "jwks_url") if jwks_url is not None else None
        self._uses = uses
        self._fetch = fetch
        self._clock = clock
        self._lock = asyncio.Lock()
        self._keys: KeySet | None = None
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")

    async def find(self, kid: str | None, alg: str) -> Key | None:
        """The key that a token names, asking the provider again when it is not among those known."""
        if self._age() >= FRESH:
            await self._refresh(seen=self._keys)
        seen = self._believed()
        key = seen.pick(kid, alg)
        if key is None:
            await self._refresh(seen)
            key = self._believed().pick(kid, alg)
        return key

    def _age(self) -> float:
        return self._since(self._fetched_at)

    def _since(self, moment: float) -> float:
        """Seconds; where the clock was set back since, nobody knows how many, so for ever."""
        seconds = self._clock() - moment
        return seconds if seconds >= 0 else float("inf")

    def _believed(self) -> KeySet:
        if self._keys is None or self._age() >= MAX_AGE:
            raise Unreachable(f"the keys of `{self._issuer}` are not known", "look at the identity provider")
        return self._keys

    async def _refresh(self, seen: KeySet | None) -> None:
        """One call at a time, and none where another just answered or failed."""
        async with self._lock:
            if self._keys is not seen or self._since(self._tried_at) < PAUSE:
                return
            self._tried_at = self._clock()
            try:
                self._keys = read_keys(await self._fetch(self._jwks_url or await self._discover()), self._uses)
            except HoopxError:
                return  # what is known stays believed until MAX_AGE; `_believed` refuses after that
            self._fetched_at = self._clock()

    async def _discover(self) -> str:
        return read_metadata(await self._fetch(discovery_url(self._issuer)), self._issuer).jwks_uri
