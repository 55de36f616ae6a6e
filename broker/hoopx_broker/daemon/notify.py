"""Compose the telling of requests: notifiers, the courier that serves them, and what people may answer through."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress

import structlog

from hoopx_broker.approvals.desk import Desk
from hoopx_broker.daemon.clerk import LinkedClerk
from hoopx_broker.daemon.linking import Answerable
from hoopx_broker.daemon.plugins import notifier_class
from hoopx_broker.identity.standing import Standing
from hoopx_broker.notices.composing import Composer
from hoopx_broker.notices.courier import Courier, Trouble
from hoopx_broker.notices.linked import Accounts
from hoopx_broker.seams.notifier import Hears, Notifier
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.storage.errors import StateFailed
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.settings import BrokerConfig, Notify

LOOK_SECONDS = 15.0  # so late at most it is told that a request is over

_log = structlog.get_logger()


def notifiers_of(settings: BrokerConfig, stack: AsyncExitStack) -> dict[str, Notifier]:
    """By name; closed with `stack`."""
    made = {entry.name: notifier_class(entry.kind)(entry.name, entry.options) for entry in settings.notify}
    for notifier in made.values():
        stack.push_async_callback(notifier.close)
    return made


def courier_of(store: Store, notifiers: Mapping[str, Notifier], desk: Desk, reader: StatementReader) -> Courier:
    return Courier(
        store,
        notifiers,
        Composer(desk.get, reader.normal).notice,
        me=secrets.token_hex(4),
        clock=time.time,
        random=random.random,
        on_trouble=_not_told,
    )


def answerable_of(
    entries: tuple[Notify, ...],
    notifiers: Mapping[str, Notifier],
    store: Store,
    desk: Desk,
    standing: Standing,
    public_url: str,
) -> dict[str, Answerable]:
    """Those that people may answer through, by name."""
    found: dict[str, Answerable] = {}
    for entry in entries:
        notifier = notifiers[entry.name]
        if isinstance(notifier, Hears) and notifier.is_open():
            accounts = Accounts(store, entry.name, time.time, os.urandom)
            clerk = LinkedClerk(entry, accounts, desk, standing, time.time, public_url)
            found[entry.name] = Answerable(notifier, clerk, accounts)
    return found


async def keep_time(desk: Desk) -> None:
    """What time alone brings about happens when somebody looks: where nobody waits at the desk, this does."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        with suppress(StateFailed):  # told to all who need the state; here it is waited for
            await desk.list(limit=0)


def _not_told(trouble: Trouble) -> None:
    _log.log(
        logging.ERROR if trouble.is_over else logging.WARNING,
        "notice.given_up" if trouble.is_over else "notice.not_told",
        notifier=trouble.notifier,
        notice=trouble.notice,
        request=trouble.request,
        happening=trouble.event,
        attempts=trouble.attempts,
        why=trouble.why,
    )
