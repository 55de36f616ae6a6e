"""One stream between a client's link and a server on loopback: any surprise closes both sides, and nothing leaks."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Sequence

import pytest
import uvloop
from msgspec import structs

from hoopx_broker.masking.plan import OPEN, Plan
from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.session import reaching, wait
from hoopx_broker.session.idle import IdleWatch
from hoopx_broker.session.plea import Say
from hoopx_broker.session.pump import Pump
from hoopx_broker.session.surroundings import Surroundings
from hoopx_broker.terms.entries import Approval, Entry, Statement, StreamClosed
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.facts import FunctionName
from hoopx_broker.terms.ids import StreamId
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.rulings import Allow, Deny
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, UpstreamTls
from hoopx_broker.tunnel.crew import Crew
from hoopx_broker.wire.effects import Effect, Judge, Passage, Side
from hoopx_broker.wire.postgres.engine import Engine
from hoopx_broker.wire.postgres.frames import Frame
from hoopx_broker.wire.postgres.login import Upstream

STARTUP = struct.pack("!II", 18, 196608) + b"user\0ann\0\0"
LOGGED_IN = b"R\0\0\0\x08\0\0\0\0" + b"K\0\0\0\x0c" + b"serv" + b"key!" + b"Z\0\0\0\x05I"
READY = b"Z\0\0\0\x05I"


def query(text: str) -> bytes:
    return b"Q" + struct.pack("!I", len(text) + 5) + text.encode() + b"\0"


def call(function: int) -> bytes:
    return b"F" + struct.pack("!IIHHH", 14, function, 0, 0, 0)


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def error(code: str, message: str) -> bytes:
    fields = b"SERROR\0VERROR\0C" + code.encode() + b"\0M" + message.encode() + b"\0\0"
    return b"E" + struct.pack("!I", len(fields) + 4) + fields


def complete(tag: str) -> bytes:
    return b"C" + struct.pack("!I", len(tag) + 5) + tag.encode() + b"\0"


class Link:
    """The tunnel's end: what the client heard, and whether it is still connected and read."""

    def __init__(self) -> None:
        self.heard = b""
        self.closed = False
        self.is_read = True
        self.broken = False

    def send(self, data: bytes) -> None:
        if self.broken:
            raise RuntimeError("the tunnel is broken")
        self.heard += data

    def pause(self) -> None:
        self.is_read = False

    def resume(self) -> None:
        self.is_read = True

    def close(self) -> None:
        self.closed = True


class Bench:
    """A court that allows everything but what it was told, and may fail."""

    doubt: Plan = OPEN

    def __init__(self) -> None:
        self.rulings: dict[bytes, Passage | Deny | Exception] = {}
        self.functions: dict[int, FunctionName | Exception] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.gates = 0  # how many pass a closed gate
        self.asks: Approval | None = None

    def known(self, asked: Judge) -> Passage | Deny | None:
        return None

    async def rule(self, asked: Judge, say: Say) -> Passage | Deny:
        if self.gates:
            self.gates -= 1
            return Passage(Allow(), OPEN, is_pending=True)
        if self.asks is not None:
            say("it waits", "", self.asks)
        await self.gate.wait()
        ruling = self.rulings.get(asked.text, Passage(Allow(), OPEN))
        if isinstance(ruling, Exception):
            raise ruling
        return ruling

    async def function(self, oid: int) -> FunctionName | None:
        found = self.functions.get(oid)
        if isinstance(found, Exception):
            raise found
        return found

    def transaction_ended(self) -> None:
        pass

    def introduction(self, plan: Plan) -> tuple[str, str] | None:
        return None


class Server:
    """A PostgreSQL that says what the scene wants."""

    def __init__(self) -> None:
        self.heard = b""
        self.cancels = 0
        self.greeting = LOGGED_IN
        self.left = asyncio.Event()
        self.silent = False
        self._writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            length = int.from_bytes(await reader.readexactly(4), "big")
            first = await reader.readexactly(length - 4)
            if first[:4] == b"\x04\xd2\x16\x2e":
                self.cancels += first[4:] == b"servkey!"
                return
            self._writer = writer
            if not self.silent:
                await self.says(self.greeting)
            while data := await reader.read(65536):
                self.heard += data
            self.left.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        finally:
            writer.close()

    async def says(self, data: bytes) -> None:
        assert self._writer is not None
        self._writer.write(data)
        await self._writer.drain()


class Scene:
    """One stream, its two peers, its recording and its reports."""

    def __init__(self, port: int, server: Server, idle: int | None = None) -> None:
        self.link, self.server, self.bench = Link(), server, Bench()
        self.entries: list[Entry] = []
        self.told: list[tuple[str, str]] = []
        self.failures: list[BaseException] = []
        self.left = 0
        self.disk_is_full = False
        self.crew = Crew(lambda _, error: self.failures.append(error))
        target = Target("shop", "postgres", "127.0.0.1", port, "app", UpstreamTls("disable"), "static", idle=idle)
        upstream = Upstream(DatabaseLogin("app", Secret("pw")), "app", tls=False)
        self.engine = Engine(StreamId("t_1"), "shop", upstream, b"\0" * 8, b"nonce")
        self.around = Surroundings(
            target,
            self.bench,  # type: ignore[arg-type]  # the part of a court that a pump sees
            self.crew,
            self._record,
            lambda kind, message: self.told.append((kind, message)),
            self._cancel,
            self._leave,
        )
        self.pump = Pump(self.engine, self.link, self.around, tls=False)

    def _record(self, entries: Sequence[Entry]) -> None:
        if self.disk_is_full:
            raise RecordingFailed("the disk is full")
        self.entries += entries

    async def _cancel(self, key: bytes) -> None:
        await self.pump.cancel_query()

    def _leave(self, _: Pump) -> None:
        self.left += 1

    async def log_in(self) -> None:
        self.pump.client_says(STARTUP)
        await self.until(lambda: self.link.heard.endswith(READY))
        self.link.heard = b""

    async def asks(self, text: str) -> None:
        self.pump.client_says(query(text))
        await self.until(lambda: query(text) in self.server.heard)

    async def until(self, seen: Callable[[], object]) -> None:
        while not seen():  # noqa: ASYNC110 - what is waited for happens in the peers, which know no events
            await asyncio.sleep(0.005)

    async def is_over(self) -> None:
        """Both sides are closed, once, and nothing more goes through."""
        await self.until(lambda: self.link.closed)
        heard, before = self.link.heard, self.server.heard
        self.pump.client_says(query("too late"))
        self.pump.backend_says(complete("TOO LATE"))
        self.pump.client_left()
        self.pump.backend_left()
        self.pump.end("too late")
        await asyncio.sleep(0)
        assert (self.link.heard, self.left) == (heard, 1)
        assert b"too late" not in self.server.heard[len(before) :]


def play(act: Callable[[Scene], Awaitable[None]], idle: int | None = None) -> None:
    async def scene() -> None:
        server = Server()
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        stage = Scene(listening.sockets[0].getsockname()[1], server, idle)
        try:
            await act(stage)
        finally:
            stage.pump.end("the scene is over")
            await stage.crew.close()
            listening.close()

    uvloop.run(scene())


def test_how_long_a_ruling_was_waited_for_is_told() -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        scene.bench.gate.clear()
        scene.pump.client_says(query("select 1"))
        await asyncio.sleep(0.02)
        scene.bench.gate.set()
        await scene.until(lambda: query("select 1") in scene.server.heard)
        [told] = [each for each in scene.entries if isinstance(each, Statement)]
        assert told.took_us >= 20_000

    play(act)


def test_a_statement_goes_through_and_its_answer_comes_back() -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        await scene.asks("select 1")
        await scene.server.says(complete("SELECT 1") + READY)
        await scene.until(lambda: scene.link.heard == complete("SELECT 1") + READY)
        assert scene.failures == []

    play(act)


@pytest.mark.parametrize("side", [Side.CLIENT, Side.BACKEND])
def test_a_fault_of_our_own_closes_both_sides_and_sends_nothing(monkeypatch: pytest.MonkeyPatch, side: Side) -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        await scene.asks("select 1")
        asked = Engine.on_frame

        def fail(engine: Engine, from_side: Side, frame: Frame) -> list[Effect]:
            if from_side is side:
                raise KeyError("a bug")
            return asked(engine, from_side, frame)

        monkeypatch.setattr(Engine, "on_frame", fail)
        if side is Side.CLIENT:
            scene.pump.client_says(query("select secret"))
        else:
            await scene.server.says(complete("SELECT secret"))
        await scene.is_over()
        assert b"hoopx failed" in scene.link.heard
        assert b"secret" not in scene.link.heard + scene.server.heard
        assert [type(failure) for failure in scene.failures] == [KeyError]
        await scene.server.left.wait()

    play(act)


def test_even_an_engine_that_cannot_say_goodbye_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> list[Effect]:
        raise ZeroDivisionError

    async def act(scene: Scene) -> None:
        await scene.log_in()
        monkeypatch.setattr(Engine, "on_frame", fail)
        monkeypatch.setattr(Engine, "fail", fail)
        scene.pump.client_says(query("select 1"))
        await scene.is_over()
        await scene.server.left.wait()

    play(act)


def test_a_link_that_breaks_closes_the_server() -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        await scene.asks("select 1")
        scene.link.broken = True
        await scene.server.says(complete("SELECT 1") + READY)
        await scene.is_over()
        await scene.server.left.wait()

    play(act)


def test_what_cannot_be_recorded_is_not_sent_to_either_side() -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        await scene.asks("select 1")
        scene.disk_is_full = True
        await scene.server.says(complete("SELECT 42") + READY)
        await scene.is_over()
        assert b"SELECT 42" not in scene.link.heard
        assert b"could not record" in scene.link.heard

    play(act)


def test_a_statement_that_cannot_be_recorded_never_reaches_the_server() -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        scene.disk_is_full = True
        scene.pump.client_says(query("select 1"))
        await scene.is_over()
        await scene.server.left.wait()
        assert b"select 1" not in scene.server.heard

    play(act)


@pytest.mark.parametrize("failure", [RuntimeError("a bug"), BackendFailed("the catalog is gone", "look at it")])
def test_a_statement_whose_judging_fails_is_denied_and_the_stream_lives_on(failure: Exception) -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        scene.bench.rulings[b"drop table orders"] = failure
        scene.pump.client_says(query("drop table orders"))
        await scene.until(lambda: any(isinstance(entry, Statement) for entry in scene.entries))
        [judged] = [entry for entry in scene.entries if isinstance(entry, Statement)]
        assert (judged.ruling, judged.rules) == ("deny", ("judge",))
        assert not scene.link.closed
        assert b"drop table" not in scene.server.heard
        assert bool(scene.failures) == isinstance(failure, RuntimeError)

    play(act)


@pytest.mark.parametrize("failure", [RuntimeError("a bug"), BackendFailed("the catalog is gone", "look at it")])
def test_a_call_whose_function_cannot_be_looked_up_is_denied_under_no_other_calls_name(failure: Exception) -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        scene.bench.functions = {1: FunctionName("pg_catalog", "pi"), 2: failure}
        scene.pump.client_says(call(1))
        await scene.until(lambda: call(1) in scene.server.heard)
        await scene.server.says(b"V\0\0\0\x08\xff\xff\xff\xff" + READY)
        await scene.until(lambda: scene.link.heard.endswith(READY))
        scene.pump.client_says(call(2) + query("select 1"))
        await scene.until(lambda: query("select 1") in scene.server.heard)
        pi, denied, _ = [entry for entry in scene.entries if isinstance(entry, Statement)]
        assert "pi" in pi.text
        assert (denied.text, denied.ruling, denied.rules) == ("(function call)", "deny", ("judge",))
        assert call(2) not in scene.server.heard
        assert bool(scene.failures) == isinstance(failure, RuntimeError)

    play(act)


def test_while_a_statement_is_held_nothing_more_is_read_and_then_all_goes_in_order() -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        scene.bench.gate.clear()
        scene.pump.client_says(query("select 1") + query("select 2"))
        assert scene.link.is_read, "its end is noticed"
        await asyncio.sleep(0.05)
        assert b"select" not in scene.server.heard
        scene.bench.gate.set()
        await scene.until(lambda: query("select 1") + query("select 2") in scene.server.heard)
        assert scene.link.is_read

    play(act)


def test_what_a_client_says_ahead_while_it_is_held_is_bounded() -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        scene.bench.gate.clear()
        scene.pump.client_says(query("select 1"))
        ahead = query("select 2 -- " + "x" * (wait.AHEAD_BYTES // 2))
        scene.pump.client_says(ahead)
        assert scene.link.is_read
        scene.pump.client_says(ahead)
        assert not scene.link.is_read
        scene.bench.gate.set()
        await scene.until(lambda: query("select 1") + ahead * 2 in scene.server.heard)
        assert scene.link.is_read

    play(act)


ASKED = Approval("asked", "r_1", "statement")
USER_REQUEST = b"C57014\0Mcanceling statement due to user request\0"


def test_a_cancel_request_ends_the_waiting_for_people_and_the_stream_lives_on() -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        scene.bench.asks = ASKED
        scene.bench.gate.clear()
        scene.pump.client_says(query("delete from orders"))
        await scene.until(lambda: b"waits" in scene.link.heard)
        await scene.pump.cancel_query()
        await scene.pump.cancel_query()  # once more changes nothing
        await scene.until(lambda: b"\0\0\0" in scene.server.heard)
        await scene.server.says(error("42601", "no such statement") + READY)
        await scene.until(lambda: scene.link.heard.endswith(READY))
        assert USER_REQUEST in scene.link.heard
        assert b"delete" not in scene.server.heard
        assert [(e.ruling, e.reason) for e in scene.entries if isinstance(e, Statement)] == [
            ("deny", "it was called off while people were asked")
        ]
        scene.bench.asks = None
        scene.bench.gate.set()
        await scene.asks("select 1")
        assert scene.failures == []

    play(act)


def test_a_cancel_request_does_not_disturb_what_is_only_judged() -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        scene.bench.gate.clear()
        scene.pump.client_says(query("select 1"))
        await scene.pump.cancel_query()
        scene.bench.gate.set()
        await scene.until(lambda: query("select 1") in scene.server.heard)

    play(act)


def test_a_limit_of_the_server_that_is_over_while_people_are_asked_ends_the_waiting() -> None:
    """With `statement_timeout`, its clock runs from Parse on, while Bind is held."""

    async def act(scene: Scene) -> None:
        await scene.log_in()
        scene.bench.asks = ASKED
        parse = message(b"P", b"\0delete from orders\0\0\0")
        bind, execute, sync = message(b"B", bytes(8)), message(b"E", bytes(5)), message(b"S", b"")
        scene.bench.gates = 1  # what is prepared passes
        scene.bench.gate.clear()
        scene.pump.client_says(parse + bind + execute + sync)
        await scene.until(lambda: b"waits" in scene.link.heard)
        await scene.server.says(message(b"1", b"") + error("57014", "due to statement timeout"))
        await scene.until(lambda: scene.server.heard.endswith(sync))
        assert parse + bind not in scene.server.heard
        await scene.server.says(READY)
        await scene.until(lambda: scene.link.heard.endswith(READY))
        assert scene.link.heard.count(b"57014") == 1

    play(act)


def test_a_client_that_leaves_while_its_statement_is_held_is_not_judged_afterwards() -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        scene.bench.gate.clear()
        scene.pump.client_says(query("delete from orders"))
        await asyncio.sleep(0.01)
        scene.pump.client_left()
        scene.bench.gate.set()
        await scene.is_over()
        await scene.server.left.wait()
        assert b"delete" not in scene.server.heard

    play(act)


@pytest.mark.parametrize("how", ["vanish", "session end"])
def test_a_query_that_nobody_waits_for_is_cancelled(how: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        await scene.asks("select pg_sleep(1000)")
        if how == "vanish":
            scene.pump.client_left()
        else:
            scene.pump.end("the session is over")
        await scene.until(lambda: scene.server.cancels == 1)
        await scene.is_over()

    play(act)


def test_an_idle_server_is_not_told_to_cancel_anything() -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        scene.pump.client_left()
        await scene.is_over()
        await scene.server.left.wait()
        assert scene.server.cancels == 0

    play(act)


@pytest.mark.parametrize("greeting", [None, b"", b"R\0\0\0\x08\0\0\0\0", LOGGED_IN[:-6]])
def test_a_server_that_stops_answering_in_the_login_is_given_up(
    monkeypatch: pytest.MonkeyPatch, greeting: bytes | None
) -> None:
    monkeypatch.setattr(reaching, "LOGIN_SECONDS", 0.1)

    async def act(scene: Scene) -> None:
        scene.server.silent, scene.server.greeting = greeting is None, greeting or b""
        scene.pump.client_says(STARTUP)
        await scene.is_over()
        assert b"did not finish the login" in scene.link.heard
        await scene.server.left.wait()

    play(act)


def test_a_server_that_is_not_there_is_told_to_the_client_and_the_session() -> None:
    async def act(scene: Scene) -> None:
        listening = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        listening.close()
        gone = Scene(port, scene.server)
        gone.pump.client_says(STARTUP)
        await gone.is_over()
        assert f"cannot connect to 127.0.0.1:{port}".encode() in gone.link.heard
        assert gone.told[0][0] == "failed"
        await gone.crew.close()

    play(act)


@pytest.mark.parametrize(
    "garbage", [b"\xff" * 64, b"D\xff\xff\xff\xff", b"Z\0\0\0\x05IZ\0\0\0\x05I", b"D\0\0\0\x06\0\0", b"T\0\0\0\0"]
)
def test_a_server_that_talks_nonsense_is_cut(garbage: bytes) -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        await scene.server.says(garbage)
        await scene.is_over()
        await scene.server.left.wait()
        assert garbage not in scene.link.heard

    play(act)


def test_a_full_tunnel_stops_the_server_and_a_free_one_lets_it_go_on() -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        await scene.asks("select big")
        scene.pump.client_is_full()
        row = b"D" + struct.pack("!IHI", 4 + 2 + 4 + 60_000, 1, 60_000) + b"x" * 60_000
        flood = asyncio.ensure_future(scene.server.says(row * 1000))
        await asyncio.sleep(0.3)
        assert not flood.done()
        assert len(scene.link.heard) < len(row) * 20
        scene.pump.client_has_room()
        await flood
        await scene.until(lambda: len(scene.link.heard) == len(row) * 1000)

    play(act)


def test_a_tunnel_that_is_full_before_the_server_is_there_still_holds_it_back() -> None:
    async def act(scene: Scene) -> None:
        scene.pump.client_is_full()
        scene.pump.client_says(STARTUP)
        await asyncio.sleep(0.1)
        assert scene.link.heard == b""
        scene.pump.client_has_room()
        await scene.until(lambda: scene.link.heard.endswith(READY))

    play(act)


def test_a_cancel_request_is_over_only_when_the_server_has_taken_it() -> None:
    async def act(scene: Scene) -> None:
        took = asyncio.Event()

        async def slow_cancel(key: bytes) -> None:
            assert key == b"12345678"
            await took.wait()

        link = Link()
        around = structs.replace(scene.around, cancel=slow_cancel, left=lambda _: None)
        upstream = Upstream(DatabaseLogin("app", Secret("pw")), "app", tls=False)
        pump = Pump(Engine(StreamId("t_2"), "shop", upstream, b"\0" * 8, b"nonce"), link, around, tls=False)
        pump.client_says(struct.pack("!II", 16, 80877102) + b"12345678")
        await asyncio.sleep(0.02)
        assert not link.closed
        took.set()
        await scene.until(lambda: link.closed)

    play(act)


def test_a_client_that_says_nothing_for_long_is_told_and_cut() -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        await scene.is_over()
        assert b"C57P05\0" in scene.link.heard
        assert b"idle" in scene.link.heard
        assert isinstance(scene.entries[-1], StreamClosed)
        assert "idle" in scene.entries[-1].reason
        assert scene.server.cancels == 0

    play(act, idle=1)


def test_who_waits_for_an_answer_or_for_people_is_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[bool] = []
    look = IdleWatch._look

    def count(watch: IdleWatch) -> None:
        look(watch)
        looks.append(True)

    monkeypatch.setattr(IdleWatch, "_look", count)

    async def act(scene: Scene) -> None:
        await scene.log_in()
        await scene.asks("select pg_sleep(60)")
        await scene.until(lambda: len(looks) >= 2)
        await scene.server.says(complete("SELECT 1") + READY)
        await scene.until(lambda: scene.link.heard.endswith(READY))
        scene.bench.gate.clear()
        scene.pump.client_says(query("delete from t"))
        await scene.until(lambda: len(looks) >= 5)
        assert not scene.link.closed
        scene.bench.gate.set()
        await scene.until(lambda: query("delete from t") in scene.server.heard)

    play(act, idle=1)


def test_notifications_do_not_keep_an_idle_client() -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        while not scene.link.closed:
            await scene.server.says(b"A\0\0\0\x0b\0\0\0\1a\0\0")
            await asyncio.sleep(0.05)
        assert b"C57P05\0" in scene.link.heard

    play(act, idle=1)


def test_who_goes_on_speaking_stays() -> None:
    async def act(scene: Scene) -> None:
        await scene.log_in()
        for _ in range(25):
            await scene.asks("select 1")
            await scene.server.says(complete("SELECT 1") + READY)
            scene.server.heard = b""
            await asyncio.sleep(0.1)
        assert not scene.link.closed

    play(act, idle=1)
