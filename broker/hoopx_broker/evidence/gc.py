"""Delete recordings that are over their time: never one that is held, never before, and each is an event first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from hoopx_broker.api.messages import Collected, Collection
from hoopx_broker.evidence import shelf
from hoopx_broker.evidence.holds import in_force
from hoopx_broker.evidence.retention import Retention
from hoopx_broker.evidence.shelf import Shelved
from hoopx_broker.recording.format import path_of
from hoopx_broker.seams.store import EvidenceStore, NotStored
from hoopx_broker.storage import marks
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.events import happened, note
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import BackendFailed, BadInput, HoopxError
from hoopx_broker.terms.people import Principal

PAGE = 200  # recordings that are looked at in one call
PAGE_SECONDS = 8.0  # that one call takes: somebody waits for its answer
MAX_SKEW = 300.0  # seconds by which clocks may differ

May = Callable[[str], str]  # of a target: why its recordings may not be deleted by who asks, empty where they may


class Order(Struct, frozen=True):
    """Who wants what deleted; behind `after`, as `Collection.next` has it."""

    who: Principal
    may: May
    after: str = ""
    is_dry: bool = False


class Collector:
    """`home` is whose recordings lie in `directory`; what lies on another disk is deleted by the broker there.

    `steady` gives seconds that nobody can set.
    """

    def __init__(
        self,
        state: Store,
        store: EvidenceStore,
        directory: Path,
        retention: Retention,
        *,
        home: str,
        clock: Callable[[], float],
        steady: Callable[[], float],
    ) -> None:
        self._state = state
        self._store = store
        self._directory = directory
        self._retention = retention
        self._home = home
        self._clock = clock
        self._steady = steady
        self._lead = clock() - steady()

    async def collect(self, order: Order) -> Collection:
        """One page. Raises `BackendFailed` where it is not certain what time it is."""
        now = await self._now()
        shortest = self._retention.shortest
        if shortest is None:
            return Collection((), 0)
        after, begun = _cursor(order.after), self._steady()
        page = await self._state.run(lambda connection: shelf.aged(connection, now - shortest, after, PAGE))
        done: list[Collected] = []
        not_yet = seen = 0
        for one in page:
            until = self._retention.until(one)
            if one.state == "deleting" or (until is not None and until <= now):
                done.append(await self._settled(one, order, now))
            else:
                not_yet += 1
            seen += 1
            if self._steady() - begun > PAGE_SECONDS:
                break
        is_last = seen == len(page) and len(page) < PAGE
        return Collection(
            tuple(done), not_yet, "" if is_last else f"{page[seen - 1].sealed_at!r} {page[seen - 1].session}"
        )

    async def _now(self) -> float:
        """By the earlier of two clocks, where they agree: whoever sets one forward must not have everything deleted."""
        own, there = self._clock(), await self._store.now()
        ahead = own - self._steady() - self._lead
        if abs(ahead) > MAX_SKEW:
            raise BackendFailed(
                f"the clock of the broker's machine was set by {ahead:+.0f} s since the broker started",
                "nothing is deleted by such a clock: see that it is right, then restart the broker",
            )
        if abs(own - there) > MAX_SKEW:
            raise BackendFailed(
                f"the broker's clock says {_spoken(own)}, and that of `{self._store.where}` {_spoken(there)}",
                "nothing is deleted while they differ: set the clock of the broker's machine",
            )
        return min(own, there)

    async def _settled(self, one: Shelved, order: Order, now: float) -> Collected:
        why = order.may(one.target) or await self._keeps(one, now)
        if why:
            return self._told(one, "kept", why)
        if order.is_dry:
            return self._told(one, "would-delete")
        try:
            if one.state != "deleting":
                why = await self._state.run(lambda connection: self._begin(connection, one, order.who, now))
                if why:
                    return self._told(one, "kept", why)
            await self._delete(one)
        except HoopxError as error:
            kept = error.message
            await self._state.run(lambda connection: shelf.not_deleted(connection, one.session, kept))
            return self._told(one, "kept", f"it could not be deleted yet: {kept}")
        by, at = order.who.user, self._clock()
        await self._state.run(lambda connection: shelf.deleted(connection, one.session, by, at))
        return self._told(one, "deleted")

    async def _keeps(self, one: Shelved, now: float) -> str:
        """Why it stays, as far as that is known without beginning; empty where nothing speaks for it."""
        if held := await self._state.run(lambda connection: _holders(connection, one)):
            return held
        if one.is_local and one.home != self._home:
            return "it is on the disk of another broker: run this there"
        if one.state == "waiting":
            return f"`{self._store.where}` does not have it yet"
        if one.state == "stored" and one.store != self._store.where:
            return f"it is in `{one.store}`, and this broker uses `{self._store.where}`"
        return await self._keeps_itself(one, now) if one.state in ("stored", "local") else ""

    async def _keeps_itself(self, one: Shelved, now: float) -> str:
        """What the store itself says: whoever may use it beside hoopx may hold things too."""
        name = path_of(self._directory, one.session).name
        try:
            there = await self._store.stat(name, version=one.version)
        except NotStored:
            return f"it is not in `{self._store.where}`: somebody else has deleted it"
        except HoopxError as error:
            return error.message
        if there.held:
            return f"`{self._store.where}` has it under a legal hold"
        if there.kept_until > now:
            return f"`{self._store.where}` keeps it until {_spoken(there.kept_until)}"
        return ""

    def _begin(self, connection: Connection, one: Shelved, who: Principal, now: float) -> str:
        """The last look, in one transaction with the event: a hold that was set meanwhile counts."""
        latest = shelf.find(connection, one.session)
        if latest is None or latest.state != one.state:
            return "somebody else is at it"
        if held := _holders(connection, one):
            return held
        until = self._retention.until(latest)
        if until is None or until > now:
            return "its time is not over"
        shelf.begin_deleting(connection, one.session)
        marks.forget(connection, one.session)
        facts = {"retention": one.class_, "kept_until": until, "sealed_at": one.sealed_at, "bytes": one.size}
        place = {"store": one.store or self._store.where, "version": one.version, "sha256": one.sha256}
        about = {"by": who.user, "on_behalf_of": who.on_behalf_of or "", "session": one.session, "target": one.target}
        note(connection, happened(self._clock(), "recording.deleted", **about, **facts, **place))
        return ""

    async def _delete(self, one: Shelved) -> None:
        await self._store.delete(path_of(self._directory, one.session).name)
        if one.home == self._home:
            await asyncio.to_thread(_clear, self._directory, one.session)

    def _told(self, one: Shelved, outcome: str, why: str = "") -> Collected:
        over = self._retention.until(one) or one.kept_until
        return Collected(one.session, one.target, outcome, one.class_, one.sealed_at, over, one.size, why)


def _holders(connection: Connection, one: Shelved) -> str:
    """Empty for one whose deletion has begun: its event is written already."""
    if one.state == "deleting":
        return ""
    holds = in_force(connection, one.session)
    return "; ".join(f"`{hold.held_by}` holds it (`{hold.id}`): {hold.reason}" for hold in holds)


def _clear(directory: Path, session: str) -> None:
    """Its file, where it is here too, and what was torn off its end after a crash."""
    path = path_of(directory, session)
    path.unlink(missing_ok=True)
    for torn in directory.glob(f"{path.stem}.torn-*"):
        torn.unlink(missing_ok=True)


def _cursor(text: str) -> tuple[float, str]:
    if not text:
        return float("-inf"), ""
    at, _, session = text.partition(" ")
    try:
        return float(at), session
    except ValueError:
        raise BadInput("`after` is not the `next` of an answer", "begin without it") from None


def _spoken(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
