"""The rows of requests and their ballots. Each function is one step of a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from hoopx_broker.api.messages import Ballot, RequestView
from hoopx_broker.approvals.matter import deciding_groups
from hoopx_broker.storage.connection import Connection
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal

MAX_LIST = 1000  # more is nothing a person reads, and all of it is held in memory

_COLUMNS = (
    "id, state, kind, target, requester, reason, ticket, duration, rules, approvers,"
    " created_at, expires_at, statement, classes, policy, on_behalf_of"
)


class Filed(Struct, frozen=True):
    """A request as stored: what people see, and what its approval is bound to beside that."""

    view: RequestView
    policy: str

    @property
    def requester(self) -> Principal:
        """Enough of the requester to know them again."""
        return Principal(self.view.requester, "human", on_behalf_of=self.view.on_behalf_of)


class Cast(Struct, frozen=True):
    """A vote: the person behind it, and the asked groups that the approver is in."""

    person: str
    groups: tuple[str, ...]
    ballot: Ballot


def expire(connection: Connection, now: float) -> None:
    """What nobody decided, or nobody used, in time."""
    connection.execute(
        "UPDATE requests SET state = 'expired' WHERE state IN ('waiting', 'approved') AND expires_at <= ?", (now,)
    )


def file(connection: Connection, filed: Filed, likeness: str) -> None:
    view = filed.view
    connection.execute(
        f"INSERT INTO requests ({_COLUMNS}, likeness) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            view.id,
            view.state,
            view.kind,
            view.target,
            view.requester,
            view.reason,
            view.ticket,
            view.duration,
            msgspec.json.encode(view.rules).decode(),
            msgspec.json.encode(view.approvers).decode(),
            view.created_at,
            view.expires_at,
            view.statement,
            msgspec.json.encode(view.classes).decode(),
            filed.policy,
            view.on_behalf_of,
            likeness,
        ),
    )


def find(connection: Connection, request: RequestId) -> Filed | None:
    found = _select(connection, "id = :id", {"id": request})
    return found[0] if found else None


def find_alike(connection: Connection, likeness: str) -> Filed | None:
    found = _select(connection, "likeness = :likeness AND state IN ('waiting', 'approved')", {"likeness": likeness})
    return found[0] if found else None


def count_waiting(connection: Connection, requester: Principal) -> int:
    """Those of a human and of all agents that act for them count together."""
    query = "SELECT count(*) FROM requests WHERE state = 'waiting' AND coalesce(on_behalf_of, requester) = ?"
    count: int = connection.execute(query, (requester.on_behalf_of or requester.user,)).fetchone()[0]
    return count


def prolong(connection: Connection, request: str, expires_at: float) -> None:
    connection.execute(
        "UPDATE requests SET expires_at = :end WHERE id = :id AND state = 'waiting' AND expires_at < :end",
        {"id": request, "end": expires_at},
    )


def decide(connection: Connection, request: RequestId, state: str) -> None:
    """The schema itself refuses to lead a request out of an end."""
    connection.execute("UPDATE requests SET state = ? WHERE id = ?", (state, request))


def approve(connection: Connection, request: RequestId, use_until: float) -> None:
    connection.execute("UPDATE requests SET state = 'approved', expires_at = ? WHERE id = ?", (use_until, request))


def cast(connection: Connection, request: RequestId, vote: Cast) -> None:
    """One vote for each person: a later one takes the place of the earlier."""
    ballot = vote.ballot
    connection.execute(
        "INSERT INTO ballots (request, person, approver, verdict, comment, groups, at) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (request, person) DO UPDATE SET approver = excluded.approver, verdict = excluded.verdict,"
        " comment = excluded.comment, groups = excluded.groups, at = excluded.at",
        (
            request,
            vote.person,
            ballot.approver,
            ballot.verdict,
            ballot.comment,
            msgspec.json.encode(vote.groups).decode(),
            ballot.at,
        ),
    )


def votes(connection: Connection, request: str) -> tuple[Cast, ...]:
    """In the order in which they were cast."""
    query = "SELECT person, groups, approver, verdict, comment, at FROM ballots WHERE request = ? ORDER BY at, approver"
    return tuple(
        Cast(person, msgspec.json.decode(groups, type=tuple[str, ...]), Ballot(approver, verdict, comment, at))
        for person, groups, approver, verdict, comment, at in connection.execute(query, (request,))
    )


def approved(connection: Connection, kind: str) -> tuple[Filed, ...]:
    """Those of a kind whose time is not over, after `expire`."""
    return _select(connection, "state = 'approved' AND kind = :kind ORDER BY created_at, id", {"kind": kind})


def listed(
    connection: Connection,
    filters: dict[str, str | None],
    viewer: Principal | None,
    limit: int,
) -> tuple[Filed, ...]:
    """The newest first; with a viewer, only what that one may see."""
    conditions = [_is(column) for column in filters]
    values: dict[str, Any] = {**filters, "limit": max(0, min(limit, MAX_LIST))}
    if viewer is not None:
        conditions.append(_VISIBLE)
        values |= {
            "viewer": viewer.user,
            "viewer_for": viewer.on_behalf_of,
            "groups": msgspec.json.encode(deciding_groups(viewer)).decode(),
        }
    where = " AND ".join(conditions) or "TRUE"
    return _select(connection, f"{where} ORDER BY created_at DESC, id LIMIT :limit", values)


def _is(column: str, parameter: str = "") -> str:
    """Equal, or both NULL."""
    name = parameter or column
    return f"({column} = :{name} OR ({column} IS NULL AND :{name} IS NULL))"


# To who asked, to the human behind it, and to those who may decide.
_VISIBLE = (
    f"((requester = :viewer AND {_is('on_behalf_of', 'viewer_for')}) OR on_behalf_of = :viewer"
    " OR EXISTS (SELECT 1 FROM json_each(approvers) AS asked, json_each(:groups) AS mine WHERE asked.key = mine.value))"
)


def _select(connection: Connection, where: str, values: dict[str, Any]) -> tuple[Filed, ...]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM requests WHERE {where}", values).fetchall()
    return tuple(_filed(connection, row) for row in rows)


def _filed(connection: Connection, row: Sequence[Any]) -> Filed:
    *seen, rules, approvers, created_at, expires_at, statement, classes, policy, on_behalf_of = row
    request, state, kind, target, requester, reason, ticket, duration = seen
    view = RequestView(
        id=request,
        state=state,
        kind=kind,
        target=target,
        requester=requester,
        reason=reason,
        ticket=ticket,
        duration=duration,
        rules=msgspec.json.decode(rules, type=tuple[str, ...]),
        approvers=msgspec.json.decode(approvers, type=dict[str, int]),
        created_at=created_at,
        expires_at=expires_at,
        statement=statement,
        ballots=tuple(vote.ballot for vote in votes(connection, request)),
        classes=msgspec.json.decode(classes, type=tuple[str, ...]),
        on_behalf_of=on_behalf_of,
    )
    return Filed(view, policy)
