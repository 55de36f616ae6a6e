"""What happens to leases, as events: by whom, for which login; never a password or a key."""

from __future__ import annotations

from hoopx_broker.storage import events
from hoopx_broker.storage.connection import Connection
from hoopx_broker.terms.leases import Lease

MAX_WHY = 2_000  # characters of what a source says; the row of the lease has all of it


def issued(connection: Connection, lease: Lease, now: float) -> None:
    _note(
        connection,
        lease,
        now,
        "lease.issued",
        by_holder=True,
        source=lease.source,
        login=lease.user,
        until=lease.expires_at,
    )


def renewed(connection: Connection, lease: Lease, now: float) -> None:
    _note(connection, lease, now, "lease.renewed", by_holder=True, login=lease.user, until=lease.expires_at)


def queued(connection: Connection, lease: Lease, now: float) -> None:
    """The first attempt to revoke it failed. It is tried again until it is revoked."""
    _note(
        connection,
        lease,
        now,
        "lease.queued",
        by_holder=False,
        login=lease.user,
        why=(lease.last_error or "")[:MAX_WHY],
    )


def fades(connection: Connection, lease: Lease, now: float) -> None:
    """Its source cannot call it back: it is over when it ends by itself."""
    _note(connection, lease, now, "lease.fades", by_holder=False, login=lease.user, until=lease.fades_at or 0.0)


def revoked(connection: Connection, lease: Lease, now: float) -> None:
    """Its source confirmed that it is gone, or it has ended by itself (`faded`)."""
    faded = lease.fades_at is not None
    _note(
        connection, lease, now, "lease.revoked", by_holder=False, login=lease.user, attempts=lease.attempts, faded=faded
    )


def _note(
    connection: Connection, lease: Lease, now: float, type_: str, *, by_holder: bool, **facts: str | int | float | bool
) -> None:
    """What the broker does by itself is by nobody; whose lease it is stands in the facts all the same."""
    asked = "SELECT holder, on_behalf_of FROM leases WHERE id = ?"
    holder, on_behalf_of = connection.execute(asked, (lease.id,)).fetchone() or ("", None)
    who = {"by": holder or "", "on_behalf_of": on_behalf_of or ""} if by_holder else {"holder": holder or ""}
    about = {"target": lease.target, "session": lease.session, "lease": lease.id}
    events.note(connection, events.happened(now, type_, **about, **who, **facts))
