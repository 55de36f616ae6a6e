"""What must be true of a request after a race, told from its rows, its journal and what everybody was told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hoopx_broker.api.messages import Ballot, RequestView
from hoopx_broker.terms.approvals import Happening
from tests.laws.test_approvals_quorum import can_be_seated
from tests.races.arena import GROUPS, PERSON_OF
from tests.races.race import Race

ENDS = ("denied", "cancelled", "expired", "used")


def broken_laws(race: Race, end: RequestView, journal: Sequence[Happening]) -> list[str]:
    """In words; none where all is well. `end` is what became of it."""
    return [*_of_use(race, end), *_of_words(race, end), *_of_answers(race, end), *_of_journal(end, journal)]


def _of_use(race: Race, end: RequestView) -> Iterator[str]:
    if race.spent > 1:
        yield f"used {race.spent} times"
    if race.spent and end.state != "used":
        yield f"somebody went on, and it is {end.state}"
    if end.state == "used" and not race.spent and not race.unsure:
        yield "used, and nobody went on"
    if race.key and len(race.ids) != 1:
        yield f"one key, and the requests {sorted(race.ids)}"


def _of_words(race: Race, end: RequestView) -> Iterator[str]:
    agreed = [ballot for ballot in end.ballots if ballot.verdict == "approve"]
    holds = len(agreed) == len(end.ballots) and _is_reached(end.approvers, agreed)
    if end.state in ("approved", "used") and not end.glass and not holds:
        yield f"{end.state} by {end.ballots}"
    if end.state == "denied" and not [ballot for ballot in end.ballots if ballot.verdict == "deny"]:
        yield "denied by nobody"
    for ballots in (end.ballots, end.reviews):
        people = [PERSON_OF[ballot.approver] for ballot in ballots]
        if len(set(people)) != len(people):
            yield f"one person twice: {ballots}"
        if "Ann" in people:
            yield f"by the requester: {ballots}"
    yield from _of_review(race, end)


def _of_review(race: Race, end: RequestView) -> Iterator[str]:
    accepted = [ballot for ballot in end.reviews if ballot.verdict == "accept"]
    reached = _is_reached(race.ruling.conditions.reviewers, accepted)
    match end.review:
        case "":
            if end.glass or end.reviews:
                yield "not to be reviewed"
        case "open" if reached or len(accepted) != len(end.reviews):
            yield "still open"
        case "accepted" if not reached or len(accepted) != len(end.reviews):
            yield f"accepted by {accepted}"
        case "objected" if len(accepted) != len(end.reviews) - 1:
            yield f"objected by {end.reviews}"


def _of_answers(race: Race, end: RequestView) -> Iterator[str]:
    """Nobody was told of an end that it did not come to."""
    told = {view.state for view in race.shown if view.id == end.id}
    if strange := (told & set(ENDS)) - {end.state}:
        yield f"told {sorted(strange)}, and it is {end.state}"
    if "approved" in told and end.state == "denied":
        yield "told approved, and it is denied"


def _of_journal(end: RequestView, journal: Sequence[Happening]) -> Iterator[str]:
    events = [each.event for each in journal if each.request == end.id]
    begin, ends = events[:1], [event for event in events if event in ENDS]
    if begin != ["broken-glass" if end.glass else "asked"]:
        yield f"begins with {begin}"
    if ends != ([end.state] if end.state in ENDS and not (end.glass and end.state == "used") else []):
        yield f"ended {ends}, and is {end.state}"
    if journal and journal[-1].state != end.state:
        yield f"last told {journal[-1].state}, and is {end.state}"
    if events.count("approved") != ((end.state in ("approved", "used") and not end.glass) or "approved" in events):
        yield f"approved {events.count('approved')} times"
    after = events[events.index(ends[0]) + 1 :] if ends else []
    if set(after) - {"accept", "object", "reviewed"}:
        yield f"after its end {after}"
    if events.count("reviewed") != (end.review in ("accepted", "objected")):
        yield f"reviewed {events.count('reviewed')} times"


def _is_reached(needed: Mapping[str, int], agreed: Sequence[Ballot]) -> bool:
    """Each person for one seat, by the groups of the account that spoke."""
    return can_be_seated(needed, [frozenset(GROUPS[ballot.approver]) for ballot in agreed])
