"""The embedded issuer as a whole: made once by the daemon, trusted by the gate, mounted in the broker's web server."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from msgspec import Struct

from hoopx_broker.api.messages import SignIn
from hoopx_broker.identity.embedded.codes import DeviceCodes
from hoopx_broker.identity.embedded.people import People
from hoopx_broker.identity.embedded.signing import SigningKeys
from hoopx_broker.identity.embedded.throttle import Throttle
from hoopx_broker.identity.embedded.tokens import Tokens
from hoopx_broker.identity.embedded.visits import Visits
from hoopx_broker.identity.verify import Trust
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.settings import Claims, EmbeddedIssuer, OidcIssuer

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SIGN_IN_SCOPES = ("openid", "profile", "email", "groups", "offline_access")

# Ten wrong passwords in five minutes for one user; a person who forgot theirs tries three or four. More from one
# address: behind a proxy, and on one machine, many people share it.
MAX_FAILURES, MAX_FAILURES_FROM, FAILURE_WINDOW = 10, 50, 300.0
# Twenty wrong codes in ten minutes from one address: with the number of codes, a hit takes a thousand years.
MAX_GUESSES, GUESS_WINDOW = 20, 600.0


class Embedded(Struct, frozen=True):
    """`url` is the issuer's name: the broker's public URL and `/oidc`."""

    url: str
    client_id: str
    audience: str
    keys: SigningKeys
    people: People
    codes: DeviceCodes
    visits: Visits
    tokens: Tokens
    failures: Throttle
    failures_from: Throttle
    guesses: Throttle
    clock: Callable[[], float]

    @classmethod
    async def create(
        cls,
        config: EmbeddedIssuer,
        public_url: str,
        store: Store,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
    ) -> Embedded:
        """Load or make the keys, hash the passwords; about a quarter of a second for each user."""
        url = public_url.rstrip("/") + "/oidc"
        keys = await SigningKeys.load(store, clock)
        return cls(
            url=url,
            client_id=config.client_id,
            audience=config.audience,
            keys=keys,
            people=await People.gather(config.users, random),
            codes=DeviceCodes(clock, random),
            visits=Visits(clock, random),
            tokens=Tokens(url, config.audience, keys, store, clock, random),
            failures=Throttle(MAX_FAILURES, FAILURE_WINDOW, clock),
            failures_from=Throttle(MAX_FAILURES_FROM, FAILURE_WINDOW, clock),
            guesses=Throttle(MAX_GUESSES, GUESS_WINDOW, clock),
            clock=clock,
        )

    def trust(self) -> Trust:
        """What the gate needs to believe this issuer; its keys are taken from here, not over the network."""
        claims = Claims(user="sub", groups="groups")
        issuer = OidcIssuer(self.url, self.audience, "human", claims, self.client_id, scopes=SIGN_IN_SCOPES)
        return Trust(issuer, self.keys)

    def sign_in(self) -> SignIn:
        """How `hoopx login` finds it."""
        return SignIn(self.url, self.client_id, self.audience, SIGN_IN_SCOPES)
