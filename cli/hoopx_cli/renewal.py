"""Keep a person signed in: the kept login, renewed before it ends, by one command at a time."""

from __future__ import annotations

import time

from msgspec.structs import replace

from hoopx_broker.terms.errors import Unauthenticated, Unreachable
from hoopx_cli.keyring import Login, Logins
from hoopx_cli.signin import Trust, key_of, renew
from hoopx_cli.tokens import Clock

RENEW_BEFORE = 60.0  # seconds; a bearer is renewed before it can end between two machines' clocks


def fresh(broker: str, user: str | None, logins: Logins, trust: Trust, clock: Clock = time.time) -> Login:
    """The login of that user, or the current one, with a bearer that holds and a key; renewed in passing if need be.

    Raises `Unauthenticated` when there is none.
    """
    login = logins.get(broker, user)
    if login is not None and holds(login, clock):
        return login
    with logins.held():
        login = logins.get(broker, user)  # again: another command may have renewed it while we waited
        if login is None:
            raise not_logged_in(broker, user, logins)
        if holds(login, clock):
            return login
        if clock() < login.expires_at - RENEW_BEFORE:
            return _with_key(broker, login, logins)
        return _renewed(broker, login, logins, trust, clock)


def holds(login: Login, clock: Clock = time.time) -> bool:
    """Whether it can be used as it is: its bearer is not near its end, and there is a key to prove."""
    return login.key is not None and clock() < login.expires_at - RENEW_BEFORE


def not_logged_in(broker: str, user: str | None, logins: Logins) -> Unauthenticated:
    """What to say where no login is kept for that user, or for anybody, or nobody was chosen."""
    known = logins.listed().get(broker)
    kept = ", ".join(filter(None, known.accounts)) if known is not None else ""
    if user is not None:
        hint = "log in with `hoopx login`" + (f", or as another: {kept}" if kept else "")
        return Unauthenticated(f"you are not logged in to {broker} as `{user}`", hint)
    if kept:
        hint = f"choose with `hoopx accounts use USER`: {kept}"
        return Unauthenticated(f"no account is chosen for {broker}", hint)
    return Unauthenticated(f"you are not logged in to {broker}", "log in with `hoopx login`")


def _renewed(broker: str, login: Login, logins: Logins, trust: Trust, clock: Clock) -> Login:
    try:
        fresh_login = renew(login, trust(login.issuer), clock)
    except Unauthenticated:
        logins.forget(broker, login.user)
        raise
    except Unreachable:
        if clock() < login.expires_at:
            return login if login.key is not None else _with_key(broker, login, logins)
        raise
    logins.put(broker, fresh_login)
    return fresh_login


def _with_key(broker: str, login: Login, logins: Logins) -> Login:
    """A login of an earlier version gets a key; the broker binds its token to that at the next call."""
    keyed = replace(login, key=key_of(login).keep())
    logins.put(broker, keyed)
    return keyed
