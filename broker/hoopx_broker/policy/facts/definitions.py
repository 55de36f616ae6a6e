"""Statements that make, change and drop what a database consists of."""

from __future__ import annotations

from hoopx_broker.policy.facts.nodes import Node
from hoopx_broker.policy.facts.queries import into
from hoopx_broker.policy.facts.scopes import scope_of_target
from hoopx_broker.policy.facts.statement import Statement
from hoopx_broker.policy.facts.walk import Handler, Place, Walk, names, qualified, text_of

# Kinds of objects that share the namespace of tables, so that their names are tables' names to a rule.
_RELATIONS = frozenset(
    f"OBJECT_{kind}" for kind in ("TABLE", "VIEW", "MATVIEW", "SEQUENCE", "INDEX", "FOREIGN_TABLE", "STATISTIC_EXT")
)
# Objects that belong to a table and are named by it and then themselves.
_PARTS_OF_TABLES = frozenset(f"OBJECT_{kind}" for kind in ("COLUMN", "TRIGGER", "RULE", "POLICY", "TABCONSTRAINT"))
# Changes of a table that decide who may do what with it, or switch off what guards it.
_GUARDS_OF_TABLES = ("AT_ChangeOwner", "AT_Enable", "AT_Disable", "AT_ForceRow", "AT_NoForceRow")
# Languages whose functions a rule can trust not to leave the database.
_TRUSTED_LANGUAGES = frozenset({"sql", "plpgsql"})


def _parts(kind: str) -> Handler:
    """All parts, where every relation named is one that is changed; queries inside see to their own."""

    def inside(walk: Walk, body: Node, place: Place) -> None:
        walk.parts(kind, body, place.nested().using("ddl"))

    return inside


def _constraint(walk: Walk, body: Node, place: Place) -> None:
    """The table that a foreign key points at is only looked into."""
    walk.parts("Constraint", body, place, without=("pktable",))
    walk.field("Constraint", body, "pktable", place.using("read"))


def _like(walk: Walk, body: Node, place: Place) -> None:
    walk.parts("TableLikeClause", body, place.using("read"))


def _alter_command(walk: Walk, body: Node, place: Place) -> None:
    if body.get("subtype", "").startswith(_GUARDS_OF_TABLES):
        walk.found.actions.add("admin")
    walk.parts("AlterTableCmd", body, place)


def _create_table_as(walk: Walk, body: Node, place: Place) -> None:
    into(walk, body["into"])
    walk.field("CreateTableAsStmt", body, "query", place.nested())


def _create_view(walk: Walk, body: Node, place: Place) -> None:
    walk.field("ViewStmt", body, "view", place.nested().using("ddl"))
    walk.field("ViewStmt", body, "query", place.nested())


def _create_rule(walk: Walk, body: Node, place: Place) -> None:
    """What a rule does later is judged as if it were done now."""
    walk.field("RuleStmt", body, "relation", place.nested().using("ddl"))
    place = place.within(scope_of_target(body["relation"], [], frozenset(), "old", "new"))
    walk.field("RuleStmt", body, "whereClause", place.hidden())
    walk.field("RuleStmt", body, "actions", place.nested())


def _create_trigger(walk: Walk, body: Node, place: Place) -> None:
    walk.found.function(*qualified(body["funcname"]))
    walk.field("CreateTrigStmt", body, "relation", place.nested().using("ddl"))
    walk.field("CreateTrigStmt", body, "whenClause", place.hidden())


def _create_function(walk: Walk, body: Node, place: Place) -> None:
    """A body in standard SQL is walked; one that is a string is judged when it is called, as an unknown function."""
    for option in body.get("options", []):
        element = option["DefElem"]
        if element["defname"] == "language" and text_of(element).lower() not in _TRUSTED_LANGUAGES:
            walk.found.dangerous.add("language")
    for name in ("parameters", "sql_body"):
        walk.field("CreateFunctionStmt", body, name, place.nested())


def _create_schema(walk: Walk, body: Node, place: Place) -> None:
    if "authrole" in body:
        walk.found.actions.add("admin")
    walk.field("CreateSchemaStmt", body, "schemaElts", place.nested())


def _drop(walk: Walk, body: Node, place: Place) -> None:
    if body.get("removeType") in _ADMIN_OBJECTS:
        walk.found.actions.add("admin")
    for item in body.get("objects", []):
        _object(walk, body.get("removeType", ""), item)


def _said_of(walk: Walk, body: Node, place: Place) -> None:
    """A comment or security label; those of columns may classify them, so that the column is named too."""
    kind, item = body.get("objtype", ""), body.get("object", {})
    _object(walk, kind, item)
    if kind == "OBJECT_COLUMN":
        walk.found.mentioned.update(names(item.get("List", {}).get("items", []))[-1:])


def _object(walk: Walk, kind: str, item: Node) -> None:
    parts = item.get("List", {}).get("items", [])
    if kind in _PARTS_OF_TABLES:
        parts = parts[:-1]
    if names(parts) and (kind in _RELATIONS or kind in _PARTS_OF_TABLES):
        walk.found.table(*qualified(parts), "ddl")


def _rename_kind(body: Node) -> str:
    return "rename-schema" if body.get("renameType") == "OBJECT_SCHEMA" else "rename"


def _rename(walk: Walk, body: Node, place: Place) -> None:
    if body.get("renameType") in _ADMIN_OBJECTS:
        walk.found.actions.add("admin")
    walk.field("RenameStmt", body, "relation", place.nested().using("ddl"))


def _relation_only(kind: str) -> Handler:
    def inside(walk: Walk, body: Node, place: Place) -> None:
        walk.field(kind, body, "relation", place.nested().using("ddl"))

    return inside


def _statistics(walk: Walk, body: Node, place: Place) -> None:
    for name in ("exprs", "relations"):
        walk.field("CreateStatsStmt", body, name, place.hidden().using("ddl"))


_ADMIN_OBJECTS = frozenset(
    f"OBJECT_{kind}"
    for kind in (
        "ACCESS_METHOD",
        "CAST",
        "DATABASE",
        "EVENT_TRIGGER",
        "EXTENSION",
        "FDW",
        "FOREIGN_SERVER",
        "LANGUAGE",
        "POLICY",
        "PUBLICATION",
        "ROLE",
        "SUBSCRIPTION",
        "TABLESPACE",
        "TRANSFORM",
        "USER_MAPPING",
    )
)

HANDLERS: dict[str, Handler] = {
    "Constraint": _constraint,
    "TableLikeClause": _like,
    "AlterTableCmd": _alter_command,
}

_DDL = ("ddl",)
_OTHER_SERVER = ("other-server",)
STATEMENTS: dict[str, Statement] = {
    "CreateStmt": Statement("create-table", _DDL, _parts("CreateStmt")),
    "CreateForeignTableStmt": Statement("create-foreign-table", _DDL, _parts("CreateForeignTableStmt"), _OTHER_SERVER),
    "CreateTableAsStmt": Statement("create-table-as", _DDL, _create_table_as),
    "AlterTableStmt": Statement("alter-table", _DDL, _parts("AlterTableStmt")),
    "ViewStmt": Statement("create-view", _DDL, _create_view),
    "RefreshMatViewStmt": Statement("refresh", _DDL, _relation_only("RefreshMatViewStmt")),
    "IndexStmt": Statement("create-index", _DDL, _parts("IndexStmt")),
    "CreateSeqStmt": Statement("create-sequence", _DDL, _parts("CreateSeqStmt")),
    "AlterSeqStmt": Statement("alter-sequence", _DDL, _parts("AlterSeqStmt")),
    "CreateStatsStmt": Statement("create-statistics", _DDL, _statistics),
    "AlterStatsStmt": Statement("alter-statistics", _DDL),
    "RuleStmt": Statement("create-rule", _DDL, _create_rule),
    "CreateTrigStmt": Statement("create-trigger", _DDL, _create_trigger),
    "CreateFunctionStmt": Statement("create-function", _DDL, _create_function),
    "AlterFunctionStmt": Statement("alter-function", _DDL),
    "CreateSchemaStmt": Statement("create-schema", _DDL, _create_schema),
    "CompositeTypeStmt": Statement("create-type", _DDL),
    "CreateEnumStmt": Statement("create-type", _DDL),
    "CreateRangeStmt": Statement("create-type", _DDL),
    "AlterEnumStmt": Statement("alter-type", _DDL),
    "AlterTypeStmt": Statement("alter-type", _DDL),
    "CreateDomainStmt": Statement("create-domain", _DDL, _parts("CreateDomainStmt")),
    "AlterDomainStmt": Statement("alter-domain", _DDL, _parts("AlterDomainStmt")),
    "DefineStmt": Statement("define", _DDL),
    "DropStmt": Statement("drop", _DDL, _drop),
    "RenameStmt": Statement(_rename_kind, _DDL, _rename),
    "AlterObjectSchemaStmt": Statement("set-schema", _DDL, _relation_only("AlterObjectSchemaStmt")),
    "AlterObjectDependsStmt": Statement("alter-depends", _DDL, _relation_only("AlterObjectDependsStmt")),
    "CommentStmt": Statement("comment", _DDL, _said_of),
    "SecLabelStmt": Statement("security-label", ("admin",), _said_of),
    "AlterTSDictionaryStmt": Statement("alter-text-search", _DDL),
    "AlterTSConfigurationStmt": Statement("alter-text-search", _DDL),
    "AlterCollationStmt": Statement("alter-collation", _DDL),
}
