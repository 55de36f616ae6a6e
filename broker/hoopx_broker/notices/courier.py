"""The courier: tells notifiers what is written down for them, at least once, in order, and for a day if need be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from itertools import count
from typing import assert_never

from msgspec import Struct

from hoopx_broker.notices import outbox
from hoopx_broker.notices.outbox import Due, Left
from hoopx_broker.seams.notifier import Notifier
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.errors import StateFailed
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.terms.notices import Gone, Notice, NotTold, NotWanted

TRY_SECONDS = 20.0  # what a receiver may take for one; the standard for webhooks says 15 to 30
CLAIM_SECONDS = 60.0  # then it is taken for lost with its broker; three times what a try may take
LANES = 4  # at once for one notifier: a slow receiver holds up nobody else's
FIRST_RETRY = 5.0
LONGEST_RETRY = 3_600.0  # a receiver that comes back hears within the hour
SHORTEST_REST = 0.5  # where something should be due and cannot be taken
LOOK_SECONDS = 10.0  # between looks for what another broker wrote down, and left behind
TIDY_SECONDS = 3_600.0
ALARM_EVERY = 5  # tries of one notice in vain

Compose = Callable[[Due], Awaitable[Notice]]


class Trouble(Struct, frozen=True):
    """A notice was not told, or not to all. `is_over`: it never will be. `why` holds no secret."""

    notifier: str
    notice: str
    request: str
    event: str
    attempts: int
    why: str
    is_over: bool = False


class Told(Struct, frozen=True):
    """It was told; `but` is what went wrong with a part of it."""

    but: str = ""


class Failed(Struct, frozen=True):
    """It was not; `after` is what the receiver asks for, in seconds."""

    why: str
    after: float = 0


class Refused(Struct, frozen=True):
    """It never will be."""

    why: str
    is_gone: bool = False


Outcome = Told | Failed | Refused


class Courier:
    """`notifiers` by name. `me` names this broker among those that share the state. `run` is to be running.

    `clock` gives seconds since the Unix epoch, `random` numbers from 0 to 1.
    """

    def __init__(
        self,
        store: Store,
        notifiers: Mapping[str, Notifier],
        compose: Compose,
        *,
        me: str,
        clock: Callable[[], float],
        random: Callable[[], float],
        on_trouble: Callable[[Trouble], None],
    ) -> None:
        self._store = store
        self._notifiers = notifiers
        self._compose = compose
        self._clock = clock
        self._random = random
        self._on_trouble = on_trouble
        self._marks = (f"{me}/{number}" for number in count(1))
        self._awake = {name: asyncio.Event() for name in notifiers}
        self._gone: set[str] = set()

    async def run(self) -> None:
        """Tell what is due, when it is; ends only when cancelled."""
        leave = self._store.subscribe(outbox.TOPIC, lambda _: self._wake())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tidy())
                for name in self._notifiers:
                    group.create_task(self._serve(name))
        finally:
            leave()

    async def tell_due(self, name: str) -> int:
        """Try everything that is due for one notifier now, one after another; gives how many were tried."""
        tried = 0
        while (taken := await self._take(name)) is not None:
            await self._deliver(*taken)
            tried += 1
        return tried

    async def count_left(self) -> Left:
        return await self._store.run(outbox.count_left)

    def _wake(self) -> None:
        """Something new is written down, here or by another broker."""
        for awake in self._awake.values():
            awake.set()

    async def _serve(self, name: str) -> None:
        lanes = asyncio.Semaphore(LANES)
        async with asyncio.TaskGroup() as group:
            while True:
                await lanes.acquire()
                self._awake[name].clear()
                taken = await self._take_whatever_happens(name)
                if taken is None:
                    lanes.release()
                    await self._rest(name)
                else:
                    group.create_task(self._deliver_in(lanes, name, *taken))

    async def _deliver_in(self, lanes: asyncio.Semaphore, name: str, due: Due, mark: str) -> None:
        try:
            await self._deliver(due, mark)
        except StateFailed:
            return  # its claim ends by itself; it is told again then
        except Exception as error:
            _report(f"a notice for {name} could not be settled", error)
        finally:
            lanes.release()
            self._awake[name].set()  # what happened to the request later may be due by now

    async def _rest(self, name: str) -> None:
        seconds = LOOK_SECONDS
        with suppress(StateFailed):
            due_at = await self._store.run(lambda connection: outbox.next_due(connection, name))
            if due_at is not None:
                seconds = min(max(due_at - self._clock(), SHORTEST_REST), LOOK_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._awake[name].wait()

    async def _take_whatever_happens(self, name: str) -> tuple[Due, str] | None:
        try:
            return await self._take(name)
        except StateFailed:
            return None  # it is told to everybody who needs the state; here it is waited for
        except Exception as error:
            # Giving up would silence this notifier until the next start; it is not hidden.
            _report(f"what is due for {name} could not be taken", error)
            return None

    async def _take(self, name: str) -> tuple[Due, str] | None:
        mark, now = next(self._marks), self._clock()
        due = await self._store.run(lambda connection: outbox.claim(connection, name, mark, now, now + CLAIM_SECONDS))
        return (due, mark) if due is not None else None

    async def _deliver(self, due: Due, mark: str) -> None:
        thread = dict(due.thread)
        try:
            outcome = await self._attempt(due, thread)
            await self._write_down(due, mark, outcome, thread)
        except asyncio.CancelledError:
            with suppress(StateFailed):
                await asyncio.shield(self._store.run(lambda connection: outbox.let_go(connection, due, mark)))
            raise

    async def _attempt(self, due: Due, thread: dict[str, str]) -> Outcome:
        """Whatever a stranger's code does: it must not stop the telling."""
        if due.notifier in self._gone:
            return Refused("its receiver answered that it wants nothing any more; start the broker again to try it")
        try:
            async with asyncio.timeout(TRY_SECONDS):
                notice = await self._compose(due)
                return Told(await self._notifiers[due.notifier].tell(notice, thread))
        except NotWanted as error:
            return Refused(error.message, is_gone=isinstance(error, Gone))
        except NotTold as error:
            return Failed(error.message, error.after)
        except HoopxError as error:
            return Failed(error.message)
        except TimeoutError:
            return Failed(f"no answer within {TRY_SECONDS:.0f} s")
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            return Failed("the notifier cancelled its own work")
        except Exception as error:
            # The text of a stranger's exception may quote a secret; its type does not.
            return Failed(f"unexpected {type(error).__name__}")

    async def _write_down(self, due: Due, mark: str, outcome: Outcome, thread: dict[str, str]) -> None:
        match outcome:
            case Told(but):
                await self._settle(due, mark, "told", thread, but or None)
                if but:
                    self._report(due, but)
            case Refused(why, is_gone):
                if is_gone:
                    self._gone.add(due.notifier)
                await self._settle(due, mark, "given-up", thread, why)
                self._report(due, why, is_over=True)
            case Failed(why, after):
                await self._put_off(due, mark, why, after, thread)
            case _:
                assert_never(outcome)

    async def _settle(self, due: Due, mark: str, state: str, thread: dict[str, str], why: str | None) -> None:
        now = self._clock()

        def work(connection: Connection) -> None:
            outbox.remember(connection, due, thread, now)
            outbox.settle(connection, due, mark, state, now, why)

        await self._store.run(work)

    async def _put_off(self, due: Due, mark: str, why: str, after: float, thread: dict[str, str]) -> None:
        due_at = self._clock() + max(self._pause(due.attempts + 1), min(after, LONGEST_RETRY))
        if due_at > due.ends_at:
            await self._settle(due, mark, "given-up", thread, why)
            self._report(due, why, is_over=True)
            return

        def work(connection: Connection) -> None:
            outbox.remember(connection, due, thread, self._clock())
            outbox.put_off(connection, due, mark, due_at, why)

        await self._store.run(work)
        if due.attempts % ALARM_EVERY == 0:
            self._report(due, why)

    def _pause(self, failures: int) -> float:
        """Twice as long after each failure, and up to half of it left to chance, so that many do not come as one."""
        doubled = FIRST_RETRY * 2.0 ** min(failures - 1, 30)
        return min(LONGEST_RETRY, doubled) * (0.5 + 0.5 * self._random())

    def _report(self, due: Due, why: str, *, is_over: bool = False) -> None:
        event, request = due.happening.event, due.happening.request
        self._on_trouble(Trouble(due.notifier, due.id, request, event, due.attempts + 1, why, is_over))

    async def _tidy(self) -> None:
        while True:
            with suppress(StateFailed):
                await self._store.run(lambda connection: outbox.forget(connection, self._clock()))
            await asyncio.sleep(TIDY_SECONDS)


def _report(message: str, error: Exception) -> None:
    """To the handler of the event loop: the daemon decides where its reports go."""
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
