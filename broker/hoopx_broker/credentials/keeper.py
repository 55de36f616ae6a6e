"""The keeper of leases: stored before they are made, revoked for certain after they are used."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import assert_never
from weakref import WeakValueDictionary

from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.credentials import ledger
from hoopx_broker.credentials.conclusion import Conclusion
from hoopx_broker.credentials.demands import demand_heeded, refuse_secrets
from hoopx_broker.credentials.revocation import Answer, Confirmed, Fades, Revocation, Trouble
from hoopx_broker.credentials.waiting import wait_until
from hoopx_broker.seams.issuer import Issuer, Refreshes, Renews, Wide
from hoopx_broker.seams.parting import Parting
from hoopx_broker.storage.errors import StateFailed
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import BackendFailed, HoopxError
from hoopx_broker.terms.ids import LeaseId
from hoopx_broker.terms.leases import Credential, Issued, Lease, Order, name_of
from hoopx_broker.terms.targets import Target

ISSUE_SECONDS = 30.0  # a person waits at the other end
RENEW_SECONDS = 20.0  # there is time for more attempts before the lease is over
HURRY_SECONDS = 1.0  # what a renewal under way may still take when the lease is to end
FIRST_RETRY = 1.0
LONGEST_RETRY = 300.0  # a target that comes back is rid of its leases within five minutes
# An issuing that was cut off may still be at work at the source: three times the longest that it may take here.
DOUBT_SECONDS = 90.0
SETTLE_SECONDS = 30.0  # between the revocations of a lease in doubt
ALARM_EVERY = 5  # failed attempts: within 15 seconds at first where they fail at once, later every 25 minutes or less
LANES = 8  # revocations at once for one target: its database has connections for others to use


class Held(Struct, frozen=True):
    """A lease that this broker made. The credential is in memory only."""

    lease: Lease
    credential: Credential


class _Unsure(BackendFailed):
    """Nobody knows whether the source has done it, or still does."""


class Keeper:
    """`issuers` and `targets` by name of target. `run` must be running for what fails to be tried again.

    At the start of a broker: `recover` once, before the first lease; and whenever another one is found to be gone.
    `broker` is the id by which this one has its leases.
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
        partings: Mapping[str, Parting] | None = None,
        broker: Callable[[], str] = lambda: "",
    ) -> None:
        self._store = store
        self._issuers = issuers
        self._targets = targets
        self._revocation = Revocation(issuers, targets, partings or {})
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._on_alarm = on_alarm
        self._broker = broker
        self._held: dict[LeaseId, Held] = {}  # what can be revoked even while the state cannot be read
        self._renewals: dict[LeaseId, asyncio.Timeout] = {}  # those that are under way
        self._leaving: set[LeaseId] = set()  # whose end somebody waits for
        self._next: dict[LeaseId, float] = {}  # when what is hunted is tried again
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

    def renews(self, target: str) -> bool:
        """Whether leases of this target can go on beyond their first end."""
        return isinstance(self._issuers.get(target), Renews)

    async def renew(self, order: Order) -> tuple[Lease, Credential]:
        """Let a live lease go on until `order.expires_at`. Raises a `HoopxError`; it is what it was then."""
        async with self._turn(order.lease):
            held, issuer = self._held.get(order.lease), self._issuers.get(order.target.name)
            if held is None or not isinstance(issuer, Renews):
                raise BackendFailed(f"`{order.target.source}` cannot renew this lease", "open a new session in time")
            return await self._go_on(issuer, held, order)

    async def fresh(self, lease_id: LeaseId) -> Credential:
        """What the next connection of this lease logs in with. Raises `BackendFailed`."""
        held = self._held.get(lease_id)
        if held is None:
            raise BackendFailed("this lease is over", "open a new session")
        issuer, target = self._issuers.get(held.lease.target), self._targets.get(held.lease.target)
        if target is None or not isinstance(issuer, Refreshes):
            return held.credential
        try:
            async with asyncio.timeout(ISSUE_SECONDS):
                return await issuer.fresh(held.credential, target)
        except TimeoutError:
            raise BackendFailed(
                f"the credential source `{target.source}` of `{target.name}` gave no login in {ISSUE_SECONDS:.0f} s",
                "see whether it is up and reachable from the broker",
            ) from None
        except HoopxError:
            raise
        except Exception as error:
            raise _tripped(target, error) from None

    async def end(self, lease_id: LeaseId) -> bool:
        """As `conclude`: true when it is confirmed, false when it was left to `run`."""
        return (await self.conclude(lease_id)).is_revoked

    async def conclude(self, lease_id: LeaseId) -> Conclusion:
        """Revoke now. It is confirmed, or there is no such lease; or it was queued for `run`."""
        if (renewal := self._renewals.get(lease_id)) is not None:
            _hurry(renewal)
        self._leaving.add(lease_id)
        try:
            conclusion = await self._attempt(lease_id)
        except StateFailed as error:
            conclusion = Conclusion(is_revoked=False, why=error.message)
        except BaseException:
            self._queue.put_nowait((lease_id, 1))
            raise
        finally:
            self._leaving.discard(lease_id)
        if not conclusion.is_revoked:
            self._queue.put_nowait((lease_id, 1))
        return conclusion

    async def recover(self) -> tuple[Lease, ...]:
        """Queue what has not ended of brokers that are gone: nobody uses it."""
        broker = self._broker()
        left = await self._store.run(lambda connection: ledger.take_over(connection, broker))
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

    def due(self, lease_id: LeaseId) -> float | None:
        """When a lease that could not be revoked is tried again, in seconds since the Unix epoch."""
        return self._next.get(lease_id)

    async def count_troubled(self) -> int:
        """How many leases should be over and are not, because something went wrong."""
        return await self._store.run(ledger.count_troubled)

    async def _make(self, order: Order) -> tuple[Lease, Credential]:
        issuer = self._issuers.get(order.target.name)
        if issuer is None:
            raise BackendFailed(f"target `{order.target.name}` has no credential source", "restart the broker")
        demand_heeded(issuer, order)
        now, broker = self._clock(), self._broker()
        await self._store.run(lambda connection: ledger.add(connection, order, now, now + DOUBT_SECONDS, broker))
        issued = await self._issue(issuer, order)
        refuse_secrets(issued, order)
        # First here: what the source has made is revoked even if it cannot be written down.
        self._held[order.lease] = Held(_unwritten(order, issued), issued.credential)
        lease = await self._store.run(lambda connection: ledger.go_live(connection, order.lease, issued, self._clock()))
        self._held[lease.id] = Held(lease, issued.credential)
        if lease.state != "live":
            raise BackendFailed("this lease was revoked while it was made", "open a new session")
        return lease, issued.credential

    async def _go_on(self, issuer: Renews, held: Held, order: Order) -> tuple[Lease, Credential]:
        doubtful_until = self._clock() + DOUBT_SECONDS
        before = await self._store.run(lambda c: ledger.begin_renewal(c, order.lease, doubtful_until))
        if before is None:
            raise BackendFailed("this lease is over", "open a new session")
        try:
            if order.lease in self._leaving:  # the source need not be asked, nor waited for
                raise BackendFailed("this lease is about to end", "open a new session")
            issued = await self._renew(issuer, held, order)
        except _Unsure:
            raise
        except BackendFailed:
            await self._store.run(lambda c: ledger.stay(c, order.lease, before))
            raise
        refuse_secrets(issued, order)
        # First here: what the source has made is revoked even if it cannot be written down.
        self._held[order.lease] = Held(replace(held.lease, handle=issued.handle), issued.credential)
        now = self._clock()
        lease = await self._store.run(lambda c: ledger.go_on(c, order.lease, issued, order.expires_at, before, now))
        self._held[order.lease] = Held(lease, issued.credential)
        return lease, issued.credential

    async def _renew(self, issuer: Renews, held: Held, order: Order) -> Issued:
        """Raises `BackendFailed`: by the source's own word nothing was done, unless it is `_Unsure`."""
        try:
            async with asyncio.timeout(RENEW_SECONDS) as patience:
                self._renewals[order.lease] = patience
                pin = partial(self._pin_beside, order.lease)
                return await issuer.renew(held.lease, held.credential, order, pin)
        except BackendFailed:
            raise
        except TimeoutError:
            raise _Unsure(
                f"the credential source `{order.target.source}` of `{order.target.name}` did not renew in time",
                "see whether it is up and reachable from the broker",
            ) from None
        except Exception as error:
            raise _tripped(order.target, error) from None
        finally:
            self._renewals.pop(order.lease, None)

    async def _issue(self, issuer: Issuer, order: Order) -> Issued:
        try:
            async with asyncio.timeout(ISSUE_SECONDS):
                return await issuer.issue(order, partial(self._pin, order.lease))
        except BackendFailed:
            await self._store.run(lambda connection: ledger.clear_doubt(connection, order.lease))
            raise
        except TimeoutError:
            raise BackendFailed(
                f"the credential source `{order.target.source}` of `{order.target.name}` "
                f"gave no answer within {ISSUE_SECONDS:.0f} s",
                "see whether the target is up and reachable from the broker",
            ) from None
        except HoopxError:
            raise
        except Exception as error:
            raise _tripped(order.target, error) from None

    async def _pin(self, lease_id: LeaseId, handle: dict[str, str]) -> None:
        await self._store.run(lambda connection: ledger.pin(connection, lease_id, handle))

    async def _pin_beside(self, lease_id: LeaseId, handle: dict[str, str]) -> None:
        """What is made at a renewal is revoked even if nobody hears that it was."""
        await self._pin(lease_id, handle)
        if held := self._held.get(lease_id):
            self._held[lease_id] = Held(replace(held.lease, handle=handle), held.credential)

    async def _hunt(self, lease_id: LeaseId, failures: int) -> None:
        delay = self._pause(failures)
        while True:
            await self._wait(lease_id, delay)
            conclusion = await self._attempt_whatever_happens(lease_id)
            match conclusion.outcome:
                case "gone":
                    return
                case "settling":
                    failures, delay = 0, SETTLE_SECONDS
                case "fading":
                    failures, delay = 0, max(0.0, (conclusion.fades_at or 0.0) - self._clock())
                case "failed":
                    failures += 1
                    delay = self._pause(failures)
                case outcome:
                    assert_never(outcome)

    async def _wait(self, lease_id: LeaseId, seconds: float) -> None:
        due = self._next[lease_id] = self._clock() + seconds
        try:
            await wait_until(due, self._clock, self._sleep, LONGEST_RETRY)
        finally:
            del self._next[lease_id]

    def _pause(self, failures: int) -> float:
        """Twice as long after each failure, and up to half of it left to chance, so that many do not come as one."""
        if failures == 0:
            return 0.0
        doubled = FIRST_RETRY * 2.0 ** min(failures - 1, 30)
        return min(LONGEST_RETRY, doubled) * (0.5 + 0.5 * self._random())

    async def _attempt_whatever_happens(self, lease_id: LeaseId) -> Conclusion:
        try:
            return await self._attempt(lease_id)
        except Exception as error:
            # Giving up would leave a login behind, so here alone any surprise means: again later. It is not hidden.
            _report(f"lease {lease_id} could not be ended yet", error)
            return Conclusion(is_revoked=False, why=f"unexpected {type(error).__name__}")

    async def _attempt(self, lease_id: LeaseId) -> Conclusion:
        async with self._turn(lease_id):
            lease = await self._take_up(lease_id)
            held = self._held.get(lease_id)
            if lease is None:
                self._held.pop(lease_id, None)
                return Conclusion(is_revoked=True)
            if held is not None:  # a renewal that could not be written down is known only here
                lease = replace(lease, handle=held.lease.handle)
            async with self._lane(lease.target):
                answer = await self._revocation.attempt(lease, held.credential if held else None)
            return await self._write_down(lease_id, answer)

    async def _take_up(self, lease_id: LeaseId) -> Lease | None:
        try:
            return await self._store.run(lambda connection: ledger.begin_ending(connection, lease_id))
        except StateFailed:
            # A full disk must not keep a login alive. It is revoked now, and once more when it can be written down.
            if held := self._held.get(lease_id):
                return held.lease
            raise

    async def _write_down(self, lease_id: LeaseId, answer: Answer) -> Conclusion:
        match answer:
            case Trouble(why):
                now = self._clock()
                lease = await self._store.run(lambda connection: ledger.note_trouble(connection, lease_id, why, now))
                if lease.attempts % ALARM_EVERY == 0:
                    self._alarm(lease)
                return Conclusion(is_revoked=False, why=why)
            case Fades(at) if at > self._clock():
                now = self._clock()
                await self._store.run(lambda connection: ledger.note_fading(connection, lease_id, at, now))
                return Conclusion(is_revoked=False, fades_at=at, why="its source cannot call it back")
            case Confirmed() | Fades():
                return await self._finish(lease_id, is_probed=isinstance(answer, Confirmed) and answer.is_probed)
            case _:
                assert_never(answer)

    async def _finish(self, lease_id: LeaseId, *, is_probed: bool) -> Conclusion:
        lease = await self._store.run(lambda connection: ledger.note_revoked(connection, lease_id, self._clock()))
        if lease.state != "ended":
            return Conclusion(is_revoked=False, is_probed=is_probed)
        self._held.pop(lease_id, None)
        return Conclusion(is_revoked=True, is_probed=is_probed)

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


def _tripped(target: Target, error: Exception) -> _Unsure:
    """The text of a stranger's exception may quote a secret; its type does not."""
    return _Unsure(
        f"the credential source `{target.source}` of `{target.name}` failed: unexpected {type(error).__name__}",
        "this is a fault of that plugin; report it to its author",
    )


def _unwritten(order: Order, issued: Issued) -> Lease:
    ends, user = issued.expires_at or order.expires_at, name_of(issued.credential)
    who = order.lease, order.session, order.target.name, order.target.source
    return Lease(*who, user, "pending", ends, issued.handle)


def _hurry(renewal: asyncio.Timeout) -> None:
    """Somebody waits for the end: what is being renewed has no long life before it."""
    now = asyncio.get_running_loop().time()
    if not renewal.expired():
        renewal.reschedule(min(renewal.when() or now, now + HURRY_SECONDS))


def _report(message: str, error: Exception) -> None:
    """To the handler of the event loop: the daemon decides where its reports go."""
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
