"""A broker that does nothing but tell: started by tests that kill it. Arguments: state, URL, authority, time."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from hoopx_broker.api.messages import RequestView
from hoopx_broker.notices.composing import Composer
from hoopx_broker.notices.courier import Courier
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.webhook import WebhookNotifier, WebhookOptions
from tests.unit.notices_stage import VIEW

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def send(state: Path, url: str, ca: Path, now: float) -> None:
    store = await Store.open(state)
    options = WebhookOptions(url=Secret(url), secrets=(Secret(SECRET),), ca=ca)
    notifier = WebhookNotifier("hook", options)
    courier = Courier(
        store,
        {"hook": notifier},
        Composer(_stored, _normal).notice,
        me="sender",
        clock=lambda: now,
        random=lambda: 1.0,
        on_trouble=lambda trouble: print(trouble, file=sys.stderr),  # noqa: T201
    )
    await courier.tell_due("hook")
    await notifier.close()
    await store.close()


async def _stored(_: RequestId) -> RequestView:
    return VIEW


async def _normal(_: bytes) -> str:
    return ""


if __name__ == "__main__":
    asyncio.run(send(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), float(sys.argv[4])))
