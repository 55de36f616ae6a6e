"""The end of a lease is what the target says, not what its source claims; and a renewal neither hides nor delays it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from hoopx_broker.credentials import keeper as keeper_module
from hoopx_broker.credentials import revocation
from hoopx_broker.credentials.keeper import DOUBT_SECONDS
from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Credential, DatabaseLogin, Issued, Lease, Order
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from tests.peers.lease_list import leases
from tests.unit.leases_stage import PASSWORD, SourceDouble, Stage, order, running, stage

A = order().lease
LATER = Order(A, order().session, order().target, order().principal, 2_000_000.0)


class DoorDouble:
    """Stands in for a database's door: who gets in is who is in the source's list; `said` is what happened."""

    def __init__(self, source: SourceDouble) -> None:
        self.source = source
        self.said: list[str] = []
        self.trouble: Exception | None = None
        self.connections = {"hoopx_s_1"}

    async def cut(self, credential: Credential, target: Target) -> None:
        self._fail()
        assert isinstance(credential, DatabaseLogin)
        assert credential.password.reveal() == PASSWORD
        self.said.append("cut")
        if credential.user in self.source.logins:
            self.connections.discard(credential.user)

    async def is_refused(self, credential: Credential, target: Target) -> bool:
        self._fail()
        assert isinstance(credential, DatabaseLogin)
        self.said.append("asked")
        return credential.user not in self.source.logins

    def _fail(self) -> None:
        if self.trouble is not None:
            raise self.trouble


def with_door(s: Stage) -> DoorDouble:
    door = DoorDouble(s.source)
    s.keeper._revocation._partings = {"postgres": door}
    return door


class RenewingDouble(SourceDouble):
    """A source whose renewal makes another login beside the first, as some do."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        self.answer.set()
        self.trouble: BaseException | None = None
        self.is_lost = False  # its answer: nobody hears what it made

    async def renew(self, lease: Lease, credential: Credential, order: Order, pin: Pin) -> Issued:
        await pin(lease.handle | {"also": "second"})
        self.asked.set()
        await self.answer.wait()
        if self.trouble is not None:
            raise self.trouble
        self.logins.add("second")
        if self.is_lost:
            raise ConnectionResetError
        return Issued(DatabaseLogin("second", Secret(PASSWORD)), {"role": lease.handle["role"], "also": "second"})

    async def revoke(self, lease: Lease, target: Target) -> None:
        self.logins.discard(lease.handle.get("also", ""))
        await super().revoke(lease, target)


class FadingDouble(SourceDouble):
    """A source that cannot call back what it gave."""

    async def revoke(self, lease: Lease, target: Target) -> float:
        self.revoked.append(lease.id)
        return 1_001_000.0


class LyingDouble(SourceDouble):
    """A source that confirms, and does nothing the first times."""

    lies = 2

    async def revoke(self, lease: Lease, target: Target) -> None:
        self.revoked.append(lease.id)
        if len(self.revoked) > self.lies:
            self.logins.clear()


# The target has the last word.


def test_a_login_is_cut_revoked_and_then_seen_refused(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            door = with_door(s)
            await s.keeper.lease(order())
            conclusion = await s.keeper.conclude(A)
            assert (conclusion.is_revoked, conclusion.is_probed) == (True, True)
            assert door.said == ["cut", "asked"]
            assert door.connections == set()

    asyncio.run(scene())


def test_a_source_that_cuts_by_itself_is_spared_the_login_for_it(tmp_path: Path) -> None:
    class Cutting(SourceDouble):
        cuts: ClassVar[bool] = True

    async def scene() -> None:
        async with stage(tmp_path, source=Cutting()) as s:
            door = with_door(s)
            await s.keeper.lease(order())
            assert (await s.keeper.conclude(A)).is_probed
            assert door.said == ["asked"]

    asyncio.run(scene())


def test_a_login_that_others_share_is_neither_cut_nor_asked(tmp_path: Path) -> None:
    class Shared(SourceDouble):
        exclusive: ClassVar[bool] = False

    async def scene() -> None:
        async with stage(tmp_path, source=Shared()) as s:
            door = with_door(s)
            await s.keeper.lease(order())
            conclusion = await s.keeper.conclude(A)
            assert (conclusion.is_revoked, conclusion.is_probed, door.said) == (True, False, [])

    asyncio.run(scene())


def test_a_source_that_lies_is_asked_again_until_the_login_is_refused(tmp_path: Path) -> None:
    async def scene() -> None:
        source = LyingDouble()
        async with stage(tmp_path, source=source) as s:
            with_door(s)
            await s.keeper.lease(order())
            assert not (await s.keeper.conclude(A)).is_revoked
            (left,) = await leases(s.keeper)
            assert left.state == "ending"
            assert left.last_error == "`double` says that it is revoked, and `hoopx_s_1` still gets in"
            assert await s.keeper.count_troubled() == 1
            async with running(s.keeper):
                await s.all_ended()
            assert len(source.revoked) == 3
            assert await s.keeper.count_troubled() == 0

    asyncio.run(scene())


def test_a_source_that_goes_on_lying_is_an_alarm(tmp_path: Path) -> None:
    async def scene() -> None:
        source = LyingDouble()
        source.lies = 1000
        async with stage(tmp_path, source=source) as s:
            with_door(s)
            await s.keeper.lease(order())
            await s.keeper.conclude(A)
            async with running(s.keeper):
                await s.until(lambda _: bool(s.alarms))
            assert "still gets in" in (s.alarms[0].last_error or "")

    asyncio.run(scene())


@pytest.mark.parametrize("trouble", [BackendFailed("`prod-db` could not be asked: TimeoutError"), KeyError(PASSWORD)])
def test_a_door_that_does_not_answer_confirms_nothing(tmp_path: Path, trouble: Exception) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            door = with_door(s)
            await s.keeper.lease(order())
            door.trouble = trouble
            assert not (await s.keeper.conclude(A)).is_revoked
            assert s.source.logins == set(), "it is revoked all the same"
            assert PASSWORD.encode() not in s.written()
            door.trouble = None
            async with running(s.keeper):
                await s.all_ended()

    asyncio.run(scene())


def test_a_door_that_hangs_holds_up_nobody_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "PART_SECONDS", 0.01)

    async def scene() -> None:
        async with stage(tmp_path) as s:
            door = with_door(s)
            await s.keeper.lease(order())
            door.is_refused = lambda *_: asyncio.sleep(3600, result=False)  # type: ignore[method-assign]
            conclusion = await s.keeper.conclude(A)
            assert conclusion.why.endswith("whether its login is refused is unknown: no answer within 0 s")

    asyncio.run(scene())


def test_after_a_crash_the_source_alone_is_asked(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            await s.keeper.lease(order())
        async with stage(tmp_path, source=s.source) as again:
            door = with_door(again)
            await again.keeper.recover()
            async with running(again.keeper):
                await again.all_ended()
            assert door.said == []
            assert again.source.logins == set()

    asyncio.run(scene())


# What cannot be called back.


def test_what_ends_by_itself_is_waited_for_without_an_alarm(tmp_path: Path) -> None:
    async def scene() -> None:
        source = FadingDouble()
        async with stage(tmp_path, source=source) as s:
            await s.keeper.lease(order())
            conclusion = await s.keeper.conclude(A)
            assert (conclusion.is_revoked, conclusion.fades_at) == (False, 1_001_000.0)
            (left,) = await leases(s.keeper)
            assert (left.state, left.fades_at, left.last_error) == ("ending", 1_001_000.0, None)
            assert await s.keeper.count_troubled() == 0
            async with running(s.keeper):
                await s.all_ended()
            assert s.alarms == []
            assert s.time.now >= 1_001_000.0
            assert len(source.revoked) <= 3, "nothing is to be gained by asking again and again"

    asyncio.run(scene())


def test_when_it_is_tried_again_can_be_seen(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            await s.keeper.lease(order())

            async def down(_: Lease) -> None:
                raise BackendFailed("the source `double` is sealed")

            s.source.before_revoke = down
            asleep = asyncio.Event()

            async def sleep(_: float) -> None:
                asleep.set()
                await asyncio.sleep(3600)

            s.keeper._sleep = sleep
            await s.keeper.conclude(A)
            async with running(s.keeper):
                await asleep.wait()
                (left,) = await leases(s.keeper)
                due = s.keeper.due(left.id)
            assert (left.attempts, left.last_error) == (1, "the source `double` is sealed")
            assert due == s.time.now + 1

    asyncio.run(scene())


# Renewal and end.


def test_what_a_renewal_made_is_revoked_with_the_rest(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path, source=RenewingDouble()) as s:
            await s.keeper.lease(order())
            lease, credential = await s.keeper.renew(LATER)
            assert (lease.user, lease.renewals, lease.expires_at) == ("second", 1, 2_000_000.0)
            assert credential.user == "second"  # type: ignore[union-attr]
            assert s.source.logins == {"hoopx_s_1", "second"}
            assert await s.keeper.end(A)
            assert s.source.logins == set()

    asyncio.run(scene())


def test_a_renewed_lease_that_its_broker_forgot_is_revoked_by_the_next(tmp_path: Path) -> None:
    async def scene() -> None:
        source = RenewingDouble()
        async with stage(tmp_path, source=source) as s:
            await s.keeper.lease(order())
            await s.keeper.renew(LATER)
        async with stage(tmp_path, source=source) as again, running(again.keeper):
            await again.keeper.recover()
            await again.all_ended()
            assert source.logins == set()

    asyncio.run(scene())


def test_a_renewal_that_could_not_be_written_down_is_revoked_all_the_same(tmp_path: Path) -> None:
    async def scene() -> None:
        source = RenewingDouble()
        async with stage(tmp_path, source=source) as s:
            await s.keeper.lease(order())
            source.answer.clear()
            async with asyncio.TaskGroup() as group:
                renewing = group.create_task(_expect_failure(s))
                await source.asked.wait()
                await s.store.close()
                source.answer.set()
                await renewing
            assert source.logins == {"hoopx_s_1", "second"}
            await s.keeper.end(A)
            assert source.logins == set()

    asyncio.run(scene())


async def _expect_failure(s: Stage) -> None:
    with pytest.raises(Exception, match="is closed"):
        await s.keeper.renew(LATER)


@pytest.mark.parametrize("state", ["ended", "unknown"])
def test_what_is_over_is_not_renewed(tmp_path: Path, state: str) -> None:
    async def scene() -> None:
        source = RenewingDouble()
        async with stage(tmp_path, source=source) as s:
            if state == "ended":
                await s.keeper.lease(order())
                await s.keeper.end(A)
            with pytest.raises(BackendFailed):
                await s.keeper.renew(LATER)
            assert source.logins == set()

    asyncio.run(scene())


def test_a_renewal_waits_for_an_end_under_way_and_comes_too_late(tmp_path: Path) -> None:
    async def scene() -> None:
        source = RenewingDouble()
        async with stage(tmp_path, source=source) as s:
            await s.keeper.lease(order())
            revoking = asyncio.Event()

            async def slow(_: Lease) -> None:
                revoking.set()
                await asyncio.sleep(0.01)

            source.before_revoke = slow
            async with asyncio.TaskGroup() as group:
                ending = group.create_task(s.keeper.end(A))
                await revoking.wait()
                with pytest.raises(BackendFailed):
                    await s.keeper.renew(LATER)
            assert ending.result()
            assert source.logins == set()

    asyncio.run(scene())


def test_an_end_hurries_a_renewal_that_hangs_and_stays_in_doubt_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "HURRY_SECONDS", 0.01)

    async def scene() -> None:
        source = RenewingDouble()
        async with stage(tmp_path, source=source) as s:
            await s.keeper.lease(order())
            source.answer.clear()
            async with asyncio.TaskGroup() as group:
                renewing = group.create_task(_fails(s))
                await source.asked.wait()
                conclusion = await s.keeper.conclude(A)
            assert "did not renew in time" in renewing.result()
            assert not conclusion.is_revoked, "the source may still be at work on it"
            assert source.logins == set()
            began = s.time.now
            async with running(s.keeper):
                await s.all_ended()
            assert s.time.now >= began + DOUBT_SECONDS - 30

    asyncio.run(scene())


async def _fails(s: Stage) -> str:
    with pytest.raises(BackendFailed) as caught:
        await s.keeper.renew(LATER)
    return caught.value.message


@pytest.mark.parametrize("trouble", [BackendFailed("sealed"), KeyError(PASSWORD)])
def test_a_renewal_that_fails_leaves_the_lease_as_it_was(tmp_path: Path, trouble: Any) -> None:
    async def scene() -> None:
        source = RenewingDouble()
        source.trouble = trouble
        async with stage(tmp_path, source=source) as s:
            before, _ = await s.keeper.lease(order())
            assert PASSWORD not in await _fails(s)
            [after] = await leases(s.keeper)
            # What it was about to make stays pinned: that nothing was made is only the source's word.
            assert replace(after, handle=before.handle) == before
            source.trouble = None
            await s.keeper.renew(LATER)
            await s.keeper.end(A)  # after a surprise it stays in doubt for a while
            async with running(s.keeper):
                await s.all_ended()
            assert source.logins == set()

    asyncio.run(scene())


@pytest.mark.parametrize("is_killed", [False, True])
def test_what_a_renewal_made_is_revoked_although_nobody_heard_of_it(tmp_path: Path, is_killed: bool) -> None:
    async def scene() -> None:
        source = RenewingDouble()
        source.is_lost = True
        async with stage(tmp_path, source=source) as s:
            await s.keeper.lease(order())
            with pytest.raises(BackendFailed):
                await s.keeper.renew(LATER)
            assert "second" in source.logins
            if is_killed:
                await s.store.close()
                async with stage(tmp_path, source=source) as again, running(again.keeper):
                    await again.keeper.recover()
                    await again.all_ended()
            else:
                await s.keeper.conclude(A)
            assert source.logins == set()

    asyncio.run(scene())
