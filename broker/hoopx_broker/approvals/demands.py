"""What rules demand of a request beside people: a reason, a ticket, no more than so long, and hours that are open."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hoopx_broker.api.messages import RequestView
from hoopx_broker.approvals.matter import Matter, is_agent
from hoopx_broker.approvals.refusals import people_of, rules_of
from hoopx_broker.conditions.tickets import fits
from hoopx_broker.conditions.together import may_break
from hoopx_broker.conditions.windows import are_open, opens_at, zone_of
from hoopx_broker.conditions.written import length, windows
from hoopx_broker.terms.approvals import Conditions, Window
from hoopx_broker.terms.errors import BadInput, Denied
from hoopx_broker.terms.people import Principal, spoken
from hoopx_broker.terms.rulings import Ask

MAX_NAMED = 100  # a longer ticket is a pasted text, and repeating it helps nobody

Within = Sequence[Sequence[Window]]


def refuse_unmet(ruling: Ask, matter: Matter, reason: str, ticket: str, now: float) -> None:
    """Raises `BadInput` for what the requester can add, `Denied` for hours in which nobody may ask."""
    conditions, rules = ruling.conditions, rules_of(ruling.rules)
    if conditions.needs_reason:
        _refuse_without_reason(f"{rules} asks for a reason", reason)
    if conditions.needs_ticket and not ticket.strip():
        raise BadInput(f"{rules} asks for a ticket", f"give {_ticket_like(conditions)}")
    if ticket and not fits(conditions.tickets, ticket):
        named = f" `{ticket}`" if ticket.isprintable() and len(ticket) <= MAX_NAMED else ""
        raise BadInput(f"{rules} does not take the ticket{named}", f"give {_ticket_like(conditions)}")
    refuse_longer(ruling, matter)
    if not are_open(conditions.ask_within, now):
        raise Denied(f"{rules} lets nobody ask now: {_hours(conditions.ask_within)}", _next(conditions.ask_within, now))


def refuse_longer(ruling: Ask, matter: Matter) -> None:
    """Nothing is shortened by itself: people plan with what they asked for."""
    longest = ruling.conditions.longest
    if longest and matter.duration > longest:
        raise BadInput(
            f"{rules_of(ruling.rules)} takes at most {length(longest)}, and this asks for {length(matter.duration)}",
            f"ask with `--for {length(longest)}` or less",
        )


def refuse_closed(view: RequestView, now: float) -> None:
    """Outside the hours of the approvers nobody agrees; to refuse is possible at any time."""
    within = view.conditions.answer_within
    if not are_open(within, now):
        raise Denied(
            f"{rules_of(view.rules)} takes no agreement to request `{view.id}` now: {_hours(within)}",
            f"{_next(within, now)}; `hoopx deny {view.id}` refuses it at any time",
        )


def refuse_unbreakable(ruling: Ask, matter: Matter, who: Principal, reason: str) -> None:
    """Every rule that asks has to let one of the groups of this one, who says why.

    Of the conditions the length alone holds: hours and tickets are what an emergency has not got.
    """
    rules = rules_of(ruling.rules)
    if is_agent(who):
        raise Denied(
            f"`{spoken(who.user, who.on_behalf_of)}` is an agent, and no agent breaks the glass of {rules}",
            "a person does, with `--break-glass --reason …`",
        )
    if not may_break(ruling.conditions, who.groups):
        raise Denied(
            f"`{who.user}` may not break the glass of {rules}: {_breakers(ruling.conditions)}",
            f"ask {people_of(ruling.approvers)} instead, without `--break-glass`",
        )
    _refuse_without_reason("breaking the glass needs a reason", reason)
    refuse_longer(ruling, matter)


def _refuse_without_reason(what: str, reason: str) -> None:
    if not reason.strip():
        raise BadInput(what, 'say why, for example with `--reason "restore the orders of today"`')


def _ticket_like(conditions: Conditions) -> str:
    each = " and ".join(f"`{pattern}`" for pattern in conditions.tickets)
    return f"one that looks like {each} with `--ticket`" if each else "one, for example with `--ticket OPS-17`"


def _breakers(conditions: Conditions) -> str:
    each = [" or ".join(f"`{group}`" for group in groups) for groups in conditions.breakers]
    return f"that is for {' and '.join(each)}" if each and all(each) else "nobody may"


def _hours(within: Within) -> str:
    return "; and ".join(windows(each) for each in within)


def _next(within: Within, now: float) -> str:
    opens = opens_at(within, now)
    if opens is None:
        return "it does not open within two weeks: have the windows of the rule looked at"
    zone = next((found for each in within for window in each if (found := zone_of(window.zone)) is not None), UTC)
    return f"it opens {datetime.fromtimestamp(opens, zone).strftime('%a %Y-%m-%d %H:%M %Z')}"
