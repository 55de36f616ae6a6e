"""Which leases there are, and whose: what operators look through before they act."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field

from hoopx_broker.credentials import ledger
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.ids import LeaseId
from hoopx_broker.terms.leases import Lease, LeaseState
from hoopx_broker.terms.people import Owner
from hoopx_broker.terms.targets import Target, UpstreamTls

EVERY = 2**31 - 1

_COLUMNS = "id, holder, on_behalf_of, issuer, kind, labels, created_at, ended_at"
_FILTERS = {
    "lease": "id IN (SELECT value FROM json_each(:lease))",
    "target": "target = :target",
    "user": "(holder = :user OR on_behalf_of = :user)",
    "session": "session = :session",
    "state": "state = :state",
}


class Wanted(Struct, frozen=True):
    """Which leases are meant: all that fit everything said. A `user` has also those of agents on their behalf.

    Without `ended` only those that are not over, however many; with it, the newest `limit`.
    """

    leases: tuple[str, ...] = ()
    target: str = ""
    user: str = ""
    session: str = ""
    state: LeaseState | None = None
    ended: bool = False
    limit: int = EVERY


class Holding(Struct, frozen=True):
    """A lease, whose it is, and the labels that its target had when it was made. Times as in the lease."""

    lease: Lease
    owner: Owner
    issuer: str
    kind: str
    created_at: float
    ended_at: float = 0
    labels: dict[str, str] = field(default_factory=dict)

    def target_then(self) -> Target:
        """What policy is asked of where the target is no longer in the configuration: nobody could connect to it."""
        lease, tls = self.lease, UpstreamTls()
        return Target(lease.target, self.kind, "", 0, "", tls, lease.source, self.labels)  # type: ignore[arg-type]


class Holdings:
    """The leases of a state, the newest first."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, wanted: Wanted) -> tuple[Holding, ...]:
        return await self._store.run(lambda connection: _find(connection, wanted))


def _find(connection: Connection, wanted: Wanted) -> tuple[Holding, ...]:
    values: dict[str, Any] = {
        name: value for name in ("target", "user", "session", "state") if (value := getattr(wanted, name))
    }
    if wanted.leases:
        values["lease"] = msgspec.json.encode(wanted.leases).decode()
    where = [_FILTERS[name] for name in values]
    if not wanted.ended:
        where.append("state <> 'ended'")
    fits = " AND ".join(where or ["TRUE"])
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM leases WHERE {fits} ORDER BY created_at DESC, id LIMIT :limit",
        values | {"limit": wanted.limit},
    ).fetchall()
    leases = ledger.several(connection, [row[0] for row in rows])
    return tuple(_holding(leases, row) for row in rows)


def _holding(leases: dict[LeaseId, Lease], row: tuple[Any, ...]) -> Holding:
    lease_id, holder, on_behalf_of, issuer, kind, labels, created_at, ended_at = row
    then = msgspec.json.decode(labels, type=dict[str, str])
    return Holding(leases[lease_id], Owner(holder, on_behalf_of), issuer, kind, created_at, ended_at, then)
