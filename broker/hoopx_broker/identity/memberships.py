"""What the newest token of a person said of their groups: an older one does not bring a lost group back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from msgspec.structs import replace

from hoopx_broker.identity.identity import Identity

MAX_PEOPLE = 10_000  # whose newest tokens are in memory: some ten megabytes; those who were silent longest make room
MAX_CLIENTS = 8  # programs of one person


class Memberships:
    """In memory; `SharedGroups` brings what other brokers heard, and what was heard before a restart."""

    def __init__(self) -> None:
        self._newest: OrderedDict[tuple[str, str], dict[str, Identity]] = OrderedDict()

    def learn(self, identity: Identity) -> bool:
        """Of people alone: two jobs of one name may run side by side with different claims.

        True where it is news: the first word of a person by this program, or another than the one before.
        """
        if identity.who.kind != "human":
            return False
        by_client = self._newest.setdefault(person_of(identity), {})
        self._newest.move_to_end(person_of(identity))
        known = by_client.get(identity.client)
        is_newest = known is None or known.issued_at < identity.issued_at
        if is_newest:
            by_client[identity.client] = identity
        if len(by_client) > MAX_CLIENTS:
            del by_client[min(by_client, key=lambda client: by_client[client].issued_at)]
        if len(self._newest) > MAX_PEOPLE:
            self._newest.popitem(last=False)
        return known is None or (is_newest and set(known.who.groups) != set(identity.who.groups))

    def newest(self, identity: Identity) -> Identity:
        """The newest that was heard of the same person, by any program of theirs; this one where it is that."""
        known = self._newest.get(person_of(identity), {}).values()
        return max((identity, *known), key=lambda each: each.issued_at)

    def lost(self, identity: Identity) -> frozenset[str]:
        """The groups of the human behind it that a newer token has not.

        An agent's token does not tell by which program its human lent it: there all that are newer must agree.
        """
        newer = [
            each for each in self._newest.get(person_of(identity), {}).values() if each.issued_at > identity.issued_at
        ]
        said = [groups_lost(identity, each) for each in newer]
        if identity.who.on_behalf_of is not None and said:
            return frozenset.intersection(*said)
        return frozenset[str]().union(*said)

    def as_now(self, identity: Identity) -> Identity:
        """As it counts: an older token without the groups that were lost since."""
        lost, who = self.lost(identity), identity.who
        if not lost:
            return identity
        left = tuple(group for group in _human_groups(identity) if group not in lost)
        named = {"groups": left} if who.on_behalf_of is None else {"their_groups": left}
        return replace(identity, who=replace(who, **named))


def groups_lost(before: Identity, now: Identity) -> frozenset[str]:
    """The groups of a human that an older token had and a newer one of the same person and program has not.

    A job's are not compared: two jobs of one name may run side by side with different claims.
    """
    if person_of(before) != person_of(now):
        return frozenset()
    if now.issued_at <= before.issued_at or now.who.kind != "human" or before.who.kind == "job":
        return frozenset()
    if before.who.kind == "human" and before.client != now.client:
        return frozenset()
    return frozenset(_human_groups(before)) - frozenset(_human_groups(now))


def listed(groups: Iterable[str]) -> str:
    """For people."""
    return ", ".join(f"`{group}`" for group in sorted(groups))


def human_of(identity: Identity) -> str:
    return identity.who.on_behalf_of or identity.who.user


def person_of(identity: Identity) -> tuple[str, str]:
    """Whose groups they are: the issuer, and the human there.

    Where tokens come without `sub`, people are told apart by their names: nobody's groups are everybody's.
    """
    login = identity.login
    return login.issuer, login.subject or f"\n{human_of(identity)}"  # no subject has a line break


def _human_groups(identity: Identity) -> Iterable[str]:
    return identity.who.groups if identity.who.on_behalf_of is None else identity.who.their_groups or ()
