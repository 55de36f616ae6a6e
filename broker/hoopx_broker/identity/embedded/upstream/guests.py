"""Logins of people who came through an upstream: how long they last, and who those people are by now.

They live in memory alone, with the refresh tokens that the providers gave: nothing that opens somebody else's provider
is ever stored. A restart of the broker therefore ends these logins at their next renewal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from hoopx_broker.identity.embedded.people import Person
from hoopx_broker.identity.embedded.upstream.answers import Provider
from hoopx_broker.identity.embedded.upstream.naming import Names
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.terms.settings import Upstream

# Seconds: a working day. Groups of a login that nobody can ask about are this old at the most.
LIFE = 12 * 3600.0
MAX_GUESTS = 20_000  # logins held at once, 40 MB with large refresh tokens; the oldest make room
_MARK = ">"  # no local user's name begins so


class Guests:
    """Such logins by the family of their refresh tokens."""

    def __init__(self, clock: Callable[[], float], note: Callable[[str], None]) -> None:
        self._clock = clock
        self._note = note
        self._known: dict[str, tuple[Person, float]] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    def __len__(self) -> int:
        return len(self._known)

    def ends_at(self, person: Person) -> float:
        """When a login of this person ends: our bound, or the provider's where that comes first."""
        wish = person.through.proved.ends_at if person.through is not None else None
        return self._clock() + LIFE if wish is None else min(self._clock() + LIFE, wish)

    def keep(self, family: str, person: Person, ends_at: float) -> None:
        """Remember who logged in; of local users there is nothing to remember."""
        if person.through is None:
            return
        now = self._clock()
        for old in [name for name, (_, until) in self._known.items() if until <= now]:
            self.forget(old)
        while len(self._known) >= MAX_GUESTS:
            self.forget(next(iter(self._known)))
        self._known[family] = (person, ends_at)

    def forget(self, family: str) -> None:
        self._known.pop(family, None)
        self._turns.pop(family, None)

    async def again(
        self, family: str, find: Callable[[str], tuple[Upstream, Provider] | None], names: Names
    ) -> Person | None:
        """Who they are by now, after a word with their provider where it takes one; None ends the login.

        Raises `Unreachable`: then nothing is spent, and the same may be tried again.
        """
        async with self._turns.setdefault(family, asyncio.Lock()):
            known = self._known.get(family)
            if known is None or known[0].through is None or (found := find(known[0].through.upstream)) is None:
                self.forget(family)
                return None
            person = await self._asked(known[0], *found, names)
            if person is None:
                self.forget(family)
            else:
                self._known[family] = (person, known[1])
            return person

    async def _asked(self, person: Person, upstream: Upstream, provider: Provider, names: Names) -> Person | None:
        assert person.through is not None
        try:
            proved = await provider.again(person.through.proved)
            if proved is None:
                self._note(f"`{upstream.name}` has ended the login of `{person.name}`")
                return None
            if names.given(upstream, proved.who.user) != person.name:
                raise NotAccepted("the name has changed")
        except NotAccepted as refusal:
            self._note(f"the login of `{person.name}` at `{upstream.name}` is not renewed: {refusal}")
            return None
        return replace(
            person, groups=proved.who.groups, email=proved.email, through=replace(person.through, proved=proved)
        )


def marked(name: str) -> str:
    """How a login of somebody who came through an upstream is kept: it never passes for a local user's."""
    return _MARK + name


def is_guest(user: str) -> bool:
    return user.startswith(_MARK)
