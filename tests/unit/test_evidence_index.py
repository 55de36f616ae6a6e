"""What sessions are found by: gathered as they go, bounded, and what has no room is found by reading."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from hoopx_broker.daemon.searching import Search, _asked, _Reading
from hoopx_broker.evidence.index import MAX_WAITING, Index, read_told
from hoopx_broker.evidence.local import LocalStore
from hoopx_broker.evidence.marks import MAX_MARK, ROOM, Gathering, mark, marks_of, words
from hoopx_broker.evidence.readings import Readings
from hoopx_broker.evidence.recordings import Recordings
from hoopx_broker.evidence.retention import Retention
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.events import happened
from hoopx_broker.storage.finding import FIRST, Finding, Wanted
from hoopx_broker.storage.marks import Mark, Marks, forget
from hoopx_broker.storage.sessions import Sessions
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.entries import Entry, Statement
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.ids import SessionId
from tests.peers.state import state_in
from tests.unit.recording_scene import KEY, HandClock
from tests.unit.test_storage_sessions import opened


def said(text: str, *, tables: tuple[str, ...] = (), ruling: str = "allow", n: int = 1) -> Statement:
    return Statement("t_1", n, text, ruling, ("rule-1",), tables=tables, effects=("read",))


class Scene:
    """A state, an index beside it, and recordings in a folder."""

    def __init__(self, folder: Path, store: Store, *, encrypted: bool = False) -> None:
        self.folder = folder / "recordings"
        self.sessions = Sessions(store, keeps_words=not encrypted)
        self.finding = Finding(store)
        self.failures: list[BaseException] = []
        self.marks = Marks(store)
        kept = Recordings(store, LocalStore(self.folder), self.folder, "home", Retention({}, {}))
        self.readings = Readings(kept.open)
        self.index = Index(
            self.marks, self.readings, "home", lambda _, why: self.failures.append(why), keeps_words=not encrypted
        )

    async def has(self, session: str, *entries: Entry, ends: bool = True, user: str = "ann", at: float = 100) -> None:
        facts = opened(session, user=user, at=at)
        await self.sessions.add(facts)
        recorder = Recorder.create(self.folder, facts, KEY, HandClock())
        trace = self.index.begin(facts, recorder)
        recorder.write(entries)
        trace.hear(entries)
        if ends:
            recorder.seal("done")
            await self.index.finish(SessionId(session))
            await self.sessions.finish(SessionId(session), "done", at + 1, recorder.statements, recorder.denied)

    async def finds(self, *marks: Mark) -> list[str]:
        """As the search does, for somebody who sees everything."""
        owners = tuple(one.number for one in await self.finding.owners())
        page = await self.finding.page(Wanted(owners, marks, everybody=True), FIRST, 100)
        reading = _Reading(self.readings, marks)
        return [each.place.id for each in page if each.sure or await reading.holds(each)]


def play(tmp_path: Path, scene: Callable[[Scene], Awaitable[None]], *, encrypted: bool = False) -> None:
    async def run() -> None:
        store = await Store.open(state_in(tmp_path))
        try:
            stage = Scene(tmp_path, store, encrypted=encrypted)
            await scene(stage)
            assert stage.failures == []
        finally:
            await store.close()

    asyncio.run(run())


def word(text: str) -> Mark:
    return Mark("word", text)


def test_words_are_found_whole_and_by_their_parts() -> None:
    found = set(words("""SELECT Name FROM "public"."Customers" WHERE mail = 'ann@example.com' AND x = 1"""))
    assert {"select", "name", "public.customers", "customers", "ann@example.com", "example", "mail"} <= found
    assert not {"x", "1", "="} & found


@pytest.mark.parametrize(
    "hostile", ["a" * 1_000_000, "a." * 500_000, '"."' * 300_000, "\0\ud800", "a" + "." * 1_000_000]
)
def test_a_hostile_text_has_short_words_soon(hostile: str) -> None:
    assert all(0 < len(each) <= MAX_MARK for each in words(hostile))
    assert len(mark("table", hostile).text) <= MAX_MARK
    mark("table", hostile).text.encode()


@pytest.mark.usefixtures("each_state")
def test_what_a_session_did_finds_it_while_it_is_open_and_afterwards(tmp_path: Path) -> None:
    async def scene(s: Scene) -> None:
        await s.has("s_open", said("select secret_column", tables=("public.customers",)), ends=False)
        await s.has("s_over", said("drop table x9", ruling="deny"), at=200)
        await s.index.flush()
        assert await s.finds(word("secret_column")) == ["s_open"]
        assert await s.finds(mark("table", "Customers"), word("select")) == ["s_open"]
        assert await s.finds(mark("ruling", "deny")) == ["s_over"]
        assert await s.finds(mark("rule", "rule-1")) == ["s_over", "s_open"]
        assert await s.finds(mark("ticket", "t-1"), Mark("reason", "look")) == ["s_over", "s_open"]
        assert await s.finds(word("secret_column"), mark("ruling", "deny")) == []
        assert (await s.sessions.get(SessionId("s_open"))).statements == 1, "counted while it is open"

    play(tmp_path, scene)


@pytest.mark.usefixtures("each_state")
def test_wildcards_sql_and_hostile_names_are_only_names(tmp_path: Path) -> None:
    hostile = ("%", "_", "' OR 1=1 --", "\x1b[2Jx", "a\0b", "ту́т")

    async def scene(s: Scene) -> None:
        await s.has("s_plain", said("select one", tables=("orders",)))
        await s.has("s_hostile", said("select two", tables=hostile), at=200)
        for name in hostile:
            assert await s.finds(mark("table", name)) == ["s_hostile"]
        assert await s.finds(word("%")) == []
        assert await s.finds(mark("table", "order_")) == []

    play(tmp_path, scene)


def test_a_session_of_thousands_of_tables_and_words_is_bounded_and_still_found(tmp_path: Path) -> None:
    many = [said(f"select w{n}", tables=(f"public.t{n}",), n=n + 1) for n in range(8_000)]

    async def scene(s: Scene) -> None:
        await s.has("s_many", *many)
        await s.has("s_other", said("select w7999x"), at=200)
        while await s.index.rebuild():
            pass
        marks = await s.marks._store.run(lambda c: c.execute("SELECT COUNT(*) FROM session_marks").fetchone()[0])
        assert marks <= sum(ROOM.values()) + 20
        assert await s.finds(word("w7999")) == ["s_many"]
        assert await s.finds(mark("table", "public.t7999"), word("w5")) == ["s_many"]
        assert await s.finds(word("w8000")) == []

    play(tmp_path, scene)


def test_what_is_said_faster_than_it_is_kept_is_read_from_the_recording(tmp_path: Path) -> None:
    large = [said(f"select {'x' * 1_000_000} b{n}", n=n + 1) for n in range(6)]
    assert MAX_WAITING < 6_000_000

    async def scene(s: Scene) -> None:
        await s.has("s_fast", *large, ends=False)
        await s.index.flush()
        assert await s.finds(word("b5")) == ["s_fast"]

    play(tmp_path, scene)


@pytest.mark.usefixtures("each_state")
def test_after_a_crash_the_marks_are_made_from_the_recording(tmp_path: Path) -> None:
    async def scene(s: Scene) -> None:
        await s.has("s_cut", said("select lost"), said("drop table y", ruling="deny", n=2), ends=False)
        await s.sessions.mark_unfinished()
        assert await s.finds(word("lost")) == ["s_cut"], "read until it is sealed"
        await s.sessions.sealed(happened(101, "session.sealed", session="s_cut"))
        assert await s.index.rebuild() == 1
        (s.folder / "s_cut.hoopx").unlink()
        assert await s.finds(word("lost")) == ["s_cut"]
        view = await s.sessions.get(SessionId("s_cut"))
        assert (view.statements, view.denied) == (2, 1)
        assert await s.index.rebuild() == 0

    play(tmp_path, scene)


@pytest.mark.usefixtures("each_state")
def test_what_was_said_in_a_deleted_recording_is_forgotten_for_good(tmp_path: Path) -> None:
    async def scene(s: Scene) -> None:
        await s.has("s_gone", said("select private_word", tables=("public.customers",)))
        with (s.folder / "s_gone.hoopx").open("rb") as file:
            late = read_told(SessionId("s_gone"), file)

        def delete(connection: Connection) -> None:
            connection.execute(
                "INSERT INTO recordings (session, target, home, sealed_at, class, kept_until, state)"
                " VALUES ('s_gone', 'prod-db', 'home', 1, 'default', 0, 'deleting')"
            )
            forget(connection, "s_gone")

        await s.marks._store.run(delete)
        (s.folder / "s_gone.hoopx").unlink()
        await s.marks.add([late])  # it was being read meanwhile
        assert await s.index.rebuild() == 0
        assert await s.finds(word("private_word")) == []
        assert await s.finds(mark("table", "customers")) == []
        assert await s.finds(mark("ticket", "t-1")) == ["s_gone"], "its row stays"

    play(tmp_path, scene)


def test_of_encrypted_recordings_no_words_are_kept_and_that_is_counted(tmp_path: Path) -> None:
    async def scene(s: Scene) -> None:
        await s.has("s_shut", said("select hidden_word", tables=("public.orders",)))
        assert await s.finds(mark("table", "orders")) == ["s_shut"]
        assert await s.finds(word("hidden_word")) == []
        owners = tuple(one.number for one in await s.finding.owners())
        assert await s.finding.count_wordless(Wanted(owners, (word("hidden_word"), mark("table", "orders")))) == 1
        assert await s.finding.count_wordless(Wanted(owners, (word("hidden_word"), mark("table", "others")))) == 0
        kinds = await s.marks._store.run(lambda c: c.execute("SELECT DISTINCT kind FROM session_marks").fetchall())
        assert ("word",) not in kinds

    play(tmp_path, scene, encrypted=True)


def test_a_repeated_statement_is_looked_at_once() -> None:
    gathering = Gathering(keeps_words=True)
    assert gathering.take(said("select a1"))
    assert gathering.take(said("select a1")) == []
    assert list(marks_of(said("select a1"), keeps_words=False))


@pytest.mark.parametrize(
    "query",
    [{"after": "x"}, {"after": "bmFuIHNfMQ"}, {"text": "!"}, {"since": "nan"}, {"table": "a\0"}, {"state": "opne"}],
)
def test_what_cannot_be_asked_is_bad_input(query: dict[str, str]) -> None:
    with pytest.raises(BadInput):
        _asked(query)


class _Services(msgspec.Struct):
    """Stands in for the services: a policy by which everybody sees their own alone."""

    targets: dict[str, object] = {}

    def judge(self) -> _Services:
        return self

    version: str = "1"


def test_nobody_learns_of_the_sessions_of_others_by_any_filter_or_place(tmp_path: Path) -> None:
    from hoopx_broker.terms.people import Principal

    async def scene(s: Scene) -> None:
        for n in range(3):
            await s.has(f"s_ann{n}", said("select shared_word"), at=100 + n)
            await s.has(f"s_bob{n}", said("select shared_word bobs_word"), user="bob", at=200 + n)
        search = Search(_Services(), s.finding, s.index, s.readings)  # type: ignore[arg-type]
        ann, bob = Principal("ann", "human"), Principal("bob", "human")
        for query in ({}, {"text": "shared_word"}, {"user": "bob"}, {"text": "bobs_word"}, {"denied": "true"}):
            found = await search.listed(ann, query)
            assert all(view.user == "ann" for view in found.sessions)
            assert (found.next, found.unsearched) == ("", {}), "nothing tells that there is more"
        first = await search.listed(bob, {"limit": "1", "text": "shared_word"})
        assert first.next
        borrowed = await search.listed(ann, {"after": first.next})
        assert [view.id for view in borrowed.sessions] == ["s_ann2", "s_ann1", "s_ann0"]
        rest = await search.listed(bob, {"after": first.next, "text": "shared_word"})
        assert [view.id for view in rest.sessions] == ["s_bob1", "s_bob0"]

    play(tmp_path, scene)
