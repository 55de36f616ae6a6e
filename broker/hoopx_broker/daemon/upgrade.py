"""Bring a broker's state up to date without starting the broker: for those who upgrade in steps of their own."""

from __future__ import annotations

import asyncio

from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.settings import BrokerConfig


def migrate(settings: BrokerConfig) -> tuple[str, ...]:
    """Apply what is missing, as a broker does at its start, and name every step that the state then has.

    Raises `StateUnusable`, also while a broker runs on it.
    """
    return asyncio.run(_migrate(settings))


async def _migrate(settings: BrokerConfig) -> tuple[str, ...]:
    store = await Store.open(settings.state)
    try:
        return await store.run(_steps)
    finally:
        await store.close()


def _steps(connection: Connection) -> tuple[str, ...]:
    rows = connection.execute("SELECT number, name FROM schema_version ORDER BY number").fetchall()
    return tuple(f"{number:04} {name}" for number, name in rows)
