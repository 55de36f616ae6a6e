"""Write down what happened, in the transaction in which it happened: it becomes a leaf of the log soon after."""

from __future__ import annotations

from typing import Any

import msgspec

from hoopx_broker.storage.connection import Connection
from hoopx_broker.terms.audit import Event
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.terms.ids import new_event_id
from hoopx_broker.terms.people import Principal

NOTED = "events.noted"  # told when there are events that are no leaves yet

# An entry of a C2SP log is at most 65535 bytes long.
MAX_LEAF = 65_535


class EventTooLarge(HoopxError):
    """More than a leaf of the log can hold."""


def happened(at: float, type_: str, **known: Any) -> Event:
    """An event with an id of its own. `known` are fields of `Event`; every other name becomes one of its facts.

    What is empty is left out; what is false, or zero, is not.
    """
    fields = {name: value for name, value in known.items() if name in Event.__struct_fields__}
    facts = {name: value for name, value in known.items() if name not in fields and value not in ("", ())}
    return Event(id=new_event_id(), at=at, type=type_, facts=facts, **fields)


def by(who: Principal) -> dict[str, str]:
    """Who did it, as fields of an event."""
    return {"by": who.user, "on_behalf_of": who.on_behalf_of or ""}


def note(connection: Connection, event: Event) -> None:
    """Committed with the rest of the transaction, or not at all. Raises `EventTooLarge`."""
    leaf = msgspec.json.encode(event, order="sorted")
    if len(leaf) > MAX_LEAF:
        raise EventTooLarge(f"the event `{event.type}` has {len(leaf)} bytes; a leaf of the log holds {MAX_LEAF}")
    connection.execute(
        'INSERT INTO events (id, at, type, "user", on_behalf_of, target, session, request, lease, event)'
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event.id,
            event.at,
            event.type,
            event.by,
            event.on_behalf_of,
            event.target,
            event.session,
            event.request,
            event.lease,
            leaf.decode(),
        ),
    )
    connection.tell(NOTED)


def is_noted(connection: Connection, type_: str, session: str) -> bool:
    """Has this happened to this session?"""
    asked = "SELECT 1 FROM events WHERE session = ? AND session <> '' AND type = ?"
    return connection.execute(asked, (session, type_)).fetchone() is not None
