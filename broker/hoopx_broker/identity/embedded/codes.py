"""Device codes from their asking to their one use (RFC 8628). They live in memory: a restart ends them."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.api import compact
from hoopx_broker.identity.embedded.neighbours import network_of
from hoopx_broker.identity.embedded.people import Person
from hoopx_broker.identity.embedded.pkce import check_verifier
from hoopx_broker.identity.embedded.possession import Possession
from hoopx_broker.identity.embedded.refusals import OAuthError
from hoopx_broker.terms.secret import Secret

# RFC 8628 section 6.1: no vowels (no words), no digits or letters that look alike.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
CODE_LENGTH = 8  # 20^8 codes: with at most MAX_OPEN of them good, a guess hits once in 25 million
LIFE = 600.0  # seconds; enough to find the phone and log in
LINGER = 60.0  # seconds that an expired code is remembered, so that its device hears `expired_token`
INTERVAL = 2.0  # seconds between polls; the issuer serves one machine, a poll costs it microseconds
SLOWER = 5.0  # seconds added for a poll that came too early; RFC 8628 section 3.5
MAX_OPEN = 1000  # codes held at once, half a megabyte
MAX_OPEN_PEER = 50  # of these for one address, so that one neighbour cannot take them all

State = Literal["waiting", "approved", "declined"]


class Asked(Struct, frozen=True):
    """A device that waits for its person. `person` is set once somebody approved."""

    user_code: str
    client: str
    scope: str
    peer: str
    challenge: str | None
    asked_at: float
    interval: float = INTERVAL
    polled_at: float = 0.0
    state: State = "waiting"
    person: Person | None = None
    signed_in_at: float = 0.0


class Started(Struct, frozen=True):
    """What the device is told."""

    device_code: Secret
    user_code: str


class DeviceCodes:
    """All devices that wait, by the hash of their device code."""

    def __init__(self, clock: Callable[[], float], random: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random = random
        self._asked: dict[str, Asked] = {}

    def start(self, client: str, scope: str, peer: str, challenge: str | None) -> Started:
        self._sweep()
        mine = sum(network_of(asked.peer) == network_of(peer) for asked in self._asked.values())
        if len(self._asked) >= MAX_OPEN or mine >= MAX_OPEN_PEER:
            raise OAuthError("temporarily_unavailable", "too many logins are waiting; try again in ten minutes", 429)
        device_code = compact.encode(self._random(32))
        user_code = self._fresh_code()
        self._asked[_hash(device_code)] = Asked(user_code, client, scope, peer, challenge, self._clock())
        return Started(Secret(device_code), user_code)

    def find(self, typed: str) -> Asked | None:
        """The device that waits under a code as a person types it: any case, with or without the dash."""
        self._sweep()
        code = "".join(char for char in typed.upper() if char.isalnum())
        return next((asked for asked in self._asked.values() if self._is_open(asked, code)), None)

    def approve(self, user_code: str, person: Person) -> bool:
        """False when the code is not waiting any more."""
        return self._answer(user_code, "approved", person)

    def decline(self, user_code: str) -> bool:
        return self._answer(user_code, "declined", None)

    def take(self, device_code: str, client: str, verifier: str | None, possession: Possession) -> Asked:
        """What was approved, once. Raises `OAuthError` in the words of RFC 8628 section 3.5."""
        name = _hash(device_code)
        asked = self._asked.get(name)
        if asked is None or asked.client != client:
            raise OAuthError("invalid_grant", "this device code is unknown or was used")
        if self._clock() >= asked.asked_at + LIFE:
            del self._asked[name]
            raise OAuthError("expired_token", "nobody typed the code in time")
        self._keep_pace(name, asked)
        if asked.state == "waiting":
            raise OAuthError("authorization_pending", "nobody has typed the code yet")
        possession.spend(asked.person.name if asked.person is not None else asked.peer)
        # From here on the code is spent, whatever the answer: a second try finds nothing.
        del self._asked[name]
        if asked.state == "declined":
            raise OAuthError("access_denied", "the person said no")
        check_verifier(asked.challenge, verifier)
        return asked

    def _answer(self, user_code: str, state: State, person: Person | None) -> bool:
        self._sweep()
        for name, asked in self._asked.items():
            if self._is_open(asked, user_code):
                self._asked[name] = replace(asked, state=state, person=person, signed_in_at=self._clock())
                return True
        return False

    def _fresh_code(self) -> str:
        while True:
            code = "".join(ALPHABET[byte % len(ALPHABET)] for byte in _even(self._random))
            if all(asked.user_code != code for asked in self._asked.values()):
                return code

    def _is_open(self, asked: Asked, code: str) -> bool:
        is_waiting = asked.state == "waiting" and self._clock() < asked.asked_at + LIFE
        return is_waiting and hmac.compare_digest(asked.user_code.encode(), code.encode())

    def _keep_pace(self, name: str, asked: Asked) -> None:
        now = self._clock()
        is_early = now < asked.polled_at + asked.interval
        interval = asked.interval + SLOWER if is_early else asked.interval
        self._asked[name] = replace(asked, polled_at=now, interval=interval)
        if is_early:
            raise OAuthError("slow_down", f"poll every {interval:.0f} seconds")

    def _sweep(self) -> None:
        long_gone = self._clock() - LIFE - LINGER
        self._asked = {name: asked for name, asked in self._asked.items() if asked.asked_at > long_gone}


def in_groups(user_code: str) -> str:
    """As people read it: `BCDF-GHJK`."""
    return f"{user_code[:4]}-{user_code[4:]}"


def _even(random: Callable[[int], bytes]) -> bytes:
    """Bytes of which every letter is equally likely: those above the last whole round of the alphabet are dropped."""
    limit = 256 - 256 % len(ALPHABET)
    even = b""
    while len(even) < CODE_LENGTH:
        even += bytes(byte for byte in random(2 * CODE_LENGTH) if byte < limit)
    return even[:CODE_LENGTH]


def _hash(device_code: str) -> str:
    return sha256(device_code.encode()).hexdigest()
