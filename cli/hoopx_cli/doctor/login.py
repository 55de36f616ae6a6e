"""Who commands act as, until when, and where that is kept."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hoopx_broker.terms.errors import BadInput, ExitCode, HoopxError
from hoopx_cli import system_keyring
from hoopx_cli.doctor.clock import of_token
from hoopx_cli.doctor.findings import Checked, broken, fine, odd, of_error, unlooked
from hoopx_cli.doctor.patience import within
from hoopx_cli.kit import Kit
from hoopx_cli.output import moment
from hoopx_cli.roster import Account, Accounts
from hoopx_cli.settings import read_private
from hoopx_cli.unverified import claims_of

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

ASKING_SECONDS = 20.0  # a login that is near its end is renewed at its provider first
KEYRING_SECONDS = 15.0  # a keyring may ask its owner for a password first
# What wins over a kept login, unless --account names one: the first that is set.
INSTEAD = ("HOOPX_TOKEN", "HOOPX_CLIENT_ID", "HOOPX_AGENT", "HOOPX_ID_TOKEN", "HOOPX_TOKEN_FILE")


def login(kit: Kit, *, is_open: bool) -> Iterator[Checked]:
    """Whom the broker takes a command of now for, and the times of its token; without the broker, who is kept here."""
    if not is_open:
        yield _kept(kit)
        yield unlooked("token", "the broker is not asked")
        return
    try:
        me = within(ASKING_SECONDS, "whoever knows this login", kit.api.whoami)
    except HoopxError as error:
        yield _refused(kit, error)
    else:
        groups = ", ".join(me.groups) or "no groups"
        known = {"user": me.user, "kind": me.kind, "groups": me.groups, "expires_at": me.token_expires_at}
        yield fine("login", f"{me.user} ({me.kind}; {groups}), by {_source(kit)}", **known)
    yield _token(kit)


def _refused(kit: Kit, error: HoopxError) -> Checked:
    """A login is no help where something in the environment wins over it."""
    instead = _instead(kit)
    if instead and "`hoopx login`" in error.hint:
        mend = f"{instead} is set and wins over a login: renew what it holds, or unset it. The broker's log says why"
        return broken("login", error.message, mend, error.exit_code)
    return of_error("login", error)


def _instead(kit: Kit) -> str:
    if kit.settings.insists:
        return ""
    return next((name for name in INSTEAD if kit.environ.get(name)), "")


def _source(kit: Kit) -> str:
    kept = kit.caller.login
    if kept is None:
        return _instead(kit) or "the job that runs this"
    return "the kept login, which renews itself" if kept.refresh is not None else "the kept login"


def _token(kit: Kit) -> Checked:
    kept = kit.caller.login
    bearer = kit.settings.token or (kept.bearer if kept is not None else None)
    if bearer is None:
        return unlooked("token", "none is kept or given")
    told = of_token(claims_of(bearer), time.time())
    return told or fine("token", "it tells no times of its own")


def _kept(kit: Kit) -> Checked:
    instead = _instead(kit)
    if instead:
        return unlooked("login", f"{instead} says who you are, and the broker is not asked")
    known = _accounts(kit)
    user = kit.settings.account or known.current
    account = known.accounts.get(user) if user is not None else None
    if account is None:
        told = f"`{user}` is not" if user else "nobody is"
        return broken("login", f"{told} logged in to {kit.settings.broker}", "`hoopx login`", ExitCode.LOG_IN_FIRST)
    if not account.renews and account.expires_at <= time.time():
        mend = "`hoopx login`"
        return broken("login", f"the login of {user} ended {moment(account.expires_at)}", mend, ExitCode.LOG_IN_FIRST)
    return fine("login", f"{user} is kept here{_until(account)}; the broker is not asked", user=user)


def _until(account: Account) -> str:
    return " and renews itself" if account.renews else f" until {moment(account.expires_at)}"


def _accounts(kit: Kit) -> Accounts:
    return kit.logins.listed().get(kit.settings.broker, Accounts())


def keyring(kit: Kit) -> Checked:
    """Whether the system's keyring keeps what it is given; else the file, which only its owner may read."""
    backend = within(KEYRING_SECONDS, "the keyring of the operating system", system_keyring.chosen)
    needing = [name for name, each in _accounts(kit).accounts.items() if each.place == "keyring"]
    if backend is None:
        if needing:
            found = f"no keyring is usable here, and the login of {', '.join(needing)} is in one"
            mend = "unlock it (over SSH it may be shut), give HOOPX_TOKEN, or `hoopx login` again"
            return broken("keyring", found, mend, ExitCode.LOG_IN_FIRST)
        return _file(kit)
    name = f"{type(backend).__module__.removeprefix('keyring.backends.')}"
    if within(KEYRING_SECONDS, "the keyring of the operating system", lambda: _keeps(backend)):
        return fine("keyring", f"{name} keeps what it is given", keyring=name)
    found = f"{name} does not keep what it is given; logins lie in a file"
    return odd("keyring", found, "unlock it, then `hoopx login` again")


def _keeps(backend: KeyringBackend) -> bool:
    """Tried with an entry of no meaning, which is gone afterwards."""
    name, entry = f"doctor {secrets.token_hex(8)}", secrets.token_hex(16)
    try:
        return system_keyring.tell(backend, name, entry)
    finally:
        system_keyring.erase(backend, name)


def _file(kit: Kit) -> Checked:
    path = kit.settings.home / "logins.json"
    try:
        is_there = read_private(path) is not None
    except BadInput as error:
        return of_error("keyring", error)
    state = "is yours alone (mode 0600)" if is_there else "is not there yet"
    return fine("keyring", f"this machine has none: logins lie in `{path}`, which {state}", file=str(path))
