"""Which rules of an issuer hold for a token: what it says of its job, and what follows from that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hoopx_broker.identity.jws import NotAccepted, shown
from hoopx_broker.identity.patterns import fits, is_plain
from hoopx_broker.identity.proposals import proposed, tells
from hoopx_broker.terms.settings import Rule, Wanted

# Rules that a refusal tells of in the log: enough to find the misspelt one.
MAX_TOLD = 5


def holding(rules: Iterable[Rule], claims: Mapping[str, Any]) -> list[Rule]:
    """All rules that hold. Raises `NotAccepted`, with what each rule missed, where none does."""
    proposal = proposed(claims)
    held, missed = [], []
    for number, rule in enumerate(rules, 1):
        lack = _lack(rule, claims, proposal)
        if lack is None:
            held.append(rule)
        else:
            missed.append(f"rule {number}: {lack}")
    if not held:
        raise NotAccepted("no rule of its issuer holds: " + "; ".join(missed[:MAX_TOLD]))
    return held


def never_holds(rule: Rule) -> str | None:
    """The condition (dotted) because of which a rule without `pull_requests` can hold for no token at all."""
    if rule.pull_requests:
        return None
    for name, wanted in rule.when.items():
        if isinstance(wanted, tuple) and all(_only_proposals(name, pattern) for pattern in wanted):
            return name
    return None


def _only_proposals(name: str, pattern: str) -> bool:
    """A pattern with a star is looked at as far as it is plain: that much every value has that fits it."""
    if is_plain(pattern):
        return tells(name, pattern)
    return tells(name, pattern.partition("*")[0] or "anything")


def _lack(rule: Rule, claims: Mapping[str, Any], proposal: str | None) -> str | None:
    """Why a rule does not hold, for the broker's log."""
    for name, claim, wanted in _conditions(rule.when, claims):
        if not any(fits(pattern, claim) for pattern in wanted):
            return f"`{name}` is missing" if claim is None else f"`{name}` is {shown(claim)}"
    if proposal is not None and not rule.pull_requests:
        return f"it is not for proposed changes, and {proposal}"
    return None


def _conditions(
    when: Mapping[str, Wanted], claims: Mapping[str, Any], way: str = ""
) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """Every condition: the way to its claim, the claim (None where there is none), and what it may be."""
    for name, wanted in when.items():
        claim = claims.get(name)
        if isinstance(wanted, tuple):
            yield f"{way}{name}", claim, wanted
        else:
            yield from _conditions(wanted, claim if isinstance(claim, dict) else {}, f"{way}{name} → ")
