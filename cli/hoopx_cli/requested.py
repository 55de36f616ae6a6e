"""A request as whoever decides on it has to see it: what would be done, to the letter, by whom, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hoopx_broker.api.messages import Ballot, Past, RequestView, SessionView
from hoopx_broker.api.visible import suspects, visible, visible_prose
from hoopx_broker.conditions.written import lines as conditions_of
from hoopx_broker.terms.approvals import Effects
from hoopx_broker.terms.people import spoken as named
from hoopx_cli.durations import spoken
from hoopx_cli.output import moment
from hoopx_cli.targets import people

Facts = list[tuple[str, str]]

MAX_TOLD = 5  # of what somebody did lately, and of characters that are warned of one by one


def asked_for(request: RequestView) -> str:
    """`a session on prod-db`, as one line for lists."""
    match request.kind:
        case "unmask":
            what = f"{', '.join(request.classes)} raw on {request.target}"
        case "extension":
            what = f"{spoken(request.duration)} more on {request.target}"
        case kind:
            what = f"a {kind} on {request.target}"
    return f"{what}, at once" if request.glass else what


def requester_of(request: RequestView) -> str:
    return named(request.requester, request.on_behalf_of)


def gist(request: RequestView) -> str:
    """What stands behind it in one line: the statement where there is one, else the reason."""
    return " ".join(visible(request.statement if request.kind == "statement" else request.reason).split())


def essence(request: RequestView) -> Facts:
    """What nobody may decide on without having seen it."""
    return _told(
        ("request", request.id),
        ("asks for", asked_for(request)),
        ("for", spoken(request.duration) if request.duration else ""),
        ("requester", visible(requester_of(request))),
        ("reason", visible_prose(request.reason)),
        ("ticket", visible(request.ticket)),
        ("session", request.session),
        ("statement", visible(request.statement)),
        ("beware", "\n".join(_warnings(request.statement))),
        ("does", "\n".join(_effects(request.effects))),
        ("rows", _rows(request.effects)),
    )


def circumstances(request: RequestView) -> Facts:
    """Who has to agree, who has, until when, and what rules demand."""
    return _told(
        ("reads as", visible(request.canonical) if request.canonical not in ("", request.statement) else ""),
        ("state", _state(request)),
        ("rules", ", ".join(request.rules)),
        ("conditions", "\n".join(conditions_of(request.conditions))),
        ("approvers", people(request.approvers)),
        ("missing", missing(request)),
        ("votes", "\n".join(map(_vote, request.ballots))),
        ("reviewers", people(request.conditions.reviewers or request.approvers) if request.glass else ""),
        ("reviews", "\n".join(map(_vote, request.reviews))),
        ("asked", moment(request.created_at)),
        ("until", moment(request.expires_at)),
        ("policy", request.policy),
        ("page", request.link),
    )


def history(past: Past) -> Facts:
    """What the requester did lately."""
    asked = [f"{moment(one.created_at)} {one.state}: {asked_for(one)}" for one in past.requests[:MAX_TOLD]]
    had = [_session(one) for one in past.sessions[:MAX_TOLD]]
    return _told(("asked lately", "\n".join(asked)), ("sessions", "\n".join(had)))


def missing(request: RequestView) -> str:
    """How many people must still agree; somebody in two groups counts for one of them."""
    if request.state != "waiting":
        return ""
    seats = sum(request.approvers.values())
    agreed = sum(ballot.verdict == "approve" for ballot in request.ballots)
    more = max(seats - agreed, 1)
    least = "" if len(request.approvers) == 1 or not agreed else "at least "
    return f"{least}{more} of {seats} to agree" if seats > 1 else "1 person to agree"


def _told(*facts: tuple[str, str]) -> Facts:
    return [(name, value) for name, value in facts if value]


def _warnings(statement: str) -> Iterator[str]:
    found = suspects(statement)
    for each in found[:MAX_TOLD]:
        yield f"character {each.at + 1} is {each}"
    if len(found) > MAX_TOLD:
        yield f"and {len(found) - MAX_TOLD} more characters that are not what they look like"


def _effects(effects: Effects | None) -> Iterator[str]:
    """Tables are written with what is done to them; actions stand alone where there is no table."""
    if effects is None:
        return
    yield from map(visible, effects.tables)
    if not effects.tables:
        yield from effects.actions
    if effects.functions:
        yield f"calls {', '.join(map(visible, effects.functions))}"


def _rows(effects: Effects | None) -> str:
    if effects is None:
        return ""
    if effects.rows is None:
        return f"not known: {visible(effects.unknown)}" if effects.unknown else ""
    return f"about {effects.rows:,.0f}, as the database expects"


def _state(request: RequestView) -> str:
    """An open review is what is left to do."""
    if not request.glass:
        return request.state
    return f"{request.state}, went through at once by breaking the glass; review {request.review}"


def _vote(ballot: Ballot) -> str:
    return f"{moment(ballot.at)} {ballot.approver}: {ballot.verdict} {visible_prose(ballot.comment)}".rstrip()


def _session(session: SessionView) -> str:
    denied = f", {session.denied} denied" if session.denied else ""
    return f"{moment(session.opened_at)} {session.id} on {session.target}: {session.statements} statements{denied}"


def widest(facts: Iterable[tuple[str, str]]) -> int:
    return max((len(name) for name, _ in facts), default=0)


def everything(request: RequestView, past: Past | None) -> Sequence[tuple[str, str]]:
    """All there is to say, the most important first."""
    return [*essence(request), *circumstances(request), *(history(past) if past else [])]
