"""The rows of leases: every step is written down before it is taken. Each function is one step of a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from hoopx_broker.credentials import lease_events
from hoopx_broker.storage.brokers import LEFT, check_here
from hoopx_broker.storage.connection import Connection
from hoopx_broker.terms.ids import LeaseId
from hoopx_broker.terms.leases import Issued, Lease, Order, name_of

_COLUMNS = 'id, session, target, source, "user", state, expires_at, handle, attempts, last_error, renewals, fades_at'
# What the index of those few is found by: SQLite does not see that it follows. Leases that are over stay for ever.
_UNENDED = "state <> 'ended'"


def add(connection: Connection, order: Order, now: float, doubtful_until: float, broker: str = "") -> None:
    """Pending, and in doubt until the issuer has answered: the source may make it and nobody hear of it.

    Raises `StateFailed` where others take this broker for gone.
    """
    check_here(connection, broker)
    what = (order.lease, order.session, order.target.name, order.target.source)
    connection.execute(
        "INSERT INTO leases (id, session, target, source, state, created_at, expires_at, doubtful_until, broker)"
        " VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?)",
        (*what, now, order.expires_at, doubtful_until, broker),
    )
    who, target = order.principal, order.target
    connection.execute(
        "UPDATE leases SET holder = ?, on_behalf_of = ?, issuer = ?, kind = ?, labels = ? WHERE id = ?",
        (who.user, who.on_behalf_of, who.issuer, target.kind, _written(target.labels), order.lease),
    )


def go_live(connection: Connection, lease_id: LeaseId, issued: Issued, now: float) -> Lease:
    """One that was called back meanwhile, by this broker or another, stays as it is, but for its handle."""
    connection.execute(
        'UPDATE leases SET "user" = :user, handle = :handle, expires_at = coalesce(:ends, expires_at),'
        " doubtful_until = CASE WHEN state = 'pending' THEN 0 ELSE doubtful_until END,"
        " state = CASE WHEN state = 'pending' THEN 'live' ELSE state END WHERE id = :id AND state <> 'ended'",
        {
            "user": name_of(issued.credential),
            "handle": _written(issued.handle),
            "ends": issued.expires_at,
            "id": lease_id,
        },
    )
    lease = _get(connection, lease_id)
    lease_events.issued(connection, lease, now)
    return lease


def pin(connection: Connection, lease_id: LeaseId, handle: dict[str, str]) -> None:
    """What the source is about to make can be found by this, whatever happens next."""
    connection.execute("UPDATE leases SET handle = ? WHERE id = ?", (_written(handle), lease_id))


def clear_doubt(connection: Connection, lease_id: LeaseId) -> None:
    """The issuer said itself that it failed, and by its promise undid what it had made."""
    connection.execute("UPDATE leases SET doubtful_until = 0 WHERE id = ?", (lease_id,))


def begin_renewal(connection: Connection, lease_id: LeaseId, doubtful_until: float) -> float | None:
    """In doubt until the source has answered. Gives for how long it was before; None for what is not live."""
    row = connection.execute(
        "SELECT doubtful_until FROM leases WHERE id = ? AND state = 'live'", (lease_id,)
    ).fetchone()
    if row is None:
        return None
    connection.execute(
        "UPDATE leases SET doubtful_until = :until WHERE id = :id AND doubtful_until < :until",
        {"until": doubtful_until, "id": lease_id},
    )
    return float(row[0])


def go_on(
    connection: Connection, lease_id: LeaseId, issued: Issued, expires_at: float, doubtful_until: float, now: float
) -> Lease:
    """Renewed: as it is known from now on, whatever became of it meanwhile."""
    connection.execute(
        'UPDATE leases SET "user" = :user, handle = :handle, expires_at = :ends, renewals = renewals + 1,'
        " doubtful_until = :doubt WHERE id = :id AND state <> 'ended'",
        {
            "user": name_of(issued.credential),
            "handle": _written(issued.handle),
            "ends": expires_at if issued.expires_at is None else issued.expires_at,
            "doubt": doubtful_until,
            "id": lease_id,
        },
    )
    lease = _get(connection, lease_id)
    lease_events.renewed(connection, lease, now)
    return lease


def stay(connection: Connection, lease_id: LeaseId, doubtful_until: float) -> None:
    """The source said itself that it did not renew: the lease is what it was."""
    connection.execute("UPDATE leases SET doubtful_until = ? WHERE id = ?", (doubtful_until, lease_id))


def begin_ending(connection: Connection, lease_id: LeaseId) -> Lease | None:
    """None for a lease that has ended, or that never came to be stored."""
    connection.execute("UPDATE leases SET state = 'ending' WHERE id = ? AND state <> 'ended'", (lease_id,))
    lease = find(connection, lease_id)
    return lease if lease is not None and lease.state == "ending" else None


def take_over(connection: Connection, broker: str = "") -> tuple[Lease, ...]:
    """What brokers left that are gone; it ends, and is looked after by `broker` from now on."""
    left = _select(connection, f"{_UNENDED} AND {LEFT} ORDER BY +created_at")  # not by the index of all
    connection.execute(f"UPDATE leases SET state = 'ending', broker = ? WHERE {_UNENDED} AND {LEFT}", (broker,))
    return tuple(replace(lease, state="ending") for lease in left)


def note_revoked(connection: Connection, lease_id: LeaseId, now: float) -> Lease:
    """Confirmed: ended. A lease in doubt stays `ending`, for its source may still make what was not there yet."""
    found = connection.execute(
        "UPDATE leases SET attempts = attempts + 1, last_error = NULL,"
        " state = CASE WHEN doubtful_until <= :now THEN 'ended' ELSE 'ending' END,"
        " ended_at = CASE WHEN doubtful_until <= :now THEN :now ELSE 0 END"
        " WHERE id = :id AND state = 'ending'",
        {"now": now, "id": lease_id},
    )
    lease = _get(connection, lease_id)
    if found.rowcount == 1 and lease.state == "ended":
        lease_events.revoked(connection, lease, now)
    return lease


def note_fading(connection: Connection, lease_id: LeaseId, ends_at: float, now: float) -> Lease:
    """The source cannot call it back: it is over when it ends by itself."""
    before = _get(connection, lease_id)
    connection.execute(
        "UPDATE leases SET attempts = attempts + 1, last_error = NULL, fades_at = ? WHERE id = ?", (ends_at, lease_id)
    )
    lease = _get(connection, lease_id)
    if before.fades_at is None:
        lease_events.fades(connection, lease, now)
    return lease


def count_troubled(connection: Connection) -> int:
    """How many should be over and are not, because something went wrong. Anybody may ask, so it must be cheap."""
    asked = f"SELECT count(*) FROM leases WHERE state = 'ending' AND {_UNENDED} AND last_error IS NOT NULL"
    return int(connection.execute(asked).fetchone()[0])


def note_trouble(connection: Connection, lease_id: LeaseId, trouble: str, now: float) -> Lease:
    connection.execute("UPDATE leases SET attempts = attempts + 1, last_error = ? WHERE id = ?", (trouble, lease_id))
    lease = _get(connection, lease_id)
    if lease.attempts == 1:
        lease_events.queued(connection, lease, now)
    return lease


def find(connection: Connection, lease_id: LeaseId) -> Lease | None:
    found = _select(connection, "id = :id", {"id": lease_id})
    return found[0] if found else None


def several(connection: Connection, lease_ids: Sequence[str]) -> dict[LeaseId, Lease]:
    """Those of these that there are."""
    known = msgspec.json.encode(lease_ids).decode()  # one value: SQLite bounds how many a statement may have
    found = _select(connection, "id IN (SELECT value FROM json_each(:ids))", {"ids": known})
    return {lease.id: lease for lease in found}


def _get(connection: Connection, lease_id: LeaseId) -> Lease:
    lease = find(connection, lease_id)
    if lease is None:
        raise LookupError(f"the row of lease {lease_id} is gone")
    return lease


def _written(handle: dict[str, str]) -> str:
    return msgspec.json.encode(handle).decode()


def _select(connection: Connection, where: str, values: dict[str, Any] | None = None) -> tuple[Lease, ...]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM leases WHERE {where}", values or {})
    return tuple(_lease(row) for row in rows)


def _lease(row: tuple[Any, ...]) -> Lease:
    lease_id, session, target, source, user, state, expires_at, handle, attempts, last_error, renewals, fades_at = row
    return Lease(
        id=lease_id,
        session=session,
        target=target,
        source=source,
        user=user,
        state=state,
        expires_at=expires_at,
        handle=msgspec.json.decode(handle, type=dict[str, str]),
        attempts=attempts,
        last_error=last_error,
        renewals=renewals,
        fades_at=fades_at,
    )
