"""A session on standby: opened by the first client that proves itself, ended after the last, opened by the next."""

from __future__ import annotations

import asyncio
import io
import select
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import DiagnosticField, PGconn, PollingStatus
from psycopg.pq.abc import PGresult

from hoopx_broker.api.messages import Open, Refusal, Waiting
from hoopx_broker.api.proof import ProofKey
from hoopx_broker.terms.errors import Unauthenticated
from hoopx_broker.terms.secret import Secret
from hoopx_broker.tunnel.client import Broker
from hoopx_broker.wire.postgres import messages
from hoopx_cli.credential import Credential
from hoopx_cli.listener import Listener, listening
from hoopx_cli.output import Output
from hoopx_cli.session import Entrance
from hoopx_cli.settings import Settings
from hoopx_cli.standby import Standby
from tests.unit.cli_broker_double import TOKEN, BrokerDouble, opened

PASSWORD = Secret("of this socket alone")
WAITING = Waiting("r_1", {"dba": 1}, ("sensitive",), "it needs a look", 4_000_000_000)
LONG = 60.0


@pytest.fixture
def double(tmp_path: Path) -> Iterator[BrokerDouble]:
    with BrokerDouble(tmp_path).running() as running:
        yield running


class Play:
    """A socket with a session on standby behind it, in front of a double of the broker."""

    def __init__(self, double: BrokerDouble, folder: Path, idle: float, wait: int) -> None:
        self.double = double
        self.said = io.StringIO()
        self.entered = 0
        self.fails: Exception | None = None
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE  # the double is on trial, not its certificate
        out = Output(io.StringIO(), self.said, {})
        out.is_verbose = True
        credential = Credential(Secret(TOKEN), ProofKey.create(), "Bearer")
        entrance = Entrance(
            Settings(double.url, None, folder), Broker(double.url, tls), credential, lambda: credential, out
        )

        async def enter() -> Entrance:
            self.entered += 1
            if self.fails is not None:
                raise self.fails
            return entrance

        self.standby = Standby(enter, Open("prod-db", wait=wait), idle, out)
        self.listener = Listener(self.standby.dial, PASSWORD, out.say, self.standby)
        self.port = 0

    def dsn(self, password: str = PASSWORD.reveal()) -> str:
        where = f"host=127.0.0.1 port={self.port} user=anyone dbname=app sslmode=disable"
        return f"{where} connect_timeout=20 password='{password}'"

    async def client(self, password: str = PASSWORD.reveal()) -> psycopg.AsyncConnection[tuple[object, ...]]:
        return await psycopg.AsyncConnection.connect(self.dsn(password), autocommit=True)


@asynccontextmanager
async def standing_by(double: BrokerDouble, folder: Path, idle: float = LONG, wait: int = 60) -> AsyncIterator[Play]:
    play = Play(double, folder, idle, wait)
    on = socket.create_server(("127.0.0.1", 0))
    on.settimeout(0)
    play.port = on.getsockname()[1]
    try:
        async with listening(on, play.listener):
            yield play
    finally:
        await play.standby.close()


async def soon(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not look():  # noqa: ASYNC110  what is awaited happens in the double's thread
            await asyncio.sleep(0.01)


def played(scene: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await scene()

    asyncio.run(run())


def test_nobody_without_the_password_opens_a_session(double: BrokerDouble, tmp_path: Path) -> None:
    async def scene() -> None:
        async with standing_by(double, tmp_path) as play:
            with pytest.raises(psycopg.OperationalError, match="wrong password"):
                await play.client("guess")
            _, writer = await asyncio.open_connection("127.0.0.1", play.port)
            writer.write(messages.startup({"user": "anyone", "database": "app"}))
            await asyncio.sleep(0.2)
            writer.close()
            assert (play.entered, double.orders) == (0, [])

    played(scene)


def test_a_cancel_request_opens_no_session(double: BrokerDouble, tmp_path: Path) -> None:
    """It proves nothing: whoever reaches the port may send one."""

    async def scene() -> None:
        async with standing_by(double, tmp_path) as play:
            reader, writer = await asyncio.open_connection("127.0.0.1", play.port)
            writer.write(messages.cancel_request(b"\0\0\0\7\0\0\0\x2a"))
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            assert play.entered == 0

    played(scene)


def test_the_first_client_opens_it_and_the_next_ones_share_it(double: BrokerDouble, tmp_path: Path) -> None:
    async def scene() -> None:
        async with standing_by(double, tmp_path) as play:
            clients = await asyncio.gather(*(play.client() for _ in range(5)))
            assert [order.target for order in double.orders] == ["prod-db"]
            assert await (await clients[0].execute("hello")).fetchone() == ("hello",)
            for client in clients:
                await client.close()
            assert double.hangups == 0, "it is kept for a while"
        assert double.hangups == 1, "and ends with the command"

    played(scene)


def test_a_session_without_clients_ends_and_the_next_client_opens_another(double: BrokerDouble, tmp_path: Path) -> None:
    async def scene() -> None:
        async with standing_by(double, tmp_path, idle=0.3) as play:
            client = await play.client()
            await asyncio.sleep(0.6)
            assert double.hangups == 0, "a client that is there is no idle session, however quiet it is"
            await client.close()
            await soon(lambda: double.hangups == 1)
            assert "nobody uses it" in play.said.getvalue()
            async with await play.client():
                assert (len(double.orders), play.entered) == (2, 2)

    played(scene)


def test_a_client_in_time_keeps_the_session(double: BrokerDouble, tmp_path: Path) -> None:
    async def scene() -> None:
        async with standing_by(double, tmp_path, idle=0.5) as play:
            for _ in range(4):
                async with await play.client():
                    pass
                await asyncio.sleep(0.2)
            assert (len(double.orders), double.hangups) == (1, 0)

    played(scene)


def test_a_session_that_was_ended_is_opened_again_by_the_next_client(double: BrokerDouble, tmp_path: Path) -> None:
    async def scene() -> None:
        async with standing_by(double, tmp_path) as play:
            await (await play.client()).close()
            double.end_sessions("dora ended it")
            await soon(lambda: "dora ended it" in play.said.getvalue())
            async with await play.client():
                assert len(double.orders) == 2

    played(scene)


def test_a_broker_that_was_lost_is_asked_again(double: BrokerDouble, tmp_path: Path) -> None:
    async def scene() -> None:
        async with standing_by(double, tmp_path) as play:
            await (await play.client()).close()
            double.vanish()
            await soon(lambda: "the broker was lost" in play.said.getvalue())
            async with await play.client():
                assert len(double.orders) == 2

    played(scene)


class Connecting:
    """A libpq client that connects, and hears notices while it does, as psql does."""

    def __init__(self, play: Play) -> None:
        self.heard: list[str] = []
        self._connection = PGconn.connect_start(play.dsn().encode())
        self._connection.notice_handler = self._hear

    def finish(self) -> psycopg.Connection[tuple[object, ...]]:
        """Wait until it is connected."""
        while (state := self.look()) is not PollingStatus.OK:
            assert state is not PollingStatus.FAILED, self._connection.error_message
        return psycopg.Connection(self._connection)

    def look(self) -> PollingStatus:
        """Go on by one step, or for a tenth of a second."""
        state = PollingStatus(self._connection.connect_poll())
        socket_ = [self._connection.socket]
        reads = socket_ if state is PollingStatus.READING else []
        writes = socket_ if state is PollingStatus.WRITING else []
        select.select(reads, writes, [], 0.1)
        return state

    def leave(self) -> None:
        self._connection.finish()

    def _hear(self, result: PGresult) -> None:
        self.heard.append((result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b"").decode())


TOLD = ["this session waits for 1 of `dba`: request `r_1`"]


def test_the_first_client_waits_for_people_and_is_told_so(double: BrokerDouble, tmp_path: Path) -> None:
    double.answers = lambda _: [WAITING]

    async def scene() -> None:
        async with standing_by(double, tmp_path) as play:
            first, late = Connecting(play), Connecting(play)
            both = [asyncio.create_task(asyncio.to_thread(client.finish)) for client in (first, late)]
            await soon(lambda: first.heard == TOLD and late.heard == TOLD)
            assert not any(one.done() for one in both)
            double.say(opened())
            for connection in await asyncio.gather(*both):
                said = await asyncio.to_thread(connection.execute, "hello")
                assert said.fetchone() == ("hello",)
                connection.close()
            assert "r_1" in play.said.getvalue(), "whoever sits in front is told, too"
            assert len(double.orders) == 1

    played(scene)


def test_nobody_is_asked_any_more_when_every_client_has_left(double: BrokerDouble, tmp_path: Path) -> None:
    double.answers = lambda _: [WAITING]

    async def scene() -> None:
        async with standing_by(double, tmp_path) as play:
            client = Connecting(play)
            while not client.heard:
                await asyncio.to_thread(client.look)
            client.leave()
            await soon(lambda: not double.live)
            double.answers = lambda order: [opened(order.target)]
            async with await play.client():
                assert len(double.orders) == 2

    played(scene)


@pytest.mark.parametrize(
    ("refusal", "sqlstate"),
    [
        (Refusal("rule `x` forbids a session on `prod-db`", "ask", 10), "42501"),
        (Refusal("`dora` denied request `r_1`", "", 13), "42501"),
        (Refusal("no lease", "", 15), "08006"),
    ],
)
def test_a_refusal_reaches_the_client_and_the_next_one_asks_again(
    double: BrokerDouble, tmp_path: Path, refusal: Refusal, sqlstate: str
) -> None:
    double.answers = lambda _: [refusal]

    async def scene() -> None:
        async with standing_by(double, tmp_path) as play:
            with pytest.raises(psycopg.OperationalError) as refused:
                await play.client()
            assert refusal.message in str(refused.value)
            assert refused.value.sqlstate in (sqlstate, None)  # libpq tells the code of a login's error only lately
            double.answers = lambda order: [opened(order.target)]
            async with await play.client():
                assert len(double.orders) == 2

    played(scene)


def test_whoever_may_not_wait_is_told_the_request_and_may_come_again(double: BrokerDouble, tmp_path: Path) -> None:
    double.answers = lambda _: [WAITING]

    async def scene() -> None:
        async with standing_by(double, tmp_path, wait=0) as play:
            with pytest.raises(psycopg.OperationalError) as refused:
                await play.client()
            assert "request r_1" in str(refused.value)
            assert "connect again once it is approved" in str(refused.value)
            double.answers = lambda order: [opened(order.target)]
            async with await play.client():
                assert len(double.orders) == 2

    played(scene)


def test_a_login_that_has_ended_is_told_and_tried_again(double: BrokerDouble, tmp_path: Path) -> None:
    async def scene() -> None:
        async with standing_by(double, tmp_path) as play:
            play.fails = Unauthenticated("your login has ended", "log in again with `hoopx login`")
            with pytest.raises(psycopg.OperationalError, match="your login has ended"):
                await play.client()
            play.fails = None
            async with await play.client():
                assert play.entered == 2

    played(scene)


def test_the_end_of_the_command_ends_an_opening_too(double: BrokerDouble, tmp_path: Path) -> None:
    double.answers = lambda _: [WAITING]

    async def scene() -> None:
        async with standing_by(double, tmp_path) as play:
            waiting = asyncio.create_task(play.client())
            await soon(lambda: bool(double.orders))
        await soon(lambda: not double.live)
        with pytest.raises(psycopg.OperationalError):
            await waiting

    played(scene)
