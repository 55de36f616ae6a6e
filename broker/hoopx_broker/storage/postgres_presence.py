"""A broker among others on one PostgreSQL: it shows that it lives, knows when it cannot, and finds those that are gone.

A broker lives while its session-level advisory lock is held, on the line that it beats on, or its last beat is not old.
The lock alone would be too hasty, for a line breaks and is there again; the beat alone too slow where a home is known.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import structlog

from hoopx_broker.storage import brokers, notices
from hoopx_broker.storage.brokers import TOPIC, OnLost, Place, new_id
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.errors import StateFailed, StateUnusable
from hoopx_broker.storage.postgres_line import ANSWER_SECONDS, CHANNEL, Line, RawLine

T = TypeVar("T")
Run = Callable[[Callable[[Connection], T]], Awaitable[T]]

START_SECONDS = 15.0
LOOK_SECONDS = 0.25
MAX_OFF_SECONDS = 5.0  # between the clocks of this machine and of the database

_NOW = "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)"
_ENTER = f"""
INSERT INTO brokers (id, home, url, verifier, since, seen_at) VALUES (%s, %s, %s, %s, {_NOW}, {_NOW})
ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at WHERE brokers.gone_at = 0
"""
_BEAT = f"UPDATE brokers SET seen_at = {_NOW} WHERE id = %s AND gone_at = 0"
_LEAVE = f"UPDATE brokers SET gone_at = {_NOW} WHERE id = %s AND gone_at = 0"
# Of this line's own name alone: a line that broke may still be there for the server.
_END_FORMER = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s AND pid <> %s"
_TAKE_LOCK = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_IS_SILENT = (
    f"gone_at = 0 AND id <> :me AND (seen_at < {_NOW} - :seconds OR (home = :home AND 1 = :alone) OR id = :former)"
)

# PostgreSQL shows a lock of 64 bits as two halves.
_END_HOLDER = """
SELECT pg_terminate_backend(pid) FROM pg_locks, (SELECT hashtextextended(?, 0) AS name) AS wanted
WHERE locktype = 'advisory' AND granted AND objsubid = 1
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND CAST(classid AS BIGINT) = ((name >> 32) & 4294967295) AND CAST(objid AS BIGINT) = (name & 4294967295)
"""

_log = structlog.get_logger()


class PostgresPresence:
    """Made by `begin`. `seconds` are `CUT_OFF_SECONDS` and `GONE_SECONDS`."""

    def __init__(self, line: Line, run: Run[tuple[str, ...]], place: Place, on_lost: OnLost) -> None:
        self._line = line
        self._run = run
        self._place = place
        self._on_lost = on_lost
        self._id = new_id()
        self._former = ""  # what it was, until the others know that this is over
        self._locked = ""  # the id for which this line holds the lock
        self._shown_at = time.monotonic()
        self._up_at = time.monotonic()
        self._is_ending = False
        self._clock_off = 0.0
        self._entered = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        return self._id

    async def begin(self) -> None:
        """Raises `StateUnusable` where the others cannot be told."""
        self._line.attend(self._up, self._beat)
        self._line.start()
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._entered.wait()
        except TimeoutError:
            raise StateUnusable(
                "this broker could not show the others on its state that it is there",
                "see that its role may write the table `brokers`, and that nothing stands between it and its server "
                "that shares connections: a pooler will not do (docs/state.md)",
            ) from None
        if self._clock_off:
            way = "ahead of" if self._clock_off > 0 else "behind"
            raise StateUnusable(
                f"the clock of this machine is {abs(self._clock_off):.0f} s {way} that of the state's server",
                "set both by the same time server (NTP)",
            )
        self._watch = asyncio.get_running_loop().create_task(self._see_to_it(), name="state presence")

    async def close(self) -> None:
        """What it could not end by now is the others', at once."""
        if self._watch is None:
            return
        self._watch.cancel()
        await asyncio.wait([self._watch])
        with suppress(StateFailed, TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._run(lambda connection: _leave(connection, self._id))

    async def look(self) -> tuple[str, ...]:
        """By their silence only where this broker has heard the state itself, or all would be gone after a pause."""
        seconds = brokers.GONE_SECONDS
        is_sure = time.monotonic() - self._up_at > seconds
        wanted = {
            "me": self._id,
            "seconds": seconds if is_sure else 1e9,
            "home": self._place.home,
            "alone": int(self._place.is_alone),
            "former": self._place.former,
        }
        return await self._run(lambda connection: _gone(connection, wanted))

    async def _up(self, raw: RawLine) -> None:
        await raw.execute(_END_FORMER, (f"hoopx-broker {self._line.name}", raw.info.backend_pid))
        self._locked = ""
        self._up_at = time.monotonic()
        await self._beat(raw)

    async def _beat(self, raw: RawLine) -> None:
        if self._is_ending:
            await raw.execute("SELECT 1")
            return
        began = time.monotonic()
        if self._locked != self._id:
            await self._enter(raw)
        elif (await raw.execute(_BEAT, (self._id,))).rowcount == 0:
            self._lose("another broker has taken over what it had, after a silence")
            return
        self._shown_at = began

    async def _enter(self, raw: RawLine) -> None:
        """The lock first: whoever sees the row finds it locked."""
        await self._compare_clocks(raw)
        if self._former:
            await raw.execute(_LEAVE, (self._former,))
            # In nobody's name, so that this broker hears it as well.
            await raw.execute("SELECT pg_notify(%s, %s)", (CHANNEL, notices.wrapped("", TOPIC, self._former)))
            self._former = ""
        await self._lock(raw)
        place = self._place
        entered = await raw.execute(_ENTER, (self._id, place.home, place.url, place.verifier))
        if entered.rowcount == 0:
            self._lose("another broker has taken over what it had, after a silence")
            return
        self._locked = self._id
        self._entered.set()

    async def _compare_clocks(self, raw: RawLine) -> None:
        """Ends of approvals and leases are told by the brokers' clocks; those that differ would quarrel about them."""
        row = await (await raw.execute(f"SELECT {_NOW}")).fetchone()
        off = time.time() - row[0] if row is not None else 0.0
        self._clock_off = off if abs(off) > MAX_OFF_SECONDS else 0.0
        if self._clock_off:
            _log.error("broker.clock_is_off", seconds=round(off, 1))

    async def _lock(self, raw: RawLine) -> None:
        """Within the limit of the line: its former self has been told to let go."""
        while True:
            row = await (await raw.execute(_TAKE_LOCK, (_name(self._id),))).fetchone()
            if row == (True,):
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _see_to_it(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self._is_ending and time.monotonic() - self._shown_at > brokers.CUT_OFF_SECONDS:
                self._lose(f"the state cannot be reached, for {brokers.CUT_OFF_SECONDS:.0f} s by now")
            if self._is_ending:
                await self._end()

    def _lose(self, why: str) -> None:
        if not self._is_ending:
            _log.error("broker.cut_off", broker=self._id, why=why)
            self._why, self._is_ending = why, True

    async def _end(self) -> None:
        """Under a new id it begins anew, with nothing; what it had under the old one is left to whoever looks."""
        try:
            await self._on_lost(self._why)
        finally:
            self._former, self._id = self._id, new_id()
            self._shown_at = time.monotonic()
            self._is_ending = False


def _leave(connection: Connection, broker: str) -> tuple[str, ...]:
    connection.execute(f"UPDATE brokers SET gone_at = {_NOW} WHERE id = ? AND gone_at = 0", (broker,))
    connection.tell(TOPIC, broker)
    return (broker,)


def _gone(connection: Connection, wanted: dict[str, object]) -> tuple[str, ...]:
    found = connection.execute(
        f"SELECT id, seen_at < {_NOW} - :seconds FROM brokers WHERE {_IS_SILENT}", wanted
    ).fetchall()
    gone = [broker for broker, is_old in found if _is_let_go(connection, broker, is_old=bool(is_old))]
    for broker in gone:
        leave = f"UPDATE brokers SET gone_at = {_NOW} WHERE id = :id AND {_IS_SILENT}"
        connection.execute(leave, wanted | {"id": broker})
        connection.tell(TOPIC, broker)
    return tuple(gone)


def _is_let_go(connection: Connection, broker: str, *, is_old: bool) -> bool:
    """Its line is gone too: the lock is free, and it is ours until this is written.

    A process that was stopped holds its line, for its machine answers for it: whose silence is old has it ended, and
    is looked at again the next time.
    """
    row = connection.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(?, 0))", (_name(broker),)).fetchone()
    if not row[0] and is_old:
        connection.execute(_END_HOLDER, (_name(broker),))
    return bool(row[0])


def _name(broker: str) -> str:
    return f"hoopx broker {broker}"
