"""Local programs and their streams: who is joined, who is cut, and what waits for whom."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hoopx_broker.terms.errors import Denied, Unreachable
from hoopx_broker.terms.secret import Secret
from hoopx_broker.tunnel.client import Near, Stream
from hoopx_broker.wire.postgres import frames, messages
from hoopx_broker.wire.postgres.frames import message
from hoopx_broker.wire.postgres.scram import MECHANISM, ClientExchange
from hoopx_cli import listener as room
from hoopx_cli import sockets
from hoopx_cli.greeting import admission
from hoopx_cli.listener import Listener, LocalClient, listening

PASSWORD = Secret("of this session alone")
STARTUP = messages.startup({"user": "anyone", "database": "app"})
CANCEL = messages.cancel_request(b"\0\0\0\7\0\0\0\x2a")


class FarDouble(Stream):
    """A double of a stream: keeps what it is given."""

    def __init__(self, near: Near) -> None:
        super().__init__(near)
        self.near = near
        self.heard = b""
        self.is_paused = False
        self.is_closed = False

    def send(self, data: bytes) -> None:
        self.heard += data

    def stop_reading(self) -> None:
        self.is_paused = True

    def go_on_reading(self) -> None:
        self.is_paused = False

    def close(self) -> None:
        self.is_closed = True


class Play:
    """A listener on a real socket with doubles of streams behind it."""

    def __init__(self) -> None:
        self.streams: list[FarDouble] = []
        self.said: list[str] = []
        self.place: tuple[str, int] | str = ""
        self.listener: Listener
        self._writers: list[asyncio.StreamWriter] = []

    async def dial(self, near: Near) -> Stream:
        self.streams.append(FarDouble(near))
        return self.streams[-1]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.place, str):
            reader, writer = await asyncio.open_unix_connection(self.place)
        else:
            reader, writer = await asyncio.open_connection(*self.place)
        self._writers.append(writer)
        return reader, writer

    async def leave(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)

    async def log_in(self, startup: bytes = STARTUP) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await self.connect()
        exchange = ClientExchange(PASSWORD, b"c" * 18)
        writer.write(startup)
        await _message(reader)
        first = exchange.first()
        writer.write(message(frames.PASSWORD, MECHANISM + b"\0" + len(first).to_bytes(4, "big") + first))
        writer.write(message(frames.PASSWORD, exchange.final((await _message(reader))[9:])))
        exchange.finish((await _message(reader))[9:])
        return reader, writer


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(int.from_bytes(head[1:], "big") - 4)


@asynccontextmanager
async def on_port(dial: Callable[[Near], Awaitable[Stream]] | None = None) -> AsyncIterator[Play]:
    play = Play()
    made = socket.create_server(("127.0.0.1", 0))
    made.settimeout(0)
    play.place = made.getsockname()
    play.listener = Listener(dial or play.dial, PASSWORD, play.said.append)
    try:
        async with listening(made, play.listener):
            yield play
    finally:
        await play.leave()


@asynccontextmanager
async def on_file(path: Path) -> AsyncIterator[Play]:
    play = Play()
    with sockets.on_file(path) as made:
        play.place = str(path)
        play.listener = Listener(play.dial, None, play.said.append)
        try:
            async with listening(made.socket, play.listener):
                yield play
        finally:
            await play.leave()


async def soon(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not look():  # noqa: ASYNC110  what is awaited happens in sockets and doubles, which set no event
            await asyncio.sleep(0.005)


def test_a_client_with_the_password_is_joined_and_its_startup_goes_first() -> None:
    async def scene() -> None:
        async with on_port() as play:
            _, writer = await play.log_in()
            await soon(lambda: bool(play.streams) and play.streams[0].heard == STARTUP)
            writer.write(b"and then this")
            await soon(lambda: play.streams[0].heard == STARTUP + b"and then this")
            assert play.listener.streams == 1

    asyncio.run(scene())


def test_a_client_without_the_password_opens_nothing() -> None:
    async def scene() -> None:
        async with on_port() as play:
            reader, writer = await play.connect()
            writer.write(STARTUP)
            await _message(reader)
            writer.write(message(frames.PASSWORD, b"of this session alone\0"))
            assert b"SFATAL\0" in await reader.read()
            assert play.streams == []

    asyncio.run(scene())


def test_what_the_broker_says_reaches_the_client_and_its_end_closes_it() -> None:
    async def scene() -> None:
        async with on_port() as play:
            reader, _ = await play.log_in()
            await soon(lambda: bool(play.streams))
            play.streams[0].near.far_says(b"hello")
            play.streams[0].near.far_ended("")
            assert await reader.read() == b"hello"

    asyncio.run(scene())


def test_a_client_that_leaves_ends_its_stream() -> None:
    async def scene() -> None:
        async with on_port() as play:
            _, writer = await play.log_in()
            await soon(lambda: bool(play.streams))
            writer.close()
            await soon(lambda: play.streams[0].is_closed)
            assert play.listener.streams == 0

    asyncio.run(scene())


def test_a_client_that_leaves_while_its_stream_opens_leaves_no_stream() -> None:
    async def scene() -> None:
        opening, go = asyncio.Event(), asyncio.Event()
        streams: list[FarDouble] = []

        async def slowly(near: Near) -> Stream:
            opening.set()
            await go.wait()
            streams.append(FarDouble(near))
            return streams[0]

        async with on_port(slowly) as play:
            _, writer = await play.log_in()
            await opening.wait()
            writer.transport.abort()
            # Reading is paused while the stream opens, so the kernel's news comes with the next write or read.
            go.set()
            await soon(lambda: bool(streams) and streams[0].is_closed)

    asyncio.run(scene())


def test_a_slow_client_slows_the_broker_down() -> None:
    async def scene() -> None:
        async with on_port() as play:
            reader, _ = await play.log_in()
            await soon(lambda: bool(play.streams))
            far = play.streams[0]
            sent = 0
            while not far.is_paused:
                far.near.far_says(bytes(65536))
                sent += 65536
                await asyncio.sleep(0)
                assert sent < 64 * 1024 * 1024, "the listener keeps on buffering for a client that does not read"
            await reader.readexactly(sent)
            await soon(lambda: not far.is_paused)

    asyncio.run(scene())


def test_a_slow_broker_slows_the_client_down() -> None:
    async def scene() -> None:
        async with on_port() as play:
            _, writer = await play.log_in()
            await soon(lambda: bool(play.streams))
            far = play.streams[0]
            far.near.far_is_full()
            before = len(far.heard)
            writer.write(b"held back")
            await asyncio.sleep(0.05)
            assert len(far.heard) == before
            far.near.far_has_room()
            await soon(lambda: far.heard.endswith(b"held back"))

    asyncio.run(scene())


def test_a_broker_that_cannot_be_reached_is_told_in_the_protocol() -> None:
    async def down(near: Near) -> Stream:
        raise Unreachable("no broker answers", "start it")

    async def scene() -> None:
        async with on_port(down) as play:
            reader, _ = await play.log_in()
            said = await reader.read()
            assert b"C08006\0" in said
            assert b"no broker answers" in said
            assert play.said == ["a connection could not be opened: no broker answers"]
            await soon(lambda: play.listener.streams == 0)

    asyncio.run(scene())


@pytest.mark.parametrize("error", [ConnectionResetError("reset"), TimeoutError(), RuntimeError("a bug of ours")])
def test_no_failure_leaves_a_client_waiting(error: Exception) -> None:
    async def failing(near: Near) -> Stream:
        raise error

    async def scene() -> None:
        async with on_port(failing) as play:
            reader, _ = await play.log_in()
            assert b"SFATAL\0" in await reader.read()

    asyncio.run(scene())


def test_a_cancel_request_opens_a_stream_of_its_own() -> None:
    async def scene() -> None:
        async with on_port() as play:
            reader, writer = await play.connect()
            writer.write(CANCEL)
            await soon(lambda: bool(play.streams) and play.streams[0].heard == CANCEL)
            play.streams[0].near.far_ended("")
            assert await reader.read() == b""

    asyncio.run(scene())


def test_a_silent_stranger_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "GREETING_SECONDS", 0.05)

    async def scene() -> None:
        async with on_port() as play:
            reader, _ = await play.connect()
            assert await _all(reader) == b""

    asyncio.run(scene())


def test_a_stranger_who_trickles_bytes_is_cut_off_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "GREETING_SECONDS", 0.1)

    async def scene() -> None:
        async with on_port() as play:
            reader, writer = await play.connect()

            async def trickle() -> None:
                for at in range(len(STARTUP)):
                    writer.write(STARTUP[at : at + 1])
                    await asyncio.sleep(0.05)

            trickling = asyncio.ensure_future(trickle())
            assert await _all(reader) == b""
            trickling.cancel()

    asyncio.run(scene())


def test_a_crowd_of_strangers_does_not_keep_the_owner_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_STRANGERS", 4)

    async def scene() -> None:
        async with on_port() as play:
            crowd = [await play.connect() for _ in range(12)]
            await play.log_in()
            await soon(lambda: bool(play.streams))
            assert len(crowd) == 12

    asyncio.run(scene())


def test_there_is_a_last_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_STREAMS", 2)

    async def scene() -> None:
        async with on_port() as play:
            kept = [await play.log_in() for _ in range(2)]
            reader, _ = await play.log_in()
            assert b"C53300\0" in await reader.read()
            assert len(kept) == len(play.streams) == 2

    asyncio.run(scene())


def test_bytes_sent_while_the_stream_opens_come_behind_the_startup(tmp_path_factory: pytest.TempPathFactory) -> None:
    async def scene() -> None:
        async with on_file(tmp_path_factory.mktemp("s") / "db") as play:
            _, writer = await play.connect()
            writer.write(STARTUP)
            await soon(lambda: bool(play.streams))
            writer.write(b"later")
            await soon(lambda: play.streams[0].heard == STARTUP + b"later")

    asyncio.run(scene())


@pytest.mark.skipif(os.geteuid() != 0, reason="playing another user takes root")
def test_another_user_gets_nothing_even_where_the_file_lets_him(tmp_path_factory: pytest.TempPathFactory) -> None:
    async def scene() -> None:
        folder = tmp_path_factory.mktemp("s")
        for path in (folder, *folder.parents):
            if Path(tempfile.gettempdir()) in path.parents:
                path.chmod(0o755)
        async with on_file(folder / "db") as play:
            (folder / "db").chmod(0o666)
            code = (
                "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); "
                "s.connect(sys.argv[1]); s.sendall(bytes.fromhex(sys.argv[2])); print(s.recv(10))"
            )
            other = await asyncio.create_subprocess_exec(
                *("/usr/bin/env", "python3", "-c", code, str(folder / "db"), STARTUP.hex()),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await other.communicate()
            assert b"SFATAL" not in out
            assert out in (b"b''\n", b"") or b"ConnectionResetError" in err
            assert b"PermissionError" not in err, "the scene did not reach the socket"
            assert play.streams == []

    asyncio.run(scene())


def test_the_end_of_the_session_cuts_everyone() -> None:
    async def scene() -> None:
        async with on_port() as play:
            joined, _ = await play.log_in()
            stranger, _ = await play.connect()
            await soon(lambda: bool(play.streams))
        for reader in (joined, stranger):
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        await asyncio.sleep(0.01)

    asyncio.run(scene())


async def _all(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the connection ends, in whatever way."""
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionResetError:
        return b""


def test_cancel_requests_take_a_bounded_number_of_streams() -> None:
    """They prove nothing, so that every user of the machine can send them."""

    async def scene() -> None:
        dialled: list[Near] = []

        async def dial(near: Near) -> Stream:
            dialled.append(near)
            await asyncio.Event().wait()
            raise AssertionError

        async with on_port(dial) as play:
            for _ in range(room.MAX_CANCELS + 20):
                _, writer = await play.connect()
                writer.write(CANCEL)
            await soon(lambda: len(dialled) == room.MAX_CANCELS)
            await asyncio.sleep(0.2)
            assert len(dialled) == room.MAX_CANCELS

    asyncio.run(scene())


def test_a_client_that_leaves_while_its_stream_is_opened_is_not_waited_for() -> None:
    async def scene() -> None:
        given_up = asyncio.Event()

        async def dial(near: Near) -> Stream:
            try:
                await asyncio.Event().wait()
            finally:
                given_up.set()
            raise AssertionError

        async with on_port(dial) as play:
            _, writer = await play.log_in()
            await soon(lambda: play.listener.streams == 1)
            writer.close()
            await asyncio.wait_for(given_up.wait(), 10)
            assert play.listener.streams == 0

    asyncio.run(scene())


NOTICE = messages.notice("wait", "somebody looks at it", "tell them")
REST = message(frames.PARAMETER_STATUS, b"a\0b\0")


@pytest.mark.parametrize("startup", [STARTUP, messages.startup({"user": "anyone", "database": "app"}, 2)])
@pytest.mark.parametrize("pieces", ["whole", "bytes", "other"])
def test_a_client_that_waits_hears_notices_and_is_let_in_once(startup: bytes, pieces: str) -> None:
    async def scene() -> None:
        go_on = asyncio.Event()
        streams: list[FarDouble] = []

        async def dial(near: LocalClient) -> Stream:
            near.tell("wait", "somebody looks at it", "tell them")
            near.tell("wait", "somebody looks at it", "tell them")
            await go_on.wait()
            streams.append(FarDouble(near))
            return streams[0]

        async with on_port(dial) as play:  # type: ignore[arg-type]
            reader, _ = await play.log_in(startup)
            admitted = admission(startup)
            assert admitted.endswith(messages.AUTHENTICATION_OK)
            said = await reader.readexactly(len(admitted + NOTICE + NOTICE))
            assert said == admitted + NOTICE + NOTICE
            go_on.set()
            await soon(lambda: bool(streams))
            from_broker = REST if pieces == "other" else admitted + REST
            cut = [from_broker[at : at + 1] for at in range(len(from_broker))] if pieces == "bytes" else [from_broker]
            for piece in cut:
                streams[0].near.far_says(piece)
            assert await reader.readexactly(len(REST)) == REST

    asyncio.run(scene())


def test_a_client_that_the_broker_will_not_let_in_is_not_let_in_to_be_told_something() -> None:
    replication = messages.startup({"user": "anyone", "replication": "true"})

    async def scene() -> None:
        async def dial(near: LocalClient) -> Stream:
            near.tell("wait", "", "")
            raise Denied("not you")

        async with on_port(dial) as play:  # type: ignore[arg-type]
            reader, _ = await play.log_in(replication)
            said = await reader.read()
            assert said[:1] == b"E"
            assert b"C42501\0" in said

    asyncio.run(scene())
