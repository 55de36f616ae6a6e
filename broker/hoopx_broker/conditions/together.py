"""Conditions of several rules together: each rule must be content, so the stricter one of every two counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import reduce
from typing import TypeVar

from hoopx_broker.terms.approvals import Conditions, Window

Demand = TypeVar("Demand", str, tuple[str, ...], tuple[Window, ...])


def together(each: Iterable[Conditions]) -> Conditions:
    """What all of them demand; the order does not matter. No conditions at all where there are none.

    Where one of them lets nobody through at once, nobody goes, and there is nothing to review.
    """
    found = list(each)
    return reduce(_both, found, found[0]) if found else Conditions()


def strictest(asked: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Of several quorums of one group the largest: the same people's word counts for all."""
    people: dict[str, int] = {}
    for each in asked:
        for group, quorum in each.items():
            people[group] = max(quorum, people.get(group, 0))
    return dict(sorted(people.items()))


def may_break(conditions: Conditions, groups: Collection[str]) -> bool:
    """Does every rule let one of these groups go through at once?"""
    return _can_break(conditions) and all(not set(groups).isdisjoint(breakers) for breakers in conditions.breakers)


def _both(one: Conditions, other: Conditions) -> Conditions:
    breakable = _can_break(one) and _can_break(other)
    return Conditions(
        needs_reason=one.needs_reason or other.needs_reason,
        needs_ticket=one.needs_ticket or other.needs_ticket,
        tickets=_union(one.tickets, other.tickets),
        longest=min(one.longest or other.longest, other.longest or one.longest),
        ask_within=_union(one.ask_within, other.ask_within),
        answer_within=_union(one.answer_within, other.answer_within),
        breakers=_union(one.breakers, other.breakers) if breakable else (),
        reviewers=strictest([one.reviewers, other.reviewers]) if breakable else {},
        estimates=one.estimates or other.estimates,
    )


def _can_break(conditions: Conditions) -> bool:
    return bool(conditions.breakers) and all(conditions.breakers)


def _union(one: tuple[Demand, ...], other: tuple[Demand, ...]) -> tuple[Demand, ...]:
    return tuple(sorted(set(one) | set(other)))
