"""Who is logged in where on this machine: names of accounts and never their tokens, so that lists need no keyring.

HOOPX_HOME/accounts.json holds it by the broker's URL and the account, which is the user name as that broker knows it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from hoopx_broker.terms.errors import BadInput
from hoopx_cli import names
from hoopx_cli.settings import read_private, write_private

Place = Literal["keyring", "file"]


class Account(Struct, frozen=True):
    """One login. `expires_at` is the end of its token; one that `renews` gets another by itself."""

    issuer: str
    expires_at: float
    renews: bool
    place: Place


class Accounts(Struct, frozen=True):
    """The accounts at one broker; `current` is whom commands act as, None where nobody was chosen."""

    current: str | None = None
    accounts: dict[str, Account] = field(default_factory=dict)

    def with_account(self, user: str, account: Account) -> Accounts:
        """The first one becomes the current one."""
        current = self.current if self.accounts else user
        return Accounts(current, self.accounts | {user: account})

    def without(self, user: str) -> Accounts:
        """Nobody becomes the current one by the going of another: acting as somebody else is never a surprise."""
        left = {name: account for name, account in self.accounts.items() if name != user}
        return Accounts(self.current if self.current != user else None, left)

    def at(self, user: str) -> Accounts:
        return replace(self, current=user)


class Roster:
    """The file. Whoever changes it holds the lock of the logins."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._path = home / "accounts.json"

    def all(self) -> dict[str, Accounts]:
        """Raises `BadInput` for a file that others can write or that is broken."""
        data = read_private(self._path)
        if data is None:
            return {}
        try:
            return msgspec.json.decode(data, type=dict[str, Accounts])
        except (ValueError, RecursionError):
            raise BadInput(f"`{self._path}` does not hold accounts", "remove it and log in again") from None

    def at(self, broker: str) -> Accounts | None:
        return self.all().get(broker)

    def keep(self, broker: str, accounts: Accounts) -> None:
        """Replace what is known of one broker; one without accounts is forgotten."""
        every = self.all() | {broker: accounts}
        kept = {url: each for url, each in every.items() if each.accounts}
        write_private(self._path, msgspec.json.encode(kept))
        names.keep_accounts(self._home, broker, sorted(accounts.accounts))
