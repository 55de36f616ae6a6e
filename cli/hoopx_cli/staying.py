"""Stay signed in while a command stays in front: the credentials that follow one another, each in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from hoopx_broker.terms.errors import Unreachable
from hoopx_cli.credential import Credential
from hoopx_cli.renewal import RENEW_BEFORE
from hoopx_cli.tokens import Clock
from hoopx_cli.unverified import claims_of, seconds_of

AGAIN_AFTER = 10.0  # seconds; a provider that was down is asked again while the old token still holds


async def renewals(
    now: Credential,
    credential: Callable[[], Credential],
    clock: Clock = time.time,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[Credential]:
    """The credentials that follow `now` while somebody stays in front: each comes before the one before it ends.

    `credential` is `Kit.credential`; it waits for a provider in a thread of its own. The row ends where nothing more
    can follow: the token was given from outside, or the person logged in anew, which makes another key, and a session
    stays with the one that opened it. Raises `Unauthenticated` where the login has ended.
    """
    while (until := _end_of(now)) is not None:
        await sleep(max(until - RENEW_BEFORE - clock(), 0.0))
        while (after := await _after(now, credential)) is now:
            if clock() >= until:
                return
            await sleep(AGAIN_AFTER)
        if after.key.thumbprint != now.key.thumbprint:
            return
        yield (now := after)


async def _after(now: Credential, credential: Callable[[], Credential]) -> Credential:
    """The next credential, or `now` itself where it could not be had yet."""
    try:
        after = await asyncio.to_thread(credential)
    except Unreachable:
        return now
    return after if after.token.reveal() != now.token.reveal() else now


def _end_of(credential: Credential) -> float | None:
    """When its token ends (seconds since the Unix epoch); None for a token that does not say so."""
    return seconds_of(claims_of(credential.token.reveal()).get("exp"))
