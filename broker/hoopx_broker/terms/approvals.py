"""What rules demand of a request beside who must agree, what an approver is shown, and what becomes of it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

RequestKind = Literal["session", "statement", "unmask", "extension"]
RequestState = Literal["waiting", "approved", "denied", "cancelled", "expired", "used"]
# Of what went through by breaking the glass: to be looked at by somebody, and what they said.
ReviewState = Literal["", "open", "accepted", "objected"]


class Window(Struct, frozen=True, order=True):
    """Hours of some days of the week, on the clocks of `zone` (IANA). `days` are ISO, 1 for Monday, of its beginnings.

    `begins` and `ends` are minutes after midnight; it is open from the one until before the other, over midnight
    where that comes first.
    """

    zone: str
    days: tuple[int, ...]
    begins: int
    ends: int


class Conditions(Struct, frozen=True, omit_defaults=True):
    """What the rules that ask for approval demand together: each of them by itself must be content.

    `tickets` are patterns (RE2), each of which must match the whole ticket. `longest` is in seconds, 0 for no limit.
    Of `ask_within` and `answer_within` each has the windows of one rule, any of which must be open.
    `breakers` are, for each rule, the groups that may go through at once and be reviewed by `reviewers` afterwards:
    nobody may where it is empty, or one of them is. `estimates`: approvers see how many rows the database expects.
    """

    needs_reason: bool = False
    needs_ticket: bool = False
    tickets: tuple[str, ...] = ()
    longest: int = 0
    ask_within: tuple[tuple[Window, ...], ...] = ()
    answer_within: tuple[tuple[Window, ...], ...] = ()
    breakers: tuple[tuple[str, ...], ...] = ()
    reviewers: dict[str, int] = field(default_factory=dict)
    estimates: bool = False


class Effects(Struct, frozen=True, omit_defaults=True):
    """What a statement would do, for those who decide. `tables` are written with what is done: `update shop.orders`.

    `rows` is how many the database expects, None where it was not asked or could not tell; then `unknown` says why.
    """

    actions: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    rows: float | None = None
    unknown: str = ""


class Happening(Struct, frozen=True, omit_defaults=True):
    """One thing that happened to a request, as the journal keeps it. `at` is in seconds since the Unix epoch.

    `event` is `asked`, `approve` or `deny` (a vote), `approved`, `denied`, `cancelled`, `expired`, `used`,
    `broken-glass`, `accept` or `object` (a word of a reviewer), `reviewed`. `by` did it, as people are named; empty for
    what time did. `state` is the request's afterwards. `details` is what else is evidence, and never a masked value.
    """

    request: str
    event: str
    at: float
    by: str = ""
    state: str = ""
    comment: str = ""
    details: dict[str, str] = field(default_factory=dict)
