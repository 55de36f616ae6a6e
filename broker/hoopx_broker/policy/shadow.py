"""What rules in shadow would have done: a word for the recording, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from hoopx_broker.policy.engine import Answer
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling


def effect(ruling: Ruling, would: Ruling, answers: Sequence[Answer]) -> str:
    """As ``deny by `x` ``, where enforcing the rules in shadow would turn `ruling` into `would`; else empty.

    A rule that could not be evaluated is told as ``error in `x` ``: enforced, it would have denied.
    """
    erred = sorted({name for answer in answers for name in answer.shadow.erred})
    if erred:
        return f"error in {_named(erred)}"
    if type(would) is type(ruling) and not _asks_more(ruling, would):
        return ""
    fired = {name for answer in answers for name in answer.shadow.rules}
    match would:
        case Allow(rules):
            return f"allow by {_named(sorted(fired & set(rules)))}"
        case Deny(rule=rule):
            return f"deny by {_named([rule])}"
        case Ask(rules=rules):
            return f"ask by {_named(sorted(fired & set(rules)) or rules)}"
        case _:
            assert_never(would)


def _asks_more(ruling: Ruling, would: Ruling) -> bool:
    if not isinstance(ruling, Ask) or not isinstance(would, Ask):
        return False
    return (ruling.approvers, ruling.conditions) != (would.approvers, would.conditions)


def _named(rules: Iterable[str]) -> str:
    return ", ".join(f"`{rule}`" for rule in rules)
