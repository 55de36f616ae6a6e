"""Walk the tree of one statement, closed over the node types it knows: what it does not know is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hoopx_broker.policy.facts.findings import Findings
from hoopx_broker.policy.facts.guards import Refused
from hoopx_broker.policy.facts.nodes import LEAVES, PLAIN, UNWRAPPED, Node
from hoopx_broker.policy.facts.scopes import Scope
from hoopx_broker.terms.facts import TableAction


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a statement a node stands, which decides what it means there."""

    # Values of this node may flow into the answer.
    shown: bool = True
    # This node makes the columns of the answer itself, so the server names the origin of each.
    top: bool = True
    # Names that stand for a common table expression here, not for a table.
    ctes: frozenset[str] = frozenset()
    # What happens to a relation named here.
    use: TableAction = "read"
    # Aliases under FOR UPDATE or FOR SHARE here; empty means all, None that there is no such clause.
    locked: frozenset[str] | None = None
    # The rows that columns here may belong to; None where there are none, or where structure is meant, not values.
    scope: Scope | None = None

    def hidden(self) -> Place:
        return replace(self, shown=False, top=False, locked=None)

    def nested(self) -> Place:
        return replace(self, top=False) if self.top else self

    def using(self, action: TableAction) -> Place:
        return replace(self, use=action)

    def within(self, scope: Scope) -> Place:
        return replace(self, scope=scope)


Handler = Callable[["Walk", Node, Place], None]


class Walk:
    """One pass over one statement. `handlers` say what a node type means; types in `PLAIN` mean only their parts."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self.found = Findings()
        self._handlers = handlers

    def wrapped(self, node: Node, place: Place) -> None:
        """A node as the grammar wraps it: `{"ColumnRef": {…}}`. An empty object is an absent one."""
        for kind, body in node.items():
            self.visit(kind, body, place)

    def visit(self, kind: str, body: Node, place: Place) -> None:
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(self, body, place)
        elif kind in PLAIN:
            self.parts(kind, body, place)
        elif kind not in LEAVES:
            raise Refused(f"it holds a `{kind}`, which this reader does not know")

    def parts(self, kind: str, body: Node, place: Place, without: tuple[str, ...] = ()) -> None:
        """Every part of a node but those named in `without`, which the caller sees to."""
        for name, value in body.items():
            if name not in without:
                self.part(kind, name, value, place)

    def field(self, kind: str, body: Node, name: str, place: Place) -> None:
        """One part of a node, if it is there."""
        if name in body:
            self.part(kind, name, body[name], place)

    def part(self, kind: str, name: str, value: Any, place: Place) -> None:
        if isinstance(value, dict):
            self._object(kind, name, value, place)
        elif isinstance(value, list):
            for item in value:
                self.part(kind, name, item, place)

    def _object(self, kind: str, name: str, value: Node, place: Place) -> None:
        if len(value) == 1:
            (inner,) = value
            if inner[0].isupper():
                self.visit(inner, value[inner], place)
                return
        if not value:
            return
        plain_kind = UNWRAPPED.get(f"{kind}.{name}") or UNWRAPPED.get(name)
        if plain_kind is None:
            raise Refused(f"it holds a `{kind}.{name}`, which this reader does not know")
        self.visit(plain_kind, value, place)


def names(items: list[Node]) -> list[str]:
    """The texts of a list of `String` nodes, as in qualified names; other nodes (`A_Star`) are left out."""
    return [item["String"].get("sval", "") for item in items if "String" in item]


def qualified(items: list[Node]) -> tuple[str | None, str]:
    """Schema and name of a list of `String` nodes; a leading database name is dropped."""
    parts = names(items)
    if not parts:
        raise Refused("it names something by nothing")
    return (parts[-2] if len(parts) > 1 else None), parts[-1]


def text_of(option: Node) -> str:
    """The value of a `DefElem` that is a string; empty where it is none."""
    text: str = option.get("arg", {}).get("String", {}).get("sval", "")
    return text
