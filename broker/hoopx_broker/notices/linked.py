"""Who somebody at a receiver is to the broker: linked accounts, codes to link them by, calls that were heard."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from hoopx_broker.seams.notifier import Account
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store

CODE_SECONDS = 600.0  # to sign in and press a button
CODE_BYTES = 24
MAX_SHOWN = 200


class Accounts:
    """Of one notifier. What is kept of a person is bytes that whoever links made, and no token.

    `clock` gives seconds since the Unix epoch, `random` so many random bytes.
    """

    def __init__(self, store: Store, notifier: str, clock: Callable[[], float], random: Callable[[int], bytes]) -> None:
        self._store = store
        self._notifier = notifier
        self._clock = clock
        self._random = random

    async def invite(self, account: Account) -> str:
        """A code that links this account to whoever signs in with it, once, within ten minutes."""
        code = self._random(CODE_BYTES).hex()
        shown = account.shown.replace("\0", "")[:MAX_SHOWN]  # PostgreSQL keeps no NUL
        row = (_digest(code), self._notifier, account.id, shown, self._clock() + CODE_SECONDS)

        def work(connection: Connection) -> None:
            # The one before was perhaps given to somebody else.
            connection.execute("DELETE FROM link_codes WHERE notifier = ? AND account = ?", row[1:3])
            connection.execute(
                "INSERT INTO link_codes (digest, notifier, account, shown, expires_at) VALUES (?, ?, ?, ?, ?)", row
            )

        await self._store.run(work)
        return code

    async def invited(self, code: str) -> Account | None:
        """Whose account a code is for; None where it is for none, was used, or is over."""
        now = self._clock()
        return await self._store.run(lambda connection: self._invited(connection, code, now))

    async def link(self, code: str, identity: bytes) -> Account | None:
        """From now on the account is this person's, whoever's it was. None as `invited`."""
        now = self._clock()

        def work(connection: Connection) -> Account | None:
            account = self._invited(connection, code, now)
            if account is None:
                return None
            connection.execute("DELETE FROM link_codes WHERE digest = ?", (_digest(code),))
            connection.execute(
                "INSERT INTO linked_accounts (notifier, account, identity, linked_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (notifier, account) DO UPDATE SET identity = excluded.identity,"
                " linked_at = excluded.linked_at",
                (self._notifier, account.id, identity.decode(), now),
            )
            return account

        return await self._store.run(work)

    async def find(self, account: Account) -> bytes | None:
        """What was linked; None for an account that is nobody's."""
        asked = "SELECT identity FROM linked_accounts WHERE notifier = ? AND account = ?"
        row = await self._store.run(lambda c: c.execute(asked, (self._notifier, account.id)).fetchone())
        return row[0].encode() if row is not None else None

    async def is_fresh(self, call: str, seconds: float) -> bool:
        """Whether a call was never heard before, at any broker. From now on it was, for so long."""
        now = self._clock()
        row = (self._notifier, _digest(call), now + seconds)

        def work(connection: Connection) -> bool:
            connection.execute("DELETE FROM heard_calls WHERE expires_at < ?", (now,))
            added = connection.execute(
                "INSERT INTO heard_calls (notifier, call, expires_at) VALUES (?, ?, ?)"
                " ON CONFLICT (notifier, call) DO NOTHING",
                row,
            )
            return added.rowcount == 1

        return await self._store.run(work)

    def _invited(self, connection: Connection, code: str, now: float) -> Account | None:
        row = connection.execute(
            "SELECT account, shown FROM link_codes WHERE digest = ? AND notifier = ? AND expires_at > ?",
            (_digest(code), self._notifier, now),
        ).fetchone()
        return Account(*row) if row is not None else None


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
