"""The embedded issuer on a held clock, with devices and browsers at addresses of their choice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2
import jwt
from starlette.applications import Starlette

from hoopx_broker.identity.embedded.endpoints import DEVICE_GRANT
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.embedded.routes import routes
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

    async def start(self, store: Store, config: EmbeddedIssuer | None = None) -> None:
        self.store = store
        self.embedded = await Embedded.create(config or EmbeddedIssuer(users()), HOST, store, lambda: self.now)
        self.app = Starlette(routes=routes(self.embedded))

    def visitor(self, address: str = HOME) -> httpx2.AsyncClient:
        """A browser or a device with cookies of its own, on another machine."""
        transport = httpx2.ASGITransport(app=self.app, client=(address, 40000))
        return httpx2.AsyncClient(transport=transport, base_url=HOST, trust_env=False)

    async def post(self, path: str, address: str = HOME, **form: str) -> httpx2.Response:
        async with self.visitor(address) as client:
            return await client.post(f"/oidc/{path}", data=form)

    async def ask(self, address: str = HOME, scope: str = ALL, **more: str) -> dict[str, Any]:
        """A device asks for its codes."""
        answer = await self.post("device_authorization", address, client_id="hoopx-cli", scope=scope, **more)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

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

    async def who(self, token: str) -> Principal:
        notes: list[str] = []
        return (await Gate([self.embedded.trust()], lambda: self.now, notes.append).who(token))[0]


def said(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


@asynccontextmanager
async def issuer_at(state: Path) -> AsyncIterator[Issuer]:
    store = await Store.open(state)
    try:
        issuer = Issuer()
        await issuer.start(store)
        yield issuer
    finally:
        await store.close()


Play = Callable[[Callable[[Issuer], Awaitable[None]]], None]


def player(state: Path) -> Play:
    """Plays a scene with an issuer whose state lies at `state`."""

    def play(scene: Callable[[Issuer], Awaitable[None]]) -> None:
        async def act() -> None:
            async with issuer_at(state) as issuer:
                await scene(issuer)

        asyncio.run(act())

    return play
