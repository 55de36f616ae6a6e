"""The keeper of leases: nothing is made before it is stored, and nothing that was made is left behind."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import NoReturn

import pytest

from hoopx_broker.credentials import keeper as keeper_module
from hoopx_broker.credentials import revocation
from hoopx_broker.credentials.keeper import ALARM_EVERY, LONGEST_RETRY
from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.ids import LeaseId, SessionId
from hoopx_broker.terms.leases import DatabaseLogin, Issued, Lease, Order
from hoopx_broker.terms.secret import Secret
from tests.peers.lease_list import leases
from tests.unit.leases_stage import PASSWORD, SourceDouble, Stage, Time, order, running, stage, target

# What is about the order of things holds with each kind of state; what copies files is about SQLite.
each_state = pytest.mark.usefixtures("each_state")

A = LeaseId("l_1")


async def only_lease(stage: Stage) -> Lease:
    (lease,) = await leases(stage.keeper)
    return lease


def test_a_lease_is_stored_as_pending_before_the_source_is_asked(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            seen: list[Lease] = []

            async def look(_: Order) -> None:
                seen.append(await only_lease(s))

            s.source.before_issue = look
            lease, credential = await s.keeper.lease(order())
            assert [(pending.state, pending.handle, pending.user) for pending in seen] == [("pending", {}, "")]
            assert (lease.state, lease.handle, lease.user) == ("live", {"role": "hoopx_s_1"}, "hoopx_s_1")
            assert await only_lease(s) == lease
            assert isinstance(credential, DatabaseLogin)
            assert credential.password.reveal() == PASSWORD

    asyncio.run(scene())


def test_an_ended_lease_cannot_log_in_any_more(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            await s.keeper.lease(order())
            assert s.source.logins == {"hoopx_s_1"}
            assert await s.keeper.end(A) is True
            assert s.source.logins == set()
            assert (await only_lease(s)).state == "ended"

    asyncio.run(scene())


def test_ending_twice_or_something_unknown_is_already_done(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            await s.keeper.lease(order())
            assert await s.keeper.end(A) is True
            assert await s.keeper.end(A) is True
            assert await s.keeper.end(LeaseId("l_unknown")) is True
            assert s.source.revoked == ["hoopx_s_1"]

    asyncio.run(scene())


@each_state
def test_many_ends_at_once_revoke_once(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            await s.keeper.lease(order())
            s.source.before_revoke = lambda _: asyncio.sleep(0.01)
            assert await asyncio.gather(*(s.keeper.end(A) for _ in range(20))) == [True] * 20
            assert s.source.revoked == ["hoopx_s_1"]

    asyncio.run(scene())


@each_state
def test_an_end_during_the_issuing_waits_for_it_and_then_revokes(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            asked, answer = asyncio.Event(), asyncio.Event()

            async def hesitate(_: Order) -> None:
                asked.set()
                await answer.wait()

            s.source.before_issue = hesitate
            async with asyncio.TaskGroup() as group:
                leasing = group.create_task(s.keeper.lease(order()))
                await asked.wait()
                ending = group.create_task(s.keeper.end(A))
                await asyncio.sleep(0.01)
                answer.set()
            assert leasing.result()[0].state == "live"
            assert ending.result() is True
            assert s.source.logins == set()
            assert (await only_lease(s)).state == "ended"

    asyncio.run(scene())


def test_no_secret_reaches_the_state(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            await s.keeper.lease(order())

            async def leak(_: Lease) -> NoReturn:
                raise ValueError(f"could not log in with {PASSWORD}")

            s.source.before_revoke = leak
            assert await s.keeper.end(A) is False
            assert (await only_lease(s)).last_error == "unexpected ValueError"
            assert b"hoopx_s_1" in s.written()
            assert PASSWORD.encode() not in s.written()

    asyncio.run(scene())


def test_a_handle_with_the_password_in_it_is_refused_and_the_login_revoked(tmp_path: Path) -> None:
    class Careless(SourceDouble):
        async def issue(self, order: Order, pin: Pin) -> Issued:
            issued = await super().issue(order, pin)
            return Issued(
                DatabaseLogin("app", Secret(PASSWORD)),
                {"url": f"postgresql://app:{PASSWORD}@db", **issued.handle},
            )

    async def scene() -> None:
        async with stage(tmp_path, source=Careless()) as s:
            with pytest.raises(BackendFailed, match="put a secret where it would be stored"):
                await s.keeper.lease(order())
            async with running(s.keeper):
                await s.all_ended()
            assert s.source.logins == set()
            assert PASSWORD.encode() not in s.written()

    asyncio.run(scene())


# Failing at the start


@each_state
def test_a_source_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:

            async def half_done(order: Order) -> NoReturn:
                raise BackendFailed("the database is down", "start it")

            s.source.after_issue = half_done
            with pytest.raises(BackendFailed, match="the database is down"):
                await s.keeper.lease(order())
            async with running(s.keeper):
                await s.all_ended()
            assert s.source.logins == set()
            assert s.source.revoked == ["hoopx_s_1"]

    asyncio.run(scene())


def test_what_cannot_be_revoked_after_a_failure_stays_visible_until_it_can(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            s.source.after_issue = s.source.before_revoke = refuse
            with pytest.raises(BackendFailed):
                await s.keeper.lease(order())
            async with running(s.keeper):
                await s.until(lambda leases: leases[0].attempts >= 3)
                left = await only_lease(s)
                assert (left.state, left.last_error) == ("ending", "the database is down")
                assert s.source.logins == {"hoopx_s_1"}
                s.source.before_revoke = lambda _: asyncio.sleep(0)
                await s.all_ended()
            assert s.source.logins == set()
            assert (await only_lease(s)).last_error is None

    asyncio.run(scene())


async def refuse(_: object) -> NoReturn:
    raise BackendFailed("the database is down", "start it")


def test_a_source_that_never_answers_is_given_up_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "ISSUE_SECONDS", 0.01)

    async def scene() -> None:
        async with stage(tmp_path) as s:
            s.source.before_issue = lambda _: asyncio.sleep(3600)
            with pytest.raises(BackendFailed, match="`double` of `prod-db` gave no answer") as failed:
                await s.keeper.lease(order())
            assert failed.value.hint
            async with running(s.keeper):
                await s.all_ended()

    asyncio.run(scene())


def test_a_target_without_a_source_asks_nobody_and_stores_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            with pytest.raises(BackendFailed, match="`other-db` has no credential source"):
                await s.keeper.lease(order(name="other-db"))
            assert await leases(s.keeper) == ()

    asyncio.run(scene())


@each_state
@pytest.mark.parametrize("moment", ["before_issue", "after_issue"])
def test_a_caller_that_goes_away_during_the_issuing_leaves_nothing(tmp_path: Path, moment: str) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s, running(s.keeper):
            reached = asyncio.Event()

            async def hang(_: Order) -> None:
                reached.set()
                await asyncio.sleep(3600)

            setattr(s.source, moment, hang)
            async with asyncio.TaskGroup() as group:
                leasing = group.create_task(s.keeper.lease(order()))
                await reached.wait()
                leasing.cancel()
            await s.all_ended()
            assert s.source.logins == set()

    asyncio.run(scene())


def test_a_login_that_the_source_makes_after_the_caller_is_gone_is_revoked_too(tmp_path: Path) -> None:
    """A COMMIT on its way, a slow Vault: the first revocation finds nothing, the login appears after it."""

    async def scene() -> None:
        async with stage(tmp_path) as s, running(s.keeper):
            reached = asyncio.Event()

            async def hang(_: Order) -> None:
                reached.set()
                await asyncio.sleep(3600)

            async def appear_late(lease: Lease) -> None:
                if len(s.source.revoked) == 1:
                    s.source.logins.add(f"hoopx_{lease.session}")

            s.source.before_issue, s.source.after_revoke = hang, appear_late
            async with asyncio.TaskGroup() as group:
                leasing = group.create_task(s.keeper.lease(order()))
                await reached.wait()
                leasing.cancel()
            await s.keeper.end(A)
            await s.all_ended()
            assert s.source.logins == set()
            assert len(s.source.revoked) > 1

    asyncio.run(scene())


@each_state
def test_cancelling_at_any_moment_leaves_nothing(tmp_path: Path) -> None:
    """Cancel after 0, 1, 2, … turns of the loop, through storing, issuing and going live."""

    async def scene() -> None:
        async with stage(tmp_path) as s, running(s.keeper):
            for turns in range(60):
                async with asyncio.TaskGroup() as group:
                    leasing = group.create_task(s.keeper.lease(order(turns)))
                    for _ in range(turns):
                        await asyncio.sleep(0.0002)
                    leasing.cancel()
                if not leasing.cancelled():
                    assert await s.keeper.end(LeaseId(f"l_{turns}"))
            await s.all_ended()
            assert s.source.logins == set()

    asyncio.run(scene())


# Crashes

MOMENTS = ["before_issue", "after_issue", "live", "before_revoke", "after_revoke"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_crash_at_any_step_leaves_nothing_after_the_next_start(tmp_path: Path, moment: str) -> None:
    async def scene() -> None:
        source, images, logins = SourceDouble(), list[Path](), set[str]()
        async with stage(tmp_path, source=source) as s:

            async def crash(_: object = None) -> None:
                if not images:
                    images.append(s.image_of_a_crash())
                    logins.update(source.logins)

            if moment != "live":
                setattr(source, moment, crash)
            await s.keeper.lease(order())
            if moment == "live":
                await crash()
            await s.keeper.end(A)
        source.logins = logins  # what the database had at the moment of the crash
        async with stage(images[0], source=source) as after:
            left = await after.keeper.recover()
            assert [lease.state for lease in left] == ["ending"]
            async with running(after.keeper):
                await after.all_ended()
        assert source.logins == set()

    asyncio.run(scene())


def test_a_crash_while_the_source_is_still_at_work_is_revoked_again_later(tmp_path: Path) -> None:
    async def scene() -> None:
        source, time, images = SourceDouble(), Time(), list[Path]()
        async with stage(tmp_path, source=source, time=time) as s:

            async def crash(_: Order) -> None:
                images.append(s.image_of_a_crash())

            source.before_issue = crash
            await s.keeper.lease(order())
        source.logins.clear()
        source.before_issue = lambda _: asyncio.sleep(0)

        async def appear_late(lease: Lease) -> None:
            if len(source.revoked) == 1:
                source.logins.add(f"hoopx_{lease.session}")

        source.after_revoke = appear_late
        async with stage(images[0], source=source, time=time) as after:
            await after.keeper.recover()
            async with running(after.keeper):
                await after.all_ended()
        assert source.logins == set()

    asyncio.run(scene())


def test_a_start_with_a_dead_source_does_not_wait_for_it(tmp_path: Path) -> None:
    async def scene() -> None:
        source = SourceDouble()
        async with stage(tmp_path, source=source) as s:
            await s.keeper.lease(order())
        source.before_revoke = lambda _: asyncio.sleep(3600)
        async with stage(tmp_path, source=source) as again:
            assert [lease.id for lease in await again.keeper.recover()] == [A]

    asyncio.run(scene())


# Trying again


def test_retries_back_off_to_a_bound_never_give_up_and_raise_the_alarm(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            await s.keeper.lease(order())
            failures = 0

            async def fail_long(_: Lease) -> None:
                nonlocal failures
                failures += 1
                if failures < 40:
                    raise BackendFailed("the database is down", "start it")

            s.source.before_revoke = fail_long
            assert await s.keeper.end(A) is False
            async with running(s.keeper):
                await s.all_ended()
            assert s.time.slept[:9] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
            assert set(s.time.slept[9:]) == {LONGEST_RETRY}
            assert [lease.attempts for lease in s.alarms] == list(range(ALARM_EVERY, 40, ALARM_EVERY))
            assert s.alarms[0].last_error == "the database is down"
            assert (await only_lease(s)).attempts == 40

    asyncio.run(scene())


def test_chance_takes_at_most_half_of_the_pause(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            s.keeper._random = lambda: 0.0
            await s.keeper.lease(order())
            outcomes = iter([True, True, True, False])

            async def fail_thrice(_: Lease) -> None:
                if next(outcomes):
                    raise BackendFailed("no")

            s.source.before_revoke = fail_thrice
            await s.keeper.end(A)
            async with running(s.keeper):
                await s.all_ended()
            assert s.time.slept == [0.5, 1, 2]

    asyncio.run(scene())


def test_a_dead_target_holds_up_no_other(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path, "test-db") as s, running(s.keeper):
            for number in range(40):
                await s.keeper.lease(order(number, "prod-db"))

            async def dead(lease: Lease) -> None:
                if lease.target == "prod-db":
                    await asyncio.sleep(3600)

            s.source.before_revoke = dead
            async with asyncio.TaskGroup() as group:
                ends = [group.create_task(s.keeper.end(LeaseId(f"l_{number}"))) for number in range(40)]
                await s.keeper.lease(order(99, "test-db"))
                assert await s.keeper.end(LeaseId("l_99")) is True
                for end in ends:
                    end.cancel()
            assert "hoopx_s_99" not in s.source.logins

    asyncio.run(scene())


def test_a_revocation_that_hangs_is_cut_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "REVOKE_SECONDS", 0.01)

    async def scene() -> None:
        async with stage(tmp_path) as s:
            await s.keeper.lease(order())
            s.source.before_revoke = lambda _: asyncio.sleep(3600)
            assert await s.keeper.end(A) is False
            assert ((await only_lease(s)).last_error or "").startswith("no answer within")
            s.source.before_revoke = lambda _: asyncio.sleep(0)
            async with running(s.keeper):
                await s.all_ended()
            assert s.source.logins == set()

    asyncio.run(scene())


def test_a_caller_that_goes_away_while_ending_leaves_the_rest_to_run(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s, running(s.keeper):
            await s.keeper.lease(order())
            reached = asyncio.Event()

            async def hang_once(_: Lease) -> None:
                if not reached.is_set():
                    reached.set()
                    await asyncio.sleep(3600)

            s.source.before_revoke = hang_once
            async with asyncio.TaskGroup() as group:
                ending = group.create_task(s.keeper.end(A))
                await reached.wait()
                ending.cancel()
            await s.all_ended()
            assert s.source.logins == set()

    asyncio.run(scene())


def test_a_source_that_cancels_itself_does_not_stop_the_hunt(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s, running(s.keeper):
            await s.keeper.lease(order())
            outcomes = iter([True, True, False])

            async def odd(_: Lease) -> None:
                if next(outcomes):
                    raise asyncio.CancelledError

            s.source.before_revoke = odd
            assert await s.keeper.end(A) is False
            await s.all_ended()
            assert s.source.logins == set()

    asyncio.run(scene())


def test_a_broken_alarm_does_not_stop_the_hunt_and_is_reported(tmp_path: Path) -> None:
    async def scene() -> None:
        reports: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report["message"]))
        async with stage(tmp_path) as s:

            def broken(_: Lease) -> NoReturn:
                raise OSError("pager")

            s.keeper._on_alarm = broken
            await s.keeper.lease(order())
            outcomes = iter([True] * 6 + [False])

            async def fail_six_times(_: Lease) -> None:
                if next(outcomes):
                    raise BackendFailed("no")

            s.source.before_revoke = fail_six_times
            await s.keeper.end(A)
            async with running(s.keeper):
                await s.all_ended()
        assert reports == ["the alarm about a lease failed"]

    asyncio.run(scene())


# The state fails


def test_a_state_that_fails_does_not_keep_a_login_alive(tmp_path: Path) -> None:
    """A full disk ends sessions; their roles must go although nothing can be written down."""

    async def scene() -> None:
        async with stage(tmp_path) as s:
            await s.keeper.lease(order())
            await s.store.close()
            assert await s.keeper.end(A) is False, "it is not confirmed while it is not written down"
            assert s.source.logins == set()
        async with stage(tmp_path, source=s.source) as again:
            assert [lease.state for lease in await again.keeper.recover()] == ["ending"]

    asyncio.run(scene())


# The configuration changes


def test_a_lease_of_a_target_that_left_the_configuration_stays_visible(tmp_path: Path) -> None:
    async def scene() -> None:
        source = SourceDouble()
        async with stage(tmp_path, "old-db", source=source) as s:
            await s.keeper.lease(order(name="old-db"))
        async with stage(tmp_path, source=source) as again:
            await again.keeper.recover()
            async with running(again.keeper):
                await again.until(lambda _: bool(again.alarms))
            left = await only_lease(again)
            assert left.state == "ending"
            assert left.last_error == "`old-db` no longer has the source `double` in the configuration"

    asyncio.run(scene())


def test_another_source_cannot_confirm_a_lease_that_it_did_not_make(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            await s.keeper.lease(order())
            s.targets["prod-db"] = target("prod-db", source="static")
            assert await s.keeper.end(A) is False
            assert s.source.revoked == []

    asyncio.run(scene())


# Lists


@each_state
def test_leases_are_listed_by_state_and_session(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            for number in (1, 2, 3):
                await s.keeper.lease(order(number))
                s.time.now += 1
            await s.keeper.end(LeaseId("l_2"))
            assert [lease.id for lease in await leases(s.keeper)] == ["l_3", "l_2", "l_1"]
            assert [lease.id for lease in await leases(s.keeper, state="live")] == ["l_3", "l_1"]
            assert [lease.id for lease in await leases(s.keeper, session=SessionId("s_2"))] == ["l_2"]
            assert [lease.id for lease in await leases(s.keeper, limit=1)] == ["l_3"]

    asyncio.run(scene())


# All of it at once


@each_state
@pytest.mark.parametrize("seed", range(5))
def test_in_any_turmoil_everything_is_revoked_in_the_end(tmp_path: Path, seed: int) -> None:
    """Sources that fail, hang and cancel, callers that go away, ends from everywhere: no login survives."""
    chance = random.Random(seed)

    async def stumble(_: object) -> None:
        await asyncio.sleep(chance.choice([0, 0, 0.001, 0.003]))
        match chance.randrange(8):
            case 0:
                raise BackendFailed("no")
            case 1:
                raise KeyError("surprise")
            case _:
                pass

    async def one_session(s: Stage, number: int) -> None:
        async with asyncio.TaskGroup() as group:
            leasing = group.create_task(attempt(s, number))
            await asyncio.sleep(chance.choice([0, 0.001, 0.005, 0.02]))
            if chance.random() < 0.4:
                leasing.cancel()
            for _ in range(chance.randrange(1, 4)):
                group.create_task(s.keeper.end(LeaseId(f"l_{number}")))
        await s.keeper.end(LeaseId(f"l_{number}"))

    async def attempt(s: Stage, number: int) -> None:
        try:
            await s.keeper.lease(order(number))
        except (BackendFailed, KeyError):
            return

    async def scene() -> None:
        async with stage(tmp_path) as s, running(s.keeper):
            s.source.before_issue = s.source.after_issue = stumble
            s.source.before_revoke = s.source.after_revoke = stumble
            async with asyncio.TaskGroup() as group:
                for number in range(60):
                    group.create_task(one_session(s, number))
            assert s.source.issued > 10
            await s.all_ended()
            assert s.source.logins == set()

    asyncio.run(scene())
