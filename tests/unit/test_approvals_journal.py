"""Everything that happens to a request is in the journal, in a chain that nobody changes unseen."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from hoopx_broker.api.messages import RequestView
from hoopx_broker.approvals.journal import BEGINNING, Head, JournalBroken
from hoopx_broker.approvals.matter import digest
from hoopx_broker.storage.connection import Connection
from hoopx_broker.terms.approvals import Conditions, Happening
from hoopx_broker.terms.errors import HoopxError, Unknown
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal
from tests.unit.approvals_stage import ANN, BOB, CID, DELETION, ONE_DBA, OPENING, TWO_DBAS, WALL, Play, Stage, player

BOT = Principal("bot", "agent", ("agents",), on_behalf_of="ann")


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return player(tmp_path)


@pytest.fixture
def everywhere(each_state: str, tmp_path: Path) -> Play:
    """On each kind of state."""
    return player(tmp_path)


async def told(s: Stage, request: RequestId) -> list[tuple[str, str, str]]:
    return [(each.event, each.by, each.state) for each in await s.desk.journal(request)]


def test_a_request_is_told_from_the_ask_to_the_use(everywhere: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked(DELETION, TWO_DBAS, BOT)
        await s.desk.vote(request, BOB, "approve", "fine")
        await s.desk.vote(request, BOB, "approve", "said already, and is not said again")
        s.now += 60
        await s.desk.vote(request, CID, "approve")
        await s.desk.spend(request, BOT, DELETION, used_by="session s_1, stream 2")
        assert await told(s, request) == [
            ("asked", "bot on behalf of ann", "waiting"),
            ("approve", "bob", "waiting"),
            ("approve", "cid", "waiting"),
            ("approved", "cid", "approved"),
            ("used", "bot on behalf of ann", "used"),
        ]
        asked, bob, cid, _, used = await s.desk.journal(request)
        assert (bob.comment, bob.details, bob.at) == ("fine", {"groups": "dba", "known_as": "bob"}, s.now - 60)
        assert cid.at == s.now
        assert used.details == {"used_by": "session s_1, stream 2"}
        assert asked.details["matter"] == digest(DELETION)
        assert asked.details["approvers"] == '{"dba":2}'
        assert asked.details["statement"] == digest(DELETION.statement)
        assert asked.details["policy"] == "sha256:1"
        assert asked.details["known_as"] == '["ann","bot"]'
        assert await s.desk.check_journal() == Head(5, (await s.desk.check_journal()).chain)

    everywhere(scene)


def test_no_and_taken_back_and_run_out_are_told_too(play: Play) -> None:
    async def scene(s: Stage) -> None:
        denied, cancelled, expired = [await s.asked(ruling=structs.replace(ONE_DBA, rules=(rule,))) for rule in "abc"]
        await s.desk.vote(denied, BOB, "deny", "not on a Friday")
        await s.desk.cancel(cancelled, ANN)
        s.now += 900
        assert await s.state(expired) == "expired"
        assert (await told(s, denied))[1:] == [("deny", "bob", "waiting"), ("denied", "bob", "denied")]
        assert (await told(s, cancelled))[1:] == [("cancelled", "ann", "cancelled")]
        assert (await told(s, expired))[1:] == [("expired", "", "expired")]
        assert s.heard == [
            *(f"{each} asked" for each in (denied, cancelled, expired)),
            f"{denied} deny",
            f"{denied} denied",
            f"{cancelled} cancelled",
            f"{expired} expired",
        ]

    play(scene)


def test_what_is_refused_is_not_told(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.asked()
        for attempt in (
            s.desk.vote(request, ANN, "approve"),
            s.desk.spend(request, ANN, OPENING),
            s.desk.ask(OPENING, ANN, structs.replace(ONE_DBA, conditions=Conditions(needs_reason=True))),
            s.desk.ask(OPENING, ANN, structs.replace(ONE_DBA, approvers={})),
        ):
            with pytest.raises(HoopxError):
                await attempt
        assert s.heard == [f"{request} asked"]
        assert (await s.desk.check_journal()).number == 1
        with pytest.raises(Unknown):
            await s.desk.journal(RequestId("r_404"))

    play(scene)


def test_the_literals_of_a_statement_are_not_in_it(play: Play) -> None:
    async def scene(s: Stage) -> None:
        secret = "delete from customers where ssn = '078-05-1120'"
        matter = structs.replace(DELETION, statement=secret, canonical=secret.upper())
        await s.desk.ask(matter, ANN, ONE_DBA, reason="gdpr")
        rows = await s.store.run(lambda c: c.execute("SELECT event FROM requests_journal").fetchall())
        assert "gdpr" in rows[0][0]
        assert "078-05" not in rows[0][0]

    play(scene)


def test_what_is_heard_is_part_of_the_transaction(tmp_path: Path) -> None:
    """Whoever hears and fails undoes what happened: nothing is kept that was not told."""

    def deaf(connection: Connection, happening: Happening, view: RequestView) -> None:
        if happening.event == "approved":
            raise RuntimeError("the outbox is full")

    async def scene(s: Stage) -> None:
        s.desk._house = structs.replace(s.desk._house, hear=deaf)
        request = await s.asked()
        with pytest.raises(RuntimeError, match="outbox"):
            await s.desk.vote(request, BOB, "approve")
        view = await s.desk.get(request)
        assert (view.state, view.ballots) == ("waiting", ())
        assert (await s.desk.check_journal()).number == 1

    player(tmp_path)(scene)


def _without_walls(connection: Connection, table: str) -> None:
    for trigger in ("requests_journal_is_not_changed", "requests_journal_is_kept"):
        connection.execute(f"DROP TRIGGER {trigger}{table}")


TAMPERED: list[tuple[str, str]] = [
    ("UPDATE requests_journal SET event = replace(event, 'bob', 'eve') WHERE number = 2", "entry 2"),
    ("UPDATE requests_journal SET request = 'r_9' WHERE number = 2", "entry 2"),
    ("UPDATE requests_journal SET at = at + 1 WHERE number = 3", "entry 3"),
    ("UPDATE requests_journal SET chain = 'x' WHERE number = 1", "entry 1"),
    ("DELETE FROM requests_journal WHERE number = 1", "entry 1"),
    ("DELETE FROM requests_journal WHERE number = 2", "entry 2"),
    ("UPDATE requests_journal SET number = 9 WHERE number = 4", "entry 4"),
    ("UPDATE requests_journal SET event = (SELECT event FROM requests_journal WHERE number = 3) WHERE number = 2", "2"),
]


def test_the_state_adds_to_it_and_changes_nothing(everywhere: Play) -> None:
    async def scene(s: Stage) -> None:
        request = await s.approved()
        await s.desk.spend(request, ANN, OPENING)
        for statement, _ in TAMPERED:
            with pytest.raises(WALL, match="only added to"):
                await s.store.run(lambda c, sql=statement: c.execute(sql).close())  # type: ignore[misc]
        assert (await s.desk.check_journal()).number == 4

    everywhere(scene)


def test_whoever_takes_the_wall_away_is_found_by_the_chain(everywhere: Play, each_state: str) -> None:
    table = " ON requests_journal" if each_state == "postgres" else ""

    async def scene(s: Stage) -> None:
        request = await s.approved()
        await s.desk.spend(request, ANN, OPENING)
        await s.store.run(lambda c: _without_walls(c, table))
        whole = await s.store.run(lambda c: c.execute("SELECT * FROM requests_journal").fetchall())
        for statement, where in TAMPERED:
            await s.store.run(lambda c, sql=statement: c.execute(sql).close())  # type: ignore[misc]
            with pytest.raises(JournalBroken, match=where):
                await s.desk.check_journal()
            await s.store.run(_restored(whole))
        assert (await s.desk.check_journal()).number == 4

    everywhere(scene)


def _restored(rows: list[tuple[object, ...]]) -> Callable[[Connection], None]:
    def restore(connection: Connection) -> None:
        connection.execute("DELETE FROM requests_journal")
        for row in rows:
            connection.execute("INSERT INTO requests_journal VALUES (?, ?, ?, ?, ?)", row)

    return restore


def test_anybody_can_follow_the_chain(play: Play) -> None:
    """As its module says it: SHA-256 over the link before and the entry, JSON with sorted keys."""

    async def scene(s: Stage) -> None:
        await s.approved()
        chain = BEGINNING
        rows = await s.store.run(
            lambda c: c.execute("SELECT event, chain FROM requests_journal ORDER BY number").fetchall()
        )
        for event, link in rows:
            chain = sha256((chain + event).encode()).hexdigest()
            assert link == chain
            assert msgspec.json.encode(msgspec.json.decode(event), order="sorted").decode() == event

    play(scene)


def test_an_empty_journal_is_whole(play: Play) -> None:
    async def scene(s: Stage) -> None:
        assert await s.desk.check_journal() == Head(0, BEGINNING)

    play(scene)


WALLS = [
    ("UPDATE requests SET statement = 'drop table orders'", "stays as it was asked"),
    ("UPDATE requests SET requester = 'eve'", "stays as it was asked"),
    ("UPDATE requests SET approvers = '{\"eve\":1}'", "stays as it was asked"),
    ("UPDATE requests SET policy = 'sha256:2', duration = 1", "stays as it was asked"),
    ("UPDATE requests SET glass = 1", "stays as it was asked"),
    ("UPDATE requests SET review = 'open'", "a review stays"),
    ("UPDATE requests SET review = 'accepted'", "a review stays"),
    (
        "INSERT INTO requests (id, state, kind, target, requester, reason, ticket, duration, statement, policy, rules,"
        " approvers, likeness, created_at, expires_at) SELECT 'r_9', 'approved', kind, target, requester, reason,"
        " ticket, duration, statement, policy, rules, approvers, 'other', created_at, expires_at FROM requests",
        "begins waiting",
    ),
]


def test_the_state_itself_keeps_what_was_asked(everywhere: Play) -> None:
    """The second wall: a desk with a mistake in it could not have something else approved than was shown."""

    async def scene(s: Stage) -> None:
        request = await s.asked(DELETION)
        before = await s.desk.get(request)
        for statement, why in WALLS:
            with pytest.raises(WALL, match=why):
                await s.store.run(lambda c, sql=statement: c.execute(sql).close())  # type: ignore[misc]
        assert await s.desk.get(request) == before

    everywhere(scene)
