"""The broker's own pages on a held clock: a desk, the issuer inside the broker, and browsers."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from html import unescape
from itertools import count
from pathlib import Path
from typing import Any, cast

import httpx2
from msgspec import Struct
from starlette.applications import Starlette

from hoopx_broker.api.messages import RequestView
from hoopx_broker.approvals.desk import Desk
from hoopx_broker.approvals.matter import Matter
from hoopx_broker.daemon.pages.paper import Paper
from hoopx_broker.daemon.pages.requests import Pages
from hoopx_broker.daemon.pages.signing_in import SigningIn
from hoopx_broker.daemon.requests import Requests
from hoopx_broker.identity.bindings import Bindings
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.embedded.routes import routes
from hoopx_broker.identity.possession import Registers
from hoopx_broker.identity.proofs import Spent
from hoopx_broker.identity.standing import Revocation, Standing
from hoopx_broker.identity.verify import trust
from hoopx_broker.identity.visiting.trips import Trips
from hoopx_broker.identity.visiting.visits import Visits
from hoopx_broker.identity.visiting.ways import Ways
from hoopx_broker.session.live import Sessions
from hoopx_broker.session.loyalty import Loyalty
from hoopx_broker.session.opening import Opening
from hoopx_broker.session.services import Services
from hoopx_broker.storage.sessions import Sessions as Stored
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.approvals import Conditions
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Ask
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import EmbeddedIssuer, LocalUser, OidcIssuer
from tests.peers.state import state_in
from tests.unit.issuer_stage import HOME, HOST, START, fields

PASSWORD = "correct horse battery staple"
GROUPS = {
    "ann": ("developers",),
    "ann-admin": ("dba",),
    "dora": ("dba",),
    "dave": ("dba",),
    "sam": ("security",),
    "eve": ("sales",),
}
ANN = Principal("ann", "human", GROUPS["ann"])
DELETION = Matter("statement", "prod-db", "sha256:1", statement="delete from orders where id = 7")
OPENING = Matter("session", "prod-db", "sha256:1", duration=5400)
ONE_DBA = Ask("needs a look", ("sensitive",), {"dba": 1})
TWO_DBAS = Ask("needs two looks", ("sensitive",), {"dba": 2})
GLASS = Ask(
    "needs a look", ("sensitive",), {"dba": 1}, "", Conditions(breakers=(("developers",),), reviewers={"security": 1})
)


class PagesStage:
    """`now` is the clock of everybody. `refreshed` counts how often what is unmasked was looked at anew."""

    def __init__(self, store: Store, url: str = HOST) -> None:
        self.store, self.url = store, url
        self.now = START
        self.notes: list[str] = []
        self.refreshed = 0

    async def open(self, issuers: Sequence[OidcIssuer] = ()) -> None:
        users = {name: LocalUser(name, Secret(PASSWORD), groups) for name, groups in GROUPS.items()}
        self.standing = await Standing.load(self.store, self.clock)
        self.embedded = await Embedded.create(
            EmbeddedIssuer(users), self.url, self.store, self.clock, standing=self.standing
        )
        numbers = count(1)
        accounts = [["ann", "ann-admin"]]
        self.desk = Desk(self.store, self.clock, lambda: RequestId(f"r_{next(numbers)}"), accounts=accounts)
        self.app = self.broker(issuers)

    def broker(self, issuers: Sequence[OidcIssuer] = ()) -> Starlette:
        """A broker on this state: there may be several."""
        trusted = [trust(issuer, self.clock) for issuer in issuers]
        registers = Registers(Bindings(self.store), self.standing, Spent(self.clock))
        ways = Ways.lay(trusted, self.embedded, self.url, registers, self.clock, self.notes.append)
        trips = Trips(self.store, self.clock, os.urandom)
        self.visits = Visits(self.store, self.standing, self.clock, os.urandom)
        loyalty = Loyalty(Sessions(), self.standing)
        signing_in = SigningIn(ways, trips, self.visits, loyalty, Paper(self.url), self.url)
        services, opening = _Services(self.desk, Stored(self.store)), _Opening(self)
        requests = Requests(cast(Services, services), cast(Opening, opening))
        self.pages = Pages(requests, self.desk, self.clock, signing_in)
        return Starlette(routes=[*routes(self.embedded), *self.pages.routes()])

    def clock(self) -> float:
        return self.now

    def browser(self, app: Starlette | None = None) -> Browser:
        """One that nobody has used yet."""
        transport = httpx2.ASGITransport(app=app or self.app, client=(HOME, 40000))
        return Browser(httpx2.AsyncClient(transport=transport, base_url=self.url, trust_env=False))

    async def of(self, who: str) -> Browser:
        """The browser of somebody who is signed in."""
        browser = self.browser()
        page = await browser.sign_in(who)
        assert page.status_code == 200, page.text
        return browser

    async def ask(
        self, matter: Matter = DELETION, ruling: Ask = ONE_DBA, requester: Principal = ANN, **said: Any
    ) -> RequestView:
        given: dict[str, Any] = {"reason": "a customer asked", "ticket": "OPS-7", "wait": 900} | said
        return await self.desk.ask(matter, requester, ruling, **given)

    async def break_glass(self) -> RequestView:
        return await self.desk.break_glass(DELETION, ANN, GLASS, reason="the shop is down")

    async def state(self, view: RequestView) -> str:
        return (await self.desk.get(RequestId(view.id))).state

    async def revoke(self, user: str) -> None:
        await self.standing.revoke(Revocation("user", "", user, self.now, "sam", "left"))

    async def rows(self, sql: str) -> list[Any]:
        return await self.store.run(lambda connection: connection.execute(sql).fetchall())

    async def refresh(self) -> None:
        self.refreshed += 1


class _Services(Struct):
    """Those of all services that calls about requests work with."""

    desk: Desk
    stored: Stored


class _Opening:
    """Has what is unmasked looked at anew: by counting how often."""

    def __init__(self, stage: PagesStage) -> None:
        self.unmaskings = stage


class Browser:
    """Follows nothing by itself, so that each step can be looked at."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self.client.get(path, headers=headers)

    async def post(self, path: str, form: dict[str, str], **headers: str) -> httpx2.Response:
        return await self.client.post(
            path, data=form, headers={name.replace("_", "-"): said for name, said in headers.items()}
        )

    async def answer(self, page: httpx2.Response, word: str, comment: str = "", **changes: str) -> httpx2.Response:
        """Press a button of a request's page."""
        form = fields(page) | {"answer": word, "comment": comment} | changes
        return await self.post(str(page.url.path), form)

    async def say(self, view: RequestView, word: str, comment: str = "") -> httpx2.Response:
        return await self.answer(await self.get(f"/requests/{view.id}"), word, comment)

    async def leave(self, page: httpx2.Response, way: str = "embedded") -> str:
        """Choose where to sign in; where the browser is led."""
        led = await self.post(f"/login/{way}", fields(page))
        assert led.status_code == 200, led.text
        found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', led.text)
        assert found is not None
        return unescape(found[1])

    async def at_issuer(self, url: str, who: str) -> str:
        """Through the pages of the issuer inside the broker; the address that it sends the browser back to."""
        page = await self.client.get(url)
        back = await self.post("/oidc/login", fields(page) | {"user": who, "password": PASSWORD})
        assert back.status_code == 303, back.text
        return back.headers["location"]

    async def sign_in(self, who: str, at: str = "/requests") -> httpx2.Response:
        """From a page that asks for it, to that page."""
        return await self.come_back(await self.at_issuer(await self.leave(await self.get(at)), who))

    async def come_back(self, address: str) -> httpx2.Response:
        arrived = await self.client.get(address)
        return await self.get(arrived.headers["location"]) if arrived.status_code == 303 else arrived


Play = Callable[[Callable[[PagesStage], Awaitable[None]]], None]


def player(folder: Path, issuers: Sequence[OidcIssuer] = ()) -> Play:
    """Plays a scene whose state lies in `folder`, or is the database in its place."""

    def play(scene: Callable[[PagesStage], Awaitable[None]]) -> None:
        async def act() -> None:
            store = await Store.open(state_in(folder))
            try:
                stage = PagesStage(store)
                await stage.open(issuers)
                await scene(stage)
            finally:
                await store.close()

        asyncio.run(act())

    return play
