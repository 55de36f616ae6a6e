"""The state in PostgreSQL: several brokers may share it. Serializable transactions, in a few threads."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import Any, TypeVar, cast

import psycopg

from hoopx_broker.storage import notices, postgres_login
from hoopx_broker.storage.brokers import OnLost, Place, Presence
from hoopx_broker.storage.connection import Connection, Rows
from hoopx_broker.storage.errors import StateFailed
from hoopx_broker.storage.migrate import Migration
from hoopx_broker.storage.notices import Notices
from hoopx_broker.storage.postgres_errors import is_passing, is_severed, trouble_of
from hoopx_broker.storage.postgres_line import CHANNEL, Line
from hoopx_broker.storage.postgres_login import Raw
from hoopx_broker.storage.postgres_migrate import bring_up_to_date
from hoopx_broker.storage.postgres_presence import PostgresPresence
from hoopx_broker.storage.sql import for_psycopg
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.settings import StateUrl

T = TypeVar("T")

THREADS = 4  # transactions of one broker at once; each has a connection of its own
RUN_SECONDS = 10.0  # the longest that a transaction may take with all its attempts: people wait for it
GRACE_SECONDS = 2.0  # for a thread to notice that its connection was cut
FIRST_PAUSE, LONGEST_PAUSE = 0.004, 0.25  # seconds before another attempt, up to all of it left to chance


TURN = (0x686F6F70, 0x78000002)  # beside the lock of the migrations


class PostgresConnection:
    """What work gets: one transaction of one connection."""

    def __init__(self, raw: Raw, call: _Call) -> None:
        self._raw = raw
        self._call = call
        self.told: list[tuple[str, str]] = []
        self.wrote = False

    def execute(self, sql: str, parameters: Any = (), /) -> Rows:
        self._call.check()
        self.wrote = self.wrote or not sql.lstrip().upper().startswith("SELECT")
        try:
            return cast(Rows, self._raw.execute(for_psycopg(sql), parameters))
        except psycopg.DataError as error:
            if error.sqlstate is None:  # psycopg's own word: a NUL, which no text of PostgreSQL holds
                raise BadInput("this text holds a NUL character", "leave it out") from None
            raise

    def tell(self, topic: str, message: str = "", /) -> None:
        self.told.append(notices.check(topic, message))


class _Call:
    """One work to be done, from whoever asked for it to the thread that does it."""

    def __init__(self, work: Callable[[Connection], Any]) -> None:
        self.work = work
        self.ends_at = time.monotonic() + RUN_SECONDS
        self._lock = threading.Lock()
        self._raw: Raw | None = None
        self._is_over = False

    def check(self) -> None:
        """Raises `StateFailed` when its time is over: what is not committed by now will not be."""
        if self._is_over:
            raise StateFailed(f"the state gave no answer within {RUN_SECONDS:.0f} s", _LOOK)

    def use(self, raw: Raw | None) -> None:
        with self._lock:
            self._raw = raw

    def sever(self) -> None:
        """Its time is over: cut the connection under it, so that its thread waits no longer."""
        self._is_over = True
        with self._lock:
            if self._raw is not None:
                postgres_login.sever(self._raw)


class PostgresEngine:
    """Made by `open`. `line` is the one connection beside those of the threads: it listens, and shows that we live."""

    def __init__(self, where: StateUrl, heard: Notices) -> None:
        self._where = where
        self._notices = heard
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="hoopx-state")
        self._loop = asyncio.get_running_loop()
        self._idle: list[Raw] = []
        self._lock = threading.Lock()
        # Commits whose answer was lost: their servers' processes must be gone before anything else is done.
        self._unsettled: set[int] = set()
        # What is still being done though its caller has left: whoever comes after it waits for its end.
        self._left: set[asyncio.Future[Any]] = set()
        self._is_open = True
        self.line = Line(where, heard)
        self._presence: PostgresPresence | None = None

    @classmethod
    async def open(cls, where: StateUrl, migrations: Sequence[Migration], heard: Notices) -> PostgresEngine:
        engine = cls(where, heard)
        try:
            await asyncio.wrap_future(engine._threads.submit(bring_up_to_date, where, migrations))
        except BaseException:
            engine._threads.shutdown(wait=False)
            raise
        return engine

    async def run(self, work: Callable[[Connection], T]) -> T:
        """In one of the threads; again where another transaction was in its way, for `RUN_SECONDS`."""
        self._raise_if_closed()
        call = _Call(work)
        alarm = self._loop.call_later(RUN_SECONDS, call.sever)
        future: Future[T] | None = None
        try:
            async with asyncio.timeout(RUN_SECONDS + GRACE_SECONDS):
                await self._after_those_who_left()
                self._raise_if_closed()
                future = self._threads.submit(self._do, call)
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise StateFailed(f"the state `{self._where}` gave no answer within {RUN_SECONDS:.0f} s", _LOOK) from None
        finally:
            if future is None or future.done():
                alarm.cancel()
            else:
                self._leave(future, alarm)

    def listen(self) -> None:
        self.line.start()

    async def join(self, place: Place, on_lost: OnLost) -> Presence:
        self._presence = PostgresPresence(self.line, self.run, place, on_lost)
        await self._presence.begin()
        return self._presence

    async def close(self) -> None:
        if not self._is_open:
            return
        if self._presence is not None:
            await self._presence.close()
        self._is_open = False
        await self.line.close()
        await asyncio.to_thread(self._threads.shutdown)
        for raw in self._idle:
            raw.close()

    def _raise_if_closed(self) -> None:
        if not self._is_open:
            raise StateFailed(f"the state `{self._where}` is closed", "the broker is stopping; try again later")

    async def _after_those_who_left(self) -> None:
        while self._left:
            await asyncio.wait(set(self._left))

    def _leave(self, future: Future[Any], alarm: asyncio.TimerHandle) -> None:
        """It goes on to its end, which is at `RUN_SECONDS` at the latest."""
        rest = asyncio.wrap_future(future)
        self._left.add(rest)
        rest.add_done_callback(partial(self._forget, alarm))

    def _forget(self, alarm: asyncio.TimerHandle, rest: asyncio.Future[Any]) -> None:
        alarm.cancel()
        self._left.discard(rest)
        if not rest.cancelled():
            rest.exception()  # nobody is left to hear it

    # From here on in a thread.

    def _do(self, call: _Call) -> Any:
        pause, is_in_turn = FIRST_PAUSE, False
        while True:
            call.check()
            try:
                return self._attempt(call, is_in_turn)
            except psycopg.Error as error:
                # Whoever was stopped with the turn in hand must not keep it from all others.
                is_in_turn = not isinstance(error, psycopg.errors.LockNotAvailable)
                if not is_passing(error) or time.monotonic() + pause > call.ends_at:
                    raise self._failed(error) from error
            time.sleep(random.uniform(0, pause))
            pause = min(LONGEST_PAUSE, pause * 2)

    def _attempt(self, call: _Call, is_in_turn: bool) -> Any:
        raw = self._connected(call)
        call.use(raw)
        try:
            with _turn(raw) if is_in_turn else nullcontext():
                return self._transact(raw, call)
        finally:
            call.use(None)
            self._put_back(raw)

    def _transact(self, raw: Raw, call: _Call) -> Any:
        raw.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
        connection = PostgresConnection(raw, call)
        try:
            value = call.work(connection)
            for topic, message in connection.told:
                raw.execute("SELECT pg_notify(%s, %s)", (CHANNEL, notices.wrapped(self.line.name, topic, message)))
            _see_that_it_goes_on(raw)
            call.check()
        except BaseException:
            with suppress(psycopg.Error):
                raw.execute("ROLLBACK")
            raise
        self._commit(raw, connection)
        if connection.told:
            self._loop.call_soon_threadsafe(self._notices.deliver, connection.told)
        return value

    def _commit(self, raw: Raw, connection: PostgresConnection) -> None:
        process = raw.info.backend_pid
        try:
            tag = raw.execute("COMMIT").statusmessage
        except psycopg.Error as error:
            if not is_severed(error, raw) or not connection.wrote:
                raise
            with self._lock:
                self._unsettled.add(process)
            raise StateFailed(
                f"the state `{self._where}` was lost while something was written: it may be done, or not at all", _LOOK
            ) from error
        if tag != "COMMIT":  # a statement failed and the work went on as if it had not
            raise RuntimeError("the transaction was ended from inside: what was written is missing")

    def _connected(self, call: _Call) -> Raw:
        if self._unsettled:
            self._settle(call)
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return postgres_login.log_in(self._where, call.ends_at)

    def _put_back(self, raw: Raw) -> None:
        if raw.closed or raw.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE:
            raw.close()
            return
        with self._lock:
            self._idle.append(raw)

    def _settle(self, call: _Call) -> None:
        """A commit on its way to a server that is slow must not be done after somebody saw that it was not."""
        raw = postgres_login.log_in(self._where, call.ends_at)
        call.use(raw)
        try:
            for process in tuple(self._unsettled):
                postgres_login.see_gone(raw, process, call.ends_at)
                with self._lock:
                    self._unsettled.discard(process)
        finally:
            call.use(None)
            self._put_back(raw)

    def _failed(self, error: psycopg.Error) -> Exception:
        return trouble_of(error, self._where) or error


@contextmanager
def _turn(raw: Raw) -> Iterator[None]:
    """Those that were in each other's way go on one after another: at once they would be in it again, and again."""
    raw.execute("SELECT pg_advisory_lock(%s, %s)", TURN)
    try:
        yield
    finally:
        try:
            raw.execute("SELECT pg_advisory_unlock(%s, %s)", TURN)
        except psycopg.Error:
            raw.close()


def _see_that_it_goes_on(raw: Raw) -> None:
    if raw.info.transaction_status is psycopg.pq.TransactionStatus.IDLE:
        raise RuntimeError("the transaction was ended from inside: what was written may be missing")


_LOOK = "see whether its server is up and reachable from the broker, then try again"
