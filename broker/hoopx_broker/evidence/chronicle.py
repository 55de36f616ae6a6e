"""Note what has no transaction of its own: all that waits at once in one transaction, and what must happen for sure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from hoopx_broker.storage import events
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.errors import StateFailed
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.audit import Event
from hoopx_broker.terms.errors import HoopxError, Unreachable
from hoopx_broker.tunnel.crew import Crew

FIRST_RETRY, LONGEST_RETRY = 0.5, 30.0  # seconds, doubled each time
MAX_TOGETHER = 200  # in one transaction: a few milliseconds of the state's time

Work = Callable[[Connection], None]

_log = structlog.get_logger()


class Chronicle:
    """`clock` gives seconds since the Unix epoch."""

    def __init__(self, store: Store, crew: Crew, clock: Callable[[], float]) -> None:
        self._store = store
        self._crew = crew
        self.clock = clock
        self._waiting: list[tuple[Work, asyncio.Future[None]]] = []
        self._is_writing = False
        self._owed = 0

    @property
    def owed(self) -> int:
        """How many events of what has happened are not in the state yet."""
        return self._owed

    async def note(self, event: Event) -> None:
        """Before the thing is done: what cannot be noted does not happen. Raises `StateFailed`."""
        await self.do(lambda connection: events.note(connection, event))

    def note_surely(self, event: Event) -> None:
        """For what happens anyway, as ends and revocations do: tried until it is in the state."""
        self._owed += 1
        self._crew.start(self._until_noted(event), "events")

    async def do(self, work: Work) -> None:
        """Have this done in a transaction, with what others want done meanwhile. It may be run again."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, done))
        if not self._is_writing:
            self._is_writing = True
            self._crew.start(self._write(), "events")
        await done

    async def _write(self) -> None:
        try:
            while self._waiting:
                together = self._waiting[:MAX_TOGETHER]
                await self._commit(together)
                del self._waiting[: len(together)]
        finally:
            self._is_writing = False
            left, self._waiting = self._waiting, []
            for _, done in left:
                if not done.done():
                    done.set_exception(Unreachable("the broker stops", "try again in a moment"))

    async def _commit(self, together: list[tuple[Work, asyncio.Future[None]]]) -> None:
        """All in one; where one of them fails, each alone, so that none fails for another's sake."""

        def work(connection: Connection) -> None:
            for each, _ in together:
                each(connection)

        try:
            await self._store.run(work)
        except Exception as error:
            if len(together) > 1 and not isinstance(error, StateFailed):
                for each in together:
                    await self._commit([each])
                return
            for _, done in together:
                if not done.done():
                    done.set_exception(error)
            return
        for _, done in together:
            if not done.done():
                done.set_result(None)

    async def _until_noted(self, event: Event) -> None:
        pause = FIRST_RETRY
        while True:
            try:
                await self.note(event)
            except StateFailed as error:
                _log.error("event.not_noted", type=event.type, session=event.session, why=error.message)
                await asyncio.sleep(pause)
                pause = min(LONGEST_RETRY, pause * 2)
            else:
                self._owed -= 1
                return

    async def try_to_note(self, event: Event) -> None:
        """What did not happen, as a refusal: it stays one, whether or not it can be written down."""
        try:
            await self.note(event)
        except HoopxError as error:
            _log.error("event.not_noted", type=event.type, target=event.target, why=error.message)
