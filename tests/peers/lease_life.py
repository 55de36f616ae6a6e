"""The whole life of a lease on a real server, in processes that kill themselves at each step of it in turn.

Steps are found by listening: every transaction of the state, every call of the source and every exchange with the
server is one, so that a new one cannot be forgotten. Reads a `Play` from its input, writes what came of it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.credentials.keeper import Keeper
from hoopx_broker.seams.issuer import Pin
from hoopx_broker.session.parting import PostgresParting
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.ids import LeaseId, SessionId
from hoopx_broker.terms.leases import Credential, DatabaseLogin, Issued, Lease, Order
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, UpstreamTls
from hoopx_plugins.postgres_role import PostgresRoleIssuer, PostgresRoleOptions
from tests.peers.lease_list import leases

PATIENCE = 60.0
AT_ONCE = 6


class Play(Struct, frozen=True):
    """Where the server is, where the states go, and which steps to die at: every `nth` exchange with the server."""

    folder: str
    host: str
    port: int
    ca: str
    database: str
    user: str
    password: str
    nth: int


class Outcome(Struct, frozen=True):
    """The steps that somebody died at, by the session that they had; and what the ledgers say after the recovery."""

    steps: dict[str, str]
    survived: tuple[str, ...]  # those that should have died, and did not
    unended: dict[str, str]


class Steps:
    """Counts what happens, and dies where it is told to."""

    def __init__(self, fatal: int = -1) -> None:
        self.names: list[str] = []
        self._fatal = fatal

    def passed(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) - 1 == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)


class ToldStore(Store):
    """A state whose every transaction is two steps."""

    steps = Steps()

    async def run(self, work: Callable[..., Any]) -> Any:
        self.steps.passed("before a transaction of the state")
        told = await super().run(work)
        self.steps.passed("after a transaction of the state")
        return told


class ToldIssuer(PostgresRoleIssuer):
    """The real source; every call is two steps."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps

    async def issue(self, order: Order, pin: Pin) -> Issued:
        self._steps.passed("before issue")
        issued = await super().issue(order, pin)
        self._steps.passed("after issue")
        return issued

    async def renew(self, lease: Lease, credential: Credential, order: Order, pin: Pin) -> Issued:
        self._steps.passed("before renew")
        issued = await super().renew(lease, credential, order, pin)
        self._steps.passed("after renew")
        return issued

    async def revoke(self, lease: Lease, target: Target) -> None:
        self._steps.passed("before revoke")
        await super().revoke(lease, target)
        self._steps.passed("after revoke")


def listen_to_exchanges(steps: Steps) -> None:
    """Statements, BEGIN and COMMIT alike."""
    wait = psycopg.AsyncConnection.wait

    async def told(self: Any, gen: Any, *args: Any, **more: Any) -> Any:
        answer = await wait(self, gen, *args, **more)
        steps.passed("in the server")
        return answer

    psycopg.AsyncConnection.wait = told  # type: ignore[method-assign]


async def live(play: Play, number: int, steps: Steps) -> None:
    """From nothing to the end."""
    listen_to_exchanges(steps)
    ToldStore.steps = steps
    store = await ToldStore.open(state_of(play, number))
    keeper = keeper_on(store, play, ToldIssuer(steps))
    order = order_of(play, number)
    lease, credential = await keeper.lease(order)
    steps.passed("live")
    assert isinstance(credential, DatabaseLogin)
    async with await log_in(play, credential) as busy, asyncio.TaskGroup() as group:
        group.create_task(sleep_long(busy))
        await asyncio.sleep(0.01)
        steps.passed("in use")
        await keeper.renew(replace(order, expires_at=order.expires_at + 600))
        steps.passed("renewed")
        assert await keeper.end(lease.id), (await leases(keeper))[0].last_error
    steps.passed("ended")
    await store.close()


async def sleep_long(connection: psycopg.AsyncConnection[Any]) -> None:
    with suppress(psycopg.OperationalError):  # cut
        await connection.execute("SELECT pg_sleep(1000)")


async def log_in(play: Play, login: DatabaseLogin) -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(
        host=play.host,
        port=play.port,
        dbname=play.database,
        user=login.user,
        password=login.password.reveal(),
        sslmode="verify-full",
        sslrootcert=play.ca,
        autocommit=True,
    )


async def recover(play: Play, number: int) -> str:
    """What the next broker does; time passes by itself. Gives the state in which the lease is then."""
    now = time.time()

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        await asyncio.sleep(0)

    store = await Store.open(state_of(play, number))
    try:
        keeper = keeper_on(store, play, PostgresRoleIssuer(), lambda: now, sleep)
        await keeper.recover()
        async with asyncio.TaskGroup() as group:
            run = group.create_task(keeper.run())
            deadline = time.monotonic() + PATIENCE
            # The keeper tells nobody when it is done.
            while any(lease.state != "ended" for lease in await leases(keeper)) and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            run.cancel()
        return "".join(f"{lease.state}: {lease.last_error}" for lease in await leases(keeper, state="ending"))
    finally:
        await store.close()


def keeper_on(
    store: Store,
    play: Play,
    issuer: PostgresRoleIssuer,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Keeper:
    target = target_of(play)
    return Keeper(
        store,
        {target.name: issuer},
        {target.name: target},
        clock=clock,
        sleep=sleep,
        random=lambda: 1.0,
        on_alarm=lambda _: None,
        partings={"postgres": PostgresParting()},
    )


def target_of(play: Play) -> Target:
    options = PostgresRoleOptions(user=play.user, password=Secret(play.password), roles=("app_read",))
    tls = UpstreamTls("verify-full", play.ca)
    return Target("db", "postgres", play.host, play.port, play.database, tls, "postgres-role", credentials=options)


def order_of(play: Play, number: int) -> Order:
    ends_at = time.time() + 600
    session, ann = SessionId(f"s_step{number}"), Principal("ann", "human")
    return Order(LeaseId(f"l_step{number}"), session, target_of(play), ann, ends_at)


def state_of(play: Play, number: int) -> Path:
    return Path(play.folder) / str(number) / "state.db"


def find_steps(play: Play) -> list[str]:
    """The life that nobody cuts short."""
    steps = Steps()
    asyncio.run(live(play, 0, steps))
    return steps.names


def die_at(play: Play, number: int, fatal: int) -> int:
    """In a process of its own, begun before there is any thread."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            asyncio.run(live(play, number, Steps(fatal)))
        os._exit(0)
    return child


def died(play: Play, fatal: dict[int, int]) -> dict[int, bool]:
    """Some at a time. False for those that lived on."""
    waiting = list(fatal.items())
    running: dict[int, int] = {}
    dead = {}
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            number, at = waiting.pop()
            running[die_at(play, number, at)] = number
        child, status = os.wait()
        dead[running.pop(child)] = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return dead


def found_in_a_child(play: Play) -> list[str]:
    """This process stays one that may fork."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with os.fdopen(writing, "wb") as out:
            out.write(msgspec.json.encode(find_steps(play)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        names: list[str] = msgspec.json.decode(told.read(), type=list[str])
    os.waitpid(child, 0)
    return names


def chosen(names: list[str], nth: int) -> list[int]:
    """All steps of ours, and every `nth` of the server's."""
    counted = 0
    picked = []
    for at, name in enumerate(names):
        counted += name == "in the server"
        if name != "in the server" or counted % nth == 0:
            picked.append(at)
    return picked


async def recover_all(play: Play, numbers: list[int]) -> dict[str, str]:
    some = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> tuple[str, str]:
        async with some:
            return f"s_step{number}", await recover(play, number) if state_of(play, number).exists() else ""

    told = await asyncio.gather(*(one(number) for number in numbers))
    return dict(filter(itemgetter(1), told))


def main() -> None:
    play = msgspec.json.decode(sys.stdin.buffer.read(), type=Play)
    names = found_in_a_child(play)
    fatal = dict(enumerate(chosen(names, play.nth), 1))
    dead = died(play, fatal)
    steps = {f"s_step{number}": f"{at}: {names[at]}" for number, at in fatal.items()}
    survived = tuple(steps[f"s_step{number}"] for number, is_dead in dead.items() if not is_dead)
    unended = asyncio.run(recover_all(play, list(fatal)))
    sys.stdout.buffer.write(msgspec.json.encode(Outcome(steps, survived, unended)))


if __name__ == "__main__":
    main()
