"""What a request is about, and who counts as whom: the facts that an approval is bound to."""

from __future__ import annotations

import unicodedata
from typing import Literal

from msgspec import Struct

from hoopx_broker.terms.approvals import Effects, RequestKind
from hoopx_broker.terms.people import Principal

MatterKind = RequestKind
Verdict = Literal["approve", "deny"]


class Matter(Struct, frozen=True):
    """What people agree to. An approval holds for this and nothing else; `policy` is the version that asked for it.

    `duration` is the length of the session, or of the unmasking, in seconds: an approval covers a shorter one, never a
    longer. `statement` is all that would run, parameters included where there are any: what is not in it is not
    approved, and `canonical` the same as its grammar reads it. `classes` are those that would be seen raw. `session` is
    the one that would go on. `effects` is told to those who decide, and binds nothing.
    `held` tells one statement that is held apart from another run of the same, so that each is asked about by itself.
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
    held: str = ""


def deciding_groups(who: Principal) -> tuple[str, ...]:
    """The groups for which one decides what others ask. An agent decides nothing, whatever groups it is in.

    It is talked into things by what it reads, and its human, who can vote, has not looked at anything.
    """
    return () if is_agent(who) else who.groups


def is_agent(who: Principal) -> bool:
    return who.kind == "agent" or who.on_behalf_of is not None


def person_of(who: Principal) -> str:
    """One person's vote counts once, however a provider writes the name."""
    return _folded(who.user)


def are_entangled(one: Principal, other: Principal) -> bool:
    """The same person, the same agent, or one acting for the other: neither may approve what the other asks."""
    return bool(_identities(one) & _identities(other))


def speaks_for(who: Principal, requester: Principal) -> bool:
    """`who` is the requester itself, or the human on whose behalf it asked."""
    return is_requester(who, requester) or who.user == requester.on_behalf_of


def is_requester(who: Principal, requester: Principal) -> bool:
    """Exactly the one who asked, for the same human: what an approval is spent by."""
    return (who.user, who.on_behalf_of) == (requester.user, requester.on_behalf_of)


def _identities(who: Principal) -> set[str]:
    return {_folded(name) for name in (who.user, who.on_behalf_of) if name}


def _folded(name: str) -> str:
    """Providers differ in the case of addresses; `Ann@example.com` does not approve for `ann@example.com`."""
    return unicodedata.normalize("NFKC", name).casefold()
