"""One attempt to end a lease: cut what uses it, call it back at its source, and see that its login is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from msgspec import Struct

from hoopx_broker.seams.issuer import Cuts, Issuer
from hoopx_broker.seams.parting import Parting
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.terms.leases import Credential, Lease, name_of
from hoopx_broker.terms.targets import Target

REVOKE_SECONDS = 30.0  # a target that is silent for longer is down; what waits behind it gets its turn
PART_SECONDS = 10.0  # to cut, and to look: each is one login

_Told = TypeVar("_Told")


class Confirmed(Struct, frozen=True):
    """The source says that it is over. `is_probed`: and the target refuses the login."""

    is_probed: bool = False


class Fades(Struct, frozen=True):
    """The source cannot call it back; it ends by itself."""

    at: float


class Trouble(Struct, frozen=True):
    """Not known to be over. `why` holds no secret."""

    why: str


Answer = Confirmed | Fades | Trouble


class Revocation:
    """`issuers` and `targets` by name of target, `partings` by kind of target."""

    def __init__(
        self, issuers: Mapping[str, Issuer], targets: Mapping[str, Target], partings: Mapping[str, Parting]
    ) -> None:
        self._issuers = issuers
        self._targets = targets
        self._partings = partings

    async def attempt(self, lease: Lease, credential: Credential | None) -> Answer:
        """Everything is tried, whatever part of it fails. `credential` is there while its broker lives."""
        issuer, target = self._issuers.get(lease.target), self._targets.get(lease.target)
        if issuer is None or target is None or target.source != lease.source:
            return Trouble(f"`{lease.target}` no longer has the source `{lease.source}` in the configuration")
        parting = self._partings.get(target.kind) if issuer.exclusive else None
        uncut = None
        if parting is not None and credential is not None and not (isinstance(issuer, Cuts) and issuer.cuts):
            uncut = await _within(PART_SECONDS, lambda: parting.cut(credential, target))
        answer = await _revoke(issuer, lease, target)
        if isinstance(answer, Confirmed) and parting is not None and credential is not None:
            answer = await _probe(parting, credential, target)
        if isinstance(answer, Trouble) or not isinstance(uncut, Trouble):
            return answer
        return Trouble(f"its login is revoked, but what is logged in with it was perhaps not cut: {uncut.why}")


async def _revoke(issuer: Issuer, lease: Lease, target: Target) -> Answer:
    fades_at = await _within(REVOKE_SECONDS, lambda: issuer.revoke(lease, target))
    match fades_at:
        case None:
            return Confirmed()
        case Trouble():
            return fades_at
        case _:
            return Fades(fades_at)


async def _probe(parting: Parting, credential: Credential, target: Target) -> Answer:
    refused = await _within(PART_SECONDS, lambda: parting.is_refused(credential, target))
    match refused:
        case True:
            return Confirmed(is_probed=True)
        case Trouble(why):
            return Trouble(f"`{target.source}` says that it is revoked; whether its login is refused is unknown: {why}")
        case _:
            return Trouble(f"`{target.source}` says that it is revoked, and `{name_of(credential)}` still gets in")


async def _within(seconds: float, ask: Callable[[], Awaitable[_Told]]) -> _Told | Trouble:
    """What a stranger's code answers; whatever goes wrong in it, in words that hold no secret."""
    try:
        async with asyncio.timeout(seconds):
            return await ask()
    except HoopxError as error:
        return Trouble(error.message)
    except TimeoutError:
        return Trouble(f"no answer within {seconds:.0f} s")
    except asyncio.CancelledError:
        if _is_cancelled_from_outside():
            raise
        return Trouble("the source cancelled its own work")
    except Exception as error:
        # The text of a stranger's exception may quote a secret; its type does not.
        return Trouble(f"unexpected {type(error).__name__}")


def _is_cancelled_from_outside() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
