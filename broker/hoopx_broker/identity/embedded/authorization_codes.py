"""Authorization codes from the person's yes to their one use. They live in memory: a restart ends them."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256

from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.identity.embedded.authorization import Authorization
from hoopx_broker.identity.embedded.people import Person
from hoopx_broker.identity.embedded.pkce import check_verifier
from hoopx_broker.identity.embedded.possession import Possession
from hoopx_broker.identity.embedded.refusals import OAuthError

LIFE = 60.0  # seconds; a program on this machine waits for it. RFC 6749 allows ten minutes
REMEMBERED = 900.0  # seconds that a used code is known as such: as long as tokens that came from it may live
MAX_HELD = 1_000  # each stands for a person who just logged in; the oldest makes room


class Granted(Struct, frozen=True):
    """What a person allowed. `family` is the login that tokens of this code belong to."""

    asked: Authorization
    person: Person
    family: str
    granted_at: float
    is_used: bool = False


class UsedTwice(Exception):
    """A code came a second time: whoever came first may be a thief, so the login of `family` must end."""

    def __init__(self, family: str) -> None:
        super().__init__("used twice")
        self.family = family


class AuthorizationCodes:
    """By the hashes of the codes."""

    def __init__(self, clock: Callable[[], float], word: Callable[[], str]) -> None:
        self._clock = clock
        self._word = word
        self._granted: dict[str, Granted] = {}

    def grant(self, asked: Authorization, person: Person) -> str:
        """A fresh code for what a person allowed."""
        gone = self._clock() - REMEMBERED
        self._granted = {name: each for name, each in self._granted.items() if each.granted_at > gone}
        while len(self._granted) >= MAX_HELD:
            del self._granted[next(iter(self._granted))]
        code = self._word()
        self._granted[_hash(code)] = Granted(asked, person, self._word(), self._clock())
        return code

    def take(self, code: str, client: str, redirect_uri: str, verifier: str | None, possession: Possession) -> Granted:
        """What was allowed, once. Raises `OAuthError`, and `UsedTwice` for the second use."""
        name = _hash(code)
        granted = self._granted.get(name)
        if granted is None or granted.asked.client != client:
            raise _not_good()
        if granted.is_used:
            raise UsedTwice(granted.family)
        if self._clock() >= granted.granted_at + LIFE:
            raise _not_good()
        possession.spend(granted.person.name)
        # From here on the code is spent, whatever the answer.
        self._granted[name] = replace(granted, is_used=True)
        if not hmac.compare_digest(granted.asked.back.redirect_uri.encode(), redirect_uri.encode()):
            raise OAuthError("invalid_grant", "this code was for another address")
        check_verifier(granted.asked.challenge, verifier)
        if granted.asked.key is not None and granted.asked.key != possession.key:
            raise OAuthError("invalid_grant", "this code is bound to a key, and the request does not prove that key")
        return granted


def _not_good() -> OAuthError:
    return OAuthError("invalid_grant", "this code is unknown, or too old")


def _hash(code: str) -> str:
    return sha256(code.encode()).hexdigest()
