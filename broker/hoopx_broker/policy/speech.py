"""What a rule speaks of, read off its parsed text: entities, attributes, actions, clocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Attributes that only columns have.
_OF_COLUMNS = frozenset({"class", "table"})
# A rule that has one of these in it tells columns apart; any other one is answered by asking of the table.
_COLUMN_TYPES = frozenset({"Column", "DataClass"})

CLOCK = "Clock"


def speaks_of_columns(policy: dict[str, Any]) -> bool:
    """Does the rule tell one column of a table from another?"""
    named = {kind for kind, _ in entities(policy)} | set(_types(policy))
    return not _COLUMN_TYPES.isdisjoint(named) or not _OF_COLUMNS.isdisjoint(attributes(policy.get("conditions")))


def speaks_of_any_column(policy: dict[str, Any]) -> bool:
    """May such a rule be about columns that are neither classified nor named in it? Its scope tells."""
    scope = policy["resource"]
    place = scope.get("in", scope)
    kinds = {kind for kind, _ in entities(place)}
    return speaks_of_columns(policy) and kinds != {"DataClass"} and not (scope["op"] == "==" and kinds == {"Column"})


def clocks(policy: dict[str, Any]) -> set[str]:
    """The zones whose clocks the rule reads."""
    return {name for kind, name in entities(policy) if kind == CLOCK}


def columns_named(policy: dict[str, Any]) -> set[str]:
    """The ids of the columns that the rule names outright."""
    return {name for kind, name in entities(policy) if kind == "Column"}


def actions(policy: dict[str, Any]) -> set[str] | None:
    """The actions of the rule's scope; None for all of them."""
    scope = policy["action"]
    if scope["op"] == "All":
        return None
    return {name for _, name in entities(scope)}


def entities(part: Any) -> Iterator[tuple[str, str]]:
    """Type and id of every entity that is named, in scopes and in conditions."""
    if isinstance(part, list):
        for item in part:
            yield from entities(item)
    elif isinstance(part, dict):
        if part.keys() == {"type", "id"} and isinstance(part["type"], str):
            yield part["type"], part["id"]
        for value in part.values():
            yield from entities(value)


def attributes(part: Any) -> set[str]:
    """Every attribute that an expression reads or asks for."""
    if isinstance(part, list):
        return {name for item in part for name in attributes(item)}
    if not isinstance(part, dict):
        return set()
    looked_at = (part.get("."), part.get("has"))
    own = {look["attr"] for look in looked_at if isinstance(look, dict) and "attr" in look}
    return own.union(*(attributes(value) for value in part.values()))


def texts(part: Any) -> set[str]:
    """Every text that an expression has literally."""
    if isinstance(part, list):
        return {text for item in part for text in texts(item)}
    if not isinstance(part, dict):
        return set()
    own = {part["Value"]} if isinstance(part.get("Value"), str) else set()
    return own.union(*(texts(value) for value in part.values()))


def _types(part: Any) -> Iterator[str]:
    """Every type that the rule asks for by `is`."""
    if isinstance(part, list):
        for item in part:
            yield from _types(item)
    elif isinstance(part, dict):
        if isinstance(part.get("entity_type"), str):
            yield part["entity_type"]
        for value in part.values():
            yield from _types(value)
