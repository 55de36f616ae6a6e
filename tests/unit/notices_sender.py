"""A broker that does nothing but tell: started by tests that kill it. Arguments: what, state, URL, authority, time."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path

from msgspec.structs import replace

from hoopx_broker.api.messages import RequestView
from hoopx_broker.notices.composing import Composer
from hoopx_broker.notices.courier import Courier
from hoopx_broker.notices.hearing import Ear
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.approvals import Happening
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.webhook import WebhookNotifier, WebhookOptions
from tests.unit.notices_stage import VIEW, entry

REQUESTS = 3

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def send(state: Path, url: str, ca: Path, now: float) -> None:
    """What is due, once."""
    async with _courier(state, url, ca, now) as (_, courier):
        await courier.tell_due("hook")


async def be_busy(state: Path, url: str, ca: Path, now: float) -> None:
    """Write down without end what happens to a few requests, and tell it meanwhile."""
    async with _courier(state, url, ca, now) as (store, courier), asyncio.TaskGroup() as group:
        group.create_task(courier.run())
        for number in count():
            view = replace(VIEW, id=f"r_{number % REQUESTS}")
            happening = Happening(view.id, "asked", now + number / 1_000_000, by=f"{now:.0f}-{number}")
            await store.run(partial(_write, happening, view))
            await asyncio.sleep(0.002)


def _write(happening: Happening, view: RequestView, connection: Connection) -> None:
    Ear((entry(),), {})(connection, happening, view)


@asynccontextmanager
async def _courier(state: Path, url: str, ca: Path, now: float) -> AsyncIterator[tuple[Store, Courier]]:
    store = await Store.open(state)
    options = WebhookOptions(url=Secret(url), secrets=(Secret(SECRET),), ca=ca)
    notifier = WebhookNotifier("hook", options)
    began = time.monotonic()
    courier = Courier(
        store,
        {"hook": notifier},
        Composer(_stored, _normal).notice,
        me="sender",
        clock=lambda: now + time.monotonic() - began,
        random=lambda: 1.0,
        on_trouble=lambda trouble: print(trouble, file=sys.stderr),  # noqa: T201
    )
    yield store, courier
    await notifier.close()
    await store.close()


async def _stored(_: RequestId) -> RequestView:
    return VIEW


async def _normal(_: bytes) -> str:
    return ""


if __name__ == "__main__":
    _, what, of, to, by, at = sys.argv
    asyncio.run((be_busy if what == "be_busy" else send)(Path(of), to, Path(by), float(at)))
