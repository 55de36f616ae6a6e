"""The stage for approvals: a desk, a clock to hold, and the people of a small company."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import psycopg

from hoopx_broker.api.messages import RequestView
from hoopx_broker.approvals.desk import Desk
from hoopx_broker.approvals.matter import Matter
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.approvals import Happening
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Ask
from tests.peers.state import state_in

ANN = Principal("ann", "human", ("dev",))
BOB = Principal("bob", "human", ("dba",))
CID = Principal("cid", "human", ("dba",))
DEE = Principal("dee", "human", ("dba", "security"))
EVE = Principal("eve", "human", ("sales",))

NOON = 1_795_780_800.0  # Friday, 27 November 2026, 12:00 UTC
OPENING = Matter("session", "prod-db", "sha256:1", duration=3600)
DELETION = Matter("statement", "prod-db", "sha256:1", statement="delete from orders where id = 7")
ONE_DBA = Ask("needs a look", ("sensitive",), {"dba": 1})
TWO_DBAS = Ask("needs two looks", ("sensitive",), {"dba": 2})
DBA_AND_SECURITY = Ask("needs both", ("sensitive", "secret"), {"dba": 1, "security": 1})


# What a state says that has a wall in the way of a change.
WALL = (sqlite3.IntegrityError, psycopg.IntegrityError)


class Stage:
    """A desk at a time that moves only when told."""

    def __init__(self, store: Store, accounts: Iterable[Iterable[str]] = ()) -> None:
        self.store = store
        self.now = NOON
        self.heard: list[str] = []
        self.desk = self.another_desk(accounts)

    def another_desk(self, accounts: Iterable[Iterable[str]] = (), name: str = "r") -> Desk:
        """Of another broker on the same state, whose ids begin with `name`."""
        numbers = count(1)
        ids = lambda: RequestId(f"{name}_{next(numbers)}")  # noqa: E731
        link = "https://hoopx/requests/".__add__
        return Desk(self.store, lambda: self.now, ids, link=link, hear=self._hear, accounts=accounts)

    def _hear(self, connection: Connection, happening: Happening, view: RequestView) -> None:
        assert (happening.request, happening.state) == (view.id, view.state)
        self.heard.append(f"{view.id} {happening.event}")

    async def asked(self, matter: Matter = OPENING, ruling: Ask = ONE_DBA, requester: Principal = ANN) -> RequestId:
        return RequestId((await self.ask(matter, ruling, requester)).id)

    async def ask(self, matter: Matter = OPENING, ruling: Ask = ONE_DBA, requester: Principal = ANN) -> RequestView:
        return await self.desk.ask(matter, requester, ruling, reason="fix the order", ticket="T-1", wait=900)

    async def approved(self, matter: Matter = OPENING) -> RequestId:
        request = await self.asked(matter)
        await self.desk.vote(request, BOB, "approve")
        return request

    async def state(self, request: RequestId) -> str:
        return (await self.desk.get(request)).state


@asynccontextmanager
async def stage(folder: Path, accounts: Iterable[Iterable[str]] = ()) -> AsyncIterator[Stage]:
    store = await Store.open(state_in(folder))
    try:
        yield Stage(store, accounts)
    finally:
        await store.close()


Play = Callable[[Callable[[Stage], Awaitable[None]]], None]


def player(folder: Path, accounts: Iterable[Iterable[str]] = ()) -> Play:
    """Runs scenes on a stage whose store is in `folder`."""

    def play(scene: Callable[[Stage], Awaitable[None]]) -> None:
        async def on_stage() -> None:
            async with stage(folder, accounts) as s:
                await scene(s)

        asyncio.run(on_stage())

    return play
