"""Which profile of a target's credentials a session gets: the one that rules bind it to, or the target's own choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import TARGETS_OWN, Order

OBLIGATION = "profile"  # the annotation of a rule: @profile("read")


class HasReadOnly(Protocol):
    @property
    def read_only(self) -> bool: ...


P = TypeVar("P", bound=HasReadOnly)


def chosen(order: Order, profiles: Mapping[str, P], default: str | None) -> str | None:
    """The profile's name; None where the target has none. Raises `BackendFailed` rather than guess.

    Each rule that allowed the session would have done so alone. So where several name different profiles, the one
    that can do least is given: a read-only one before one that writes, then the first that is written. Where an agent
    or its human is bound by no rule, the target's own choice is one of them.
    """
    told = order.obligations.get(OBLIGATION, ())
    named = [name for name in told if name != TARGETS_OWN]
    place = f"the source `{order.target.source}` of target `{order.target.name}`"
    known = ", ".join(f"`{name}`" for name in profiles) or "none"
    for name in named:
        if name not in profiles:
            raise BackendFailed(
                f"{place} has no profile `{name}`, to which a rule binds this session; there are: {known}",
                "add it to `credentials.profiles`, or correct the rule's annotation @profile",
            )
    has_own = TARGETS_OWN in told or not named
    if profiles and default is None and has_own:
        raise BackendFailed(
            f"{place} does not know which profile to give: no rule binds this session to one; there are: {known}",
            "name one as `credentials.profile`, or annotate the rule that allows the session with @profile",
        )
    if not named:
        return default
    fitting = [*named, default] if has_own else named
    return min((name for name in profiles if name in fitting), key=lambda name: not profiles[name].read_only)


def check_default(profiles: Mapping[str, object], default: str | None) -> None:
    """Raises `ValueError` where the target's own choice is not among its profiles."""
    if default is not None and default not in profiles:
        known = ", ".join(f"`{name}`" for name in profiles) or "none"
        raise ValueError(f"`profile` must be one of `profiles` ({known})")
