"""The queue of recordings that a store is to have: tried for ever, nothing let go here before it is confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec
import structlog

from hoopx_broker.evidence import shelf
from hoopx_broker.evidence.retention import Retention
from hoopx_broker.evidence.shelf import Receipt, Shelved, State
from hoopx_broker.recording.format import path_of
from hoopx_broker.recording.room import Room
from hoopx_broker.seams.store import EvidenceStore, NotStored, Stored, StoreFailed
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.events import NOTED, happened, note
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import HoopxError

LANES = 2  # uploads at once: each has one part in memory
FIRST_RETRY = 1.0
LONGEST_RETRY = 300.0  # a store that comes back has everything soon
LOOK_SECONDS = 30.0  # for what another broker left on this disk, and for holds that the store does not know of
ALARM_EVERY = 5

_log = structlog.get_logger()


class Spool:
    """`home` is whose recordings lie in `directory`. `broker` gives the id by which this one is at what it does."""

    def __init__(
        self,
        state: Store,
        store: EvidenceStore,
        directory: Path,
        retention: Retention,
        *,
        home: str,
        broker: Callable[[], str],
        room: Room,
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._state = state
        self._store = store
        self._directory = directory
        self._retention = retention
        self._home = home
        self._broker = broker
        self._room = room
        self._clock = clock
        self._random = random
        self._state_of_new: State = "waiting" if store.is_remote else "local"
        self._busy: set[str] = set()
        self._told = asyncio.Event()
        self._since = 0.0  # when the newest seal was that is known here
        self._is_settled = False
        self._is_fit = False

    async def run(self) -> None:
        """Ends only when cancelled."""
        leave = [self._state.subscribe(topic, lambda _: self._told.set()) for topic in (NOTED, shelf.TOPIC)]
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._told.clear()
                    pause = await self._whatever_happens(group)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(pause):
                            await self._told.wait()
        finally:
            for each in leave:
                each()

    async def count_waiting(self) -> int:
        """How many recordings the store does not have yet, of all brokers on this state."""
        return await self._state.run(shelf.count_waiting)

    async def work_off(self) -> None:
        """Take in what was sealed, and try everything that is due, once. Raises a `HoopxError`."""
        await self.look()
        while (one := await self._claim()) is not None:
            await self._upload_whatever_happens(one)

    async def look(self) -> None:
        """Take in what was sealed here, and catch up with what was left half done. Raises a `HoopxError`."""
        if not self._is_settled:
            await self._state.run(lambda c: shelf.settle_in(c, self._home, self._state_of_new))
            self._is_settled = True
        self._since = await self._state.run(
            lambda c: shelf.adopt(c, self._home, self._state_of_new, self._since, self._retention.promise)
        )
        if not self._store.is_remote:
            return
        for one in await self._state.run(lambda c: shelf.twice(c, self._home)):
            if one.session not in self._busy:
                await self._clear_away(one)
        await self.tell_holds()

    async def _whatever_happens(self, group: asyncio.TaskGroup) -> float:
        """How long there is nothing to do. A state or a store that fails must not end this for good."""
        try:
            await self.look()
        except Exception as error:
            _report("recordings.not_looked_after", error)
        try:
            while self._store.is_remote and len(self._busy) < LANES and (one := await self._claim()) is not None:
                group.create_task(self._upload_whatever_happens(one))
            return await self._pause()
        except Exception as error:
            _report("recordings.not_uploaded", error)
            return FIRST_RETRY

    # Uploading.

    async def _upload_whatever_happens(self, one: Shelved) -> None:
        """It is tried again until the store has it."""
        try:
            await self._upload(one)
        except Exception as error:
            # Giving up would leave it here alone, so any surprise means: again later. It is not hidden.
            await self._put_off(one, _why(error))
        finally:
            self._busy.discard(one.session)
            self._told.set()

    async def _upload(self, one: Shelved) -> None:
        path = path_of(self._directory, one.session)
        if not path.exists():
            raise StoreFailed(f"`{path.name}` is not in `{self._directory}`", "was it moved away?")
        if not self._is_fit:  # what was wrong at the start may have been put right
            await self._store.check()
            self._is_fit = True
        stored = await self._store.put_file(path.name, path, kept_until=one.kept_until)
        await self._state.run(lambda connection: self._received(connection, one, stored))
        self._remove(path)
        await self._state.run(lambda connection: shelf.gone_from_here(connection, one.session))
        await self.tell_holds()

    def _received(self, connection: Connection, one: Shelved, stored: Stored) -> None:
        """Written down, and told, before anything here is deleted."""
        at = self._clock()
        receipt = Receipt(self._store.where, stored.version, stored.size, stored.sha256, at)
        if shelf.received(connection, one.session, receipt):
            facts = {
                "store": receipt.store,
                "version": receipt.version,
                "sha256": receipt.sha256,
                "bytes": receipt.size,
            }
            locked = {"kept_until": stored.kept_until} if stored.kept_until else {}
            about = {"session": one.session, "target": one.target}
            note(connection, happened(at, "recording.stored", **about, **facts, **locked))

    async def _clear_away(self, one: Shelved) -> None:
        """A broker stopped between the receipt and the deletion: the store is asked once more what it has."""
        path = path_of(self._directory, one.session)
        if path.exists():
            try:
                stored = await self._store.stat(path.name, version=one.version)
            except NotStored as error:
                stored, why = None, error.message
            else:
                why = f"the store `{self._store.where}` has other bytes of `{path.name}` than it confirmed"
            if stored is None or (stored.size, stored.sha256) != (one.size, one.sha256):
                _log.error("recording.not_stored", session=one.session, why=why)
                await self._state.run(lambda connection: shelf.lost(connection, one.session, why))
                return
            self._remove(path)
        await self._state.run(lambda connection: shelf.gone_from_here(connection, one.session))

    def _remove(self, path: Path) -> None:
        size = path.stat().st_size
        path.unlink()
        self._room.grow(-size)

    async def _claim(self) -> Shelved | None:
        busy, broker, now = msgspec.json.encode(sorted(self._busy)).decode(), self._broker(), self._clock()
        one = await self._state.run(lambda connection: shelf.claim(connection, self._home, broker, busy, now))
        if one is not None:
            self._busy.add(one.session)
        return one

    async def _pause(self) -> float:
        if len(self._busy) >= LANES:
            return LOOK_SECONDS  # woken by the first that ends
        due = await self._state.run(lambda connection: shelf.next_due(connection, self._home))
        # One that is due and was not taken is at another broker, which may be found to be gone.
        return min(LOOK_SECONDS, max(FIRST_RETRY, due - self._clock())) if due is not None else LOOK_SECONDS

    async def _put_off(self, one: Shelved, why: str) -> None:
        doubled = FIRST_RETRY * 2.0 ** min(one.attempts, 30)
        due = self._clock() + min(LONGEST_RETRY, doubled) * (0.5 + 0.5 * self._random())
        try:
            attempts = await self._state.run(lambda connection: shelf.put_off(connection, one.session, why, due))
        except HoopxError as error:
            _report("recordings.not_looked_after", error)  # it is due at once then
            return
        say = _log.error if attempts % ALARM_EVERY == 0 else _log.warning
        say("recording.not_stored", session=one.session, attempts=attempts, why=why)

    # Holds.

    async def tell_holds(self) -> None:
        """Have the store itself enforce holds, and let go of what nobody holds. Raises a `HoopxError`."""
        if not self._store.is_remote:
            return
        for one in await self._state.run(shelf.unlike_their_holds):
            name, is_held = path_of(self._directory, one.session).name, not one.held_there
            await self._store.keep(name, held=is_held, version=one.version)
            await self._state.run(partial(shelf.told_of_hold, session=one.session, is_held=is_held))


def _why(error: Exception) -> str:
    return error.message if isinstance(error, HoopxError) else f"unexpected {type(error).__name__}"


def _report(event: str, error: Exception) -> None:
    if isinstance(error, HoopxError):
        _log.warning(event, why=error.message)
    else:
        _log.error(event, why=_why(error), exc_info=error)
