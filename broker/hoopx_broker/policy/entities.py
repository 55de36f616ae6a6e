"""Who, what and where as Cedar entities: `Table::"prod-db/public.customers"` and what it is inside of."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from hoopx_broker.policy.lookup import DEFAULT_SCHEMA
from hoopx_broker.terms.facts import FunctionName, Volatility
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.targets import ColumnName, Target

# The one entity that holds the parameters of a prepared statement.
PARAMETERS = {"type": "Parameters", "id": "bound"}
_LEAST_HARMLESS: tuple[Volatility, ...] = ("volatile", "unknown", "stable", "immutable")


class Resource(Struct, frozen=True):
    """What a question is about: its Cedar type and id, and what people call it."""

    type: str
    id: str
    label: str


def target_of(target: Target) -> Resource:
    return Resource("Target", target.name, target.name)


def database_of(target: Target) -> Resource:
    return Resource("Database", f"{target.name}/{target.database}", f"database {target.database}")


def table_of(target: Target, schema: str | None, name: str) -> Resource:
    return _inside("Table", target, schema or DEFAULT_SCHEMA, name)


def function_of(target: Target, schema: str | None, name: str) -> Resource:
    return _inside("Function", target, schema or DEFAULT_SCHEMA, name)


def column_of(target: Target, column: ColumnName) -> Resource:
    return _inside("Column", target, column.schema, column.table, column.column)


def class_of(data_class: str) -> Resource:
    return Resource("DataClass", data_class, data_class)


def person_of(user: str) -> Resource:
    return Resource("Person", user, user)


def person(user: str) -> dict[str, Any]:
    """Somebody whom an action is about. Only the name is known: they need not be here."""
    return _entity("Person", user, {"name": user}, [])


LOG = Resource("Log", "audit", "log")


def log() -> dict[str, Any]:
    """What happened at this broker, as one thing: whoever may look at it may look at all of it."""
    return _entity(LOG.type, LOG.id, {}, [])


def _inside(kind: str, target: Target, *names: str) -> Resource:
    dotted = ".".join(_part(name) for name in names)
    return Resource(kind, f"{target.name}/{dotted}", dotted)


def _part(name: str) -> str:
    """A name that could be mistaken for several is quoted, so that no two things share an id."""
    return '"' + name.replace('"', '""') + '"' if any(mark in name for mark in './"') else name


def _read_part(text: str) -> str:
    """The name that `_part` wrote."""
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def ground(who: Principal, target: Target) -> str:
    """Entities that every question of `who` about `target` needs, as Cedar's JSON."""
    return json.dumps([user_of(who), _target(target), _database(target)])


def named(
    target: Target, tables: set[tuple[str | None, str]], functions: Iterable[FunctionName], columns: set[ColumnName]
) -> list[dict[str, Any]]:
    """Tables, functions and columns, with the schemas and tables that they are in."""
    tables = tables | {(column.schema, column.table) for column in columns}
    found: dict[str, dict[str, Any]] = {}
    for schema, name in tables:
        _add(found, target, "Table", schema, name, {})
    for (schema, name), volatility in _volatilities(functions).items():
        _add(found, target, "Function", schema, name, {"volatility": volatility})
    return [*found.values(), *(_column(target, column, target.classify.get(column, "")) for column in columns)]


def classes(target: Target, names: Iterable[str]) -> list[dict[str, Any]]:
    """Classes of data as far as they are at this target, so that rules on targets and labels reach them too."""
    return [_entity("DataClass", name, {}, [("Target", target.name)]) for name in sorted(set(names))]


def _add(
    found: dict[str, dict[str, Any]], target: Target, kind: str, given: str | None, name: str, more: dict[str, str]
) -> None:
    schema = given or DEFAULT_SCHEMA
    parent = _schema(target, schema)
    found[str(parent["uid"])] = parent
    resource = _inside(kind, target, schema, name)
    attributes = {"name": name, "schema": schema, "target": target.name, **more}
    found[f"{kind} {resource.id}"] = _entity(kind, resource.id, attributes, [("Schema", parent["uid"]["id"])])


def _volatilities(functions: Iterable[FunctionName]) -> dict[tuple[str, str], Volatility]:
    """Of several functions of one name the least harmless counts."""
    found: dict[tuple[str, str], Volatility] = {}
    for function in functions:
        key = (function.schema or DEFAULT_SCHEMA, function.name)
        found[key] = min(function.volatility, found.get(key, function.volatility), key=_LEAST_HARMLESS.index)
    return found


def columns_of(target: Target, schema: str, table: str, named_ids: Iterable[str]) -> list[str]:
    """The columns of a table that are known without a catalog: classified, or named by an id."""
    classified = [column.column for column in target.classify if (column.schema, column.table) == (schema, table)]
    prefix = f"{table_of(target, schema, table).id}."
    return classified + [_read_part(id_.removeprefix(prefix)) for id_ in named_ids if id_.startswith(prefix)]


def bound(values: tuple[str | None, ...], pending: bool) -> dict[str, Any]:
    """The parameters of a prepared statement; NULL has no tag."""
    tags = {str(number): value for number, value in enumerate(values, 1) if value is not None}
    return {"uid": PARAMETERS, "attrs": {"count": len(values), "pending": pending}, "parents": [], "tags": tags}


def _column(target: Target, column: ColumnName, kind: str) -> dict[str, Any]:
    attributes = {
        "name": column.column,
        "table": column.table,
        "schema": column.schema,
        "target": target.name,
        "class": kind,
    }
    parents = [("Table", table_of(target, column.schema, column.table).id)]
    if kind:
        parents.append(("DataClass", kind))
    return _entity("Column", column_of(target, column).id, attributes, parents)


def _schema(target: Target, name: str) -> dict[str, Any]:
    resource = _inside("Schema", target, name)
    parents = [("Database", database_of(target).id)]
    return _entity("Schema", resource.id, {"name": name, "target": target.name}, parents)


def _database(target: Target) -> dict[str, Any]:
    attributes = {"name": target.database, "target": target.name}
    return _entity("Database", database_of(target).id, attributes, [("Target", target.name)])


def _target(target: Target) -> dict[str, Any]:
    inside = [("Environment", target.labels["env"])] if "env" in target.labels else []
    inside += [("Label", f"{name}={value}") for name, value in target.labels.items()]
    entity = _entity("Target", target.name, {"name": target.name, "kind": target.kind}, inside)
    return {**entity, "tags": target.labels}


def user_of(who: Principal) -> dict[str, Any]:
    """Who asks."""
    attributes = {"name": who.user, "kind": who.kind, "issuer": who.issuer}
    if who.on_behalf_of is not None:
        attributes["on_behalf_of"] = who.on_behalf_of
    return _entity("User", who.user, attributes, [("Group", group) for group in who.groups])


def _entity(kind: str, name: str, attributes: dict[str, str], parents: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "uid": {"type": kind, "id": name},
        "attrs": attributes,
        "parents": [{"type": parent, "id": parent_name} for parent, parent_name in parents],
    }
