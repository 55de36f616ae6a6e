"""A broker of three processes on one port: each session is at one of them, and everything works at whichever it is."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPSConnection
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from hoopx_broker.api.messages import Ended, Hangup, Open, Opened
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import StateUrl
from hoopx_broker.tunnel.client import (
    RESUME,
    SESSION,
    WAY,
    Broker,
    Control,
    open_control,
    resume_control,
)
from hoopx_broker.tunnel.way import way
from hoopx_cli import trust
from hoopx_cli.settings import Settings
from tests.journeys import native
from tests.journeys.controls import closed, job, until
from tests.journeys.stage import Stage, playing, running
from tests.laws.test_way_laws import hello
from tests.peers import clients
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually
from tests.peers.state import fresh_state

WORKERS = 3
TARGET = "shop-dev"
ENDLESS = "SELECT pg_sleep(600)"


class Crowd(Stage):
    """Its broker has several workers."""

    def __init__(self, home: Path, postgres: Postgres, state: StateUrl) -> None:
        self.state = state
        self.workers = WORKERS
        super().__init__(home, postgres)

    def configuration(self) -> str:
        self._secret("state-url", self.state.url.reveal())
        return super().configuration().replace("state: sqlite:state.db", "state: file:state-url")

    def options(self) -> list[str]:
        return ["--workers", str(self.workers)]

    def pid(self, worker: int) -> int:
        """Of the process that has this seat now, as the log has it."""
        found = re.findall(rf'"number": {worker}, "pid": (\d+), "event": "worker.started"', self.broker_said())
        return int(found[-1])

    def at(self, worker: int) -> Broker:
        """The broker, by a name that leads to this worker."""
        context = trust.context(Settings(self.url, self.fingerprint, self.home))
        context.set_alpn_protocols([named(worker), "http/1.1"])
        return Broker(self.url, context)

    def brokers_with_sessions(self) -> set[str]:
        with closing(psycopg.connect(self.state.url.reveal())) as state:
            rows = state.execute("SELECT broker FROM hoopx.sessions WHERE state = 'open'").fetchall()
        return {broker for (broker,) in rows}


def named(worker: int) -> str:
    names = (f"{WAY}{number}" for number in count())
    return next(name for name in names if way(hello(name.encode()), "", WORKERS) == worker)


async def opened(stage: Crowd, worker: int) -> Control:
    control = await open_control(stage.at(worker), job(stage).headers("GET", stage.url + SESSION))
    control.say(Open(TARGET))
    await until(control, Opened)
    return control


def status(broker: Broker, path: str, headers: dict[str, str]) -> int:
    """What a request to upgrade is answered."""
    place = urlsplit(broker.url)
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    with closing(HTTPSConnection(place.hostname or "", place.port, context=broker.tls, timeout=60)) as connection:
        connection.request("GET", path, headers=headers | upgrade | key)
        return connection.getresponse().status


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory, state_server: Postgres) -> Iterator[Crowd]:
    home = tmp_path_factory.mktemp("crowd")
    with fresh_state(state_server) as state, playing(Crowd(home, state_server, state)) as stage:
        yield stage


def test_sessions_are_spread_and_each_is_seen_and_ended_from_wherever_calls_go(crowd: Crowd) -> None:
    async def scene() -> None:
        controls = [await opened(crowd, worker) for worker in range(WORKERS)]
        assert len(crowd.brokers_with_sessions()) == WORKERS
        listed = await asyncio.to_thread(crowd.listed, "sessions", "ls", "--state", "open", who="sam")
        assert len(listed) == WORKERS
        last = listed[0]["id"]  # the newest, which is not where calls go
        await asyncio.to_thread(lambda: crowd.hoopx("sessions", "kill", last, who="sam").fine())
        assert (await until(controls[-1], Ended)).revoked
        await asyncio.to_thread(lambda: crowd.hoopx("leases", "revoke", "--all", "--yes", who="sam").fine())
        for control in controls[:-1]:
            await until(control, Ended)
        for control in controls:
            await closed(control)

    asyncio.run(scene())
    crowd.nothing_remains()
    exported = crowd.hoopx("sessions", "ls", "-o", "json", who="sam").fine().out
    assert exported.count('"ended"') == WORKERS


def test_a_statement_goes_through_and_an_approval_given_elsewhere_is_heard(crowd: Crowd) -> None:
    asked = ("exec", "payments-prod", "--reason", "look", "--wait", "5m", "--", *clients.psql("SELECT 40 + 2"))
    with running(crowd, *asked) as asking:
        [request] = eventually(lambda: crowd.listed("requests", "ls", "--state", "waiting", who="dora"), "it is filed")
        crowd.hoopx("approve", request["id"], who="dora").fine()
        assert asking.end().fine().out == "42\n"


def test_a_session_is_taken_up_again_where_it_is_and_a_used_proof_is_refused_at_every_worker(crowd: Crowd) -> None:
    async def scene() -> None:
        mine = job(crowd)
        used = mine.headers("GET", crowd.url + SESSION)
        first = await open_control(crowd.at(1), used)
        first.say(Open(TARGET, grace=60))
        grant = mine.of_grant(Secret((await until(first, Opened)).grant))
        for worker in range(WORKERS):
            again = await open_control(crowd.at(worker), used)
            assert await again.hear() is not None
            assert await asyncio.wait_for(again.hear(), 60) is None, "no session for a proof that was used"
            await closed(again)
        elsewhere = await asyncio.to_thread(status, crowd.at(2), RESUME, grant.headers("GET", crowd.url + RESUME))
        assert elsewhere == 401
        second = await resume_control(crowd.at(1), grant.headers("GET", crowd.url + RESUME))
        await until(second, Opened)
        second.say(Hangup())
        await until(second, Ended)
        await closed(first)
        await closed(second)

    asyncio.run(scene())
    crowd.nothing_remains()


def test_native_clients_come_with_a_pass_from_another_worker_and_cancel_by_any_way(crowd: Crowd) -> None:
    """From this address they are at the last worker; passes are given at the first; a cancel request may go astray."""
    word = crowd.hoopx("token", TARGET).fine().out.strip()
    assert native.psql(crowd, TARGET, "SELECT 1 + 1", PGPASSWORD=word).fine().out == "2\n"
    script = """
        import asyncio, asyncpg, os, ssl, struct, sys

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE

        async def cancel(key, alpn):
            tls.set_alpn_protocols([*alpn, 'postgresql'])
            port = int(os.environ['PGPORT'])
            reader, writer = await asyncio.open_connection(os.environ['PGHOST'], port, ssl=tls if alpn else None)
            writer.write(struct.pack('!II', 16, 80877102) + key)
            assert await reader.read() == b''
            writer.close()

        async def main():
            connection = await asyncpg.connect(ssl='require')
            protocol = connection._protocol
            key = struct.pack('!ii', protocol.backend_pid, protocol.backend_secret)
            for alpn in [(), *((name,) for name in sys.argv[2:])]:
                running = asyncio.ensure_future(connection.execute(sys.argv[1]))
                while not running.done():
                    await asyncio.sleep(0.1)
                    await cancel(key, alpn)
                try:
                    await running
                except asyncpg.QueryCanceledError as error:
                    print(error.sqlstate)
            await connection.close()

        asyncio.run(main())
    """
    names = [named(worker) for worker in range(WORKERS)]
    outcome = native.run(crowd, TARGET, clients.python(script, ENDLESS, *names))
    assert outcome.fine().out.split() == ["57014"] * (1 + WORKERS)
    native.end_lingering(crowd)


def test_strangers_keep_nobody_out_whatever_they_say_first(crowd: Crowd) -> None:
    place = "127.0.0.1", int(urlsplit(crowd.url).port or 0)
    said = hello(b"http/1.1")
    strangers = [socket.create_connection(place) for _ in range(300)]
    try:
        for number, each in enumerate(strangers):
            with suppress(OSError):
                each.sendall((b"", said[:-1], said[:3], b"\0\0", os.urandom(20), b"\x16\x03\x01\xff\xff")[number % 6])
        assert crowd.psql(TARGET, "SELECT 2").fine().out == "2\n"
        whole = _shaken_hands_piece_by_piece(place)
        assert whole == "http/1.1"
    finally:
        for each in strangers:
            each.close()


def _shaken_hands_piece_by_piece(place: tuple[str, int]) -> str | None:
    """A hello of which each byte comes alone."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    tls.set_alpn_protocols([named(2), "http/1.1"])
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    shaking = tls.wrap_bio(coming, going)
    with socket.create_connection(place, timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            try:
                shaking.do_handshake()
                return shaking.selected_alpn_protocol()
            except ssl.SSLWantReadError:
                for byte in going.read():
                    connection.sendall(bytes([byte]))
                coming.write(connection.recv(65536))


def test_a_killed_worker_is_started_again_and_what_it_had_is_gone_at_once(crowd: Crowd) -> None:
    async def scene() -> None:
        control, other = await opened(crowd, 1), await opened(crowd, 2)
        before = crowd.pid(1)
        os.kill(before, signal.SIGKILL)
        assert await asyncio.wait_for(control.hear(), 60) is None
        await asyncio.to_thread(eventually, lambda: crowd.pid(1) != before, "it is started again")
        again = await opened(crowd, 1)
        await asyncio.to_thread(eventually, lambda: len(crowd.minted()) == 2, "the role of the killed one is gone")
        for each in (again, other):
            each.say(Hangup())
            assert (await until(each, Ended)).revoked, "the others have gone on"
            await closed(each)

    asyncio.run(scene())
    crowd.nothing_remains()
    states = [each["state"] for each in crowd.listed("sessions", "ls", who="sam")]
    assert states.count("unfinished") == 1
    said = crowd.broker_said()
    eventually(lambda: "recording.unfinished" in crowd.broker_said(), "its recording is sealed by another worker")
    assert "recording.broken" not in said


def test_workers_end_with_their_parent_and_fewer_of_them_finish_what_is_left(crowd: Crowd) -> None:
    async def scene() -> None:
        control = await opened(crowd, 2)
        os.kill(crowd.pid(2), signal.SIGSTOP)  # it cannot end its session
        crowd.kill_broker()
        os.kill(crowd.pid(2), signal.SIGKILL)
        for worker in range(WORKERS):
            await asyncio.to_thread(eventually, lambda pid=crowd.pid(worker): not _is_there(pid), "all are gone")
        await closed(control)

    asyncio.run(scene())
    assert crowd.minted()
    crowd.workers = 2
    crowd.start_broker()
    crowd.nothing_remains()
    assert crowd.psql(TARGET, "SELECT 3").fine().out == "3\n"
    assert crowd.stop_broker() == 0
    assert "worker.died" not in crowd.broker_said().rpartition("hoopx broker ready")[2]
    crowd.start_broker()


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_file_is_for_one_process(crowd: Crowd) -> None:
    alone = crowd.home / "alone.yaml"
    alone.write_text(Stage.configuration(crowd))
    outcome = crowd.hoopx("broker", "run", "--workers", "2", "--config", str(alone))
    assert outcome.code == 2
    assert "several workers need a state that they share" in outcome.err
    assert "PostgreSQL" in outcome.err
    assert crowd.hoopx("broker", "run", "--workers", "0", "--config", str(crowd.config)).code == 2
