"""Count what people say: each person once, for one seat of one group, and never on what is theirs."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import structs

from hoopx_broker.api.messages import Ballot, RequestView
from hoopx_broker.approvals import ballots, demands, docket, quorum, refusals
from hoopx_broker.approvals.ballots import REVIEWS, VOTES, Cast
from hoopx_broker.approvals.docket import Filed
from hoopx_broker.approvals.matter import Verdict, Word, is_agent
from hoopx_broker.approvals.persons import names_of, person_of
from hoopx_broker.approvals.turn import Turn
from hoopx_broker.terms.errors import Denied
from hoopx_broker.terms.people import Principal

# How long an approval may lie unused: a session after the meeting, a statement while its client waits. One to unmask is
# never used: it holds from the moment on for as long as was asked.
USE_WITHIN: dict[str, float] = {"session": 3600.0, "statement": 900.0, "extension": 900.0}


def vote(turn: Turn, request: str, approver: Principal, verdict: Verdict, comment: str) -> RequestView:
    """The first `deny` decides; `approve` decides when every group's quorum is reached."""
    filed = turn.found(request)
    if filed.view.glass:
        _groups_of(turn, approver, filed, filed.reviewers)
        raise refusals.went_through(filed.view)
    groups = _groups_of(turn, approver, filed, filed.view.approvers)
    if filed.view.state != "waiting":
        raise turn.decided(filed)
    if verdict == "approve":
        demands.refuse_closed(filed.view, turn.now)
    said = _cast(turn, approver, groups, verdict, comment)
    people = _counted(turn, VOTES, filed, said, is_final=verdict == "deny")
    if people is None:
        return turn.shown(filed)  # said already; their first word stands
    if verdict == "deny":
        turn.decide(request, "denied", approver.user)
    elif quorum.is_reached(filed.view.approvers, people):
        docket.approve(turn.connection, request, turn.now + USE_WITHIN.get(filed.view.kind, filed.view.duration))
        turn.tell(request, "approved", approver.user)
    return turn.view(request)


def review(turn: Turn, request: str, reviewer: Principal, word: Word, comment: str) -> RequestView:
    """The first `object` closes it; `accept` when the quorum of the reviewers is reached."""
    filed = turn.found(request)
    if not filed.view.glass:
        raise refusals.not_to_review(filed.view)
    groups = _groups_of(turn, reviewer, filed, filed.reviewers)
    if filed.view.review != "open":
        raise refusals.not_to_review(filed.view)
    said = _cast(turn, reviewer, groups, word, comment)
    people = _counted(turn, REVIEWS, filed, said, is_final=word == "object")
    if people is None:
        return turn.shown(filed)
    if word == "object" or quorum.is_reached(filed.reviewers, people):
        outcome = "objected" if word == "object" else "accepted"
        docket.close_review(turn.connection, request, outcome)
        turn.tell(request, "reviewed", reviewer.user, details={"review": outcome})
    return turn.view(request)


def awaits(turn: Turn, filed: Filed, approver: Principal) -> bool:
    """Would a vote of this one count, as far as groups and persons go?"""
    before = ballots.of_request(turn.connection, VOTES, filed.view.id)
    has_voted = any(turn.persons.are_one(each.known_as, names_of(approver)) for each in before)
    return not has_voted and objection(turn, filed, approver) is None


def objection(turn: Turn, filed: Filed, who: Principal) -> Denied | None:
    """Why this one would not be heard on it; None where they would."""
    try:
        _groups_of(turn, who, filed, filed.reviewers if filed.view.glass else filed.view.approvers)
    except Denied as why:
        return why
    return None


def _groups_of(turn: Turn, who: Principal, filed: Filed, asked: Mapping[str, int]) -> tuple[str, ...]:
    """The asked groups that this one speaks for; raises `Denied` where there is none."""
    if turn.persons.are_one(names_of(who), filed.known_as):
        raise refusals.own_request(filed.view, asked)
    if is_agent(who):
        raise refusals.people_decide(filed.view, who, asked)
    groups = tuple(sorted(set(who.groups) & set(asked)))
    if not groups:
        raise refusals.not_one_of(filed.view, who, asked)
    return groups


def _cast(turn: Turn, who: Principal, groups: tuple[str, ...], verdict: str, comment: str) -> Cast:
    return Cast(person_of(who), names_of(who), groups, Ballot(who.user, verdict, comment, turn.now))


def _counted(turn: Turn, box: str, filed: Filed, said: Cast, *, is_final: bool) -> list[frozenset[str]] | None:
    """The groups of each person that has spoken by now; None where this one had, and says nothing final."""
    request, persons = filed.view.id, turn.persons
    before = ballots.of_request(turn.connection, box, request)
    own = [each for each in before if persons.are_one(each.known_as, said.known_as)]
    if own:
        if not is_final:
            return None
        said = structs.replace(said, person=own[0].person)
    ballots.cast(turn.connection, box, request, said)
    ballot, details = said.ballot, {"groups": " ".join(said.groups), "known_as": " ".join(sorted(said.known_as))}
    turn.tell(request, ballot.verdict, ballot.approver, ballot.comment, details)
    return persons.merged([(each.known_as, frozenset(each.groups)) for each in (*before, said)])
