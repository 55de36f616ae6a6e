"""Who a program is by credentials of its own in the environment (`client_credentials`, RFC 6749 section 4.4).

HOOPX_CLIENT_ID names it; HOOPX_CLIENT_KEY (the path of a private key) or HOOPX_CLIENT_SECRET proves it. The token is
kept in the memory of this process only.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

from hoopx_broker.api.messages import About
from hoopx_broker.api.proof import ProofKey
from hoopx_broker.terms.errors import BadInput, Unauthenticated
from hoopx_broker.terms.secret import Secret
from hoopx_cli.client_key import ClientKey, read_client_key
from hoopx_cli.credential import Credential
from hoopx_cli.inert import inert
from hoopx_cli.provider import Answer, Provider, discover, is_same_place, odd
from hoopx_cli.renewal import RENEW_BEFORE
from hoopx_cli.signin import Trust
from hoopx_cli.tokens import Clock, TokenEndpoint
from hoopx_cli.unverified import claims_of, seconds_of
from hoopx_cli.workload import is_of

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Client(Struct, frozen=True):
    """A program's name and its proof: a key or a secret. `issuer` is where it is known, "" to ask the broker."""

    id: str
    proof: ClientKey | Secret
    issuer: str = ""
    audience: str = ""


class Place(Struct, frozen=True):
    """Where tokens come from, and whom they are for."""

    issuer: str
    audience: str


class Agent:
    """One program at one broker: gives its credential, and asks for another when that nears its end."""

    def __init__(self, client: Client, place: Callable[[], Place], trust: Trust, clock: Clock = time.time) -> None:
        self._client = client
        self._place = place
        self._trust = trust
        self._clock = clock
        self._key = ProofKey.create()
        self._held: Credential | None = None
        self._until = 0.0

    def credential(self) -> Credential:
        """Raises `Unauthenticated` or `Unreachable`."""
        if self._held is None or self._clock() >= self._until - RENEW_BEFORE:
            self._held, self._until = self._asked()
        return self._held

    def _asked(self) -> tuple[Credential, float]:
        place = self._place()
        tls = self._trust(place.issuer)
        provider = discover(place.issuer, tls)
        endpoint = TokenEndpoint(provider, self._key, tls, self._clock)
        form, headers = self._authentication(provider, place)
        return self._read(place, endpoint.ask(form, headers))

    def _authentication(
        self, provider: Provider, place: Place
    ) -> tuple[Callable[[], Mapping[str, str]], Mapping[str, str]]:
        """The form, made anew for each ask since an assertion is spent by the first, and the headers."""
        client, form = self._client, {"grant_type": "client_credentials", "audience": place.audience}
        match client.proof:
            case ClientKey() as key:
                return (
                    lambda: (
                        form
                        | {
                            "client_id": client.id,
                            "client_assertion_type": ASSERTION_TYPE,
                            "client_assertion": key.assertion(client.id, provider.issuer, self._clock()),
                        }
                    ),
                    {},
                )
            case Secret() as secret if provider.token_endpoint_auth_methods_supported == ("client_secret_post",):
                return lambda: form | {"client_id": client.id, "client_secret": secret.reveal()}, {}
            case Secret() as secret:
                return lambda: form, {"authorization": _basic(client.id, secret)}

    def _read(self, place: Place, answer: Answer) -> tuple[Credential, float]:
        token = answer.said.get("access_token")
        said = claims_of(token)
        until = seconds_of(said.get("exp"))
        if answer.status in (400, 401, 403):
            raise Unauthenticated(
                f"`{place.issuer}` does not take `{self._client.id}`: {answer.told}",
                "compare HOOPX_CLIENT_ID and its key or secret with what is registered there, and the clocks",
            )
        if not answer.is_fine or not isinstance(token, str) or until is None:
            raise odd(place.issuer, f"it gives no token that the broker could check (status {answer.status})")
        bound = isinstance(said.get("cnf"), dict)
        return Credential(Secret(token), self._key, "DPoP" if bound else "Bearer"), until


def of_environment(environ: Mapping[str, str]) -> Client | None:
    """Raises `BadInput` for half a credential, for two, and for a key that cannot be used."""
    id_, key, secret = (environ.get(f"HOOPX_CLIENT_{name}", "") for name in ("ID", "KEY", "SECRET"))
    if not (id_ or key or secret):
        return None
    if not id_ or bool(key) == bool(secret):
        raise BadInput(
            "a program signs in by HOOPX_CLIENT_ID and one of HOOPX_CLIENT_KEY and HOOPX_CLIENT_SECRET",
            "set both, or unset all three to use the kept login",
        )
    proof = read_client_key(Path(key).expanduser()) if key else Secret(secret)
    return Client(id_, proof, environ.get("HOOPX_ISSUER", ""), environ.get("HOOPX_AUDIENCE", ""))


def place_at(client: Client, broker: str, about: About) -> Place:
    """HOOPX_ISSUER, else the issuer inside the broker. Raises `BadInput`.

    A secret goes only to an issuer at the broker's own address, or to the one that HOOPX_ISSUER names: a broker must
    not send it elsewhere. An assertion may follow the broker's word, since it is for that one issuer and for no other.
    """
    audiences = {one.issuer: one.audience for one in about.sign_in}
    inside = [url for url in audiences if url.endswith("/oidc")]
    issuer = client.issuer or next(filter(lambda url: _may_follow(client, url, broker), inside), "")
    if not issuer and inside:
        elsewhere = inert(inside[0])
        message = f"{broker} sends programs to `{elsewhere}`, where a secret does not go on its word"
        raise BadInput(message, "set HOOPX_ISSUER to that address if it is right, or use a key")
    if not issuer:
        raise BadInput(f"{broker} names no issuer that takes programs", "set HOOPX_ISSUER to the one that knows it")
    return Place(issuer, client.audience or _audience(issuer, audiences.get(issuer, "hoopx"), broker))


def _audience(issuer: str, said: str, broker: str) -> str:
    """As with jobs: of an issuer elsewhere, a hostile broker would ask for tokens for somebody else's service."""
    if is_same_place(issuer, broker) or is_of(said, broker):
        return said
    raise BadInput(
        f"{broker} asks for a token of `{inert(issuer)}` for `{inert(said)[:200]}`, which need not be its own name",
        "whoever gets such a token can use it there; if the broker is meant, say so by HOOPX_AUDIENCE",
    )


def _may_follow(client: Client, issuer: str, broker: str) -> bool:
    return isinstance(client.proof, ClientKey) or is_same_place(issuer, broker)


def _basic(id_: str, secret: Secret) -> str:
    """RFC 6749 section 2.3.1: both halves are written as in a form first."""
    pair = f"{quote(id_, safe='')}:{quote(secret.reveal(), safe='')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
