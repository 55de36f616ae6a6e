"""Keep logins between commands: in the keyring of the operating system, else in a file that only you can read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.terms.errors import BadInput, Unauthenticated
from hoopx_broker.terms.secret import Secret
from hoopx_cli import locks, system_keyring
from hoopx_cli.roster import Account, Accounts, Place, Roster
from hoopx_cli.settings import private_folder, read_private, write_private

# The account of a login that an earlier version kept, which knew one for each broker and not whose it was.
UNNAMED = ""


class Login(Struct, frozen=True):
    """A person signed in at one broker. `expires_at` (seconds since the Unix epoch) is the end of `bearer`.

    `key` is the private half of the key that the tokens are bound to, as `ProofKey.keep` gives it; logins of earlier
    versions have none yet. `user` is who the broker takes the bearer for.
    """

    issuer: str
    client_id: str
    audience: str
    bearer: Secret
    expires_at: float
    refresh: Secret | None = None
    key: Secret | None = None
    user: str = UNNAMED


class Logins:
    """The logins kept on this machine, by the URL of their broker (`settings.origin` gives its one spelling) and user.

    `warn` hears, once for each broker, that there is no keyring and where the login lies instead. Whoever calls `put`,
    `choose` or `forget` does so within `held`.
    """

    def __init__(self, home: Path, warn: Callable[[str], None]) -> None:
        self._home = home
        self._path = home / "logins.json"
        self._warn = warn
        self._roster = Roster(home)

    def get(self, broker: str, user: str | None = None) -> Login | None:
        """That user's login, or the current one. No keyring is looked for where the login lies in the file.

        Raises `Unauthenticated` where the keyring stays shut, `BadInput` where others can read the file.
        """
        known = self._roster.at(broker)
        if known is None:
            return self._of_earlier_version(broker) if user in (None, UNNAMED) else None
        chosen = known.current if user is None else user
        if chosen is None or chosen not in known.accounts:
            return None
        if known.accounts[chosen].place == "file":
            return self._read().get(broker, {}).get(chosen)
        return self._in_keyring(broker, chosen)

    def put(self, broker: str, login: Login) -> None:
        """Keep a new login, or the renewed one of the same user. It becomes the current one only if it is the first."""
        backend, entry = system_keyring.chosen(), self._entry(broker, login.user)
        if backend is not None and system_keyring.tell(backend, entry, _encode(login).decode()):
            self._drop(broker, login.user)
            self._enrol(broker, login, "keyring")
            return
        kept = self._read()
        if broker not in kept:
            self._warn(f"no keyring of the operating system is usable here: the login is kept in `{self._path}`")
        kept[broker] = kept.get(broker, {}) | {login.user: login}
        write_private(self._path, _encode(kept))
        self._enrol(broker, login, "file")

    def choose(self, broker: str, user: str) -> None:
        """Let commands act as that user, whose login is kept."""
        self._roster.keep(broker, (self._roster.at(broker) or Accounts()).at(user))

    def forget(self, broker: str, user: str) -> None:
        """Safe to repeat."""
        known = self._roster.at(broker)
        account = known.accounts.get(user) if known is not None else None
        backend = system_keyring.chosen()
        if backend is not None:
            # A keyring that stays shut has nothing of a login that lies in the file because it was shut before.
            with suppress(Unauthenticated) if account is not None and account.place == "file" else nullcontext():
                system_keyring.erase(backend, self._entry(broker, user))
        self._drop(broker, user)
        if known is not None:
            self._roster.keep(broker, known.without(user))

    def rename(self, broker: str, login: Login, user: str) -> Login:
        """Keep a login under the name by which the broker knows it now."""
        known = self._roster.at(broker)
        renamed = replace(login, user=user)
        self.put(broker, renamed)
        if known is None or known.current == login.user:
            self.choose(broker, user)
        self.forget(broker, login.user)
        return renamed

    def listed(self) -> dict[str, Accounts]:
        """All accounts by their broker, without a look into the keyring."""
        known = self._roster.all()
        for broker, logins in self._read().items():
            if broker not in known:
                found = {user: _account(login, "file") for user, login in logins.items()}
                known[broker] = Accounts(next(iter(found), None), found)
        return known

    @contextmanager
    def held(self) -> Iterator[None]:
        """One command at a time: a refresh token spent by two commands at once would end the login."""
        with locks.held(private_folder(self._home) / "logins.lock"):
            yield

    def _of_earlier_version(self, broker: str) -> Login | None:
        kept = self._read().get(broker, {})
        return kept.get(UNNAMED) or self._in_keyring(broker, UNNAMED)

    def _in_keyring(self, broker: str, user: str) -> Login | None:
        backend = system_keyring.chosen()
        entry = system_keyring.ask(backend, self._entry(broker, user)) if backend is not None else None
        return _login(entry) if entry is not None else None

    def _entry(self, broker: str, user: str) -> str:
        """A keyring belongs to the user of the machine, a login to a HOOPX_HOME: one user can be two people."""
        place = f"{broker} {self._home}"
        return f"{user} at {place}" if user != UNNAMED else place

    def _enrol(self, broker: str, login: Login, place: Place) -> None:
        known = self._roster.at(broker) or Accounts()
        self._roster.keep(broker, known.with_account(login.user, _account(login, place)))

    def _drop(self, broker: str, user: str) -> None:
        kept = self._read()
        if kept.get(broker, {}).pop(user, None) is not None:
            write_private(self._path, _encode({url: logins for url, logins in kept.items() if logins}))

    def _read(self) -> dict[str, dict[str, Login]]:
        data = read_private(self._path)
        if data is None:
            return {}
        try:
            found = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
            return {broker: _logins(bytes(logins)) for broker, logins in found.items()}
        except (ValueError, RecursionError):
            raise BadInput(f"`{self._path}` does not hold logins", "remove it and log in again") from None


def _account(login: Login, place: Place) -> Account:
    return Account(login.issuer, login.expires_at, login.refresh is not None, place)


def _logins(data: bytes) -> dict[str, Login]:
    """Earlier versions wrote one login where now they stand by their users."""
    try:
        return {UNNAMED: _decode(data, Login)}
    except ValueError:
        found: dict[str, Login] = _decode(data, dict[str, Login])
        return found


def _login(entry: str) -> Login | None:
    """An entry that is none of ours, or of another version, is as good as none: logging in replaces it."""
    try:
        login: Login = _decode(entry.encode(), Login)
    except (ValueError, RecursionError):
        return None
    return login


def _encode(value: object) -> bytes:
    return msgspec.json.encode(value, enc_hook=_reveal)


def _reveal(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError


def _decode(data: bytes, kind: Any) -> Any:
    """Raises `ValueError` or `RecursionError` for what is not a login, or logins, as `_encode` writes them."""
    return msgspec.json.decode(data, type=kind, dec_hook=lambda _, value: Secret(value))
