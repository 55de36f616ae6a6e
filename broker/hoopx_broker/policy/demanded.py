"""Conditions of an approval as a case expects them, in the words of annotations."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from hoopx_broker.conditions.together import together
from hoopx_broker.policy.demands import Mistake, demanded_ticket, groups_of, seconds_of, windows_of
from hoopx_broker.terms.approvals import Conditions

# What one rule says, or each of several.
Texts = str | tuple[str, ...]


class Demanded(Struct, frozen=True, forbid_unknown_fields=True):
    """Each as the annotation of its name has it; where several rules demand it, a list.

    `review` has how many people of each group, as `approvers` does.
    """

    reason: Literal["required", ""] = ""
    ticket: Texts = ()
    max_duration: str = ""
    ask_window: Texts = ()
    answer_window: Texts = ()
    break_glass: Texts = ()
    review: dict[str, int] = field(default_factory=dict)
    estimate: Literal["rows", ""] = ""

    def conditions(self) -> Conditions:
        """Raises `ValueError` where no annotation could say this."""
        try:
            return together([self._together()])
        except Mistake as mistake:
            raise ValueError(mistake.told[1]) from None

    def _together(self) -> Conditions:
        tickets = [demanded_ticket(text) for text in _each(self.ticket)]
        return Conditions(
            needs_reason=bool(self.reason),
            needs_ticket=any(needed for needed, _ in tickets),
            tickets=tuple(pattern for _, patterns in tickets for pattern in patterns),
            longest=seconds_of("max_duration", self.max_duration) if self.max_duration else 0,
            ask_within=tuple(windows_of("ask_window", text) for text in _each(self.ask_window)),
            answer_within=tuple(windows_of("answer_window", text) for text in _each(self.answer_window)),
            breakers=tuple(groups_of("break_glass", text) for text in _each(self.break_glass)),
            reviewers=self.review,
            estimates=bool(self.estimate),
        )


def _each(said: Texts) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else said
