"""What policy says of an action.

`shadow` tells what rules in shadow would have made of it, as ``deny by `x` ``; empty where they change nothing.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from hoopx_broker.terms.approvals import Conditions
from hoopx_broker.terms.entries import Detail
from hoopx_broker.terms.facts import NOTHING, Fault, Touched
from hoopx_broker.terms.targets import ColumnName


class Allow(Struct, frozen=True, tag="allow"):
    """Permitted by `rules`; `masks` are the classified columns whose values stay hidden, with their class.

    `obligations` is what those rules bind the session's credential to, by the names of their annotations, and
    `record` how much of rows its recording keeps.
    """

    rules: tuple[str, ...] = ()
    masks: dict[ColumnName, str] = field(default_factory=dict)
    shadow: str = ""
    obligations: dict[str, tuple[str, ...]] = field(default_factory=dict)
    record: Detail = "full"


class Deny(Struct, frozen=True, tag="deny"):
    """Forbidden. `rule` is the deciding rule's id, or the stage that failed closed: parse, judge, mask, record.

    `fault` is what the server would have said, where that is why. `touched` is what was to be done, where it is known.
    `answer` is what became of asking people, where that is why.
    """

    reason: str
    rule: str
    hint: str = ""
    fault: Fault | None = None
    shadow: str = ""
    touched: Touched = NOTHING
    answer: Literal["", "refused", "pending"] = ""


class Ask(Struct, frozen=True, tag="ask"):
    """Forbidden until people agree: so many distinct people of each of `approvers`, for every rule named."""

    reason: str
    rules: tuple[str, ...]
    approvers: dict[str, int]
    shadow: str = ""
    conditions: Conditions = Conditions()


Ruling = Allow | Deny | Ask
