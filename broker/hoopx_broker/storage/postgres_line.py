"""One connection to PostgreSQL that is always there: it hears other brokers, and shows them that this one lives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
import structlog

from hoopx_broker.storage import notices
from hoopx_broker.storage.notices import Notices
from hoopx_broker.storage.postgres_errors import said
from hoopx_broker.storage.postgres_login import SETTINGS, parameters_of, sever
from hoopx_broker.terms.settings import StateUrl

RawLine: TypeAlias = "psycopg.AsyncConnection[tuple[Any, ...]]"
Hook = Callable[[RawLine], Awaitable[None]]

CHANNEL = "hoopx"
BEAT_SECONDS = 1.0
ANSWER_SECONDS = 4.0  # a server that is silent for longer is taken for gone, and looked for anew
RETRY_SECONDS = 0.5

_log = structlog.get_logger()


class Line:
    """`started` once; it looks for its server again, for as long as it takes, whenever it has lost it."""

    def __init__(self, where: StateUrl, heard: Notices) -> None:
        self.name = notices.new_name()
        self._where = where
        self._notices = heard
        self._on_up: Hook | None = None
        self._on_beat: Hook | None = None
        self._task: asyncio.Task[None] | None = None
        self._raw: RawLine | None = None
        self._is_asking = False

    def start(self) -> None:
        """Safe to repeat."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="state line")

    def attend(self, on_up: Hook, on_beat: Hook) -> None:
        """What is done on it whenever it has been connected, and once in every `BEAT_SECONDS`. Before `start`."""
        self._on_up, self._on_beat = on_up, on_beat

    async def close(self) -> None:
        if self._task is not None:
            if self._raw is not None and self._is_asking:
                sever(self._raw)
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        is_told = False
        while True:
            try:
                async with await self._connected() as raw:
                    await self._begin(raw)
                    if is_told:
                        _log.info("state.heard_again", state=str(self._where))
                    is_told = False
                    await self._go_on(raw)
            except (psycopg.Error, OSError, TimeoutError) as error:
                if not is_told:
                    why = said(error) if isinstance(error, psycopg.Error) else "it is silent"
                    _log.warning("state.not_heard", state=str(self._where), why=why)
                is_told = True
            await asyncio.sleep(RETRY_SECONDS)

    async def _connected(self) -> RawLine:
        said = parameters_of(self._where, application_name=f"hoopx-broker {self.name}")
        async with asyncio.timeout(ANSWER_SECONDS * 5):  # of several servers in turn
            return await psycopg.AsyncConnection.connect(
                **said, autocommit=True, cursor_factory=psycopg.AsyncClientCursor
            )

    async def _begin(self, raw: RawLine) -> None:
        """First heard, then looked at, so that nothing falls in between."""
        self._raw = raw
        with self._limit(raw):
            await raw.execute(SETTINGS)
            await raw.execute(f"LISTEN {CHANNEL}")
            if self._on_up is not None:
                await self._on_up(raw)
        self._notices.look_again()

    async def _go_on(self, raw: RawLine) -> None:
        while True:
            with self._limit(raw):
                if self._on_beat is not None:
                    await self._on_beat(raw)
                else:
                    await raw.execute("SELECT 1")
            async for notify in raw.notifies(timeout=BEAT_SECONDS):  # with what came while others were asked
                self._hear(notify)

    @contextmanager
    def _limit(self, raw: RawLine) -> Iterator[None]:
        """Cut it when there is no answer: psycopg, when cancelled, would ask a silent server to cancel, and wait."""
        alarm = asyncio.get_running_loop().call_later(ANSWER_SECONDS, sever, raw)
        self._is_asking = True
        try:
            yield
        finally:
            self._is_asking = False
            alarm.cancel()

    def _hear(self, notify: psycopg.Notify) -> None:
        told = notices.unwrapped(notify.payload)
        if told is not None and told[0] != self.name:
            self._notices.deliver([(told[1], told[2])])
