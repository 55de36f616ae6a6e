"""What happens to logins, as events: each login has a name by which its events belong together, and opens nothing."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

import msgspec

from hoopx_broker.identity.identity import Identity
from hoopx_broker.storage import events
from hoopx_broker.storage.connection import Connection
from hoopx_broker.terms.audit import Event

# Where somebody was identified: a call of the API, the opening of a session, a native client by token or by pass, the
# broker's pages, or the sign-in of its own issuer.
How = Literal["api", "session", "native", "pass", "page", "sign-in"]

# A login is looked for from when it began, by the clock of its issuer.
CLOCKS_APART = 300.0


def accepted(identity: Identity, at: float, how: How, mark: str = "") -> Event:
    """`mark` tells apart what is one login, as passes are."""
    who, login = identity.who, identity.login
    return events.happened(
        at,
        "login.accepted",
        **events.by(who),
        how=how,
        kind=who.kind,
        issuer=login.issuer,
        subject=login.subject,
        client=identity.client,
        began=login.began_at,
        login=login_name(identity, mark),
    )


def login_name(identity: Identity, mark: str = "") -> str:
    """The same for all tokens of a login by which somebody acts as the same user."""
    who, login = identity.who, identity.login
    parts = (who.issuer, who.user, who.on_behalf_of, login.issuer, login.subject, login.sid or login.began_at, mark)
    return sha256(msgspec.json.encode(parts)).hexdigest()[:16]


def note_once(connection: Connection, event: Event, began_at: float) -> None:
    """Unless this login was noted before, at whichever broker. `began_at` is when it began."""
    found = connection.execute(
        "SELECT event FROM events WHERE type = 'login.accepted' AND \"user\" = ? AND at >= ?",
        (event.by, began_at - CLOCKS_APART),
    )
    for (text,) in found.fetchall():
        if msgspec.json.decode(text, type=Event).facts.get("login") == event.facts["login"]:
            return
    events.note(connection, event)
