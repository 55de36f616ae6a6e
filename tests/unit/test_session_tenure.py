"""A session goes on while its lease is renewed, and ends with it, told ahead and with the reason."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hoopx_broker.credentials.keeper import Keeper
from hoopx_broker.seams.issuer import Pin
from hoopx_broker.session.tenure import Tenancy, Tenure
from hoopx_broker.terms.entries import LeaseNote, Notice
from hoopx_broker.terms.errors import BackendFailed, Denied
from hoopx_broker.terms.leases import Credential, DatabaseLogin, Issued, Lease, Order, name_of
from hoopx_broker.terms.secret import Secret
from hoopx_broker.tunnel.crew import Crew
from tests.peers.lease_list import leases
from tests.unit.leases_stage import SourceDouble, Stage, Time, order, stage

START = 1_000_000.0
TTL = 3600.0  # of the stage's orders


class RenewingDouble(SourceDouble):
    """A source whose logins can go on; `longest` caps what it gives at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.renewed: list[float] = []
        self.longest: float | None = None
        self.before_renew: Callable[[], Awaitable[None]] = self._at_once

    async def _at_once(self) -> None:
        return None

    async def renew(self, lease: Lease, credential: Credential, order: Order, pin: Pin) -> Issued:
        await self.before_renew()
        self.renewed.append(order.expires_at)
        return Issued(DatabaseLogin("again", Secret("another")), lease.handle, self.longest)


class Scene:
    """A session of eight hours on a lease of one."""

    def __init__(self, keeper: Keeper, time: Time, lease: Lease, ends_at: float) -> None:
        self.notes: list[LeaseNote] = []
        self.warnings: list[str] = []
        self.ended: list[tuple[float, str]] = []
        self.taken: list[Credential] = []
        self.obligations: dict[str, tuple[str, ...]] = {}
        self.forbidden = ""
        self._time = time
        tenancy = Tenancy(
            order(), lease, ends_at, self._permit, self._record, self.warnings.append, self.taken.append, self._end
        )
        self.tenure = Tenure(keeper, tenancy, time.clock, time.sleep, lambda: 0.0)

    def _permit(self) -> dict[str, tuple[str, ...]]:
        if self.forbidden:
            raise Denied(self.forbidden)
        return self.obligations

    def _record(self, notice: Notice) -> None:
        assert notice.lease is not None
        self.notes.append(notice.lease)

    def _end(self, reason: str) -> None:
        self.ended.append((self._time.now - START, reason))

    @property
    def told(self) -> list[str]:
        return [note.event for note in self.notes]


async def begin(s: Stage, hours: float = 8) -> Scene:
    lease, _ = await s.keeper.lease(order())
    return Scene(s.keeper, s.time, lease, START + hours * TTL)


def test_a_lease_is_renewed_at_two_thirds_of_its_life_until_the_session_ends(tmp_path: Path) -> None:
    async def scene() -> None:
        source = RenewingDouble()
        async with stage(tmp_path, source=source) as s:
            it = await begin(s, hours=2)
            await it.tenure.run()
            assert [end - START for end in source.renewed] == [6000.0, 7200.0]
            assert it.ended == [(7200.0, "its time is over")]
            assert it.told == ["renewed", "renewed"]
            assert it.warnings == []
            assert [name_of(each) for each in it.taken] == ["again", "again"]
            (stored,) = await leases(s.keeper)
            assert (stored.state, stored.renewals, stored.user) == ("live", 2, "again")
            assert stored.expires_at == START + 7200

    asyncio.run(scene())


def test_what_policy_refuses_by_then_ends_with_the_lease_and_is_told_ahead(tmp_path: Path) -> None:
    async def scene() -> None:
        source = RenewingDouble()
        async with stage(tmp_path, source=source) as s:
            it = await begin(s)
            it.forbidden = "rule `hours` forbids the session on `prod-db` now: it is night"
            await it.tenure.run()
            assert source.renewed == []
            assert it.told == ["not-renewed"]
            assert it.warnings == [
                "this session ends at 1970-01-12 14:46:40 UTC, when its credential does: " + it.forbidden
            ]
            assert it.ended == [(TTL, f"its credential has ended: {it.forbidden}")]

    asyncio.run(scene())


def test_a_lease_that_would_be_bound_otherwise_by_now_is_not_renewed(tmp_path: Path) -> None:
    async def scene() -> None:
        source = RenewingDouble()
        async with stage(tmp_path, source=source) as s:
            it = await begin(s)
            it.obligations = {"profile": ("narrow",)}
            await it.tenure.run()
            assert source.renewed == []
            assert "policy binds it to something else" in it.ended[0][1]

    asyncio.run(scene())


def test_a_source_that_is_down_for_a_while_renews_in_the_end(tmp_path: Path) -> None:
    async def scene() -> None:
        source = RenewingDouble()
        async with stage(tmp_path, source=source) as s:
            fails = iter([True, True, False, False])

            async def stumble() -> None:
                if next(fails):
                    raise BackendFailed("the source `double` is sealed")

            source.before_renew = stumble
            it = await begin(s, hours=1.5)
            await it.tenure.run()
            assert it.told == ["not-renewed", "renewed"], "told once, however often it was tried"
            assert it.warnings[-1].startswith("the credential was renewed after all")
            assert it.ended == [(1.5 * TTL, "its time is over")]

    asyncio.run(scene())


@pytest.mark.parametrize("trouble", [BackendFailed("the source `double` is sealed"), KeyError("secret")])
def test_a_source_that_stays_down_ends_the_session_with_its_lease(tmp_path: Path, trouble: Exception) -> None:
    async def scene() -> None:
        source = RenewingDouble()
        async with stage(tmp_path, source=source) as s:

            async def fail() -> None:
                raise trouble

            source.before_renew = fail
            it = await begin(s)
            await it.tenure.run()
            ((at, why),) = it.ended
            assert at == TTL
            assert why.startswith("its credential has ended: the ")
            assert "secret" not in why
            assert it.told == ["not-renewed"]

    asyncio.run(scene())


def test_a_source_that_cannot_renew_says_so_at_once(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            it = await begin(s)
            await it.tenure.run()
            assert it.warnings[0].endswith("when its credential does: `double` cannot renew it")
            assert it.ended == [(TTL, "its credential has ended: `double` cannot renew it")]

    asyncio.run(scene())


def test_a_source_that_gives_no_more_time_than_there_was_is_not_asked_for_ever(tmp_path: Path) -> None:
    async def scene() -> None:
        source = RenewingDouble()
        source.longest = START + TTL
        async with stage(tmp_path, source=source) as s:
            it = await begin(s)
            await it.tenure.run()
            assert 1 <= len(source.renewed) < 30
            assert it.ended == [(TTL, "its credential has ended: `double` gives it no more time")]

    asyncio.run(scene())


def test_a_clock_that_jumps_ahead_is_noticed_soon_and_one_set_back_gives_no_more_time(tmp_path: Path) -> None:
    async def scene(jump: float) -> float:
        async with stage(tmp_path / str(jump)) as s:
            it = await begin(s)
            slept = 0.0

            async def sleep(seconds: float) -> None:
                nonlocal slept, jump
                slept += seconds
                s.time.now += seconds + jump
                jump = 0.0
                await asyncio.sleep(0)

            it.tenure._sleep = sleep
            await it.tenure.run()
            assert len(it.ended) == 1
            return slept

    (tmp_path / "9000.0").mkdir()
    (tmp_path / "-9000.0").mkdir()
    assert asyncio.run(scene(9000.0)) <= 30
    assert asyncio.run(scene(-9000.0)) <= TTL


def test_the_end_of_the_session_lets_a_renewal_under_way_come_to_its_end(tmp_path: Path) -> None:
    async def scene() -> None:
        source = RenewingDouble()
        async with stage(tmp_path, source=source) as s:
            asked, answer = asyncio.Event(), asyncio.Event()

            async def hesitate() -> None:
                asked.set()
                await answer.wait()

            source.before_renew = hesitate
            it = await begin(s)
            async with asyncio.TaskGroup() as group:
                it.tenure._task = group.create_task(it.tenure.run())
                await asked.wait()
                it.tenure.stop()
                ending = group.create_task(s.keeper.conclude(order().lease))
                await asyncio.sleep(0.01)
                answer.set()
            assert ending.result().is_revoked
            assert source.logins == set()
            assert it.ended == []

    asyncio.run(scene())


def test_a_session_that_is_prolonged_renews_its_lease_in_time_and_ends_at_its_new_end(tmp_path: Path) -> None:
    """The lease was to end with the session: what waits for that end has to look again."""

    async def scene() -> None:
        source = RenewingDouble()
        async with stage(tmp_path, source=source) as s:
            it = await begin(s, hours=1)
            crew = Crew(lambda _, error: it.ended.append((0, repr(error))))
            it.tenure.start(crew)
            it.tenure.prolong(START + 1.5 * TTL)
            it.tenure.prolong(START + 2 * TTL)
            while not it.ended:  # noqa: ASYNC110 - time moves only while others run
                await asyncio.sleep(0)
            await crew.close()
            assert it.ended == [(7200.0, "its time is over")]
            assert it.told == ["renewed", "renewed"]

    asyncio.run(scene())


def test_a_session_that_is_prolonged_while_its_lease_is_renewed_goes_on(tmp_path: Path) -> None:
    async def scene() -> None:
        source = RenewingDouble()
        async with stage(tmp_path, source=source) as s:
            it = await begin(s, hours=1.5)
            crew = Crew(lambda _, error: it.ended.append((0, repr(error))))

            async def prolong() -> None:
                it.tenure.prolong(START + 3 * TTL)
                source.before_renew = source._at_once

            source.before_renew = prolong
            it.tenure.start(crew)
            while not it.ended:  # noqa: ASYNC110 - time moves only while others run
                await asyncio.sleep(0)
            await crew.close()
            assert it.ended == [(10800.0, "its time is over")]

    asyncio.run(scene())


def test_what_is_over_is_not_prolonged(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path, source=RenewingDouble()) as s:
            it = await begin(s, hours=1)
            crew = Crew(lambda _, error: it.ended.append((0, repr(error))))
            it.tenure.start(crew)
            it.tenure.stop()
            it.tenure.prolong(START + 9 * TTL)
            await asyncio.sleep(0.01)
            await crew.close()
            assert (it.ended, it.told) == ([], [])

    asyncio.run(scene())
