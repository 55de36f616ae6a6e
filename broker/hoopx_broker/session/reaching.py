"""Reach a stream's server once there is something to say to it: connect, secure, and log in within its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hoopx_broker.session.backend import Backend
from hoopx_broker.session.surroundings import Surroundings
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.wire.effects import Effect
from hoopx_broker.wire.postgres.engine import Engine

# From the first byte to the server until it is ready for statements. A healthy one takes milliseconds; the longest
# of PostgreSQL's own limits here, `authentication_timeout`, is a minute, but no person waits that long.
LOGIN_SECONDS = 20.0

Perform = Callable[[list[Effect]], None]
# Runs a step as a turn of the stream.
Turn = Callable[[Callable[[], None]], None]


class Reaching:
    """All methods are called on the event loop's thread. A server that is not reached ends the stream, in a turn."""

    def __init__(self, engine: Engine, backend: Backend, around: Surroundings, turn: Turn, perform: Perform) -> None:
        self._engine = engine
        self._backend = backend
        self._around = around
        self._turn = turn
        self._perform = perform
        self._logged_in = asyncio.Event()
        self.is_begun = False

    def begin(self) -> None:
        """Once: what is sent until it stands waits at the backend."""
        if not self.is_begun:
            self.is_begun = True
            self._around.crew.start(self._open(), "connect")

    def arrived(self) -> None:
        """The login is over, or nobody waits for it any more."""
        self._logged_in.set()

    async def _open(self) -> None:
        target = self._around.target
        place = f"{target.host}:{target.port}"
        try:
            if self._around.fresh is not None:
                self._engine.log_in_with(await self._around.fresh())
            await self._backend.open()
        except Exception as error:
            self._lose(f"cannot connect to {place}", error)
            return
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                await self._logged_in.wait()
        except TimeoutError:
            self._lose(f"{place} did not finish the login", TimeoutError(f"{LOGIN_SECONDS:.0f} s are over"))

    async def start_tls(self) -> None:
        try:
            binding = await self._backend.secure()
        except Exception as error:
            self._lose(f"TLS with {self._around.target.host} failed", error)
            return
        self._turn(lambda: self._perform(self._engine.on_tls(binding)))

    def _lose(self, what: str, error: Exception) -> None:
        self._turn(lambda: self._tell_lost(what, error))

    def _tell_lost(self, what: str, error: Exception) -> None:
        if not isinstance(error, OSError | HoopxError):  # neither the network's fault nor the credential source's
            self._around.crew.report("connect", error)
        why = str(error) or type(error).__name__
        self._around.tell("failed", f"{what}: {why}")
        self._perform(self._engine.fail(f"hoopx cannot reach `{self._around.target.name}`: {what}: {why}"))
