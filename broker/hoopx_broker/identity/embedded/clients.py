"""Who calls the token endpoint: the program that people use, or an agent and how far it proved itself."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Mapping
from hashlib import sha256
from urllib.parse import unquote_plus

from msgspec import Struct
from starlette.requests import Request

from hoopx_broker.identity.embedded.assertions import ASSERTION, Assertion, read_assertion, spend
from hoopx_broker.identity.embedded.browsing import near
from hoopx_broker.identity.embedded.refusals import OAuthError
from hoopx_broker.identity.embedded.throttle import Throttle
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.identity.keys import read_keys
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import LocalAgent

# Ten wrong secrets in five minutes for one agent from one address. Secrets have 96 bits: this keeps the log short.
MAX_FAILURES, FAILURE_WINDOW = 10, 300.0
MAX_BASIC = 4_096


class Client(Struct, frozen=True):
    """`agent` is None for the program that people use. `has_proved` is False for an agent without a credential."""

    id: str
    agent: LocalAgent | None = None
    has_proved: bool = False


class Clients:
    """All that may call. Whoever is refused hears the same, whatever was wrong; `note` hears why."""

    def __init__(
        self,
        public: str,
        agents: Mapping[str, LocalAgent],
        url: str,
        store: Store,
        clock: Callable[[], float],
        note: Callable[[str], None],
    ) -> None:
        self._public = public
        self._agents = agents
        self._keys = {name: read_keys(agent.jwks) for name, agent in agents.items() if agent.jwks is not None}
        self._secrets = {name: _digest(agent.secret) for name, agent in agents.items() if agent.secret is not None}
        self._audiences = (url, f"{url}/token")
        self._store = store
        self._clock = clock
        self._note = note
        self._failures = Throttle(MAX_FAILURES, FAILURE_WINDOW, clock)

    async def who(self, request: Request, form: Mapping[str, str]) -> Client:
        """The one that calls, by exactly one way of proof (RFC 6749 section 2.3). Raises `OAuthError`."""
        header = request.headers.get("authorization")
        given = [header is not None, "client_secret" in form, "client_assertion" in form]
        if sum(given) > 1:
            raise OAuthError("invalid_request", "prove the client in one way")
        match given:
            case [True, _, _]:
                name, secret = _basic(str(header))
                # Encoded as RFC 6749 section 2.3.1 wants it, or as it is, which many clients send.
                spellings = (Secret(unquote_plus(secret.reveal())), secret)
                return self._by_secret(unquote_plus(name), spellings, form, request)
            case [_, True, _]:
                return self._by_secret(form.get("client_id", ""), (Secret(form["client_secret"]),), form, request)
            case [_, _, True]:
                return await self._by_key(form)
            case _:
                return self._by_name(form.get("client_id", ""))

    def _by_name(self, name: str) -> Client:
        if name == self._public:
            return Client(name)
        if name in self._agents and name not in self._keys and name not in self._secrets:
            return Client(name, self._agents[name])
        raise self._refused(f"{name!a:.80} does not prove itself, or is not known")

    def _by_secret(self, name: str, spellings: tuple[Secret, ...], form: Mapping[str, str], request: Request) -> Client:
        who_from = f"{name} {near(request)}"
        known = self._secrets.get(name)
        if known is not None and self._failures.is_shut(who_from):
            raise OAuthError("temporarily_unavailable", "too many wrong secrets; try again in five minutes", 429)
        is_right = any(hmac.compare_digest(_digest(secret), known or bytes(32)) for secret in spellings)
        if known is None or not is_right or form.get("client_id", name) != name:
            if known is not None:
                self._failures.failed(who_from)
            raise self._refused(f"wrong secret for {name!a:.80}")
        self._failures.forgive(who_from)
        return Client(name, self._agents[name], has_proved=True)

    async def _by_key(self, form: Mapping[str, str]) -> Client:
        try:
            assertion = self._assertion(form)
        except NotAccepted as refusal:
            raise self._refused(f"assertion refused: {refusal}") from None
        now = self._clock()
        if not await self._store.run(lambda connection: spend(connection, assertion, now)):
            raise self._refused(f"an assertion of `{assertion.agent}` was used before")
        return Client(assertion.agent, self._agents[assertion.agent], has_proved=True)

    def _assertion(self, form: Mapping[str, str]) -> Assertion:
        if form.get("client_assertion_type") != ASSERTION:
            raise NotAccepted("it is of another type")
        assertion = read_assertion(form["client_assertion"], self._keys, self._audiences, self._clock())
        if form.get("client_id", assertion.agent) != assertion.agent:
            raise NotAccepted("it is of another client")
        return assertion

    def _refused(self, why: str) -> OAuthError:
        self._note(f"client refused: {why}")
        return OAuthError("invalid_client", "this client is not accepted here", 401)


def _basic(header: str) -> tuple[str, Secret]:
    """Name and secret of an Authorization header, as they were written."""
    scheme, _, encoded = header.partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode() if len(encoded) <= MAX_BASIC else ""
    except ValueError:
        text = ""
    name, colon, secret = text.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise OAuthError("invalid_request", "the Authorization header is not one of a client")
    return name, Secret(secret)


def _digest(secret: Secret) -> bytes:
    """Of one length, so that comparing tells nothing of the secret's; it is long and random, so no salt is needed."""
    return sha256(secret.reveal().encode("utf-8", "surrogatepass")).digest()
