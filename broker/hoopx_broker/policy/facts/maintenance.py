"""Bulk data, procedures, upkeep, and everything that only whoever administers a server should do."""

from __future__ import annotations

from hoopx_broker.policy.facts.blocks import assignment, do
from hoopx_broker.policy.facts.copying import copy_style
from hoopx_broker.policy.facts.nodes import Node
from hoopx_broker.policy.facts.scopes import ALL_COLUMNS, table_name
from hoopx_broker.policy.facts.statement import Statement
from hoopx_broker.policy.facts.walk import Handler, Place, Walk, names
from hoopx_broker.terms.facts import TableAction

_ACCESS_SHARE = 1  # AccessShareLock in PostgreSQL's lockdefs.h


def _copy(walk: Walk, body: Node, place: Place) -> None:
    """COPY answers without naming the origin of columns: a whole table shows whole rows."""
    found = walk.found
    if body.get("is_from"):
        found.copies_in = True
        walk.field("CopyStmt", body, "relation", place.nested().using("insert"))
    else:
        found.copies_out = True
        found.copy_style = copy_style(body)
        walk.field("CopyStmt", body, "relation", place.nested().using("read"))
        walk.field("CopyStmt", body, "query", place.nested())
        found.whole_rows |= "relation" in body and not _columns(body)
    found.mentioned.update(_columns(body))
    for column in _columns(body) or {ALL_COLUMNS}:
        if "relation" in body:
            found.column(table_name(body["relation"]), column, "insert" if body.get("is_from") else "read")
    walk.field("CopyStmt", body, "whereClause", place.hidden())
    if body.get("is_program"):
        found.dangerous.add("program")
    elif "filename" in body:
        found.dangerous.add("server-file")


def _columns(body: Node) -> set[str]:
    return set(names(body.get("attlist", [])))


def _relations(part: str, action: TableAction) -> Handler:
    """A list of relations to which all the same is done."""

    def inside(walk: Walk, body: Node, place: Place) -> None:
        walk.field("Relations", body, part, place.nested().using(action))

    return inside


def _lock(walk: Walk, body: Node, place: Place) -> None:
    """The weakest lock is what every SELECT takes; pg_dump asks for it by name."""
    _relations("relations", "read" if body.get("mode") == _ACCESS_SHARE else "lock")(walk, body, place)


def _upkeep(part: str) -> Handler:
    """Upkeep of named relations changes those; of a whole schema or database it is the administrator's."""

    def inside(walk: Walk, body: Node, place: Place) -> None:
        walk.found.actions.add("ddl" if body.get(part) else "admin")
        walk.field("Upkeep", body, part, place.nested().using("ddl"))

    return inside


def _call(walk: Walk, body: Node, place: Place) -> None:
    walk.field("CallStmt", body, "funccall", place.nested())


def _setting_for_later(walk: Walk, body: Node, place: Place) -> None:
    name = body.get("setstmt", {}).get("name")
    walk.found.setting(name or "all")


_ADMIN = ("admin",)
_OTHER_SERVER = ("other-server",)


def _admin(kind: str, *dangerous: str) -> Statement:
    return Statement(kind, _ADMIN, dangerous=dangerous)


HANDLERS: dict[str, Handler] = {"PLAssignStmt": assignment}

STATEMENTS: dict[str, Statement] = {
    "CopyStmt": Statement("copy", ("copy",), _copy),
    "TruncateStmt": Statement("truncate", ("truncate",), _relations("relations", "truncate")),
    "LockStmt": Statement("lock", (), _lock),
    "CallStmt": Statement("call", ("call",), _call),
    "DoStmt": Statement("do", ("call",), do),
    "VacuumStmt": Statement(lambda body: "vacuum" if body.get("is_vacuumcmd") else "analyze", (), _upkeep("rels")),
    "ReindexStmt": Statement("reindex", (), _upkeep("relation")),
    "ClusterStmt": Statement("cluster", (), _upkeep("relation")),
    "GrantStmt": _admin("grant"),
    "GrantRoleStmt": _admin("grant-role"),
    "AlterDefaultPrivilegesStmt": _admin("alter-default-privileges"),
    "AlterOwnerStmt": _admin("alter-owner"),
    "CreatePolicyStmt": _admin("create-policy"),
    "AlterPolicyStmt": _admin("alter-policy"),
    "CreateRoleStmt": _admin("create-role"),
    "AlterRoleStmt": _admin("alter-role"),
    "AlterRoleSetStmt": Statement("alter-role", _ADMIN, _setting_for_later),
    "DropRoleStmt": _admin("drop-role"),
    "DropOwnedStmt": _admin("drop-owned"),
    "ReassignOwnedStmt": _admin("reassign-owned"),
    "CreatedbStmt": _admin("create-database"),
    "AlterDatabaseStmt": _admin("alter-database"),
    "AlterDatabaseRefreshCollStmt": _admin("alter-database"),
    "AlterDatabaseSetStmt": Statement("alter-database", _ADMIN, _setting_for_later),
    "DropdbStmt": _admin("drop-database"),
    "AlterSystemStmt": Statement("alter-system", _ADMIN, _setting_for_later),
    "CheckPointStmt": _admin("checkpoint"),
    "LoadStmt": _admin("load", "server-file"),
    "CreateTableSpaceStmt": _admin("create-tablespace", "server-file"),
    "DropTableSpaceStmt": _admin("drop-tablespace"),
    "AlterTableSpaceOptionsStmt": _admin("alter-tablespace"),
    "AlterTableMoveAllStmt": _admin("move-tablespace"),
    "CreateExtensionStmt": _admin("create-extension"),
    "AlterExtensionStmt": _admin("alter-extension"),
    "AlterExtensionContentsStmt": _admin("alter-extension"),
    "CreateFdwStmt": _admin("create-foreign-data-wrapper", *_OTHER_SERVER),
    "AlterFdwStmt": _admin("alter-foreign-data-wrapper", *_OTHER_SERVER),
    "CreateForeignServerStmt": _admin("create-server", *_OTHER_SERVER),
    "AlterForeignServerStmt": _admin("alter-server", *_OTHER_SERVER),
    "CreateUserMappingStmt": _admin("create-user-mapping", *_OTHER_SERVER),
    "AlterUserMappingStmt": _admin("alter-user-mapping", *_OTHER_SERVER),
    "DropUserMappingStmt": _admin("drop-user-mapping"),
    "ImportForeignSchemaStmt": _admin("import-foreign-schema", *_OTHER_SERVER),
    "CreatePublicationStmt": _admin("create-publication", *_OTHER_SERVER),
    "AlterPublicationStmt": _admin("alter-publication", *_OTHER_SERVER),
    "CreateSubscriptionStmt": _admin("create-subscription", *_OTHER_SERVER),
    "AlterSubscriptionStmt": _admin("alter-subscription", *_OTHER_SERVER),
    "DropSubscriptionStmt": _admin("drop-subscription", *_OTHER_SERVER),
    "CreatePLangStmt": _admin("create-language", "language"),
    "CreateEventTrigStmt": _admin("create-event-trigger"),
    "AlterEventTrigStmt": _admin("alter-event-trigger"),
    "CreateAmStmt": _admin("create-access-method"),
    "CreateCastStmt": _admin("create-cast"),
    "CreateConversionStmt": _admin("create-conversion"),
    "CreateTransformStmt": _admin("create-transform"),
    "CreateOpClassStmt": _admin("create-operator-class"),
    "CreateOpFamilyStmt": _admin("create-operator-family"),
    "AlterOpFamilyStmt": _admin("alter-operator-family"),
    "AlterOperatorStmt": _admin("alter-operator"),
}
