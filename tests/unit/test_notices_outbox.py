"""What happens to a request is told at least once, in order, by one broker at a time, and not for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from hoopx_broker.notices import courier as couriers
from hoopx_broker.notices import outbox
from hoopx_broker.notices.courier import CLAIM_SECONDS, FIRST_RETRY, LONGEST_RETRY, Trouble
from hoopx_broker.notices.hearing import Ear
from hoopx_broker.notices.outbox import Left
from hoopx_broker.notices.routing import wants
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.approvals import Conditions, Happening
from hoopx_broker.terms.notices import Gone, NotTold, NotWanted
from hoopx_broker.terms.settings import Notify, StateUrl
from tests.unit.notices_stage import NOON, VIEW, NotifierDouble, Play, Stage, entry, player

OTHER = replace(VIEW, id="r_2")
DAY = 86_400.0


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return player(tmp_path)


@pytest.fixture
def play_each(each_state: str, tmp_path: Path) -> Play:
    """On each kind of state."""
    return player(tmp_path)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (entry(), True),
        (entry(events=("denied",)), False),
        (entry(kinds=("session",), targets=("prod-db",), groups=("dba", "ops"), labels={"env": "prod"}), True),
        (entry(kinds=("statement",)), False),
        (entry(targets=("test-db",)), False),
        (entry(groups=("security",)), False),
        (entry(labels={"env": "test"}), False),
        (entry(labels={"tier": "1"}), False),
    ],
    ids=range(8),
)
def test_a_notifier_hears_of_what_its_entry_says(said: Notify, wanted: bool) -> None:
    assert wants(said, Happening("r_1", "asked", NOON), VIEW, {"env": "prod"}) is wanted


def test_those_who_review_broken_glass_are_told() -> None:
    broken = replace(VIEW, glass=True, conditions=Conditions(reviewers={"security": 1}))
    assert wants(entry(groups=("security",)), Happening("r_1", "broken-glass", NOON), broken, {})
    assert not wants(entry(groups=("security",)), Happening("r_1", "asked", NOON), replace(broken, glass=False), {})


def test_what_did_not_happen_is_not_told(play: Play) -> None:
    """It is written down in the transaction of what happened, and goes with it."""

    async def scene(s: Stage) -> None:
        def fails(connection: Connection) -> None:
            Ear((entry(),), {})(connection, Happening("r_1", "asked", NOON), VIEW)
            raise KeyError("the desk changed its mind")

        with pytest.raises(KeyError):
            await s.store.run(fails)
        assert await s.courier().tell_due("hook") == 0

    play(scene)


def test_the_text_of_a_statement_is_not_kept_a_second_time(play: Play, tmp_path: Path) -> None:
    async def scene(s: Stage) -> None:
        text = "delete from t where ssn = '078-05-1120'"
        s.statements["r_1"] = text
        await s.happens("asked", replace(VIEW, kind="statement", statement=text, canonical=text))
        await s.courier().tell_due("hook")
        assert s.hook.heard[0].statement == f"form of {len(text)} bytes"
        rows = await s.store.run(lambda c: c.execute("SELECT happening, view FROM notices").fetchall())
        assert "078" not in repr(rows)

    play(scene)


def test_a_receiver_that_fails_is_tried_again_ever_later_and_at_last_given_up(play_each: Play) -> None:
    async def scene(s: Stage) -> None:
        await s.happens("asked")
        s.hook.answers = [NotTold("it is down") for _ in range(99)]
        courier, pauses, began = s.courier(), [], s.now
        while not (s.troubles and s.troubles[-1].is_over):
            assert await courier.tell_due("hook") == 1
            assert await courier.tell_due("hook") == 0
            due: float = await s.store.run(lambda c: c.execute("SELECT due_at FROM notices").fetchone()[0])
            pauses.append(due - s.now)
            s.now = max(due, s.now)
        assert pauses[:4] == pytest.approx([FIRST_RETRY, 10, 20, 40])
        assert max(pauses) == pytest.approx(LONGEST_RETRY)
        assert DAY - LONGEST_RETRY <= s.now - began <= DAY
        assert len({notice.id for notice in s.hook.heard}) == 1
        assert s.troubles[-1] == Trouble(
            "hook", s.hook.heard[0].id, "r_1", "asked", len(s.hook.heard), "it is down", is_over=True
        )
        assert await courier.count_left() == Left(late=0, given_up=1)
        # Somebody may look into it for a week.
        await s.store.run(lambda c: outbox.forget(c, s.now + 8 * DAY))
        assert await courier.count_left() == Left(0, 0)

    play_each(scene)


def test_a_receiver_is_not_asked_again_before_it_wants_to(play: Play) -> None:
    async def scene(s: Stage) -> None:
        await s.happens("asked")
        s.hook.answers = [NotTold("too many", after=100)]
        courier = s.courier()
        await courier.tell_due("hook")
        assert await courier.count_left() == Left(late=1, given_up=0)
        s.now += 99
        assert await courier.tell_due("hook") == 0
        s.now += 2
        assert await courier.tell_due("hook") == 1
        assert await courier.count_left() == Left(0, 0)

    play(scene)


def test_requests_are_told_in_order_each_by_itself(play_each: Play) -> None:
    """What happened later waits for what happened before; another request does not."""

    async def scene(s: Stage) -> None:
        s.hook.answers = [NotTold("not now")]
        for event in ("asked", "approved", "used"):
            await s.happens(event)
        await s.happens("asked", OTHER)
        courier = s.courier()
        assert await courier.tell_due("hook") == 2
        assert [(notice.request, notice.event) for notice in s.hook.heard] == [("r_1", "asked"), ("r_2", "asked")]
        s.now += 60
        await courier.tell_due("hook")
        assert s.hook.events[2:] == ["asked", "approved", "used"]
        thread = await s.store.run(lambda c: c.execute("SELECT memory FROM notice_threads ORDER BY request").fetchall())
        assert thread == [('{"told":"4"}',), ('{"told":"1"}',)]  # what it remembers counts failed tries too

    play_each(scene)


def test_two_brokers_do_not_tell_the_same_at_once(state_url: StateUrl) -> None:
    """Each with its own connections to the one state; what one writes down wakes the other."""

    async def scene(one: Stage, two: Stage) -> None:
        hook = NotifierDouble()
        hook.answers = [lambda: asyncio.sleep(0.01, "") for _ in range(20)]
        running = [asyncio.create_task(s.courier(me, hook=hook).run()) for s, me in ((one, "one"), (two, "two"))]
        for number in range(20):
            await one.happens("asked", replace(VIEW, id=f"r_{number}"))
        async with asyncio.timeout(30):
            await hook.until(20)
        while await two.store.run(lambda c: c.execute("SELECT 1 FROM notices WHERE state = 'due'").fetchone()):
            await asyncio.wait(running, timeout=0.05)
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        assert len(hook.heard) == len({notice.id for notice in hook.heard}) == 20

    async def on_stage() -> None:
        first, second = await Store.open(state_url), await Store.open(state_url)
        try:
            await scene(Stage(first), Stage(second))
        finally:
            await first.close()
            await second.close()

    asyncio.run(on_stage())


def test_what_a_dead_broker_had_taken_is_told_by_another(play_each: Play) -> None:
    """It is not known whether it was told: it comes with the same id, and what the dead one would write is void."""

    async def scene(s: Stage) -> None:
        await s.happens("asked")
        silent, gone = asyncio.Event(), NotifierDouble()
        gone.answers = [lambda: _after(silent)]
        dead = asyncio.create_task(s.courier("dead", hook=gone).tell_due("hook"))
        await gone.until(1)
        living = s.courier("living")
        assert await living.tell_due("hook") == 0
        s.now += CLAIM_SECONDS + 1
        s.hook.answers = [NotTold("not now")]
        assert await living.tell_due("hook") == 1
        assert s.hook.heard[0].id == gone.heard[0].id
        silent.set()  # a late yes: it counts for nobody
        await dead
        assert await living.count_left() == Left(late=1, given_up=0)

    play_each(scene)


async def _after(event: asyncio.Event) -> str:
    await event.wait()
    return ""


def test_a_broker_that_stops_leaves_what_it_was_telling_to_the_next(play: Play) -> None:
    async def scene(s: Stage) -> None:
        await s.happens("asked")
        s.hook.answers = [lambda: _after(asyncio.Event())]
        stopping = asyncio.create_task(s.courier().run())
        await s.hook.until(1)
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
        assert await s.courier("next").tell_due("hook") == 1

    play(scene)


def test_a_receiver_that_never_answers_holds_up_no_other(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor for ever its own: each try has an end."""
    monkeypatch.setattr(couriers, "TRY_SECONDS", 0.05)
    entries = (entry("dead"), entry("hook"))

    async def scene(s: Stage) -> None:
        dead = NotifierDouble()
        dead.answers = [lambda: _after(asyncio.Event()) for _ in range(50)]
        courier = s.courier(dead=dead, hook=s.hook)
        running = asyncio.create_task(courier.run())
        for number in range(10):
            await s.happens("asked", replace(VIEW, id=f"r_{number}"), entries)
        async with asyncio.timeout(10):
            await s.hook.until(10)
            await s.until_troubled(10)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert {trouble.why for trouble in s.troubles} == {"no answer within 0 s"}

    play(scene)


def test_a_plugin_that_trips_is_told_of_by_the_kind_of_its_fault_alone(play: Play) -> None:
    async def scene(s: Stage) -> None:
        await s.happens("asked")
        s.hook.answers = [ValueError("https://hooks.example.com/secret"), asyncio.CancelledError("secret")]
        courier = s.courier()
        await courier.tell_due("hook")
        s.now += 60
        await courier.tell_due("hook")
        row = await s.store.run(lambda c: c.execute("SELECT last_error FROM notices").fetchone()[0])
        assert (s.troubles[0].why, row) == ("unexpected ValueError", "the notifier cancelled its own work")

    play(scene)


def test_a_receiver_that_is_gone_is_left_alone_and_every_loss_is_told(play: Play) -> None:
    async def scene(s: Stage) -> None:
        await s.happens("asked")
        await s.happens("asked", OTHER)
        s.hook.answers = [NotWanted("no such address"), Gone("answered 410")]
        courier = s.courier()
        await courier.tell_due("hook")
        await s.happens("approved")
        await courier.tell_due("hook")
        assert len(s.hook.heard) == 2
        assert [trouble.is_over for trouble in s.troubles] == [True] * 3
        assert await courier.count_left() == Left(late=0, given_up=3)

    play(scene)


def test_what_this_broker_cannot_read_holds_up_nothing(play: Play) -> None:
    """Rows of a newer broker on the same state, and those for a notifier that is no longer there."""

    async def scene(s: Stage) -> None:
        await s.happens("asked")
        await s.store.run(lambda c: c.execute("UPDATE notices SET view = '{}'").close())
        await s.happens("asked", OTHER)
        await s.happens("asked", OTHER, (entry("removed"),))
        courier = s.courier()
        assert await courier.tell_due("hook") == 1
        assert await courier.count_left() == Left(late=0, given_up=1)
        await s.store.run(lambda c: outbox.forget(c, s.now + DAY + outbox.OVERDUE + 1))
        assert await courier.count_left() == Left(late=0, given_up=2)

    play(scene)
