"""What a request is about, and for whom: the facts that an approval is bound to."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

import msgspec
from msgspec import Struct, structs

from hoopx_broker.terms.approvals import Effects, RequestKind
from hoopx_broker.terms.people import Principal

MatterKind = RequestKind
Verdict = Literal["approve", "deny"]
Word = Literal["accept", "object"]


class Matter(Struct, frozen=True):
    """What people agree to. An approval holds for this and nothing else; `policy` is the version that asked for it.

    `duration` is the length of the session, or of the unmasking, in seconds: an approval covers a shorter one, never a
    longer. `statement` is all that would run, parameters included where there are any: what is not in it is not
    approved, and `canonical` the same as its grammar reads it. `classes` are those that would be seen raw. `session` is
    the one that would go on. `effects` is told to those who decide, and binds nothing.
    """

    kind: MatterKind
    target: str
    policy: str
    statement: str = ""
    duration: int = 0
    classes: tuple[str, ...] = ()
    canonical: str = ""
    session: str = ""
    effects: Effects | None = None


def binding(matter: Matter) -> Matter:
    """What of it an approval is bound to: what the database expects of a statement changes from minute to minute."""
    return structs.replace(matter, effects=None)


def digest(*facts: object) -> str:
    """Equal exactly where all of them are."""
    return sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()


def deciding_groups(who: Principal) -> tuple[str, ...]:
    """The groups for which one decides what others ask. An agent decides nothing, whatever groups it is in.

    It is talked into things by what it reads, and its human, who can vote, has not looked at anything. A job that the
    rules of its issuer put into a group that decides is there because somebody who runs the broker wants it to.
    """
    return () if is_agent(who) else who.groups


def is_agent(who: Principal) -> bool:
    """An agent, or anybody who acts for somebody else."""
    return who.kind == "agent" or who.on_behalf_of is not None


def speaks_for(who: Principal, requester: Principal) -> bool:
    """`who` is the requester itself, or the human on whose behalf it asked."""
    return is_requester(who, requester) or (who.on_behalf_of is None and who.user == requester.on_behalf_of)


def is_requester(who: Principal, requester: Principal) -> bool:
    """Exactly the one who asked, for the same human: what an approval is spent by."""
    return (who.user, who.on_behalf_of) == (requester.user, requester.on_behalf_of)
