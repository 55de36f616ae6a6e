"""The keeper of leases: stored before they are made, revoked for certain after they are used."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Literal, assert_never
from weakref import WeakValueDictionary

from hoopx_broker.credentials import ledger
from hoopx_broker.seams.issuer import Issuer, Wide
from hoopx_broker.storage.errors import StateFailed
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import BackendFailed, HoopxError
from hoopx_broker.terms.ids import LeaseId, SessionId
from hoopx_broker.terms.leases import Credential, Issued, Lease, LeaseState, Order, secrets_of
from hoopx_broker.terms.targets import Target

ISSUE_SECONDS = 30.0  # a person waits at the other end
REVOKE_SECONDS = 30.0  # a target that is silent for longer is down; what waits behind it gets its turn
FIRST_RETRY = 1.0
LONGEST_RETRY = 300.0  # a target that comes back is rid of its leases within five minutes
# An issuing that was cut off may still be at work at the source: three times the longest that it may take here.
DOUBT_SECONDS = 90.0
SETTLE_SECONDS = 30.0  # between the revocations of a lease in doubt
ALARM_EVERY = 5  # failed attempts: about half a minute at first, then every 25 minutes
LANES = 8  # revocations at once for one target: its database has connections for others to use
LONG_SECRET = 16  # shorter passwords may be part of an innocent word of a handle by chance

# What one attempt came to: nothing is left; it must be looked at again later; it did not work.
Outcome = Literal["gone", "settling", "failed"]


class Keeper:
    """`issuers` and `targets` by name of target. `run` must be running for what fails to be tried again.

    At the start of a broker: `recover` once, before the first lease.
    """

    def __init__(
        self,
        store: Store,
        issuers: Mapping[str, Issuer],
        targets: Mapping[str, Target],
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
        random: Callable[[], float],
        on_alarm: Callable[[Lease], None],
    ) -> None:
        self._store = store
        self._issuers = issuers
        self._targets = targets
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._on_alarm = on_alarm
        self._held: dict[LeaseId, Lease] = {}  # what can be revoked even while the state cannot be read
        self._turns: WeakValueDictionary[LeaseId, asyncio.Lock] = WeakValueDictionary()
        self._lanes: dict[str, asyncio.Semaphore] = {}
        # A lease to hunt down, and how many attempts have just failed.
        self._queue: asyncio.Queue[tuple[LeaseId, int]] = asyncio.Queue()

    async def lease(self, order: Order) -> tuple[Lease, Credential]:
        """Make a credential. Raises `BackendFailed`; whatever was made by then is revoked by `run`.

        A caller that is cancelled owes nothing, but may call `end(order.lease)` all the same.
        """
        try:
            async with self._turn(order.lease):
                return await self._make(order)
        except BaseException:  # cancellation too: nobody will hold what was made, or is still being made
            self._queue.put_nowait((order.lease, 0))
            raise

    async def end(self, lease_id: LeaseId) -> bool:
        """Revoke now. True when it is confirmed, or there is no such lease; False when it was queued for `run`."""
        try:
            outcome = await self._attempt(lease_id)
        except StateFailed:
            outcome = "failed"
        except BaseException:
            self._queue.put_nowait((lease_id, 1))
            raise
        if outcome != "gone":
            self._queue.put_nowait((lease_id, 1))
        return outcome == "gone"

    async def recover(self) -> tuple[Lease, ...]:
        """Queue everything that has not ended: nobody uses it, for the broker that made it is gone."""
        left = await self._store.run(ledger.begin_ending_all)
        for lease in left:
            self._queue.put_nowait((lease.id, 0))
        return left

    async def run(self) -> None:
        """Revoke what is queued until it is confirmed; ends only when cancelled."""
        hunted: set[LeaseId] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                lease_id, failures = await self._queue.get()
                if lease_id not in hunted:
                    hunted.add(lease_id)
                    hunt = group.create_task(self._hunt(lease_id, failures))
                    hunt.add_done_callback(partial(_strike, hunted, lease_id))

    async def leases(
        self, *, state: LeaseState | None = None, session: SessionId | None = None, limit: int = 200
    ) -> tuple[Lease, ...]:
        """The newest first."""
        return await self._store.run(lambda connection: ledger.listed(connection, state, session, limit))

    async def _make(self, order: Order) -> tuple[Lease, Credential]:
        issuer = self._issuers.get(order.target.name)
        if issuer is None:
            raise BackendFailed(f"target `{order.target.name}` has no credential source", "restart the broker")
        now = self._clock()
        await self._store.run(lambda connection: ledger.add(connection, order, now, now + DOUBT_SECONDS))
        issued = await self._issue(issuer, order)
        _refuse_secrets(issued, order)
        lease = await self._store.run(lambda connection: ledger.go_live(connection, order.lease, issued))
        self._held[lease.id] = lease
        return lease, issued.credential

    async def _issue(self, issuer: Issuer, order: Order) -> Issued:
        try:
            async with asyncio.timeout(ISSUE_SECONDS):
                return await issuer.issue(order, partial(self._pin, order.lease))
        except BackendFailed:
            await self._store.run(lambda connection: ledger.clear_doubt(connection, order.lease))
            raise
        except TimeoutError as error:
            raise BackendFailed(
                f"the credential source `{order.target.source}` of `{order.target.name}` "
                f"gave no answer within {ISSUE_SECONDS:.0f} s",
                "see whether the target is up and reachable from the broker",
            ) from error

    async def _pin(self, lease_id: LeaseId, handle: dict[str, str]) -> None:
        await self._store.run(lambda connection: ledger.pin(connection, lease_id, handle))

    async def _hunt(self, lease_id: LeaseId, failures: int) -> None:
        delay = self._pause(failures)
        while True:
            await self._sleep(delay)
            match await self._attempt_whatever_happens(lease_id):
                case "gone":
                    return
                case "settling":
                    failures, delay = 0, SETTLE_SECONDS
                case "failed":
                    failures += 1
                    delay = self._pause(failures)
                case outcome:
                    assert_never(outcome)

    def _pause(self, failures: int) -> float:
        """Twice as long after each failure, and up to half of it left to chance, so that many do not come as one."""
        if failures == 0:
            return 0.0
        doubled = FIRST_RETRY * 2.0 ** min(failures - 1, 30)
        return min(LONGEST_RETRY, doubled) * (0.5 + 0.5 * self._random())

    async def _attempt_whatever_happens(self, lease_id: LeaseId) -> Outcome:
        try:
            return await self._attempt(lease_id)
        except Exception as error:
            # Giving up would leave a login behind, so here alone any surprise means: again later. It is not hidden.
            _report(f"lease {lease_id} could not be ended yet", error)
            return "failed"

    async def _attempt(self, lease_id: LeaseId) -> Outcome:
        async with self._turn(lease_id):
            lease = await self._take_up(lease_id)
            if lease is None:
                self._held.pop(lease_id, None)
                return "gone"
            async with self._lane(lease.target):
                trouble = await self._revoke(lease)
            return await self._write_down(lease_id, trouble)

    async def _take_up(self, lease_id: LeaseId) -> Lease | None:
        try:
            return await self._store.run(lambda connection: ledger.begin_ending(connection, lease_id))
        except StateFailed:
            # A full disk must not keep a login alive. It is revoked now, and once more when it can be written down.
            if held := self._held.get(lease_id):
                return held
            raise

    async def _write_down(self, lease_id: LeaseId, trouble: str | None) -> Outcome:
        if trouble is not None:
            lease = await self._store.run(lambda connection: ledger.note_trouble(connection, lease_id, trouble))
            if lease.attempts % ALARM_EVERY == 0:
                self._alarm(lease)
            return "failed"
        lease = await self._store.run(lambda connection: ledger.note_revoked(connection, lease_id, self._clock()))
        if lease.state != "ended":
            return "settling"
        self._held.pop(lease_id, None)
        return "gone"

    async def _revoke(self, lease: Lease) -> str | None:
        """What went wrong, in words that hold no secret; None when the source confirmed."""
        issuer, target = self._issuers.get(lease.target), self._targets.get(lease.target)
        if issuer is None or target is None or target.source != lease.source:
            return f"`{lease.target}` no longer has the source `{lease.source}` in the configuration"
        try:
            async with asyncio.timeout(REVOKE_SECONDS):
                await issuer.revoke(lease, target)
        except HoopxError as error:
            return error.message
        except TimeoutError:
            return f"no answer within {REVOKE_SECONDS:.0f} s"
        except asyncio.CancelledError:
            if _is_cancelled_from_outside():
                raise
            return "the source cancelled its own work"
        except Exception as error:
            # The text of a stranger's exception may quote a secret; its type does not.
            return f"unexpected {type(error).__name__}"
        return None

    def _alarm(self, lease: Lease) -> None:
        try:
            self._on_alarm(lease)
        except Exception as error:
            _report("the alarm about a lease failed", error)  # it must not stop the revoking

    def _lane(self, target: str) -> asyncio.Semaphore:
        issuer = self._issuers.get(target)
        width = issuer.lanes if isinstance(issuer, Wide) else LANES
        return self._lanes.setdefault(target, asyncio.Semaphore(width))

    def _turn(self, lease_id: LeaseId) -> asyncio.Lock:
        """One at a time for each lease: an end waits for its issuing, and never runs twice at once."""
        return self._turns.setdefault(lease_id, asyncio.Lock())


def _strike(hunted: set[LeaseId], lease_id: LeaseId, _: asyncio.Task[None]) -> None:
    hunted.discard(lease_id)


def _refuse_secrets(issued: Issued, order: Order) -> None:
    secrets = [secret.reveal() for secret in secrets_of(issued.credential)]
    if any(len(secret) >= LONG_SECRET and secret in value for secret in secrets for value in issued.handle.values()):
        raise BackendFailed(
            f"the credential source `{order.target.source}` put a secret where it would be stored",
            "this is a fault of that plugin; report it to its author",
        )


def _is_cancelled_from_outside() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _report(message: str, error: Exception) -> None:
    """To the handler of the event loop: the daemon decides where its reports go."""
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
