"""Which accounts are one person's: nobody decides what is theirs, and nobody counts twice."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from hoopx_broker.terms.people import Principal

Names = frozenset[str]


class Persons:
    """Knows by `accounts` which names belong together, each list of them being one person's.

    Whatever a person is known by (the account, the human behind an agent, what `claims.person` says) is one space of
    names: where two meet by accident, two people are taken for one, and never one for two.
    """

    def __init__(self, accounts: Iterable[Iterable[str]] = ()) -> None:
        self._of: dict[str, Names] = {}
        for listed in accounts:
            names = frozenset(folded(name) for name in listed)
            names = names.union(*(self._of.get(name, frozenset()) for name in names))
            self._of |= dict.fromkeys(names, names)

    def whole(self, names: Iterable[str]) -> Names:
        """All that whoever is known by `names` is known by, as configured now."""
        known = frozenset(names)
        return known.union(*(self._of.get(name, frozenset()) for name in known))

    def are_one(self, some: Iterable[str], others: Iterable[str]) -> bool:
        """The same person, the same agent, or one acting for the other."""
        return bool(self.whole(some) & self.whole(others))

    def merged(self, voters: Sequence[tuple[Names, frozenset[str]]]) -> list[frozenset[str]]:
        """The groups of each person, of voters with their names and groups."""
        people: list[tuple[Names, frozenset[str]]] = []
        for names, groups in voters:
            same = [each for each in people if self.are_one(each[0], names)]
            people = [each for each in people if each not in same]
            people.append((names.union(*(each[0] for each in same)), groups.union(*(each[1] for each in same))))
        return [groups for _, groups in people]


def names_of(who: Principal) -> Names:
    """All that this one is known by: its account, the human behind it, and the person that its issuer names."""
    return frozenset(
        folded(name) for name in (who.user, who.on_behalf_of, who.person) if isinstance(name, str) and name
    )


def person_of(who: Principal) -> str:
    """One name for whoever decides, however a provider writes it."""
    return folded(who.person) if isinstance(who.person, str) and who.person else folded(who.user)


def folded(name: str) -> str:
    """Providers differ in the case of addresses; `Ann@example.com` does not approve for `ann@example.com`."""
    return unicodedata.normalize("NFKC", name).casefold()
