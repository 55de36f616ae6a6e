"""One row of the table of statements: what a kind is called, what it always needs, and how its parts are walked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hoopx_broker.policy.facts.nodes import Node
from hoopx_broker.policy.facts.walk import Handler, Place, Walk


def nothing_inside(walk: Walk, body: Node, place: Place) -> None:
    """For statements whose parts name no relation, column or function that a rule could ask about."""


@dataclass(frozen=True, slots=True)
class Statement:
    """`actions` are needed whatever the parts say; `inside` finds the rest."""

    kind: str | Callable[[Node], str]
    actions: tuple[str, ...] = ()
    inside: Handler = nothing_inside
    dangerous: tuple[str, ...] = ()

    def kind_of(self, body: Node) -> str:
        return self.kind if isinstance(self.kind, str) else self.kind(body)

    def handle(self, walk: Walk, body: Node, place: Place) -> None:
        walk.found.kinds.add(self.kind_of(body))
        walk.found.actions.update(self.actions)
        walk.found.dangerous.update(self.dangerous)
        self.inside(walk, body, place)
