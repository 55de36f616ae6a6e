"""Look at what happened: events by who, where, what and when, in steps that keep nobody else from the state."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.audit import Event

STEP = 20_000  # rows looked at in one transaction: some tens of milliseconds


class Wanted(Struct, frozen=True):
    """Empty is any. `user` is also the human that an agent acted for, and has all that happened to their sessions."""

    user: str = ""
    target: str = ""
    type: str = ""
    session: str = ""
    since: float = 0
    until: float = 0


class Noted(Struct, frozen=True):
    """`leaf` is its index in the log, None while it waits to be put there."""

    number: int
    leaf: int | None
    event: Event


async def newest(store: Store, wanted: Wanted, limit: int) -> list[Noted]:
    """The newest that are wanted, the newest last."""
    found: list[Noted] = []
    top: int = await store.run(_last) + 1
    while top > 1 and len(found) < limit:
        bottom = 1 if wanted.session else max(1, top - STEP)
        found += await store.run(_between(wanted, bottom, top, "DESC", limit - len(found)))
        top = bottom
    return found[::-1]


async def after(store: Store, wanted: Wanted, number: int, limit: int) -> list[Noted]:
    """Those that were noted after this one, the oldest first."""
    found: list[Noted] = []
    bottom, last = number + 1, await store.run(_last)
    while bottom <= last and len(found) < limit:
        top = bottom + STEP
        found += await store.run(_between(wanted, bottom, top, "ASC", limit - len(found)))
        bottom = top
    return found


def _last(connection: Connection) -> int:
    return connection.execute("SELECT max(number) FROM events").fetchone()[0] or 0


def _between(wanted: Wanted, bottom: int, top: int, order: str, limit: int) -> Any:
    where = ["number >= :bottom", "number < :top"]
    if wanted.user:
        where.append(
            "(\"user\" = :user OR on_behalf_of = :user OR (session <> '' AND session IN"
            ' (SELECT id FROM sessions WHERE "user" = :user OR on_behalf_of = :user)))'
        )
    if wanted.session:
        where.append("session = :session AND session <> ''")
    where += [f"{name} = :{name}" for name in ("target", "type") if getattr(wanted, name)]
    where += ["at >= :since"] if wanted.since else []
    where += ["at < :until"] if wanted.until else []
    query = f"SELECT number, leaf, event FROM events WHERE {' AND '.join(where)} ORDER BY number {order} LIMIT :limit"
    names = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value}
    values = names | {"bottom": bottom, "top": top, "limit": limit}

    def work(connection: Connection) -> list[Noted]:
        rows = connection.execute(query, values).fetchall()
        return [Noted(number, leaf, msgspec.json.decode(event, type=Event)) for number, leaf, event in rows]

    return work
