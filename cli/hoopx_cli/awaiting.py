"""While people decide on a session: say who they are, how long there is, and take the request back at Ctrl-C."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from hoopx_broker.api.messages import Open, Waiting
from hoopx_broker.terms.errors import BackendFailed, HoopxError, StillPending
from hoopx_cli.durations import spoken
from hoopx_cli.output import Output, moment
from hoopx_cli.targets import people

# Minting a credential may mean a slow Vault or database behind the broker; nobody waits longer than this for it.
OPENING_SECONDS = 60
# Somebody pressed Ctrl-C and looks at it.
CALL_OFF_SECONDS = 5
STATUS_SECONDS = 1

TakeBack = Callable[[str], object]


class Awaiting:
    """One opening, from the order on. `take_back` cancels a request; without it, every request stands."""

    def __init__(self, out: Output, order: Open, take_back: TakeBack | None) -> None:
        self._out = out
        self._order = order
        self._take_back = take_back
        self._waiting: Waiting | None = None
        self._counting: asyncio.Task[None] | None = None

    def begin(self, waiting: Waiting) -> bool:
        """Say what is needed and from whom; False where that was said already. Whoever cannot wait leaves.

        Raises `StillPending`.
        """
        if self._waiting is not None and self._waiting.request == waiting.request:
            return False
        self._waiting = waiting
        self._tell(waiting)
        if not self._order.wait:
            raise self._pending(waiting)
        self._out.say(
            f"  waiting; Ctrl-C {'takes the request back' if self._is_ours else 'leaves the request standing'}"
        )
        self._count_down(waiting)
        return True

    def end(self) -> None:
        if self._counting is not None:
            self._counting.cancel()
            self._out.status("")

    def too_long(self) -> HoopxError:
        if self._waiting is not None:
            return self._pending(self._waiting)
        message = f"no session with `{self._order.target}` after {OPENING_SECONDS} seconds"
        return BackendFailed(message, "the broker's log says what it waits for")

    async def call_off(self) -> None:
        """Nobody wants the session any more: approvers need not look at what was asked for it alone."""
        if not self._is_ours or self._waiting is None or self._take_back is None:
            return
        request = self._waiting.request
        self.end()
        try:
            async with asyncio.timeout(CALL_OFF_SECONDS):
                await asyncio.to_thread(self._take_back, request)
        except (HoopxError, TimeoutError):
            self._out.insist(f"request {request} may still stand: hoopx requests cancel {request}")
        else:
            self._out.say(f"request {request} was taken back")

    @property
    def _is_ours(self) -> bool:
        """What was asked for before, or has a name, somebody may still count on."""
        return self._take_back is not None and self._waiting is not None and self._waiting.is_fresh

    def _tell(self, waiting: Waiting) -> None:
        why = f": {waiting.reason}" if waiting.reason else ""
        self._out.insist(f"`{self._order.target}` needs approval by {people(waiting.approvers)}{why}")
        until = moment(waiting.expires_at)
        self._out.insist(f"  request {waiting.request}, until {until}: hoopx approve {waiting.request}")
        if waiting.link:
            self._out.insist(f"  or on its page: {waiting.link}")

    def _count_down(self, waiting: Waiting) -> None:
        end = time.monotonic() + self._order.wait

        async def count() -> None:
            while True:
                left = spoken(end - time.monotonic())
                self._out.status(f"request {waiting.request} waits for {people(waiting.approvers)} · {left} left")
                await asyncio.sleep(STATUS_SECONDS)

        if self._out.is_live:
            self._counting = asyncio.get_running_loop().create_task(count())

    def _pending(self, waiting: Waiting) -> StillPending:
        request = waiting.request
        again = "the same --key" if self._order.key else f"--request {request}"
        return StillPending(
            f"the session with `{self._order.target}` waits for approval: request {request}",
            f"after `hoopx approve {request}` run this again with {again}, or wait with --wait 15m",
        )
