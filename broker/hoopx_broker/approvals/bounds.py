"""What a request may hold at most, and what nobody could ever answer."""

from __future__ import annotations

from hoopx_broker.approvals import refusals
from hoopx_broker.approvals.matter import is_human
from hoopx_broker.terms.errors import BadInput, Denied
from hoopx_broker.terms.people import Principal, spoken
from hoopx_broker.terms.rulings import Ask

MAX_SEATS = 50  # people whom one request may need; the search for who sits where is bounded by it
MAX_LINE = 2_000  # characters of a reason, ticket or comment: a paragraph or two
MAX_STATEMENT = 100_000  # characters that a person could possibly read before agreeing


def refuse_unanswerable(ruling: Ask) -> None:
    """A quorum of nobody is not reached at once: it is a fault in a rule, and denied."""
    seats = ruling.approvers.values()
    if not seats or min(seats) < 1 or sum(seats) > MAX_SEATS:
        rules = ", ".join(f"`{rule}`" for rule in ruling.rules)
        raise Denied(
            f"rule {rules} asks for {refusals.people_of(ruling.approvers)}, which nobody can give",
            "have the `@approvers` and `@quorum` of the rule corrected",
        )


def refuse_unreadable(**texts: tuple[str, int]) -> None:
    """Each text with its limit, by its name in the error."""
    for name, (text, limit) in texts.items():
        if len(text) > limit:
            raise BadInput(f"the {name} has {len(text)} characters, {limit} are the limit", f"shorten the {name}")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BadInput(f"the {name} is no valid text", f"write the {name} in UTF-8") from error
        if "\0" in text:  # no PostgreSQL keeps one, and nobody sees it
            raise BadInput(f"the {name} holds a NUL", f"take the character U+0000 out of the {name}")


def refuse_unbreakable(ruling: Ask, who: Principal, reason: str) -> None:
    """Every rule that asks has to let one of the groups of this human, who says why."""
    if not is_human(who):
        raise Denied(
            f"`{spoken(who.user, who.on_behalf_of)}` is no person, and only people break the glass",
            "a person does, with `--break-glass --reason …`",
        )
    letting = ruling.conditions.breakers
    if not letting or not all(set(groups) & set(who.groups) for groups in letting):
        rules = ", ".join(f"`{rule}`" for rule in ruling.rules)
        named = " and one of ".join(", ".join(f"`{group}`" for group in groups) or "nobody" for groups in letting)
        raise Denied(
            f"`{who.user}` may not break the glass of rule {rules}",
            f"that is for one of {named or 'nobody'}; ask {refusals.people_of(ruling.approvers)} instead",
        )
    if not reason.strip():
        raise BadInput("breaking the glass needs a reason", 'say why with `--reason "restore the orders of today"`')
