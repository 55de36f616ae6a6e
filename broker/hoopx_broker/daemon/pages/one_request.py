"""One request as a page: what, who and why before anything can be pressed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from markupsafe import Markup
from msgspec import Struct

from hoopx_broker.api.messages import Ballot, Past, RequestView, SessionView
from hoopx_broker.approvals.bounds import MAX_LINE
from hoopx_broker.daemon.pages import conditions
from hoopx_broker.daemon.pages.digest import digest_of
from hoopx_broker.daemon.pages.part import Part
from hoopx_broker.daemon.pages.trouble import sentence
from hoopx_broker.daemon.pages.words import ago, code, left, listed, moment, person, prose, several, span

_NOTHING = Markup()


class Reading(Struct, frozen=True):
    """What a reader is shown. `form` proves their forms, `comment` is what they wrote already.

    `wrong` says why what they sent was not taken.
    """

    view: RequestView
    part: Part
    past: Past | None
    now: float
    form: str
    comment: str = ""
    wrong: str = ""


def title_of(view: RequestView) -> str:
    return f"{_KINDS[view.kind][0].upper()}{_KINDS[view.kind][1:]} on {view.target}"


def body_of(reading: Reading) -> Markup:
    view = reading.view
    return Markup("\n").join(
        part
        for part in (
            _heading(view, reading.now),
            Markup('<p class="wrong" role="alert">{}</p>').format(sentence(reading.wrong))
            if reading.wrong
            else _NOTHING,
            _glass(view),
            _what(view),
            _who_and_why(view, reading.past),
            _votes(view),
            _past(reading.past, reading.now) if reading.past is not None else _NOTHING,
            _answer(reading),
            _take_back(reading),
            Markup('<p class="soft foot"><a href="/requests">All requests</a> · <code>{}</code></p>').format(view.id),
        )
        if part
    )


_KINDS = {"session": "a session", "statement": "a statement", "unmask": "raw values", "extension": "more time"}


def headline(view: RequestView) -> Markup:
    """What is asked, in one line."""
    target = Markup("<code>{}</code>").format(code(view.target))
    match view.kind:
        case "session":
            return Markup("A session on {} for {}").format(target, span(view.duration))
        case "unmask":
            return Markup("See {} raw on {} for {}").format(listed(view.classes), target, span(view.duration))
        case "extension":
            what = Markup("<code>{}</code>").format(code(view.session))
            return Markup("Session {} on {} for {} more").format(what, target, span(view.duration))
        case _:
            return Markup("A statement on {}").format(target)


def state_of(view: RequestView, now: float) -> Markup:
    """Where it stands, as a mark."""
    kind, words = _standing(view, now)
    return Markup('<span class="state {}">{}</span>').format(kind, words)


def _standing(view: RequestView, now: float) -> tuple[str, str]:
    still = left(view.expires_at - now)
    match view.review, view.state:
        case "open", _:
            return "open", "went through, review open"
        case ("accepted" | "objected") as said, _:
            return "over" if said == "accepted" else "denied", f"went through, {said}"
        case _, "waiting":
            return "open", f"waiting, {still} left"
        case _, "approved":
            return (
                "approved",
                f"approved, to be used within {still}" if view.kind != "unmask" else f"approved for {still}",
            )
        case _, "denied":
            return "denied", "denied"
        case _, state:
            return "over", state


def _heading(view: RequestView, now: float) -> Markup:
    return Markup("<p>{}</p><h1>{}</h1><p>asked by <b>{}</b>, {}</p>").format(
        state_of(view, now),
        headline(view),
        person(view.requester, view.on_behalf_of),
        ago(now - view.created_at),
    )


def _glass(view: RequestView) -> Markup:
    if not view.glass:
        return _NOTHING
    return Markup(
        '<p class="note">The glass was broken: it went through at once, before anybody had looked.'
        " It can be judged, not undone.</p>"
    )


# What.


def _what(view: RequestView) -> Markup:
    if view.kind != "statement":
        return _NOTHING
    exact = _box("Exactly this", view.statement)
    same = _box("As its grammar reads it", view.canonical) if _tells_more(view) else _NOTHING
    return Markup("<section><h2>What</h2>{}{}{}</section>").format(exact, same, _effects(view))


def _tells_more(view: RequestView) -> bool:
    return bool(view.canonical) and view.statement.strip().rstrip(";") != view.canonical.strip().rstrip(";")


def _box(label: str, text: str) -> Markup:
    """Long lines are wrapped: nothing is out of sight beside it. Its label says how much there is below."""
    size = f"{label}: {several(len(text.splitlines()), 'line')}, {several(len(text), 'character')}"
    return Markup(
        '<figure><figcaption>{}</figcaption><pre tabindex="0" role="region" aria-label="{}">'
        '<bdo dir="ltr">{}</bdo></pre></figure>'
    ).format(size, label, code(text))


def _effects(view: RequestView) -> Markup:
    effects = view.effects
    if effects is None:
        return _NOTHING
    rows = f"about {effects.rows:,.0f}" if effects.rows is not None else ""
    facts = [
        ("Does", listed(effects.actions)),
        ("Tables", listed(effects.tables)),
        ("Calls", listed(effects.functions)),
        ("Rows, as the database expects", rows),
        ("Rows", Markup("not known: {}").format(prose(effects.unknown)) if effects.unknown and not rows else ""),
    ]
    return _facts(facts)


# Who and why.


def _who_and_why(view: RequestView, past: Past | None) -> Markup:
    when = Markup("{}, until {}").format(moment(view.created_at), moment(view.expires_at))
    facts = [
        ("Reason", prose(view.reason) if view.reason else Markup('<span class="soft">none given</span>')),
        ("Ticket", prose(view.ticket) if view.ticket else ""),
        ("Asked by", code(view.requester)),
        ("On behalf of", code(view.on_behalf_of) if view.on_behalf_of else ""),
        (
            "Waiting" if view.state == "waiting" else "Asked",
            when if view.state == "waiting" else moment(view.created_at),
        ),
        ("Target", Markup("<code>{}</code>").format(code(view.target))),
        ("Session", Markup("<code>{}</code>").format(code(view.session)) if view.session else ""),
        *_ends(view, past),
        ("Rules", listed(view.rules)),
        ("They demand", Markup("<br>").join(conditions.said(view.conditions))),
    ]
    return Markup("<section><h2>Who and why</h2>{}</section>").format(_facts(facts))


def _ends(view: RequestView, past: Past | None) -> Iterator[tuple[str, Markup]]:
    """Of a session that is to go on: when it ends as it is, and when it would."""
    known = [each for each in past.sessions if each.id == view.session] if past is not None else []
    for session in known if view.kind == "extension" and view.state == "waiting" else []:
        yield "Ends", moment(session.expires_at)
        yield "Would end", moment(session.expires_at + view.duration)


def _facts(facts: Iterable[tuple[str, str]]) -> Markup:
    rows = [Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, value) for name, value in facts if value]
    return Markup("<dl>{}</dl>").format(Markup().join(rows)) if rows else _NOTHING


# Votes.


def _votes(view: RequestView) -> Markup:
    needed = Markup(" and ").join(
        Markup("{} of <code>{}</code>").format(several(people, "person", "people"), code(group))
        for group, people in sorted(view.approvers.items())
    )
    yes = sum(each.verdict == "approve" for each in view.ballots)
    so_far = f" {several(yes, 'person has', 'people have')} agreed so far." if view.state == "waiting" and yes else ""
    asked = Markup("<p>Decided by {}.{}</p>").format(needed, so_far) if needed and not view.glass else _NOTHING
    said = Markup().join(_ballot(each) for each in (*view.ballots, *view.reviews))
    list_ = Markup('<ul class="votes">{}</ul>').format(said) if said else _NOTHING
    nobody = (
        Markup('<p class="soft">Nobody has answered yet.</p>') if not said and view.state == "waiting" else _NOTHING
    )
    return Markup("<section><h2>Answers</h2>{}{}{}{}</section>").format(asked, _reviewers(view), list_, nobody)


def _reviewers(view: RequestView) -> Markup:
    if not view.review:
        return _NOTHING
    groups = listed(tuple(sorted(view.conditions.reviewers or view.approvers)))
    return Markup("<p>Reviewed by {}.</p>").format(groups)


_SAID = {"approve": "approved", "deny": "denied", "accept": "accepted", "object": "objected"}


def _ballot(ballot: Ballot) -> Markup:
    comment = Markup('<p class="said">{}</p>').format(prose(ballot.comment)) if ballot.comment else _NOTHING
    return Markup('<li class="{}"><b>{}</b> {} <span class="soft">{}</span>{}</li>').format(
        ballot.verdict,
        person(ballot.approver),
        _SAID.get(ballot.verdict, ballot.verdict),
        moment(ballot.at),
        comment,
    )


# What the requester did lately.


def _past(past: Past, now: float) -> Markup:
    requests = Markup().join(_past_request(each, now) for each in past.requests)
    sessions = Markup().join(_past_session(each, now) for each in past.sessions)
    counted = f"{several(len(past.requests), 'request')} and {several(len(past.sessions), 'session')}"
    if not requests and not sessions:
        return Markup('<p class="soft">Of its requester nothing else is known here.</p>')
    return Markup('<details><summary>Lately, by the same: {}</summary><ul class="past">{}{}</ul></details>').format(
        counted, requests, sessions
    )


def _past_request(view: RequestView, now: float) -> Markup:
    return Markup('<li>{} <a href="/requests/{}">{}</a> <span class="soft">{}</span></li>').format(
        state_of(view, now), view.id, headline(view), ago(now - view.created_at)
    )


def _past_session(view: SessionView, now: float) -> Markup:
    refused = f", {view.denied} refused" if view.denied else ""
    return Markup(
        '<li><span class="state over">{}</span> Session on <code>{}</code>, {}{} <span class="soft">{}</span></li>'
    ).format(view.state, code(view.target), several(view.statements, "statement"), refused, ago(now - view.opened_at))


# What can be done.


def _answer(reading: Reading) -> Markup:
    part, view = reading.part, reading.view
    if part.why_not:
        return Markup('<p class="note">{}</p>').format(sentence(part.why_not))
    match part.doing:
        case "answer":
            yes, no = ("approve", "Approve"), ("deny", "Deny")
        case "review":
            yes, no = ("accept", "Accept"), ("object", "Object")
        case "nothing":
            return _NOTHING
    agree = Markup('<button class="yes" name="answer" value="{}">{}</button>').format(*yes)
    refuse = Markup('<button class="no" name="answer" value="{}">{}</button>').format(*no)
    buttons = Markup('<div class="buttons">{}{}</div>').format("" if part.has_agreed else agree, refuse)
    agreed = Markup('<p class="soft">You have agreed. Until it is decided you can still say no.</p>')
    return Markup(
        '<form class="answer" method="post" action="/requests/{}">{}{}<label for="comment">Comment</label>'
        '<textarea id="comment" name="comment" rows="3" maxlength="{}">\n{}</textarea>{}</form>'
    ).format(view.id, _proofs(reading), agreed if part.has_agreed else "", MAX_LINE, reading.comment, buttons)


def _take_back(reading: Reading) -> Markup:
    if not reading.part.may_cancel:
        return _NOTHING
    return Markup(
        '<form method="post" action="/requests/{}">{}<button class="quiet" name="answer" value="cancel">Take it back'
        "</button></form>"
    ).format(reading.view.id, _proofs(reading))


def _proofs(reading: Reading) -> Markup:
    """That the form is of this visit, and for what was shown."""
    return Markup('<input type="hidden" name="form" value="{}"><input type="hidden" name="seen" value="{}">').format(
        reading.form, digest_of(reading.view)
    )
