"""How long a session may go on: its lease is renewed while policy allows, and the session ends with it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.credentials.keeper import Keeper
from hoopx_broker.credentials.waiting import wait_until
from hoopx_broker.session import leasing
from hoopx_broker.session.leasing import moment
from hoopx_broker.terms.entries import Notice
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.terms.leases import Credential, Lease, Order
from hoopx_broker.tunnel.crew import Crew

# Of a lease's life: when it is renewed, less up to a tenth of it by chance, so that many do not come as one.
DUE, SPREAD = 2 / 3, 1 / 10
# A renewal that failed is tried again after a third of what is left, until this is left of it.
LAST_TRY_SECONDS = 2.0
# A source that counts whole seconds gives less than this by rounding alone, again and again: no more time.
GAIN_SECONDS = 1.1
LOOK_SECONDS = 30.0  # a clock that was set, or a machine that slept, is noticed within this


class Tenancy(Struct, frozen=True):
    """What a tenure needs of its session. `order` is what the lease was made by, `ends_at` the session's first end.

    `permit` judges again: it gives the obligations of the rules that allow the session now, or raises a `HoopxError`.
    `record` may raise; `warn` tells the person and the clients; `take` hands over the renewed credential.
    """

    order: Order
    lease: Lease
    ends_at: float
    permit: Callable[[], dict[str, tuple[str, ...]]]
    record: Callable[[Notice], None]
    warn: Callable[[str], None]
    take: Callable[[Credential], None]
    end: Callable[[str], object]


class Tenure:
    """Runs beside one session, and is cancelled at its end."""

    def __init__(
        self,
        keeper: Keeper,
        tenancy: Tenancy,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._keeper = keeper
        self._tenancy = tenancy
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._lease = tenancy.lease
        self._ends_at = tenancy.ends_at
        self._crew: Crew | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_renewing = self._is_stopping = False
        self._why = ""  # why it was not renewed, as it was told last

    @property
    def lease(self) -> Lease:
        """As it was renewed last."""
        return self._lease

    def start(self, crew: Crew) -> None:
        self._crew = crew
        self._task = crew.start(self.run(), "tenure")

    def prolong(self, ends_at: float) -> None:
        """The session goes on until then, which may need its lease renewed sooner than what is waited for."""
        self._ends_at = ends_at
        if self._crew is None or self._task is None or self._is_renewing or self._is_stopping:
            return
        self._task.cancel()
        self._task = self._crew.start(self.run(), "tenure")

    def stop(self) -> None:
        """The session is ending. A renewal under way is not torn off: nobody would know whether it was done."""
        self._is_stopping = True
        if self._task is not None and not self._is_renewing and self._task is not asyncio.current_task():
            self._task.cancel()

    async def run(self) -> None:
        """Returns when it has ended the session; it does not outlive a failure in here either."""
        try:
            await self._see_to_the_end()
        except Exception:
            self._tenancy.end("hoopx failed to renew its credential")
            raise

    async def _see_to_the_end(self) -> None:
        while self._clock() < self._ends_at:
            if self._lease.expires_at >= self._ends_at:
                await self._until(self._ends_at)
                continue
            is_renewed = await self._go_on()
            if self._is_stopping:
                return
            if not is_renewed:
                why = f": {self._why}" if self._why else ""
                self._tenancy.end(f"its credential has ended{why}")
                return
        self._tenancy.end("its time is over")

    async def _go_on(self) -> bool:
        """Renew once, at the latest when the lease is about to end. False when it has ended."""
        life = self._lease.expires_at - self._clock()
        due = self._clock() + life * (DUE - SPREAD * self._chance())
        if not self._keeper.renews(self._tenancy.order.target.name):
            self._tell(f"`{self._tenancy.order.target.source}` cannot renew it")
            due = self._lease.expires_at
        while due < self._lease.expires_at:
            await self._until(due)
            if self._clock() >= self._lease.expires_at:
                return False
            if await self._is_renewed() or self._is_stopping:
                return True
            left = self._lease.expires_at - self._clock()
            due = self._clock() + left / 3 if left > LAST_TRY_SECONDS else self._lease.expires_at
        await self._until(self._lease.expires_at)
        return False

    async def _is_renewed(self) -> bool:
        tenancy, before = self._tenancy, self._lease
        try:
            ends_at = min(self._ends_at, self._clock() + tenancy.order.target.ttl)
            order = replace(tenancy.order, expires_at=ends_at)
            if tenancy.permit() != order.obligations:
                self._tell("policy binds it to something else by now; open a new session")
                return False
            lease, credential = await self._renew(order)
        except HoopxError as error:
            self._tell(error.message)
            return False
        self._lease = lease
        tenancy.record(leasing.renewed(lease))
        tenancy.take(credential)
        if lease.expires_at < before.expires_at + GAIN_SECONDS:
            self._tell(f"`{lease.source}` gives it no more time")
            return False
        if self._why:
            self._why = ""
            tenancy.warn(f"the credential was renewed after all, until {moment(lease.expires_at)}")
        return True

    async def _renew(self, order: Order) -> tuple[Lease, Credential]:
        self._is_renewing = True
        try:
            return await self._keeper.renew(order)
        finally:
            self._is_renewing = False

    def _tell(self, why: str) -> None:
        """Ahead of the end, and once for each reason."""
        if why == self._why or self._is_stopping:
            return
        self._why = why
        self._tenancy.record(leasing.not_renewed(self._lease, why))
        self._tenancy.warn(f"this session ends at {moment(self._lease.expires_at)}, when its credential does: {why}")

    async def _until(self, due: float) -> None:
        await wait_until(due, self._clock, self._sleep, LOOK_SECONDS)
