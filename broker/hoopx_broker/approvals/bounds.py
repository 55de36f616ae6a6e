"""What a request may hold at most, and what nobody could ever answer."""

from __future__ import annotations

from collections.abc import Mapping

from hoopx_broker.approvals import refusals
from hoopx_broker.terms.errors import BadInput, Denied
from hoopx_broker.terms.rulings import Ask

MAX_SEATS = 50  # people whom one request may need; the search for who sits where is bounded by it
MAX_LINE = 2_000  # characters of a reason, ticket or comment: a paragraph or two
MAX_STATEMENT = 100_000  # characters that a person could possibly read before agreeing


def refuse_unanswerable(ruling: Ask) -> None:
    """A quorum of nobody is not reached at once: it is a fault in a rule, and denied."""
    _refuse_empty(ruling, ruling.approvers, "have the `@approvers` and `@quorum` of the rule corrected")
    if ruling.conditions.reviewers:
        _refuse_empty(ruling, ruling.conditions.reviewers, "have the `@review` of the rule corrected")


def _refuse_empty(ruling: Ask, asked: Mapping[str, int], remedy: str) -> None:
    seats = asked.values()
    if not seats or min(seats) < 1 or sum(seats) > MAX_SEATS:
        what = f"{refusals.rules_of(ruling.rules)} asks for {refusals.people_of(asked)}, which nobody can give"
        raise Denied(what, remedy)


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
