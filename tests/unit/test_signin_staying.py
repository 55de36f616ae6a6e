"""A command that stays in front for hours stays signed in, and says so in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from hoopx_broker.api.proof import ProofKey
from hoopx_broker.terms.errors import Unauthenticated, Unreachable
from hoopx_broker.terms.secret import Secret
from hoopx_cli.credential import Credential
from hoopx_cli.staying import AGAIN_AFTER, renewals
from tests.unit.signin_stage import START, token

KEY = ProofKey.create()


class Hours:
    """Time that passes by sleeping, and what `Kit.credential` says when it is asked: its answers in a row."""

    def __init__(self, *answers: Credential | Exception) -> None:
        self.now = START
        self.answers = list(answers)
        self.asked_at: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    def credential(self) -> Credential:
        self.asked_at.append(self.now - START)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def heard(self, first: Credential, until: int = 100) -> list[Credential]:
        async def scene() -> list[Credential]:
            found: list[Credential] = []
            async for each in renewals(first, self.credential, self.clock, self.sleep):
                found.append(each)
                if len(found) == until:
                    break
            return found

        return asyncio.run(scene())


def lasting(seconds: float) -> Credential:
    return Credential(Secret(token(exp=START + seconds)), KEY, "DPoP")


def test_each_credential_comes_a_minute_before_the_one_before_it_ends() -> None:
    hours = Hours(lasting(1200), lasting(1800))
    heard = hours.heard(lasting(600), until=2)
    assert [each.token.reveal() for each in heard] == [token(exp=START + 1200), token(exp=START + 1800)]
    assert hours.asked_at == [540, 1140]


def test_one_that_is_near_its_end_already_is_renewed_at_once() -> None:
    hours = Hours(lasting(1200))
    assert len(hours.heard(lasting(5), until=1)) == 1
    assert hours.asked_at == [0]


def test_a_provider_that_is_down_is_asked_again_while_the_token_holds() -> None:
    hours = Hours(Unreachable("down"), Unreachable("down"), lasting(1200))
    assert len(hours.heard(lasting(600), until=1)) == 1
    assert hours.asked_at == [540, 540 + AGAIN_AFTER, 540 + 2 * AGAIN_AFTER]


@pytest.mark.parametrize(
    "answer", [lambda: Unreachable("down"), lambda: lasting(600)], ids=["a provider that stays down", "a given token"]
)
def test_where_nothing_follows_the_row_ends_with_the_token(answer: Callable[[], Credential | Exception]) -> None:
    hours = Hours(answer())
    assert hours.heard(lasting(600)) == []
    assert 600 <= hours.now - START <= 600 + AGAIN_AFTER


def test_a_login_that_has_ended_is_told_of_at_once() -> None:
    hours = Hours(Unauthenticated("your login has ended"))
    with pytest.raises(Unauthenticated, match="your login has ended"):
        hours.heard(lasting(600))
    assert hours.asked_at == [540]


def test_a_login_made_anew_meanwhile_is_not_put_in_the_place_of_the_one_that_opened_the_session() -> None:
    """Its key is another one: the broker would end the session for it."""
    hours = Hours(Credential(Secret(token(exp=START + 1200)), ProofKey.create(), "DPoP"))
    assert hours.heard(lasting(600)) == []


@pytest.mark.parametrize("given", ["opaque", token(exp=None), token(exp="soon")])
def test_a_token_that_does_not_say_its_end_is_left_alone(given: str) -> None:
    hours = Hours(lasting(600))
    assert hours.heard(Credential(Secret(given), KEY, "Bearer")) == []
    assert hours.asked_at == []


def test_the_loop_goes_on_while_a_slow_provider_is_asked() -> None:
    """Renewing talks to a keyring and a provider, and waits for a lock: never in the loop that moves bytes."""

    async def scene() -> int:
        turns = 0
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def credential() -> Credential:
            asyncio.run_coroutine_threadsafe(done.wait(), loop).result(10)
            return lasting(1200)

        async def spin() -> None:
            nonlocal turns
            while turns < 50:
                turns += 1
                await asyncio.sleep(0)
            done.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(spin())
            async for _ in renewals(lasting(5), credential, lambda: START, asyncio.sleep):
                break
        return turns

    assert asyncio.run(scene()) == 50
