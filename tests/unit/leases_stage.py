"""The stage for leases: a credential source that keeps a real set of logins, a clock to hold, and images of crashes."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

from msgspec import Struct

from hoopx_broker.credentials.keeper import Keeper
from hoopx_broker.seams.issuer import Issuer, Pin
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.ids import LeaseId, SessionId
from hoopx_broker.terms.leases import DatabaseLogin, Issued, Lease, Order
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, UpstreamTls
from tests.peers.lease_list import leases
from tests.peers.state import state_in

PASSWORD = "correct-horse-battery-staple"


async def _nothing(_: Any) -> None:
    return None


class NoOptions(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class SourceDouble:
    """Stands in for a database that makes roles: `logins` are those that could log in now."""

    Options: ClassVar[type[Any]] = NoOptions
    kinds: ClassVar[frozenset[str]] = frozenset({"postgres"})
    exclusive: ClassVar[bool] = True

    def __init__(self) -> None:
        self.logins: set[str] = set()
        self.issued = 0
        self.revoked: list[str] = []
        self.before_issue: Callable[[Order], Awaitable[None]] = _nothing
        self.after_issue: Callable[[Order], Awaitable[None]] = _nothing
        self.before_revoke: Callable[[Lease], Awaitable[None]] = _nothing
        self.after_revoke: Callable[[Lease], Awaitable[None]] = _nothing

    async def issue(self, order: Order, pin: Pin) -> Issued:
        await self.before_issue(order)
        login = f"hoopx_{order.session}"
        self.logins.add(login)
        self.issued += 1
        await self.after_issue(order)
        return Issued(DatabaseLogin(login, Secret(PASSWORD)), {"role": login})

    async def revoke(self, lease: Lease, target: Target) -> float | None:
        await self.before_revoke(lease)
        login = lease.handle.get("role", f"hoopx_{lease.session}")
        self.logins.discard(login)
        self.revoked.append(login)
        await self.after_revoke(lease)
        return None


class Time:
    """A clock that moves when somebody sleeps by it."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Stage:
    """A keeper with its store, its source and its clock."""

    def __init__(self, store: Store, folder: Path, source: SourceDouble, time: Time, *others: str) -> None:
        self.store = store
        self.folder = folder
        self.source = source
        self.time = time
        self.alarms: list[Lease] = []
        self.targets = {name: target(name) for name in ("prod-db", *others)}
        self.issuers: dict[str, Issuer] = dict.fromkeys(self.targets, source)
        self.keeper = Keeper(
            store,
            self.issuers,
            self.targets,
            clock=time.clock,
            sleep=time.sleep,
            random=lambda: 1.0,
            on_alarm=self.alarms.append,
        )

    async def all_ended(self) -> None:
        """Wait until `run` has nothing left to do."""
        await self.until(lambda leases: all(lease.state == "ended" for lease in leases))

    async def until(self, told: Callable[[tuple[Lease, ...]], bool]) -> None:
        """Wait until the listed leases tell what is waited for, as an operator would who looks again and again."""
        while not told(await leases(self.keeper)):  # noqa: ASYNC110 - the keeper tells nobody when it is done
            await asyncio.sleep(0.001)

    def written(self) -> bytes:
        """All that is in the state's files."""
        return b"".join(file.read_bytes() for file in self.folder.glob("state.db*"))

    def image_of_a_crash(self) -> Path:
        """The files as `kill -9` leaves them at this moment."""
        image = self.folder / f"crashed-{len(list(self.folder.iterdir()))}"
        image.mkdir()
        for file in self.folder.glob("state.db*"):
            shutil.copy(file, image / file.name)
        return image


@asynccontextmanager
async def stage(
    folder: Path, *others: str, source: SourceDouble | None = None, time: Time | None = None
) -> AsyncIterator[Stage]:
    store = await Store.open(state_in(folder))
    try:
        yield Stage(store, folder, source or SourceDouble(), time or Time(), *others)
    finally:
        await store.close()


@asynccontextmanager
async def running(keeper: Keeper) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        run = group.create_task(keeper.run())
        try:
            yield
        finally:
            run.cancel()


def target(name: str, source: str = "double") -> Target:
    return Target(name, "postgres", "127.0.0.1", 5432, "app", UpstreamTls("disable"), source)


def order(number: int = 1, name: str = "prod-db") -> Order:
    return Order(LeaseId(f"l_{number}"), SessionId(f"s_{number}"), target(name), Principal("ann", "human"), 1_003_600.0)
