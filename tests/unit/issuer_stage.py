"""The embedded issuer on a held clock, with devices and browsers at addresses of their choice."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import jwt
from starlette.applications import Starlette

from hoopx_broker.api.proof import ProofKey
from hoopx_broker.identity.bindings import Bindings
from hoopx_broker.identity.claims import bound_to
from hoopx_broker.identity.embedded.endpoints import CODE_GRANT, DEVICE_GRANT, REFRESH_GRANT
from hoopx_broker.identity.embedded.exchange import Identify, Subject
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.embedded.routes import routes
from hoopx_broker.identity.jws import NotAccepted, read_token
from hoopx_broker.identity.possession import Registers
from hoopx_broker.identity.proofs import Spent
from hoopx_broker.identity.standing import Standing
from hoopx_broker.identity.verify import Gate
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import EmbeddedIssuer, LocalUser

START = 1_800_000_000.0
HOST = "https://broker.example.com:8443"
URL = f"{HOST}/oidc"
ALL = "openid profile email groups offline_access"
HOME = "192.0.2.7"
# A program on the person's machine, and what it makes for one login.
ADDRESS = "http://127.0.0.1:49152/answer"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def users() -> dict[str, LocalUser]:
    return {
        "ann": LocalUser("ann", Secret("ann's password"), ("developers",), "ann@example.com"),
        "bob": LocalUser("bob", Secret("bob's <b>pässword"), ()),
    }


class _Fields(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("name"):
            self.found[str(given["name"])] = given.get("value") or ""


def fields(page: httpx2.Response) -> dict[str, str]:
    return _Fields(page.text).found


class Issuer:
    """The stage: `now` is the issuer's clock."""

    def __init__(self) -> None:
        self.now = START
        self.embedded: Embedded
        self.app: Starlette

    async def start(self, store: Store, config: EmbeddedIssuer | None = None, identify: Identify | None = None) -> None:
        self.store = store
        self.notes: list[str] = []
        config = config or EmbeddedIssuer(users())
        self.standing = await Standing.load(store, self.clock)
        self.embedded = await Embedded.create(
            config, HOST, store, self.clock, note=self.notes.append, standing=self.standing
        )
        registers = Registers(Bindings(store), self.standing, Spent(self.clock))
        self.gate = Gate([self.embedded.trust()], self.clock, self.notes.append, registers)
        self.app = Starlette(routes=routes(self.embedded, identify or self.identify))

    def clock(self) -> float:
        return self.now

    def visitor(self, address: str = HOME) -> httpx2.AsyncClient:
        """A browser or a device with cookies of its own, on another machine."""
        transport = httpx2.ASGITransport(app=self.app, client=(address, 40000))
        return httpx2.AsyncClient(transport=transport, base_url=HOST, trust_env=False)

    async def post(self, path: str, address: str = HOME, **form: str) -> httpx2.Response:
        return await self.call(path, form, address=address)

    async def call(
        self, path: str, form: dict[str, str], headers: dict[str, str] | None = None, address: str = HOME
    ) -> httpx2.Response:
        async with self.visitor(address) as client:
            return await client.post(f"/oidc/{path}", data=form, headers=headers)

    async def token(self, grant: str, key: ProofKey | None = None, **form: str) -> httpx2.Response:
        """The token endpoint, with a proof by `key`."""
        headers = {"dpop": self.proof(key)} if key is not None else {}
        return await self.call("token", {"grant_type": grant, "client_id": "hoopx-cli"} | form, headers)

    def proof(self, key: ProofKey) -> str:
        return key.prove("POST", f"{URL}/token", self.now)

    async def ask(self, address: str = HOME, scope: str = ALL, **more: str) -> dict[str, Any]:
        """A device asks for its codes."""
        answer = await self.post("device_authorization", address, client_id="hoopx-cli", scope=scope, **more)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    # A program on the person's machine (authorization code).

    def asking(self, **changes: str) -> dict[str, str]:
        """What an honest program asks; a change to nothing takes the parameter away."""
        honest = {
            "client_id": "hoopx-cli",
            "redirect_uri": ADDRESS,
            "response_type": "code",
            "scope": ALL,
            "state": "s t&a=te",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in (honest | changes).items() if value}

    async def allow(self, answer: str = "allow", user: str = "ann", **changes: str) -> httpx2.Response:
        """A person whom a program sent goes through the pages to the redirect."""
        async with self.visitor() as browser:
            page = await browser.get("/oidc/authorize", params=self.asking(**changes))
            assert page.status_code == 200, page.text
            form = fields(page) | {"user": user, "password": users()[user].password.reveal()}
            page = await browser.post("/oidc/login", data=form)
            return await browser.post("/oidc/authorize/confirm", data=fields(page) | {"answer": answer})

    async def code(self, **changes: str) -> str:
        return told(await self.allow(**changes))["code"]

    async def redeem(self, code: str, key: ProofKey | None = None, **changes: str) -> httpx2.Response:
        form = {"code": code, "redirect_uri": ADDRESS, "code_verifier": VERIFIER} | changes
        return await self.token(CODE_GRANT, key, **{name: value for name, value in form.items() if value})

    async def bound(self, key: ProofKey, user: str = "ann") -> dict[str, Any]:
        """A login whose tokens are bound to `key`."""
        answer = await self.redeem(await self.code(user=user), key)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def renew(self, token: str, key: ProofKey | None = None) -> httpx2.Response:
        return await self.token(REFRESH_GRANT, key, refresh_token=token)

    async def poll(self, device_code: str, **more: str) -> httpx2.Response:
        form = {"grant_type": DEVICE_GRANT, "client_id": "hoopx-cli", "device_code": device_code} | more
        return await self.post("token", **form)

    async def refresh(self, token: str, client_id: str = "hoopx-cli") -> httpx2.Response:
        return await self.post("token", grant_type="refresh_token", client_id=client_id, refresh_token=token)

    async def decide(
        self, code: str, user: str = "ann", password: str = "ann's password", answer: str = "allow"
    ) -> httpx2.Response:
        """A person goes through the three pages."""
        async with self.visitor() as browser:
            page = await browser.post("/oidc/device", data={"user_code": code})
            form = fields(page) | {"user": user, "password": password}
            page = await browser.post("/oidc/login", data=form)
            return await browser.post("/oidc/device/confirm", data=fields(page) | {"answer": answer})

    async def log_in(self, user: str = "ann", password: str = "ann's password", scope: str = ALL) -> dict[str, Any]:
        device = await self.ask(scope=scope)
        assert (await self.decide(device["user_code"], user, password)).status_code == 200
        answer = await self.poll(device["device_code"])
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def identify(self, token: Secret, key: str | None = None) -> Subject:
        """As the broker checks what is to be exchanged; without `key`, whoever holds the token's own key."""
        identity = await self.gate.exchanged(token, key or key_of(token) or "of nobody")
        return Subject(identity.who, identity.expires_at, identity.login)

    async def who(self, token: str) -> Principal:
        """Whom the gate lets in by a bearer's token."""
        return (await self.gate.who(token))[0]


def key_of(token: Secret) -> str | None:
    """What a token says of its key, where it can be read."""
    try:
        return bound_to(read_token(token.reveal()).claims)
    except NotAccepted:
        return None


def told(redirect: httpx2.Response) -> dict[str, str]:
    """What a program is told by the address that its browser comes to."""
    assert redirect.status_code == 303, redirect.text
    return {name: one for name, [one] in parse_qs(urlsplit(redirect.headers["location"]).query).items()}


def error(answer: httpx2.Response) -> str:
    """The refusal of an endpoint."""
    assert answer.headers["cache-control"] == "no-store"
    assert answer.status_code in (400, 401, 413, 429)
    return str(answer.json()["error"])


def said(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


@asynccontextmanager
async def issuer_at(state: Path, config: EmbeddedIssuer | None = None) -> AsyncIterator[Issuer]:
    store = await Store.open(state)
    try:
        issuer = Issuer()
        await issuer.start(store, config)
        yield issuer
    finally:
        await store.close()


Play = Callable[[Callable[[Issuer], Awaitable[None]]], None]


def player(state: Path, config: EmbeddedIssuer | None = None) -> Play:
    """Plays a scene with an issuer whose state lies at `state`."""

    def play(scene: Callable[[Issuer], Awaitable[None]]) -> None:
        async def act() -> None:
            async with issuer_at(state, config) as issuer:
                await scene(issuer)

        asyncio.run(act())

    return play
