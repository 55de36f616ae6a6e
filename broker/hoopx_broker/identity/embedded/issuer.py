"""The embedded issuer as a whole: made once by the daemon, trusted by the gate, mounted in the broker's web server."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from hoopx_broker.api.messages import SignIn
from hoopx_broker.identity.embedded.authorization import SCOPES as SIGN_IN_SCOPES
from hoopx_broker.identity.embedded.authorization_codes import AuthorizationCodes
from hoopx_broker.identity.embedded.clients import Clients
from hoopx_broker.identity.embedded.codes import DeviceCodes
from hoopx_broker.identity.embedded.logins import Login as Kept
from hoopx_broker.identity.embedded.logins import OnEnd
from hoopx_broker.identity.embedded.people import People, Person
from hoopx_broker.identity.embedded.signing import SigningKeys
from hoopx_broker.identity.embedded.throttle import Throttle
from hoopx_broker.identity.embedded.tokens import Tokens
from hoopx_broker.identity.embedded.upstream.guests import is_guest
from hoopx_broker.identity.embedded.upstream.ways import Ways
from hoopx_broker.identity.embedded.visits import Visits
from hoopx_broker.identity.identity import Login
from hoopx_broker.identity.own import own_login, own_principal
from hoopx_broker.identity.proofs import Spent
from hoopx_broker.identity.standing import Revocation, Standing
from hoopx_broker.identity.verify import Trust
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.settings import Claims, EmbeddedIssuer, OidcIssuer

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
    clients: Clients
    agents: Mapping[str, tuple[str, ...]]
    codes: DeviceCodes
    grants: AuthorizationCodes
    visits: Visits
    tokens: Tokens
    ways: Ways
    proofs: Spent
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
        note: Callable[[str], None] = lambda why: None,
        standing: Standing | None = None,
    ) -> Embedded:
        """Load or make the keys, hash the passwords; about a quarter of a second for each user.

        `note` hears why an agent or an upstream's answer was refused, in words that hold no secret. `standing` is told
        of logins that end before their time, so that their access tokens and sessions end with them.
        """
        url = public_url.rstrip("/") + "/oidc"
        keys = await SigningKeys.load(store, clock)
        ways = Ways.lay(config.upstreams, url, [*config.users, *config.agents, config.client_id], clock, random, note)
        on_end = _teller(url, standing, clock)
        tokens = Tokens(url, config.audience, keys, store, ways.guests, clock, random, on_end)
        return cls(
            url=url,
            client_id=config.client_id,
            audience=config.audience,
            keys=keys,
            people=await People.gather(config.users, random),
            clients=Clients(config.client_id, config.agents, url, store, clock, note),
            agents={name: agent.groups for name, agent in config.agents.items()},
            codes=DeviceCodes(clock, random),
            grants=AuthorizationCodes(clock, tokens.word),
            visits=Visits(clock, random),
            tokens=tokens,
            ways=ways,
            proofs=Spent(clock),
            failures=Throttle(MAX_FAILURES, FAILURE_WINDOW, clock),
            failures_from=Throttle(MAX_FAILURES_FROM, FAILURE_WINDOW, clock),
            guesses=Throttle(MAX_GUESSES, GUESS_WINDOW, clock),
            clock=clock,
        )

    @property
    def names(self) -> frozenset[str]:
        """What a request may call the broker that its tokens are for."""
        return frozenset({self.audience, self.url, self.url.removesuffix("/oidc")})

    @property
    def host(self) -> str:
        """The broker, as people read it in their address line."""
        return urlsplit(self.url).netloc

    async def still(self, login: Kept) -> Person | None:
        """Whose login this is by now; None where they are gone. Raises `Unreachable` where an upstream is silent."""
        return await self.ways.again(login.family) if is_guest(login.user) else self.people.find(login.user)

    def trust(self) -> Trust:
        """What the gate needs to believe this issuer; its keys are taken from here, not over the network.

        Access tokens alone open something: an ID token is for the client that asked for it, and bound to no key.
        """
        issuer = OidcIssuer(self.url, self.audience, "human", Claims(user="sub", groups="groups"))

        def read(claims: dict[str, Any]) -> tuple[Principal, Login]:
            return own_principal(claims, issuer, self.agents), own_login(claims, issuer)

        return Trust(issuer, self.keys, read)

    def sign_in(self) -> SignIn:
        """How `hoopx login` finds it."""
        return SignIn(self.url, self.client_id, self.audience, SIGN_IN_SCOPES)


def _teller(url: str, standing: Standing | None, clock: Callable[[], float]) -> OnEnd:
    async def tell(login: str, why: str) -> None:
        if standing is not None:
            await standing.revoke(Revocation("login", url, login, clock(), "its issuer", why))

    return tell
