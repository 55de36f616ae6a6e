"""An issuer with upstreams on a held clock, and a double of an OpenID provider that can be made to lie."""

from __future__ import annotations

import asyncio
import base64
import html
import re
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import msgspec

from hoopx_broker.storage.store import Store
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import (
    Claims,
    EmbeddedIssuer,
    LocalAgent,
    LocalUser,
    OidcIssuer,
    OidcUpstream,
    Upstream,
)
from tests.unit.identity_stage import KEYS, RSA_KEY, signed
from tests.unit.issuer_stage import START, Issuer, fields

CLIENT, SECRET = "hoopx-broker", "pass & word: 7"


class ProviderDouble:
    """It answers as an honest provider does, but for what a test changes. Codes are `code-of-PERSON`."""

    def __init__(self) -> None:
        self.people: dict[str, dict[str, Any]] = {"ann": {"email": "ann@example.com", "groups": ["dba"]}}
        self.description: dict[str, Any] = {}  # what its description says otherwise
        self.said: dict[str, Any] = {}  # what its ID tokens say otherwise; None takes a claim away
        self.signing: dict[str, Any] = {"key": RSA_KEY, "alg": "RS256", "kid": "r1"}
        self.token: dict[str, Any] = {}  # what the token endpoint says otherwise
        self.refused: dict[str, Any] | None = None  # the token endpoint's refusal
        self.refreshed: dict[str, Any] = {}  # as `said`, for tokens that come with a refresh
        self.userinfo: dict[str, Any] | None = None
        self.down = False
        self.asked: list[dict[str, str]] = []  # the forms that the token endpoint got
        self.authorizations: list[str] = []
        self.nonces: dict[str, str] = {}  # by state
        self.challenges: dict[str, str] = {}
        self.url = ""

    def sent(self, url: str) -> dict[str, str]:
        """A browser comes with a request for authorization: remember it, and give its parameters."""
        assert url.startswith(f"{self.url}/authorize?")
        asked = dict(parse_qsl(urlsplit(url).query))
        self.nonces[asked["state"]], self.challenges[asked["state"]] = asked["nonce"], asked["code_challenge"]
        return asked

    def code(self, person: str, asked: Mapping[str, str]) -> str:
        """Its code for somebody who has logged in there on this trip."""
        return f"{person}.{asked['state']}"

    def get(self, path: str) -> tuple[int, Any]:
        match path:
            case "/.well-known/openid-configuration":
                return 200, {
                    "issuer": self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "jwks_uri": f"{self.url}/jwks",
                    "authorization_response_iss_parameter_supported": True,
                    **({"userinfo_endpoint": f"{self.url}/userinfo"} if self.userinfo is not None else {}),
                } | self.description
            case "/jwks":
                return 200, msgspec.json.decode(KEYS)
            case "/userinfo":
                return 200, self.userinfo
            case _:
                return 404, {}

    def post(self, form: dict[str, str], authorization: str) -> tuple[int, Any]:
        self.asked.append(form)
        self.authorizations.append(authorization)
        if self.refused is not None:
            return 400, self.refused
        if form["grant_type"] == "refresh_token":
            person = form["refresh_token"].split(".")[1]
            tokens = {"id_token": self._id_token(person, self.refreshed), "refresh_token": f"again.{person}"}
        else:
            person, _, state = form["code"].partition(".")
            made = base64.urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
            if made != self.challenges[state]:
                return 400, {"error": "invalid_grant"}
            tokens = {"id_token": self._id_token(person, {"nonce": self.nonces[state]} | self.said)}
            tokens |= {"refresh_token": f"first.{person}"}
        whole = {"access_token": "opaque", "token_type": "Bearer"} | tokens | self.token
        return 200, {name: value for name, value in whole.items() if value is not None}

    def _id_token(self, person: str, changes: dict[str, Any]) -> str:
        honest = {"iss": self.url, "aud": CLIENT, "sub": f"id-of-{person}", "iat": START, "exp": START + 600}
        claims = honest | {"email_verified": True} | self.people[person] | changes
        return signed({name: value for name, value in claims.items() if value is not None}, **self.signing)

    @contextmanager
    def running(self) -> Iterator[ProviderDouble]:
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(*((503, {}) if double.down else double.get(urlsplit(self.path).path)))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                form = dict(parse_qsl(body, keep_blank_values=True))
                self._answer(*((503, {}) if double.down else double.post(form, self.headers.get("authorization", ""))))

            def _answer(self, status: int, said: Any) -> None:
                content = said if isinstance(said, bytes) else msgspec.json.encode(said)
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Tests say what they saw themselves."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_address[1]}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


def upstream(double: ProviderDouble, name: str = "Example Corp", **changes: Any) -> OidcUpstream:
    claims = changes.pop("claims", Claims("email", "groups"))
    provider = OidcIssuer(double.url, CLIENT, "human", claims, CLIENT)
    slug = name.lower().replace(" ", "-")
    given: dict[str, Any] = {"name": name, "slug": slug, "provider": provider, "secret": Secret(SECRET)}
    return OidcUpstream(**(given | changes))


class Person:
    """A browser on its way through an upstream, step by step; `device` is what waits for them."""

    def __init__(self, issuer: Issuer, browser: httpx2.AsyncClient) -> None:
        self.issuer, self.browser = issuer, browser
        self.device: dict[str, Any] = {}
        self.page: httpx2.Response

    async def begin(self) -> Person:
        """The sign-in page, after the code."""
        self.device = await self.issuer.ask()
        self.page = await self.browser.post("/oidc/device", data={"user_code": self.device["user_code"]})
        return self

    async def leave(self, slug: str = "example-corp") -> str:
        """Press the button; the address that it leads to."""
        self.page = await self.browser.post(f"/oidc/upstream/{slug}", data={"token": fields(self.page)["token"]})
        return leads_to(self.page)

    async def arrive(self, slug: str = "example-corp", **answer: str) -> httpx2.Response:
        return await self.browser.get(f"/oidc/upstream/{slug}/callback", params=answer)

    async def go_on(self) -> httpx2.Response:
        self.page = await self.browser.get("/oidc/continue")
        return self.page

    async def through(self, double: ProviderDouble, who: str = "ann", **answer: str) -> httpx2.Response:
        """The whole way out and back, to the page behind it."""
        await self.begin()
        asked = double.sent(await self.leave())
        await self.arrive(**{"code": double.code(who, asked), "state": asked["state"], "iss": double.url} | answer)
        return await self.go_on()

    async def allow(self) -> dict[str, Any]:
        """Say yes on the last page, and let the device have its tokens."""
        form = fields(self.page) | {"answer": "allow"}
        self.page = await self.browser.post("/oidc/device/confirm", data=form)
        assert self.page.status_code == 200, self.page.text
        answer = await self.issuer.poll(self.device["device_code"])
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens


def leads_to(page: httpx2.Response) -> str:
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]*)"', page.text)
    assert found, page.text
    return html.unescape(found.group(1))


Scene = Callable[[Issuer, ProviderDouble], Awaitable[None]]


def play(
    state: Path,
    scene: Scene,
    users: dict[str, LocalUser] | None = None,
    upstreams: Callable[[ProviderDouble], tuple[Upstream, ...]] = lambda double: (upstream(double),),
    agents: dict[str, LocalAgent] | None = None,
) -> None:
    """A scene with an issuer whose people come from the double."""

    async def act(double: ProviderDouble) -> None:
        store = await Store.open(state)
        try:
            issuer = Issuer()
            config = EmbeddedIssuer(users or {}, agents=agents or {}, upstreams=upstreams(double))
            await issuer.start(store, config)
            await scene(issuer, double)
        finally:
            await store.close()

    with ProviderDouble().running() as double:
        asyncio.run(act(double))
