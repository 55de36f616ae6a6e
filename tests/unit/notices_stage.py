"""The stage for notices: an outbox, couriers, a clock to hold, and a double of a notifier."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from hoopx_broker.api.messages import RequestView
from hoopx_broker.notices.composing import Composer
from hoopx_broker.notices.courier import Courier, Trouble
from hoopx_broker.notices.hearing import Ear
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.approvals import Happening
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.notices import Notice
from hoopx_broker.terms.settings import Notify
from tests.peers.state import state_in

NOON = 1_800_000_000.0
EVENTS = ("asked", "approve", "approved", "denied", "used", "expired", "broken-glass")
VIEW = RequestView(
    id="r_1",
    state="waiting",
    kind="session",
    target="prod-db",
    requester="ann",
    reason="fix the order",
    ticket="T-1",
    duration=3600,
    rules=("sensitive",),
    approvers={"dba": 1},
    created_at=NOON,
    expires_at=NOON + 900,
    link="https://broker.example.com/requests/r_1",
)
NOTICE = Notice(
    id="msg_0123456789abcdef",
    event="asked",
    at=NOON,
    request="r_1",
    kind="session",
    target="prod-db",
    requester="ann",
    state="waiting",
    link="https://broker.example.com/requests/r_1",
    reason="fix the order",
    ticket="T-1",
    duration=3600,
    expires_at=NOON + 900,
    rules=("sensitive",),
    approvers={"dba": 1},
)


def entry(name: str = "hook", **more: Any) -> Notify:
    return Notify(**{"name": name, "kind": "double", "options": None, "events": EVENTS, **more})


class NotifierDouble:
    """A double of a notifier: keeps what it is told, and answers as `answers` has it, then with yes."""

    Options = None.__class__

    def __init__(self, name: str = "hook", options: Any = None) -> None:
        self.heard: list[Notice] = []
        self.answers: list[BaseException | Callable[[], Awaitable[str]]] = []
        self._told = asyncio.Event()

    async def until(self, count: int) -> None:
        """It was told so many times."""
        while len(self.heard) < count:
            self._told.clear()
            await self._told.wait()

    async def tell(self, notice: Notice, thread: dict[str, str]) -> str:
        self.heard.append(notice)
        self._told.set()
        thread["told"] = str(int(thread.get("told", "0")) + 1)
        answer = self.answers.pop(0) if self.answers else None
        match answer:
            case None:
                return ""
            case BaseException():
                raise answer
            case _:
                return await answer()

    async def close(self) -> None:
        return

    @property
    def events(self) -> list[str]:
        return [notice.event for notice in self.heard]


class Stage:
    """An outbox at a time that moves only when told. Texts of statements are as `statements` has them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = NOON
        self.troubles: list[Trouble] = []
        self._troubled = asyncio.Event()
        self.statements: dict[str, str] = {}
        self.hook = NotifierDouble()

    async def happens(self, event: str, view: RequestView = VIEW, entries: tuple[Notify, ...] = (entry(),)) -> None:
        self.now += 0.001
        happening = Happening(view.id, event, self.now, by="bob", state=view.state)
        ear = Ear(entries, {})
        await self.store.run(lambda connection: ear(connection, happening, view))

    def courier(self, me: str = "one", **notifiers: Any) -> Courier:
        return Courier(
            self.store,
            notifiers or {"hook": self.hook},
            Composer(self._stored, self._normal).notice,
            me=me,
            clock=lambda: self.now,
            random=lambda: 1.0,
            on_trouble=self._heard_of,
        )

    async def until_troubled(self, count: int) -> None:
        while len(self.troubles) < count:
            self._troubled.clear()
            await self._troubled.wait()

    def _heard_of(self, trouble: Trouble) -> None:
        self.troubles.append(trouble)
        self._troubled.set()

    async def _stored(self, request: RequestId) -> RequestView:
        return replace(VIEW, id=request, kind="statement", statement=self.statements[request])

    async def _normal(self, text: bytes) -> str:
        return f"form of {len(text)} bytes"


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    store = await Store.open(state_in(folder))
    try:
        yield Stage(store)
    finally:
        await store.close()


Play = Callable[[Callable[[Stage], Awaitable[None]]], None]


def player(folder: Path) -> Play:
    def play(scene: Callable[[Stage], Awaitable[None]]) -> None:
        async def on_stage() -> None:
            async with stage(folder) as s:
                await scene(s)

        asyncio.run(on_stage())

    return play
