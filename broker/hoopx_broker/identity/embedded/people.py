"""The local users and their passwords."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Mapping

from msgspec import Struct

from hoopx_broker.identity.embedded.upstream.answers import Through
from hoopx_broker.terms.settings import LocalUser

# scrypt as OWASP advises for logins (2^14, 8, 5): about 0.2 s and 16 MB for a try.
_COST, _BLOCK, _LANES = 2**14, 8, 5
MAX_PASSWORD = 1024  # a pass phrase fits; hashing a megabyte for a stranger does not
AT_ONCE = 2  # tries hashed side by side: strangers at the login page take two threads and 32 MB, no more


class Person(Struct, frozen=True):
    """Somebody who has proved who they are: what tokens say of them. Local users come `through` nobody."""

    name: str
    groups: tuple[str, ...] = ()
    email: str | None = None
    through: Through | None = None

    @property
    def came_through(self) -> str:
        """The upstream's name for people; empty for local users."""
        return self.through.label if self.through is not None else ""


class _Known(Struct, frozen=True):
    salt: bytes
    hash: bytes


class People:
    """Users by name. Passwords are kept as hashes. Made by `People.gather`."""

    def __init__(self, users: Mapping[str, LocalUser], known: Mapping[str, _Known], nobody: _Known) -> None:
        self._users = users
        self._known = known
        self._nobody = nobody
        self._turn = asyncio.Semaphore(AT_ONCE)

    @classmethod
    async def gather(cls, users: Mapping[str, LocalUser], random: Callable[[int], bytes]) -> People:
        known = {
            name: await asyncio.to_thread(_remember, user.password.reveal(), random(16)) for name, user in users.items()
        }
        # Whom nobody knows is checked as slowly against a password that nobody has.
        nobody = _Known(random(16), random(64))
        return cls(users, known, nobody)

    def __len__(self) -> int:
        return len(self._users)

    def find(self, name: str) -> Person | None:
        """As configured now: whoever was taken out is nobody."""
        user = self._users.get(name)
        return Person(user.name, user.groups, user.email) if user is not None else None

    async def check(self, name: str, password: str) -> Person | None:
        """The user, if this is their password; in the same time whether or not there is such a user."""
        known = self._known.get(name, self._nobody)
        async with self._turn:
            tried = await asyncio.to_thread(_hash, password[:MAX_PASSWORD], known.salt)
        is_right = hmac.compare_digest(tried, known.hash) and len(password) <= MAX_PASSWORD
        return self.find(name) if is_right else None


def _remember(password: str, salt: bytes) -> _Known:
    return _Known(salt, _hash(password, salt))


def _hash(password: str, salt: bytes) -> bytes:
    # A digest first: scrypt keys an HMAC with the password, to which trailing zero bytes make no difference.
    digest = hashlib.sha256(password.encode("utf-8", "surrogatepass")).digest()
    return hashlib.scrypt(digest, salt=salt, n=_COST, r=_BLOCK, p=_LANES)
