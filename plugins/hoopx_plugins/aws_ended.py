"""End a role's session at AWS before its keys do: deny it everything, in an inline policy of the role itself."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from weakref import WeakValueDictionary

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Lease
from hoopx_plugins.aws_account import ROLE_ARN
from hoopx_plugins.aws_calls import Caller
from hoopx_plugins.aws_ended_list import POLICY_NAME, Ended, extended, read, written
from hoopx_plugins.aws_names import session_name

ATTEMPTS = 3
# Revocations at once for one target: they are written together, so many cost IAM no more than a few.
LANES = 64
# Another broker that had read the list before we wrote may overwrite it; by then it has, and what we read is settled.
SETTLE_SECONDS = 0.5
_ROLE_ID = re.compile(r"(A[A-Z0-9]{15,127}):.*")

Pause = Callable[[float], Awaitable[None]]


class _List:
    """One role's list, in this process: what waits is written together, and one write at a time.

    `writing` is held by the thread that writes: it goes on when nobody waits for it any more, and what it has read by
    then must still be so when it writes.
    """

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.writing = threading.Lock()
        self.waiting: dict[str, float] = {}


_lists: WeakValueDictionary[tuple[object, str], _List] = WeakValueDictionary()


async def deny(
    caller: Caller,
    lease: Lease,
    until: float,
    pause: Pause = asyncio.sleep,
    clock: Callable[[], float] = time.time,
) -> None:
    """From here on AWS refuses everything to the lease's session. Raises `BackendFailed`; safe to repeat."""
    role = lease.handle.get("role", "")
    if not ROLE_ARN.fullmatch(role):
        raise BackendFailed("the stored lease names no role", "the stored lease is damaged: look at the state")
    user = await _user_id(caller, role, lease)
    for _ in range(ATTEMPTS):
        await _add(caller, role, user, until, clock)
        await pause(SETTLE_SECONDS)
        if user in await caller.ask("iam", lambda iam: _read(iam, _checked(iam, role))):
            return
    raise BackendFailed(
        f"the source `{caller.source}` of target `{caller.target.name}` wrote `{POLICY_NAME}` into the role, and it is"
        " not there",
        "somebody else writes that policy too: leave it to hoopx",
    )


async def _add(caller: Caller, role: str, user: str, until: float, clock: Callable[[], float]) -> None:
    """Together with all that wait at this moment; IAM takes few writes in a second."""
    ended = _lists.setdefault((asyncio.get_running_loop(), role), _List())
    ended.waiting[user] = until
    try:
        async with ended.turn:
            if user in ended.waiting:
                batch = dict(ended.waiting)
                await caller.ask("iam", lambda iam: _write_alone(ended, iam, role, batch, clock(), caller))
                for each in batch:
                    ended.waiting.pop(each, None)
    finally:
        ended.waiting.pop(user, None)


async def _user_id(caller: Caller, role: str, lease: Lease) -> str:
    """As AWS knows the session: its name follows from the lease's session, whatever is stored."""
    found = _ROLE_ID.fullmatch(lease.handle.get("user_id", ""))
    role_id = found[1] if found else await caller.ask("iam", lambda iam: _role(iam, role)["RoleId"])
    return f"{role_id}:{session_name(lease.session)}"


def _role(iam: Any, arn: str) -> Any:
    role = iam.get_role(RoleName=arn.rpartition("/")[2])["Role"]
    if role["Arn"] != arn:
        # Names are of the account of whoever asks: a namesake would carry the list, and the keys would live on.
        raise BackendFailed(
            f"the role `{arn}` is in another account than the broker's: sessions cannot be denied there",
            "set `aws.role` to a role of that account that may read and write the role's policies",
        )
    return role


def _checked(iam: Any, arn: str) -> str:
    """The role's name, once it is certain that it is this one's."""
    return str(_role(iam, arn)["RoleName"])


def _read(iam: Any, name: str) -> Ended:
    try:
        return read(iam.get_role_policy(RoleName=name, PolicyName=POLICY_NAME)["PolicyDocument"])
    except iam.exceptions.NoSuchEntityException:
        return {}


def _write_alone(ended: _List, iam: Any, role: str, more: Mapping[str, float], now: float, caller: Caller) -> None:
    with ended.writing:
        _write(iam, _checked(iam, role), more, now, caller)


def _write(iam: Any, name: str, more: Mapping[str, float], now: float, caller: Caller) -> None:
    before = _read(iam, name)
    after = extended(before, more, now)
    if after == before:
        return
    try:
        iam.put_role_policy(RoleName=name, PolicyName=POLICY_NAME, PolicyDocument=written(after))
    except (ValueError, iam.exceptions.LimitExceededException):
        raise BackendFailed(
            f"the source `{caller.source}` of target `{caller.target.name}` cannot end more sessions of its role: its"
            f" inline policies are full ({len(after)} ended sessions whose keys still live)",
            "lower `max_duration`, move the role's other inline policies to managed ones, or use one role per target",
        ) from None
