"""The way of a recording: sealed, taken to the store, read from there, held, and deleted when its time is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hoopx_broker.evidence import shelf
from hoopx_broker.evidence.gc import Collector, Order
from hoopx_broker.evidence.holds import Holds
from hoopx_broker.evidence.local import LocalStore
from hoopx_broker.evidence.recordings import Recordings
from hoopx_broker.evidence.retention import Retention
from hoopx_broker.evidence.spool import Spool
from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.recording.format import path_of
from hoopx_broker.recording.room import Room, Spooled, SpoolFull
from hoopx_broker.seams.store import StillKept, StoreFailed
from hoopx_broker.storage.brokers import Place
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.events import happened, note
from hoopx_broker.storage.sessions import Sessions
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.audit import Event
from hoopx_broker.terms.errors import BackendFailed, BadInput, Unknown
from hoopx_broker.terms.people import Principal
from tests.peers.state import state_in
from tests.unit.recording_scene import ENTRIES, KEY, OPENED, HandClock

SAM = Principal("sam", "human", ("security",))
DAY = 86_400.0
START = OPENED.opened_at
SESSION = OPENED.session


class Elsewhere(LocalStore):
    """A double of an object store: a directory somewhere else, that fails, lies, and keeps what it is told to keep."""

    is_remote = True

    def __init__(self, directory: Path, now: Callable[[], float]) -> None:
        super().__init__(directory)
        self._now = now
        self.where = "s3://double/evidence"
        self.fails = ""
        self.kept_until = 0.0
        self.held: set[str] = set()

    async def now(self) -> float:
        return self._now()

    async def put_file(self, name: str, path: Path, *, kept_until: float = 0) -> Any:
        self._stumble("put")
        return await super().put_file(name, path, kept_until=kept_until)

    async def stat(self, name: str, *, version: str = "") -> Any:
        found = await super().stat(name)
        whole = b"".join([chunk async for chunk in self.get(name)])
        digest = sha256(whole).hexdigest()
        return msgspec.structs.replace(found, sha256=digest, kept_until=self.kept_until, held=name in self.held)

    async def keep(self, name: str, *, until: float | None = None, held: bool | None = None, version: str = "") -> None:
        self._stumble("keep")
        (self.held.add if held else self.held.discard)(name)

    async def delete(self, name: str) -> None:
        self._stumble("delete")
        await super().delete(name)

    def _stumble(self, at: str) -> None:
        if self.fails == at:
            raise (StillKept if at == "delete" else StoreFailed)(f"it fails at {at}", "wait")


class Scene:
    """A state, a spool, a store, a clock that obeys, and recordings of real sessions."""

    def __init__(self, state: Store, folder: Path, store: Elsewhere | None = None) -> None:
        self.state, self.folder = state, folder
        self.time = START
        self.steady = 0.0
        self.spool_at = folder / "spool"
        self.store = store or Elsewhere(folder / "store", lambda: self.time)
        self.retention = Retention({"default": int(10 * DAY)}, {})
        self.room = Room(1 << 40, self.store.where)
        self.holds = Holds(state, lambda: self.time)
        self.restart()

    def restart(self, store: LocalStore | None = None) -> None:
        parts = (self.state, store or self.store, self.spool_at, self.retention)
        self.spool = Spool(
            *parts,
            home="here",
            broker=lambda: self.broker,
            room=self.room,
            clock=lambda: self.time,
            random=lambda: 0.5,
        )
        self.recordings = Recordings(*parts[:3], "here", self.retention)
        self.collector = Collector(*parts, home="here", clock=lambda: self.time, steady=lambda: self.steady)

    broker = ""

    async def record(self, session: str = SESSION) -> bytes:
        """A session that is over, sealed, and noted so."""
        opened = msgspec.structs.replace(OPENED, session=session)
        sessions = Sessions(self.state, lambda: self.broker)
        await sessions.add(opened)
        recorder = Spooled.create(self.spool_at, opened, KEY, HandClock()).within(self.room)
        recorder.write(ENTRIES)
        recorder.seal("the client left")
        await sessions.finish(session, "the client left", self.time, 1, 0)  # type: ignore[arg-type]
        sealed = happened(self.time, "session.sealed", session=session, target=opened.target)
        await self.state.run(lambda connection: note(connection, sealed))
        return recorder.path.read_bytes()

    def pass_days(self, days: float) -> None:
        self.time += days * DAY
        self.steady += days * DAY

    async def row(self, session: str = SESSION) -> shelf.Shelved:
        found = await self.state.run(lambda connection: shelf.find(connection, session))
        assert found is not None
        return found

    async def collect(self, *, is_dry: bool = False, may: str = "") -> list[tuple[str, str]]:
        found = await self.collector.collect(Order(SAM, lambda _: may, is_dry=is_dry))
        return [(each.outcome, each.why) for each in found.recordings]

    async def told(self, type_: str) -> list[Event]:
        def work(connection: Connection) -> list[Event]:
            rows = connection.execute("SELECT event FROM events WHERE type = ? ORDER BY number", (type_,)).fetchall()
            return [msgspec.json.decode(row[0], type=Event) for row in rows]

        return await self.state.run(work)

    async def read(self, start: int = 0) -> bytes:
        return b"".join([chunk async for chunk in await self.recordings.open(SESSION, start)])

    def here(self) -> bool:
        return path_of(self.spool_at, SESSION).exists()


def play(folder: Path, scene: Callable[[Scene], Awaitable[None]]) -> None:
    async def run() -> None:
        state = await Store.open(state_in(folder))
        try:
            stage = Scene(state, folder)

            async def lost(_: str) -> None: ...

            stage.broker = (await state.join(Place("here", is_alone=True), lost)).id
            await scene(stage)
        finally:
            await state.close()

    asyncio.run(run())


@pytest.mark.usefixtures("each_state")
def test_a_recording_goes_to_the_store_and_is_let_go_here_when_it_is_confirmed(tmp_path: Path) -> None:
    async def scene(s: Scene) -> None:
        content = await s.record()
        assert await s.read() == content  # from the disk
        await s.spool.work_off()
        assert not s.here()
        assert s.room.used == 0
        row = await s.row()
        assert (row.state, row.is_local, row.kept_until) == ("stored", False, START + 10 * DAY)
        (event,) = await s.told("recording.stored")
        assert (event.session, event.facts["store"], event.facts["sha256"]) == (SESSION, s.store.where, row.sha256)
        assert await s.read(5) == content[5:]  # from the store
        assert await s.spool.count_waiting() == 0

    play(tmp_path, scene)


@pytest.mark.usefixtures("each_state")
def test_a_store_that_fails_is_tried_for_ever_and_nothing_is_let_go(tmp_path: Path) -> None:
    async def scene(s: Scene) -> None:
        await s.record()
        s.store.fails = "put"
        for attempt in range(1, 40):
            await s.spool.work_off()
            row = await s.row()
            assert (row.attempts, row.state, row.last_error, s.here()) == (attempt, "waiting", "it fails at put", True)
            s.time += 300
        assert await s.spool.count_waiting() == 1
        s.restart()  # another process on the same disk
        s.store.fails = ""
        await s.spool.work_off()
        assert ((await s.row()).state, s.here()) == ("stored", False)

    play(tmp_path, scene)


def test_a_broker_killed_between_receipt_and_deletion_asks_the_store_once_more(tmp_path: Path) -> None:
    async def scene(s: Scene) -> None:
        await s.record()
        await s.spool.look()
        kept = path_of(s.spool_at, SESSION).read_bytes()
        await s.spool.work_off()
        path_of(s.spool_at, SESSION).write_bytes(kept)  # as a kill at this moment leaves it
        await s.state.run(lambda c: c.execute("UPDATE recordings SET is_local = 1").close())
        path_of(s.folder / "store", SESSION).write_bytes(kept[:-1])  # and the store has lost something since
        s.restart()
        await s.spool.look()
        assert ((await s.row()).state, s.here()) == ("waiting", True)
        path_of(s.folder / "store", SESSION).unlink()
        await s.spool.work_off()
        assert ((await s.row()).state, s.here()) == ("stored", False)
        path_of(s.spool_at, SESSION).write_bytes(kept)
        await s.state.run(lambda c: c.execute("UPDATE recordings SET is_local = 1").close())
        s.restart()
        await s.spool.look()
        assert ((await s.row()).state, s.here()) == ("stored", False)

    play(tmp_path, scene)


def test_a_full_spool_refuses_what_is_new_and_ends_what_runs_and_says_which_limit(tmp_path: Path) -> None:
    room = Room(limit=10_000, waits_for="s3://bucket")
    recorder = Spooled.create(tmp_path, OPENED, KEY, HandClock()).within(room)
    with pytest.raises(RecordingFailed, match=r"`evidence.spool_limit` is 9.8 KiB"):
        _ = [recorder.write(ENTRIES) for _ in range(1000)]
    assert room.used == recorder.path.stat().st_size
    with pytest.raises(SpoolFull, match="wait for `s3://bucket`"):
        room.check()
    with pytest.raises(RecordingFailed):
        recorder.seal("it is dead")
    again = Room(limit=10_000)
    again.measure(tmp_path)
    assert again.used == room.used
    again.grow(-again.used)
    again.check()


@pytest.mark.usefixtures("each_state")
def test_what_is_over_its_time_is_deleted_with_an_event_first_and_the_row_says_so(tmp_path: Path) -> None:
    async def scene(s: Scene) -> None:
        await s.record()
        await s.spool.work_off()
        s.pass_days(9.9)
        assert (await s.collector.collect(Order(SAM, lambda _: ""))).recordings == ()
        s.pass_days(0.2)
        assert await s.collect(is_dry=True) == [("would-delete", "")]
        assert await s.collect(may="you may not") == [("kept", "you may not")]
        s.store.fails = "delete"
        assert (await s.collect())[0][1].startswith("it could not be deleted yet: it fails at delete")
        s.store.fails = ""
        assert await s.collect() == [("deleted", "")]
        assert await s.collect() == []
        (event,) = await s.told("recording.deleted")  # once, though it took two attempts
        assert (event.by, event.session, event.facts["retention"]) == ("sam", SESSION, "default")
        view = await s.recordings.view(SESSION)
        assert view is not None
        assert (view.state, view.deleted_by, view.retention) == ("deleted", "sam", "default")
        with pytest.raises(Unknown, match=r"was deleted on 2023-11-25 by `sam`: its time by the class `default`"):
            await s.read()
        with pytest.raises(BadInput, match="is deleted"):
            await s.holds.hold(SESSION, "too late", SAM)

    play(tmp_path, scene)


@pytest.mark.usefixtures("each_state")
def test_what_anybody_holds_stays_until_the_last_releases_it(tmp_path: Path) -> None:
    async def scene(s: Scene) -> None:
        await s.record()
        await s.spool.work_off()
        one = await s.holds.hold(SESSION, "case 17", SAM)
        two = await s.holds.hold(SESSION, "case 18", SAM)
        await s.spool.tell_holds()
        name = path_of(s.spool_at, SESSION).name
        assert s.store.held == {name}
        s.pass_days(11)
        await s.holds.release(one.id, "settled", SAM)
        await s.spool.tell_holds()
        assert s.store.held == {name}
        assert await s.collect() == [("kept", f"`sam` holds it (`{two.id}`): case 18")]
        await s.holds.release(two.id, "settled", SAM)
        assert await s.collect() == [("kept", f"`{s.store.where}` has it under a legal hold")]
        await s.spool.tell_holds()
        assert await s.collect() == [("deleted", "")]
        assert [len(await s.told(f"recording.{each}")) for each in ("held", "released")] == [2, 2]

    play(tmp_path, scene)


def test_a_hold_that_is_set_while_it_is_being_deleted_counts(tmp_path: Path) -> None:
    async def scene(s: Scene) -> None:
        await s.record()
        await s.spool.work_off()
        s.pass_days(11)
        looked = s.store.stat

        async def stat(name: str, *, version: str = "") -> Any:
            found = await looked(name, version=version)
            await s.holds.hold(SESSION, "just now", SAM)  # after the first look, before the last
            return found

        s.store.stat = stat  # type: ignore[method-assign]
        ((outcome, why),) = await s.collect()
        assert (outcome, "just now" in why) == ("kept", True)
        assert await s.told("recording.deleted") == []

    play(tmp_path, scene)


def test_a_clock_that_was_set_forward_deletes_nothing(tmp_path: Path) -> None:
    async def scene(s: Scene) -> None:
        await s.record()
        await s.spool.work_off()
        s.time += 11 * DAY  # and no time has passed
        with pytest.raises(BackendFailed, match="was set by"):
            await s.collect()
        s.restart()  # it is set forward before the broker starts: the store knows better
        s.store._now = lambda: START
        with pytest.raises(BackendFailed, match="and that of"):
            await s.collect()
        assert (await s.row()).state == "stored"

    play(tmp_path, scene)


def test_classes_that_got_longer_count_and_those_that_got_shorter_do_not(tmp_path: Path) -> None:
    async def scene(s: Scene) -> None:
        await s.record()
        await s.spool.work_off()
        row = await s.row()
        for classes, days in (({"default": 20}, 20.0), ({"default": 5}, 10.0), ({"pci": 1}, None)):
            until = Retention({name: int(n * DAY) for name, n in classes.items()}, {}).until(row)
            assert until == (START + days * DAY if days is not None else None)

    play(tmp_path, scene)


def test_recordings_in_a_directory_are_kept_and_deleted_there(tmp_path: Path) -> None:
    async def scene(s: Scene) -> None:
        await s.record()
        s.restart(LocalStore(s.spool_at))
        s.collector._store.now = s.store.now  # type: ignore[method-assign]
        await s.spool.work_off()
        assert ((await s.row()).state, s.here()) == ("local", True)
        s.pass_days(11)
        assert await s.collect() == [("deleted", "")]
        assert not s.here()

    play(tmp_path, scene)


def test_the_queue_goes_on_by_itself_when_something_is_sealed(tmp_path: Path) -> None:
    async def scene(s: Scene) -> None:
        running = asyncio.get_running_loop().create_task(s.spool.run())
        await s.record()
        async with asyncio.timeout(20):
            while s.here():  # noqa: ASYNC110 -- the queue tells nobody that it is done
                await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.wait([running])

    play(tmp_path, scene)


def test_an_open_reader_keeps_what_is_taken_to_the_store_meanwhile(tmp_path: Path) -> None:
    async def scene(s: Scene) -> None:
        content = await s.record()
        chunks: AsyncIterator[bytes] = await s.recordings.open(SESSION)
        await s.spool.work_off()
        assert b"".join([chunk async for chunk in chunks]) == content

    play(tmp_path, scene)
