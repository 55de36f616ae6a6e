"""Where people may log in for the pages, and who they are when they come back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.api import compact
from hoopx_broker.identity.embedded.authorization import PAGES, PAGES_RETURN, pages_return
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.embedded.pages_client import PagesClient
from hoopx_broker.identity.identity import Identity
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.identity.keys import KeySource
from hoopx_broker.identity.openid.code_flow import CodeFlow, Given, Leaving
from hoopx_broker.identity.openid.id_tokens import read_id_token
from hoopx_broker.identity.possession import Registers
from hoopx_broker.identity.verify import Gate, Trust
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import OidcIssuer

EMBEDDED = PAGES_RETURN.split("/")[2]  # the name of the embedded issuer's way in URLs
_HERE = "this broker"


class Flow(Protocol):
    """A client at one issuer."""

    async def way_out(self, leaving: Leaving, more: Mapping[str, str] | None = None) -> str:
        """Where the browser goes. Raises `Unreachable`."""

    async def redeem(self, answer: Mapping[str, str], leaving: Leaving) -> Given:
        """What the answer's code is good for. Raises `NotAccepted`, `Declined` and `Unreachable`."""


class Way(Struct, frozen=True):
    """One issuer; `client` is it with the pages' client in the place of that of `hoopx login`.

    It sends people back to `callback`.
    """

    slug: str
    name: str
    callback: str
    client: OidcIssuer
    keys: KeySource
    flow: Flow


class Ways:
    """All of them, in the order of the configuration. Tokens are believed by the rules of the gate."""

    def __init__(self, ways: Sequence[Way], gate: Gate, clock: Callable[[], float]) -> None:
        self.all = tuple(ways)
        self._gate = gate
        self._clock = clock

    @classmethod
    def lay(
        cls,
        trusted: Iterable[Trust],
        embedded: Embedded | None,
        public_url: str,
        registers: Registers,
        clock: Callable[[], float],
        note: Callable[[str], None],
    ) -> Ways:
        """To every issuer of people among the `trusted` that has a client for the pages, and the embedded one."""
        known = [_as_pages(trust) for trust in trusted if trust.issuer.page is not None]
        ways = [_online(trust, public_url, clock) for trust in known]
        if embedded is not None:
            known.append(embedded.trust())
            client = replace(embedded.trust().issuer, client_id=PAGES)
            callback = pages_return(embedded.url)
            ways.append(Way(EMBEDDED, _HERE, callback, client, embedded.keys, PagesClient(embedded)))
        return cls(ways, Gate(known, clock, note, registers), clock)

    def find(self, slug: str) -> Way | None:
        return next((way for way in self.all if way.slug == slug), None)

    async def leave(self, way: Way, leaving: Leaving) -> str:
        """Where the browser goes. Raises `Unreachable`."""
        return await way.flow.way_out(leaving, _meant_for(way.client.audience) if way.slug != EMBEDDED else None)

    async def arrive(self, way: Way, answer: Mapping[str, str], leaving: Leaving) -> Identity:
        """Who came back. Raises `NotAccepted`, `Declined`, `Unauthenticated` and `Unreachable`."""
        given = await way.flow.redeem(answer, leaving)
        if given.id_token is None:
            raise NotAccepted("the issuer gave no ID token")
        said = await read_id_token(given.id_token, way.client, way.keys, leaving.nonce, self._clock())
        identity = await self._gate.received(self._counting(given.id_token, given.access, way.client.audience))
        if identity.login.issuer != said["iss"] or identity.login.subject != said.get("sub"):
            raise NotAccepted("its access token is somebody else's than its ID token")
        return identity

    def _counting(self, identity: str, access: Secret | None, audience: str) -> Secret:
        """The token that counts at the API as well: an access token that names the broker, else the ID token."""
        said = _claims_of(access.reveal()) if access is not None else {}
        named, expires_at = said.get("aud"), said.get("exp")
        is_meant = named == audience or (isinstance(named, list) and audience in named)
        if access is None or not is_meant or not isinstance(expires_at, int | float) or expires_at <= self._clock():
            return Secret(identity)
        return access


def _as_pages(trust: Trust) -> Trust:
    assert trust.issuer.page is not None
    scopes = tuple(each for each in trust.issuer.scopes if each != "offline_access")
    return replace(trust, issuer=replace(trust.issuer, client_id=trust.issuer.page.client_id, scopes=scopes))


def _online(trust: Trust, public_url: str, clock: Callable[[], float]) -> Way:
    page = trust.issuer.page
    assert page is not None
    callback = return_address(public_url, page.slug)
    flow = CodeFlow(trust.issuer, page.secret, callback, clock)
    return Way(page.slug, page.name, callback, trust.issuer, trust.keys, flow)


def return_address(public_url: str, slug: str) -> str:
    """Where an issuer sends people back to. Each has its own, so that no answer is taken for another one's."""
    return f"{public_url.rstrip('/')}/login/{slug}/callback"


def _meant_for(audience: str) -> dict[str, str]:
    """How to ask for an access token that names the broker, as `hoopx login` does."""
    return {"audience": audience} | ({"resource": audience} if audience.startswith("https://") else {})


def _claims_of(token: str) -> dict[str, Any]:
    """What a token says of itself, to choose one: nothing of it is believed here."""
    try:
        return msgspec.json.decode(compact.decode(token.split(".")[1]), type=dict[str, Any])
    except (IndexError, ValueError, msgspec.MsgspecError, RecursionError):
        return {}
