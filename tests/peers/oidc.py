"""Identity providers to log in at: a certified one in Node.js, and our own embedded one, behind one face."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import uvicorn
from msgspec import Struct
from starlette.applications import Starlette

from hoopx_broker.api.messages import SignIn
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.embedded.routes import routes
from hoopx_broker.identity.verify import Trust, trust
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import Claims, EmbeddedIssuer, LocalUser, OidcIssuer
from hoopx_cli.signin import Prompt
from tests.peers import found
from tests.peers.browser import Browser, Page
from tests.peers.certificates import Authority
from tests.peers.processes import PATIENCE, bound_to_us, eventually

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


class Provider(Struct, frozen=True):
    """A running provider, where `ann` (developers) and `dora` (dba, developers) have accounts."""

    sign_in: SignIn
    tls: ssl.SSLContext
    trust: Trust
    clock: Clock
    shares_clock: bool

    def terminal_clock(self) -> Clock:
        """The clock of somebody who logs in: a provider that lives by the world's time does not see them sleep."""
        return self.clock if self.shares_clock else Clock()

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

    def _filled(self, prompt: Prompt, person: str) -> dict[str, str]:
        return {"user_code": prompt.code, "login": person, "user": person, "password": PASSWORD}


@contextmanager
def node_provider(tokens: Tokens) -> Iterator[Provider]:
    """npm `oidc-provider`; skips, visibly, where it is not installed."""
    found.require("node")
    found.require("oidc-provider")
    environ = os.environ | {"ACCESS_TOKENS": tokens, "NO_UPDATE_NOTIFIER": "1"}
    command = [*bound_to_us(), "node", "provider.mjs"]
    with subprocess.Popen(
        command, cwd=found.PEER_PROVIDER, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout is not None
            issuer = json.loads(process.stdout.readline())["issuer"]
            clock = Clock()
            config = OidcIssuer(issuer, "hoopx", "human", Claims("email", "groups"), "hoopx-cli", SCOPES)
            yield Provider(
                SignIn(issuer, "hoopx-cli", "hoopx", SCOPES),
                ssl.create_default_context(),
                trust(config, clock),
                clock,
                shares_clock=False,
            )
        finally:
            process.kill()


@contextmanager
def embedded_provider(directory: Path) -> Iterator[Provider]:
    """The issuer that a broker carries, on a TLS port of its own."""
    authority = Authority.make("hoopx test identity")
    tls = ssl.create_default_context(cafile=str(authority.write(directory / "ca.pem")))
    cert, key = authority.write_server(directory)
    clock = Clock()
    serving = _Serving(directory / "state.db", cert, key, clock)
    with serving.running() as issuer:
        yield Provider(issuer.sign_in(), tls, issuer.trust(), clock, shares_clock=True)


def people() -> dict[str, LocalUser]:
    return {
        "ann": LocalUser("ann", Secret(PASSWORD), ("developers",), "ann@example.com"),
        "dora": LocalUser("dora", Secret(PASSWORD), ("dba", "developers"), "dora@example.com"),
    }


class _Serving:
    """Runs an event loop of its own in a thread, for tests that talk to the issuer with blocking clients."""

    def __init__(self, state: Path, cert: Path, key: Path, clock: Clock) -> None:
        self._state, self._cert, self._key, self._clock = state, cert, key, clock
        self._ready: list[Embedded] = []
        self._server: uvicorn.Server | None = None

    @contextmanager
    def running(self) -> Iterator[Embedded]:
        thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        thread.start()
        try:
            eventually(lambda: self._server is not None and self._server.started, "the embedded issuer listens")
            yield self._ready[0]
        finally:
            if self._server is not None:
                self._server.should_exit = True
            thread.join(PATIENCE)

    async def _serve(self) -> None:
        # The issuer's name holds its port, so the port is taken before there is an issuer.
        with socket.create_server(("127.0.0.1", 0)) as listening:
            url = f"https://127.0.0.1:{listening.getsockname()[1]}"
            store = await Store.open(self._state)
            try:
                config = EmbeddedIssuer(people())
                issuer = await Embedded.create(config, url, store, self._clock)
                self._ready.append(issuer)
                self._server = uvicorn.Server(self._web(issuer))
                await self._server.serve([listening])
            finally:
                await store.close()

    def _web(self, issuer: Embedded) -> uvicorn.Config:
        return uvicorn.Config(
            Starlette(routes=routes(issuer)),
            ssl_certfile=self._cert,
            ssl_keyfile=self._key,
            log_config=None,
            lifespan="off",
            ws="none",
            proxy_headers=False,
        )
