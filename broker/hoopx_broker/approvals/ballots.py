"""The rows of what people said: before it is done, their votes, and after broken glass, their reviews."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from hoopx_broker.api.messages import Ballot
from hoopx_broker.approvals.persons import Names, folded
from hoopx_broker.storage.connection import Connection

VOTES, REVIEWS = "ballots", "reviews"


class Cast(Struct, frozen=True):
    """What one person said: all that they are known by, and the asked groups that the account is in."""

    person: str
    known_as: Names
    groups: tuple[str, ...]
    ballot: Ballot


def cast(connection: Connection, box: str, request: str, said: Cast) -> None:
    """One for each person: a later one takes the place of the earlier."""
    ballot = said.ballot
    connection.execute(
        f"INSERT INTO {box} (request, person, known_as, approver, verdict, comment, groups, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (request, person) DO UPDATE SET known_as = excluded.known_as, approver = excluded.approver,"
        " verdict = excluded.verdict, comment = excluded.comment, groups = excluded.groups, at = excluded.at",
        (
            request,
            said.person,
            msgspec.json.encode(sorted(said.known_as)).decode(),
            ballot.approver,
            ballot.verdict,
            ballot.comment,
            msgspec.json.encode(said.groups).decode(),
            ballot.at,
        ),
    )


def of_request(connection: Connection, box: str, request: str) -> tuple[Cast, ...]:
    return of_requests(connection, box, [request]).get(request, ())


def of_requests(connection: Connection, box: str, requests: Sequence[str]) -> dict[str, tuple[Cast, ...]]:
    """By request, in the order in which they were cast; all by one query."""
    if not requests:
        return {}
    marks = ", ".join("?" * len(requests))
    query = (
        f"SELECT request, person, known_as, groups, approver, verdict, comment, at FROM {box}"
        f" WHERE request IN ({marks}) ORDER BY at, approver"
    )
    found: dict[str, tuple[Cast, ...]] = {}
    for request, person, known_as, groups, *ballot in connection.execute(query, tuple(requests)):
        names = frozenset(msgspec.json.decode(known_as, type=list[str])) | {person, folded(ballot[0])}
        said = Cast(person, names, msgspec.json.decode(groups, type=tuple[str, ...]), Ballot(*ballot))
        found[request] = (*found.get(request, ()), said)
    return found
