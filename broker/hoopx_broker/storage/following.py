"""Look again whenever something was told: one look at a time, none missed, and again where it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from hoopx_broker.storage.errors import StateFailed

RETRY_SECONDS = 1.0

Look = Callable[[], Awaitable[object]]

_log = structlog.get_logger()


class Following:
    """Of one topic. Ends with its store."""

    def __init__(self, topic: str, look: Look) -> None:
        self._topic = topic
        self._look = look
        self._told = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"following {topic}")

    def hear(self, _: str | None) -> None:
        self._told.set()

    async def _run(self) -> None:
        while True:
            await self._told.wait()
            self._told.clear()
            try:
                await self._look()
            except Exception as error:
                if not isinstance(error, StateFailed):  # that is told where the state is looked after
                    _log.error("state.not_followed", topic=self._topic, error=type(error).__name__, exc_info=error)
                self._told.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
