"""Who, what and where as Cedar entities: `Table::"prod-db/public.customers"` and what it is inside of."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.targets import ColumnName, Target

# A name without a schema that nobody resolved is taken to be here.
DEFAULT_SCHEMA = "public"


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


def _inside(kind: str, target: Target, *names: str) -> Resource:
    dotted = ".".join(_part(name) for name in names)
    return Resource(kind, f"{target.name}/{dotted}", dotted)


def _part(name: str) -> str:
    """A name that could be mistaken for several is quoted, so that no two things share an id."""
    return '"' + name.replace('"', '""') + '"' if any(mark in name for mark in './"') else name


def ground(who: Principal, target: Target) -> str:
    """Entities that every question of `who` about `target` needs, as Cedar's JSON."""
    return json.dumps([_user(who), _target(target), _database(target)])


def schema_and(target: Target, resources: set[tuple[str, str | None, str]]) -> list[dict[str, Any]]:
    """Tables and functions as (type, schema, name), with the schemas they are in."""
    found: dict[str, dict[str, Any]] = {}
    for kind, given, name in sorted(resources, key=lambda item: (item[0], item[1] or "", item[2])):
        schema = given or DEFAULT_SCHEMA
        parent = _schema(target, schema)
        found[str(parent["uid"])] = parent
        resource = _inside(kind, target, schema, name)
        attributes = {"name": name, "schema": schema, "target": target.name}
        found[f"{kind} {resource.id}"] = _entity(kind, resource.id, attributes, [("Schema", parent["uid"]["id"])])
    return list(found.values())


def columns(target: Target) -> list[dict[str, Any]]:
    """The classified columns, their classes, and the tables they are in."""
    tables = schema_and(target, {("Table", column.schema, column.table) for column in target.classify})
    return tables + [_column(target, column, kind) for column, kind in target.classify.items()]


def _column(target: Target, column: ColumnName, kind: str) -> dict[str, Any]:
    attributes = {"name": column.column, "table": column.table, "schema": column.schema, "class": kind}
    parents = [("Table", table_of(target, column.schema, column.table).id), ("DataClass", kind)]
    return _entity("Column", column_of(target, column).id, attributes, parents)


def _schema(target: Target, name: str) -> dict[str, Any]:
    resource = _inside("Schema", target, name)
    parents = [("Database", database_of(target).id)]
    return _entity("Schema", resource.id, {"name": name, "target": target.name}, parents)


def _database(target: Target) -> dict[str, Any]:
    attributes = {"name": target.database, "target": target.name}
    return _entity("Database", database_of(target).id, attributes, [("Target", target.name)])


def _target(target: Target) -> dict[str, Any]:
    environment = [("Environment", target.labels["env"])] if "env" in target.labels else []
    entity = _entity("Target", target.name, {"name": target.name, "kind": target.kind}, environment)
    return {**entity, "tags": target.labels}


def _user(who: Principal) -> dict[str, Any]:
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
