"""Read a recording from wherever it is now: the disk where it is written, or the store that has it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from hoopx_broker.api.messages import RecordingView
from hoopx_broker.evidence import shelf
from hoopx_broker.evidence.holds import in_force
from hoopx_broker.evidence.retention import Retention
from hoopx_broker.evidence.shelf import Shelved
from hoopx_broker.recording.format import path_of
from hoopx_broker.seams.store import EvidenceStore
from hoopx_broker.storage import brokers
from hoopx_broker.storage.brokers import Broker
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import BackendFailed, Unknown

_CHUNK = 1 << 18


class Recordings:
    """`home` is whose recordings lie in `directory`."""

    def __init__(self, state: Store, store: EvidenceStore, directory: Path, home: str, retention: Retention) -> None:
        self._state = state
        self._store = store
        self._directory = directory
        self._home = home
        self._retention = retention

    async def open(self, session: str, start: int = 0) -> AsyncIterator[bytes]:
        """Its bytes from `start`, as far as they are written now. Raises a `HoopxError` that says where it is.

        What is wrong with its store is told before the first byte is given.
        """
        path = path_of(self._directory, session)
        file = await asyncio.to_thread(_opened, path, start)
        if file is None:
            one, broker = await self._state.run(lambda connection: _found(connection, session))
            if one is not None and one.state == "deleted":
                raise Unknown(f"the recording of `{session}` was deleted {_deletion(one)}", "its session stays listed")
            if one is not None and one.state in ("stored", "deleting"):
                return await self._from_store(one, path.name, start)
            # It may have been taken to the store just now, after it was looked for here.
            file = await asyncio.to_thread(_opened, path, start)
            if file is None:
                raise self._elsewhere(session, broker)
        return _read(file)

    async def view(self, session: str) -> RecordingView | None:
        """What people are told of it; None for one that is being written, or could not be sealed."""

        def work(connection: Connection) -> RecordingView | None:
            one = shelf.find(connection, session)
            return self._shown(one, bool(in_force(connection, session))) if one is not None else None

        return await self._state.run(work)

    def _shown(self, one: Shelved, is_held: bool) -> RecordingView:
        return RecordingView(
            state=one.state,
            store=one.store or self._store.where,
            version=one.version,
            bytes=one.size,
            sha256=one.sha256,
            retention=one.class_,
            kept_until=self._retention.until(one) or 0,
            held=is_held,
            stored_at=one.stored_at,
            deleted_at=one.deleted_at,
            deleted_by=one.deleted_by,
            error=one.last_error,
        )

    async def _from_store(self, one: Shelved, name: str, start: int) -> AsyncIterator[bytes]:
        if one.store != self._store.where:
            raise BackendFailed(
                f"the recording of `{one.session}` is in `{one.store}`, and this broker uses `{self._store.where}`",
                "let `recordings` name that store, or look for it there",
            )
        chunks = self._store.get(name, start, version=one.version)
        return _joined(await anext(chunks, b""), chunks)

    def _elsewhere(self, session: str, broker: Broker | None) -> Unknown:
        if broker is None or broker.home == self._home:
            return Unknown(f"the recording of `{session}` is not here", "ask whoever runs the broker")
        return Unknown(
            f"the recording of `{session}` is on the disk of the broker at `{broker.url}`",
            f"ask that one: `hoopx --broker {broker.url}`; whoever runs it finds it among its recordings",
        )


def _found(connection: Connection, session: str) -> tuple[Shelved | None, Broker | None]:
    row = connection.execute("SELECT broker FROM sessions WHERE id = ?", (session,)).fetchone()
    return shelf.find(connection, session), brokers.find(connection, row[0]) if row else None


def _deletion(one: Shelved) -> str:
    at = f"{datetime.fromtimestamp(one.deleted_at, UTC):%Y-%m-%d}"
    return f"on {at} by `{one.deleted_by}`: its time by the class `{one.class_}` was over"


def _opened(path: Path, start: int) -> BinaryIO | None:
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
    except FileNotFoundError:
        return None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise BackendFailed(f"`{path.name}` cannot be read: {why}", "check its disk and its owner") from error
    file.seek(start)
    return file


async def _read(file: BinaryIO) -> AsyncIterator[bytes]:
    """Once open, its bytes are there even when the file is taken to the store."""
    with file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for chunk in rest:
        yield chunk
