"""Passes for native clients, which can prove no key: each for one target, for one opening, and for a few minutes."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from msgspec import Struct

from hoopx_broker.api import compact
from hoopx_broker.identity.identity import Identity
from hoopx_broker.terms.errors import Denied, Unauthenticated
from hoopx_broker.terms.secret import Secret

PREFIX = "hoopx_pass_"  # tells a pass from a token, to the broker and to scanners that look for leaked secrets
LIFE = 300.0  # seconds until it must have opened its session; a person pastes it, a script uses it at once
MAX_HELD = 10_000  # some megabytes
MAX_HELD_EACH = 100  # of these for one person, so that one script cannot take them all


class Pass(Struct, frozen=True):
    """What a pass stands for. `id` names it without being it; `token` is what it was given for."""

    id: str
    identity: Identity
    target: str
    expires_at: float
    token: Secret | None = None


class Passes:
    """In memory: a restart ends them, as it ends the sessions that they opened."""

    def __init__(self, clock: Callable[[], float], random: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random = random
        self._held: dict[str, Pass] = {}
        self._opened: set[str] = set()

    def give(self, identity: Identity, target: str, token: Secret | None = None) -> tuple[Secret, Pass]:
        """A fresh pass and what it stands for. Raises `Denied` where too many are held."""
        self._sweep()
        mine = sum(_person(each.identity) == _person(identity) for each in self._held.values())
        if len(self._held) >= MAX_HELD or mine >= MAX_HELD_EACH:
            raise Denied("too many passes wait for their use", "use those that you have, or wait five minutes")
        word = PREFIX + compact.encode(self._random(32))
        given = Pass(_digest(word), identity, target, min(self._clock() + LIFE, identity.expires_at), token)
        self._held[given.id] = given
        return Secret(word), given

    def find(self, word: Secret) -> Pass | None:
        """What a pass stands for: to open with until it ends, and to join what it opened for as long as that lives."""
        found = self._held.get(_digest(word.reveal()))
        if found is None or (found.id not in self._opened and self._clock() >= found.expires_at):
            return None
        return found

    def hand_over(self, word: Secret) -> Pass | None:
        """Nobody finds it here any more: another worker has it, which alone opens with it."""
        found = self.find(word)
        return self._held.pop(found.id) if found is not None and found.id not in self._opened else None

    def take(self, given: Pass) -> None:
        """One that another worker had."""
        self._sweep()
        self._held[given.id] = given

    def open_with(self, id_: str) -> None:
        """It opens its session now, and no other from here on. Raises `Unauthenticated` for a second one."""
        if id_ in self._opened or id_ not in self._held:
            raise Unauthenticated("this pass has opened a session already", "take another one: `hoopx token TARGET`")
        self._opened.add(id_)

    def is_over(self, id_: str) -> None:
        """The session that it opened has ended. Safe for what is no pass."""
        self._held.pop(id_, None)
        self._opened.discard(id_)

    def _sweep(self) -> None:
        now = self._clock()
        self._held = {id_: held for id_, held in self._held.items() if id_ in self._opened or now < held.expires_at}


def _person(identity: Identity) -> str:
    """Those of a human and of all agents that act for them count together, and of one agent's humans each alone."""
    return identity.who.on_behalf_of or identity.who.user


def is_pass(word: Secret) -> bool:
    return word.reveal().startswith(PREFIX)


def _digest(word: str) -> str:
    return sha256(word.encode()).hexdigest()
