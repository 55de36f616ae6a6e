"""Identity providers to log in at: a certified one in Node.js, and our own embedded one, behind one face.

A third, glewlwyd, has a module of its own."""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol

import httpx2
import uvicorn
from msgspec import Struct
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from hoopx_broker.api.messages import SignIn
from hoopx_broker.identity.bindings import Bindings
from hoopx_broker.identity.embedded.exchange import Subject
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.embedded.routes import routes
from hoopx_broker.identity.keys import Key
from hoopx_broker.identity.possession import Registers
from hoopx_broker.identity.proofs import Spent
from hoopx_broker.identity.standing import Standing
from hoopx_broker.identity.verify import Gate, Trust, trust
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import Claims, EmbeddedIssuer, LocalAgent, LocalUser, OidcIssuer
from hoopx_cli.signin import Prompt
from tests.peers import found
from tests.peers.browser import Browser, Page
from tests.peers.certificates import Authority
from tests.peers.processes import PATIENCE, bound_to_us, eventually

SILENCE = 25.0  # seconds; it speaks after one or two
SCOPES = ("openid", "profile", "email", "offline_access")
PASSWORD = "correct horse battery staple"
Tokens = Literal["jwt", "opaque"]


class Clock:
    """The world's time plus what was slept: waiting costs nothing, and a server sharing the clock sees it pass."""

    def __init__(self) -> None:
        self._slept = 0.0
        self.naps: list[float] = []

    def __call__(self) -> float:
        return time.time() + self._slept

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self._slept += seconds


class Desk(Protocol):
    """What an administrator of a provider does while it runs."""

    def set_groups(self, person: str, groups: Sequence[str]) -> None: ...

    def take_out(self, person: str) -> None: ...

    def turn_keys(self) -> None:
        """A new key signs from now on; the one before it stays published."""

    def withdraw_keys(self) -> None:
        """Only the key that signs stays published."""


class Provider(Struct, frozen=True, kw_only=True):
    """A running provider, where `ann` (developers) and `dora` (dba, developers) have accounts."""

    sign_in: SignIn
    tls: ssl.SSLContext
    trust: Trust
    clock: Clock
    shares_clock: bool
    desk: Desk
    interval: float = 5.0  # seconds between two polls of `hoopx login`: what the provider says, 5 where it says nothing
    says_slow_down: bool = False
    binds_tokens: bool = True  # to the key of a proof (RFC 9449)
    can_decline: bool = True
    can_revoke: bool = True
    has_opaque_sub: bool = False

    def terminal_clock(self) -> Clock:
        """The clock of somebody who logs in: a provider that lives by the world's time does not see them sleep."""
        return self.clock if self.shares_clock else Clock()

    def user_of(self, person: str) -> str:
        """As whom the broker knows them."""
        return person if self.trust.issuer.claims.user == "sub" else f"{person}@example.com"

    def answer(self, prompt: Prompt, person: str, says: Literal["yes", "no"] = "yes") -> Page:
        """Go through the provider's pages as a person does, to the last one."""
        with Browser(self.tls) as browser:
            page = browser.open(prompt.url)
            while page.form is not None:
                refusing = says == "no" and len(page.form.buttons) > 1
                page = browser.submit(page, self._filled(prompt, person), button=int(refusing))
                if refusing:
                    break
            return page

    def visit(self, url: str, person: str) -> Page:
        """Log in in a browser that was sent to `url`, and go where it is sent from there."""
        return self.answer(Prompt("", url, None, 0.0), person)

    def _filled(self, prompt: Prompt, person: str) -> dict[str, str]:
        return {"user_code": prompt.code, "login": person, "user": person, "password": PASSWORD}


class NodeDesk:
    """The test controls of `provider.mjs`."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer

    def set_groups(self, person: str, groups: Sequence[str]) -> None:
        self._do("groups", person=person, groups=list(groups))

    def take_out(self, person: str) -> None:
        self._do("take-out", person=person)

    def turn_keys(self) -> None:
        self._do("turn-keys")

    def withdraw_keys(self) -> None:
        self._do("withdraw-keys")

    def log_out(self, person: str) -> None:
        """They end their login at the provider, which tells whom `LOGOUT_URI` names."""
        self._do("log-out", person=person)

    def _do(self, what: str, **body: object) -> None:
        answer = httpx2.post(f"{self._issuer}/control/{what}", json=body, trust_env=False, timeout=30)
        assert answer.status_code == 204, answer.text


@contextmanager
def node_provider(tokens: Tokens, **environ: str) -> Iterator[Provider]:
    """npm `oidc-provider`; skips, visibly, where it is not installed. `provider.mjs` says what `environ` can ask."""
    found.require("node")
    found.require("oidc-provider")
    given = os.environ | {"ACCESS_TOKENS": tokens, "NO_UPDATE_NOTIFIER": "1"} | environ
    command = [*bound_to_us(), "node", "provider.mjs"]
    process, issuer = _started(command, given)
    with process:
        try:
            clock = Clock()
            config = OidcIssuer(issuer, "hoopx", "human", Claims("email", "groups"), "hoopx-cli", SCOPES)
            yield Provider(
                sign_in=SignIn(issuer, "hoopx-cli", "hoopx", SCOPES),
                tls=ssl.create_default_context(),
                trust=trust(config, clock),
                clock=clock,
                shares_clock=False,
                desk=NodeDesk(issuer),
            )
        finally:
            process.kill()


def _started(command: Sequence[str], environ: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], str]:
    """The process and its issuer. Once in hundreds of starts node says nothing for minutes: it starts again."""
    for _ in range(3):
        process = subprocess.Popen(
            command, cwd=found.PEER_PROVIDER, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        if select.select([process.stdout], [], [], SILENCE)[0]:
            return process, json.loads(process.stdout.readline())["issuer"]
        with process:
            process.kill()
    raise RuntimeError("the provider in node did not start")


@contextmanager
def embedded_provider(directory: Path, agents: Mapping[str, LocalAgent] = MappingProxyType({})) -> Iterator[Provider]:
    """The issuer that a broker carries, on a TLS port of its own that the authority in `ca.pem` vouches for."""
    authority = Authority.make("hoopx test identity")
    tls = ssl.create_default_context(cafile=str(authority.write(directory / "ca.pem")))
    cert, key = authority.write_server(directory)
    clock = Clock()
    serving = _Serving(directory / "state.db", cert, key, clock, agents)
    with serving.running() as issuer:
        yield Provider(
            sign_in=issuer.sign_in(),
            tls=tls,
            trust=replace(issuer.trust(), keys=serving),
            clock=clock,
            shares_clock=True,
            desk=serving,
            interval=2.0,
        )


def people() -> dict[str, LocalUser]:
    return {
        "ann": LocalUser("ann", Secret(PASSWORD), ("developers",), "ann@example.com"),
        "dora": LocalUser("dora", Secret(PASSWORD), ("dba", "developers"), "dora@example.com"),
    }


class _Serving:
    """Runs an event loop of its own in a thread, for tests that talk to the issuer with blocking clients.

    As desk it does what an administrator of the broker does: changes the configuration and starts anew, on the same
    state. As `KeySource` it gives the keys of the issuer that runs now.
    """

    def __init__(self, state: Path, cert: Path, key: Path, clock: Clock, agents: Mapping[str, LocalAgent]) -> None:
        self._state, self._cert, self._key, self._clock = state, cert, key, clock
        self._agents = dict(agents)
        self._users = people()
        self._url = ""
        self._issuer: Embedded | None = None
        self._store: Store | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None

    @contextmanager
    def running(self) -> Iterator[Embedded]:
        thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        thread.start()
        try:
            eventually(lambda: self._server is not None and self._server.started, "the embedded issuer listens")
            yield self._now
        finally:
            if self._server is not None:
                self._server.should_exit = True
            thread.join(PATIENCE)

    def set_groups(self, person: str, groups: Sequence[str]) -> None:
        self._users[person] = replace(self._users[person], groups=tuple(groups))
        self._start_anew()

    def take_out(self, person: str) -> None:
        del self._users[person]
        self._start_anew()

    def turn_keys(self) -> None:
        """As if a month had passed."""
        self._in_state("UPDATE identity_keys SET since = since - 2600000 WHERE state = 'current'")

    def withdraw_keys(self) -> None:
        """As if an hour had passed."""
        self._in_state("DELETE FROM identity_keys WHERE state = 'retired'")

    async def find(self, kid: str | None, alg: str) -> Key | None:
        return await self._now.keys.find(kid, alg)

    @property
    def _now(self) -> Embedded:
        assert self._issuer is not None
        return self._issuer

    def _in_state(self, sql: str) -> None:
        assert self._store is not None
        assert self._loop is not None
        work = self._store.run(lambda connection: connection.execute(sql).rowcount)
        assert asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE) == 1
        self._start_anew()

    def _start_anew(self) -> None:
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(PATIENCE)

    async def _open(self) -> None:
        assert self._store is not None
        config = EmbeddedIssuer(dict(self._users), agents=self._agents)
        standing = await Standing.load(self._store, self._clock)
        self._issuer = await Embedded.create(config, self._url, self._store, self._clock, standing=standing)
        registers = Registers(Bindings(self._store), standing, Spent(self._clock))
        self._gate = Gate([self._issuer.trust()], self._clock, lambda _: None, registers)
        self._web = Starlette(routes=routes(self._issuer, self._identify))

    async def _identify(self, token: Secret, key: str) -> Subject:
        identity = await self._gate.exchanged(token, key)
        return Subject(identity.who, identity.expires_at, identity.login)

    async def _serve(self) -> None:
        # The issuer's name holds its port, so the port is taken before there is an issuer.
        self._loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self._url = f"https://127.0.0.1:{listening.getsockname()[1]}"
            self._store = await Store.open(self._state)
            try:
                await self._open()
                self._server = uvicorn.Server(self._configured())
                await self._server.serve([listening])
            finally:
                await self._store.close()

    def _configured(self) -> uvicorn.Config:
        async def web(scope: Scope, receive: Receive, send: Send) -> None:
            await self._web(scope, receive, send)

        return uvicorn.Config(
            web,
            ssl_certfile=self._cert,
            ssl_keyfile=self._key,
            log_config=None,
            lifespan="off",
            ws="none",
            proxy_headers=False,
        )
