"""Where races are run: brokers on one state, a clock that leaps both ways, and the people of a small company."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random

from hoopx_broker.approvals.desk import Desk
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.settings import StateUrl

# The accounts of each person, whichever of them asks or answers.
PEOPLE = {
    "Ann": ("ann", "ann-admin"),
    "Bob": ("bob", "bob-admin"),
    "Cid": ("cid",),
    "Dee": ("dee",),
    "Sam": ("sam", "samuel"),
}
GROUPS = {
    "ann": ("oncall",),
    "ann-admin": ("dba", "security"),
    "bob": ("dba",),
    "bob-admin": ("dba", "security"),
    "cid": ("dba",),
    "dee": ("dba", "security"),
    "sam": ("security",),
    "samuel": ("security", "dba"),
}
PERSON_OF = {account: person for person, accounts in PEOPLE.items() for account in accounts}
ACCOUNTS = {name: Principal(name, "human", groups) for name, groups in GROUPS.items()}
REQUESTERS = (ACCOUNTS["ann"], Principal("bot", "agent", ("dba", "oncall"), on_behalf_of="ann"))
LEAPS = (-600.0, -1.0, 1.0, 60.0, 400.0, 1_000.0)


class Arena:
    """A desk for each broker; all of them read one clock."""

    def __init__(self, stores: list[Store], chance: Random) -> None:
        self.now = 1_795_780_800.0
        self.chance = chance
        self.store = stores[0]
        self.desks = [self._desk(store, number) for number, store in enumerate(stores)]

    def _desk(self, store: Store, number: int) -> Desk:
        numbers = count(1)
        ids: Callable[[], RequestId] = lambda: RequestId(f"r_{number}_{next(numbers)}")  # noqa: E731
        return Desk(store, lambda: self.now, ids, accounts=PEOPLE.values())

    def any_desk(self) -> Desk:
        return self.chance.choice(self.desks)


@asynccontextmanager
async def arena(where: Path | StateUrl, chance: Random) -> AsyncIterator[Arena]:
    """Two brokers on PostgreSQL, each with a store; on a file, which one broker holds, two desks of that one."""
    stores = [await Store.open(where) for _ in range(2 if isinstance(where, StateUrl) else 1)]
    try:
        yield Arena(stores if len(stores) > 1 else stores * 2, chance)
    finally:
        for store in stores:
            await store.close()
