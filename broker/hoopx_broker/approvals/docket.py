"""The rows of requests. Each function is one step of a transaction; SQL that SQLite and PostgreSQL read alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from hoopx_broker.api.messages import RequestView
from hoopx_broker.approvals import ballots
from hoopx_broker.approvals.matter import deciding_groups
from hoopx_broker.approvals.persons import Names, folded, names_of
from hoopx_broker.storage.connection import Connection
from hoopx_broker.terms.approvals import Conditions, Effects
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal

MAX_LIST = 1000  # more is nothing a person reads, and all of it is held in memory

_COLUMNS = (
    "id, state, kind, target, requester, on_behalf_of, known_as, reason, ticket, duration, session, statement,"
    " canonical, effects, classes, policy, rules, approvers, conditions, glass, review, created_at, expires_at"
)


class Filed(Struct, frozen=True):
    """A request as stored: what people see, and all that the persons behind the requester are known by."""

    view: RequestView
    known_as: Names

    @property
    def requester(self) -> Principal:
        """Enough of the requester to know them again."""
        return Principal(self.view.requester, "human", on_behalf_of=self.view.on_behalf_of)

    @property
    def reviewers(self) -> dict[str, int]:
        """How many of which groups look at it afterwards: where rules do not say, those that could have agreed."""
        return self.view.conditions.reviewers or self.view.approvers


def file(connection: Connection, filed: Filed, likeness: str) -> None:
    view = filed.view
    values = (
        view.id,
        view.state,
        view.kind,
        view.target,
        view.requester,
        view.on_behalf_of,
        _text(sorted(filed.known_as)),
        view.reason,
        view.ticket,
        view.duration,
        view.session,
        view.statement,
        view.canonical,
        None if view.effects is None else _text(view.effects),
        _text(view.classes),
        view.policy,
        _text(view.rules),
        _text(view.approvers),
        _text(view.conditions),
        int(view.glass),
        view.review,
        view.created_at,
        view.expires_at,
        likeness,
    )
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO requests ({_COLUMNS}, likeness) VALUES ({marks})", values)
    for group in sorted({*view.approvers, *(filed.reviewers if view.glass else ())}):
        connection.execute("INSERT INTO request_groups (name, request) VALUES (?, ?)", (group, view.id))


def find(connection: Connection, request: str, viewer: Principal | None = None) -> Filed | None:
    """None also where there is one that `viewer` may not see."""
    return _first(connection, "id = :id", {"id": request}, viewer)


def find_alike(connection: Connection, likeness: str) -> Filed | None:
    return _first(connection, "likeness = :likeness AND state IN ('waiting', 'approved')", {"likeness": likeness}, None)


def due(connection: Connection, now: float) -> tuple[str, ...]:
    """What nobody decided, or nobody used, in time."""
    query = "SELECT id FROM requests WHERE state IN ('waiting', 'approved') AND expires_at <= ? ORDER BY expires_at, id"
    return tuple(request for (request,) in connection.execute(query, (now,)))


def next_due(connection: Connection) -> float | None:
    """When the first of those that are alive will run out."""
    query = "SELECT min(expires_at) FROM requests WHERE state IN ('waiting', 'approved')"
    moment: float | None = connection.execute(query).fetchone()[0]
    return moment


def count_of(connection: Connection, requester: Principal, where: str) -> int:
    """Those of a human and of all agents that act for them count together."""
    query = f"SELECT count(*) FROM requests WHERE {where} AND coalesce(on_behalf_of, requester) = ?"
    count: int = connection.execute(query, (requester.on_behalf_of or requester.user,)).fetchone()[0]
    return count


def prolong(connection: Connection, request: str, until: float) -> None:
    """Never shortens it, and never an approval."""
    connection.execute(
        "UPDATE requests SET expires_at = ? WHERE id = ? AND state = 'waiting' AND expires_at < ?",
        (until, request, until),
    )


def decide(connection: Connection, request: str, state: str) -> None:
    """The schema itself refuses to lead a request out of an end."""
    connection.execute("UPDATE requests SET state = ? WHERE id = ?", (state, request))


def approve(connection: Connection, request: str, use_until: float) -> None:
    connection.execute("UPDATE requests SET state = 'approved', expires_at = ? WHERE id = ?", (use_until, request))


def close_review(connection: Connection, request: str, review: str) -> None:
    connection.execute("UPDATE requests SET review = ? WHERE id = ?", (review, request))


def approved(connection: Connection, kind: str) -> tuple[Filed, ...]:
    """Those of a kind whose time is not over, after what was due is expired."""
    return _select(connection, "state = 'approved' AND kind = :kind ORDER BY created_at, id", {"kind": kind})


def listed(
    connection: Connection, filters: Mapping[str, str], viewer: Principal | None, limit: int, but: str = ""
) -> tuple[Filed, ...]:
    """The newest first, all but one; with a viewer, only what that one may see."""
    conditions = [_FILTERS[name].format(f":{name}") for name in filters]
    # To the letter too, so that the indexes of the few that this holds for are used.
    conditions += [f"{name} = '{rare}'" for name, rare in _RARE if filters.get(name) == rare]
    values: dict[str, Any] = {**filters, "limit": max(0, min(limit, MAX_LIST)), "but": but}
    where, seen = _seen_by(viewer)
    query = " AND ".join([*conditions, "id <> :but", where]) + " ORDER BY created_at DESC, id LIMIT :limit"
    return _select(connection, query, values | seen)


# What lists are filtered by. `human` is who stands behind it: an agent's human, else the requester.
_FILTERS = {
    "state": "state = {}",
    "kind": "kind = {}",
    "target": "target = {}",
    "review": "review = {}",
    "requester": "requester = {}",
    "on_behalf_of": "coalesce(on_behalf_of, '') = {}",
    "human": "coalesce(on_behalf_of, requester) = {}",
}


_RARE = (("state", "waiting"), ("state", "approved"), ("review", "open"))


def _seen_by(viewer: Principal | None) -> tuple[str, dict[str, str]]:
    """Who may see a request: who asked, the human behind it, and who decides or reviews it. Nobody else says so."""
    if viewer is None:
        return "1 = 1", {}
    groups = {f"group_{at}": group for at, group in enumerate(deciding_groups(viewer))}
    ways = ["(requester = :viewer AND coalesce(on_behalf_of, '') = :viewer_for)"]
    if viewer.on_behalf_of is None:
        ways.append("on_behalf_of = :viewer")
    if groups:
        marks = ", ".join(f":{name}" for name in groups)
        ways.append(f"EXISTS (SELECT 1 FROM request_groups WHERE request = requests.id AND name IN ({marks}))")
    return f"({' OR '.join(ways)})", {"viewer": viewer.user, "viewer_for": viewer.on_behalf_of or "", **groups}


def _first(connection: Connection, where: str, values: Mapping[str, Any], viewer: Principal | None) -> Filed | None:
    may, seen = _seen_by(viewer)
    found = _select(connection, f"{where} AND {may}", {**values, **seen})
    return found[0] if found else None


def _select(connection: Connection, where: str, values: Mapping[str, Any]) -> tuple[Filed, ...]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM requests WHERE {where}", values).fetchall()
    ids = [row[0] for row in rows]
    votes = ballots.of_requests(connection, ballots.VOTES, ids)
    reviews = ballots.of_requests(connection, ballots.REVIEWS, [row[0] for row in rows if row[20]])
    return tuple(_filed(row, votes.get(row[0], ()), reviews.get(row[0], ())) for row in rows)


def _filed(row: Sequence[Any], votes: Sequence[ballots.Cast], reviews: Sequence[ballots.Cast]) -> Filed:
    request, state, kind, target, requester, on_behalf_of, known_as, reason, ticket, duration, session, *rest = row
    statement, canonical, effects, classes, policy, rules, approvers, conditions, glass, review, *times = rest
    view = RequestView(
        id=request,
        state=state,
        kind=kind,
        target=target,
        requester=requester,
        on_behalf_of=on_behalf_of,
        reason=reason,
        ticket=ticket,
        duration=duration,
        session=session,
        statement=statement,
        canonical=canonical,
        effects=None if effects is None else msgspec.json.decode(effects, type=Effects),
        classes=msgspec.json.decode(classes, type=tuple[str, ...]),
        policy=policy,
        rules=msgspec.json.decode(rules, type=tuple[str, ...]),
        approvers=msgspec.json.decode(approvers, type=dict[str, int]),
        conditions=msgspec.json.decode(conditions, type=Conditions),
        glass=bool(glass),
        review=review,
        created_at=times[0],
        expires_at=times[1],
        ballots=tuple(cast.ballot for cast in votes),
        reviews=tuple(cast.ballot for cast in reviews),
    )
    # What was filed before persons were known has only the names themselves.
    names = names_of(Principal(requester, "human", on_behalf_of=on_behalf_of))
    return Filed(view, names | {folded(name) for name in msgspec.json.decode(known_as, type=list[str])})


def requester_is(requester: Principal) -> dict[str, str]:
    """The filter for requests of exactly this one, for the same human."""
    return {"requester": requester.user, "on_behalf_of": requester.on_behalf_of or ""}


def ready(connection: Connection, requester: Principal, target: str) -> tuple[Filed, ...]:
    """Approvals of sessions that lie unused, the newest first."""
    filters = {"state": "approved", "kind": "session", "target": target, **requester_is(requester)}
    return listed(connection, filters, None, MAX_LIST)


def past(connection: Connection, filed: Filed, viewer: Principal, limit: int) -> tuple[Filed, ...]:
    """What the human behind a request, and whoever acts for them, asked before; only what `viewer` may see."""
    human = filed.view.on_behalf_of or filed.view.requester
    return listed(connection, {"human": human}, viewer, limit, but=filed.view.id)


def id_of(filed: Filed) -> RequestId:
    return RequestId(filed.view.id)


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
