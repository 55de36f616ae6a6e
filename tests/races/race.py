"""One request, and everybody at it at once; what each of them was told is kept for the judges."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

from hoopx_broker.api.messages import RequestView
from hoopx_broker.approvals.matter import Matter
from hoopx_broker.terms.approvals import Conditions, RequestKind
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.rulings import Ask
from tests.races.arena import ACCOUNTS, LEAPS, REQUESTERS, Arena

KINDS: tuple[RequestKind, ...] = ("session", "statement", "statement", "unmask", "extension")
NEEDS = ({"dba": 1}, {"dba": 2}, {"dba": 1, "security": 1}, {"dba": 2, "security": 1})
GLASS = Conditions(breakers=(("oncall",),), reviewers={"security": 1, "dba": 1})
DEEDS = (*["approve"] * 8, "deny", "cancel", *["spend"] * 4, "client", "client", "later", "again")
GLASS_DEEDS = ("accept", "accept", "accept", "object", "spend", "deny", "cancel", "again", "later")


class Race:
    """`number` makes it another request than every other one."""

    def __init__(self, arena: Arena, number: int) -> None:
        self.arena = arena
        self.chance = Random(f"{arena.chance.random()}")
        self.requester = self.chance.choice(REQUESTERS)
        kind, is_glass = self.chance.choice(KINDS), self.chance.random() < 0.15
        self.is_glass = is_glass and self.requester.kind == "human"
        self.key = self.chance.choice(["", f"key-{number}"]) if not self.is_glass else f"key-{number}"
        self.ruling = Ask("a race", ("race",), self.chance.choice(NEEDS), conditions=GLASS)
        self.matter = Matter(kind, "prod-db", "sha256:1", f"race {number}", 600 if kind == "unmask" else 0)
        self.request = RequestId("")
        self.shown: list[RequestView] = []  # every view that anybody got
        self.spent = 0  # who was told that they may go on
        self.unsure = 0  # who left while they were about to be told
        self.ids: set[str] = set()  # what asking gave, where it was the same ask

    async def run(self) -> None:
        """All begin at once: even the ask, twice where its key makes it one."""
        asks = [self._ask() for _ in range(self.chance.choice([1, 1, 2, 3]))]
        await asyncio.gather(*asks)
        deeds = [self._deed() for _ in range(self.chance.randint(2, 9))]
        await asyncio.gather(*(self._timidly(deed) for deed in deeds))

    def _deed(self) -> Callable[[], Awaitable[object]]:
        name = self.chance.choice(GLASS_DEEDS if self.is_glass else DEEDS)
        account = ACCOUNTS[self.chance.choice(list(ACCOUNTS))]
        desk = self.arena.any_desk()
        match name:
            case "approve" | "deny":
                return lambda: self._see(desk.vote(self.request, account, name, "in a race"))
            case "accept" | "object":
                return lambda: self._see(desk.review(self.request, account, name, "in a race"))
            case "cancel":
                return lambda: self._see(desk.cancel(self.request, self.requester))
            case "spend":
                return self._spend
            case "client":
                return self._client
            case "later":
                return self._leap
            case _:
                return self._ask

    async def _timidly(self, deed: Callable[[], Awaitable[object]]) -> None:
        """At a moment of its own, and refused as often as not."""
        for _ in range(self.chance.randint(0, 6)):
            await asyncio.sleep(0)
        if self.chance.random() < 0.3:
            await asyncio.sleep(self.chance.random() / 500)
        with suppress(HoopxError):
            await deed()

    async def _see(self, answer: Awaitable[RequestView]) -> None:
        self.shown.append(await answer)

    async def _ask(self) -> None:
        desk, said = self.arena.any_desk(), {"reason": "a race", "key": self.key}
        if not self.is_glass:
            view = await desk.ask(self.matter, self.requester, self.ruling, wait=900, **said)
        elif not self.request:
            try:
                view = await desk.break_glass(self.matter, self.requester, self.ruling, **said)
            except HoopxError:  # somebody else was first, by the same key
                return
            self.spent += self.matter.kind != "unmask"
        else:
            return
        if self.key or not self.request:
            self.ids.add(view.id)
            self.request = RequestId(view.id)
            self.shown.append(view)

    async def _spend(self) -> None:
        if self.matter.kind == "unmask":  # is never spent: it holds
            await self.arena.any_desk().unmaskings()
            return
        try:
            await self.arena.any_desk().spend(self.request, self.requester, self.matter, used_by="a race")
        except asyncio.CancelledError:
            self.unsure += 1
            raise
        self.spent += 1

    async def _client(self) -> None:
        """As a session holds a statement: waits, goes on, and takes its request back where its client has gone."""
        client = asyncio.ensure_future(self._held())
        await asyncio.sleep(self.chance.random() / 100)
        client.cancel()
        with suppress(asyncio.CancelledError, HoopxError):
            await client

    async def _held(self) -> None:
        desk = self.arena.any_desk()
        try:
            await desk.wait(self.request, 5)
            await self._spend()
        except asyncio.CancelledError:
            with suppress(HoopxError):
                await desk.cancel(self.request, self.requester)
            raise

    async def _leap(self) -> None:
        if self.chance.random() < 0.2:  # all who race at once share the clock
            self.arena.now += self.chance.choice(LEAPS)
