"""Part from a PostgreSQL server: by the lease's own login cut all that uses it, and see that the login is refused."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from functools import partial

import psycopg

from hoopx_broker.seams.libpq import keywords
from hoopx_broker.session.backend import Backend
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Credential, DatabaseLogin
from hoopx_broker.terms.targets import Target
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Effect, Send, Side, StartTls
from hoopx_broker.wire.postgres.frames import ERROR, READY, Frame, Framer
from hoopx_broker.wire.postgres.login import Login, LoginFailed, Upstream, refusal
from hoopx_broker.wire.postgres.messages import error_fields

CONNECT_SECONDS = 5
LOOKS, BETWEEN_LOOKS = 50, 0.05  # a backend ends within milliseconds of being told
_NONCE_BYTES = 18
# "Invalid authorization specification": the role is gone, may not log in, or has another password.
_REFUSED = "28"

# A role may end its own sessions without any privilege, and sees them all.
_CUT = """
SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
WHERE usename OPERATOR(pg_catalog.=) SESSION_USER AND pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
"""


class PostgresParting:
    """Asked only about logins that are of one lease alone."""

    async def cut(self, credential: Credential, target: Target) -> None:
        """Terminate every other backend of the login, and see them gone; nothing to do where it is refused already."""
        login = _login(credential)
        try:
            async with await psycopg.AsyncConnection.connect(
                **keywords(target),
                dbname=target.database,
                user=login.user,
                password=login.password.reveal(),
                connect_timeout=CONNECT_SECONDS,
                options="-c statement_timeout=5000",
                application_name="hoopx end",
                autocommit=True,
            ) as connection:
                await _cut_all(connection)
        except psycopg.Error as error:
            if await self.is_refused(credential, target):
                return
            raise BackendFailed(f"`{target.name}` did not let go: {type(error).__name__}") from None

    async def is_refused(self, credential: Credential, target: Target) -> bool:
        """One login, given up when the server has decided. Raises `BackendFailed` where it decided nothing."""
        return await _Attempt(_login(credential), target).is_refused()


async def _cut_all(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
    for _ in range(LOOKS):
        if not await (await connection.execute(_CUT)).fetchall():
            return
        await asyncio.sleep(BETWEEN_LOOKS)
    raise BackendFailed("a connection of the lease's login does not end")


class _Attempt:
    """A login by our own engine, which tells the server's code apart from its words, whatever their language."""

    def __init__(self, login: DatabaseLogin, target: Target) -> None:
        tls = target.tls.mode != "disable"
        verified = target.tls.mode in ("verify-ca", "verify-full")
        self._target = target
        self._login = Login(Upstream(login, target.database, tls, verified), secrets.token_bytes(_NONCE_BYTES))
        self._framer = Framer(Side.BACKEND)
        if tls:
            self._framer.expect_tls_answer()
        self._backend = Backend(target, self)
        self._outcome: bool | Exception | None = None
        self._told = asyncio.Event()  # the server answered: with its decision, or that it takes TLS

    async def is_refused(self) -> bool:
        try:
            await self._backend.open()
            self._turn(lambda: self._login.start({"application_name": "hoopx end"}))
            await self._told.wait()
            if self._outcome is None:
                self._told.clear()
                binding = await self._backend.secure()
                self._turn(lambda: self._login.on_tls(binding))
                await self._told.wait()
        except (OSError, TimeoutError) as error:
            self._outcome = error
        finally:
            self._backend.close()
        if isinstance(self._outcome, bool):
            return self._outcome
        told = str(self._outcome) if isinstance(self._outcome, LoginFailed) else type(self._outcome).__name__
        raise BackendFailed(f"`{self._target.name}` could not be asked: {told}")

    def _turn(self, step: Callable[[], list[Effect]]) -> None:
        try:
            for effect in step():
                match effect:
                    case Send(data=data):
                        self._backend.send(data)
                    case StartTls():
                        self._told.set()
                    case _:
                        raise BrokenPeer("a login asks for something else than to send")
        except LoginFailed as error:
            self._decide(True if error.code.startswith(_REFUSED) else error)
        except BrokenPeer as error:
            self._decide(error)

    def _decide(self, outcome: bool | Exception) -> None:
        if self._outcome is None:
            self._outcome = outcome
            self._told.set()

    # What the backend says.

    def backend_says(self, data: bytes) -> None:
        try:
            frames = self._framer.feed(data)
        except BrokenPeer as error:
            self._decide(error)
            return
        for frame in frames:
            if self._outcome is None:
                self._turn(partial(self._on_frame, frame))

    def _on_frame(self, frame: Frame) -> list[Effect]:
        """Whether the role may log in at all is looked at only after its password."""
        if not self._login.done:
            return self._login.on_frame(frame)
        if frame.kind == READY:
            self._decide(False)  # noqa: FBT003 - the answer itself
        elif frame.kind == ERROR:
            raise refusal(error_fields(frame))
        return []

    def backend_left(self) -> None:
        self._decide(ConnectionResetError("the server hung up"))

    def backend_is_full(self) -> None:
        """A login is a few bytes."""

    def backend_has_room(self) -> None:
        """A login is a few bytes."""


def _login(credential: Credential) -> DatabaseLogin:
    if not isinstance(credential, DatabaseLogin):
        raise TypeError("a database has logins")
    return credential
