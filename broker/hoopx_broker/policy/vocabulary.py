"""What hoopx asks of policy: each action with the types of what it is asked of. A schema must have words for it."""

from __future__ import annotations

from cedarpy import Schema, validate_policies

ASKED: dict[str, tuple[str, ...]] = {
    "connect": ("Target",),
    "extend": ("Target",),
    "read": ("Table", "Column", "Database"),
    "insert": ("Table", "Column"),
    "update": ("Table", "Column"),
    "delete": ("Table",),
    "truncate": ("Table",),
    "lock": ("Table",),
    "ddl": ("Table", "Database"),
    "call": ("Function", "Database"),
    "copy": ("Database",),
    "set": ("Database",),
    "session": ("Database",),
    "admin": ("Database",),
    "probe": ("Column",),
    "reveal": ("Column", "DataClass"),
    "session.view": ("Target",),
    "session.kill": ("Target",),
    "lease.view": ("Target",),
    "lease.revoke": ("Target",),
    "audit.hold": ("Target",),
    "audit.gc": ("Target",),
}
# What is done to tables and databases as wholes, or answered of a column without a statement.
_NOT_OF_COLUMNS = frozenset(ASKED) - {"read", "insert", "update"}
# What lasts for a while, and what people do to people and their sessions, which is neither that nor a statement.
_LASTING = frozenset({"connect", "extend", "reveal"})
OF_PEOPLE = frozenset(
    {
        "session.view",
        "session.kill",
        "lease.view",
        "lease.revoke",
        "identity.revoke",
        "identity.restore",
        "audit.hold",
        "audit.gc",
        "audit.view",
    }
)
_OF_STATEMENTS = frozenset({*ASKED, "query", "write"}) - _LASTING - OF_PEOPLE


def has_length(actions: set[str] | None) -> bool:
    """May a rule of these actions (None for all) be about something that lasts? Groups may hold anything."""
    return actions is None or not actions <= _OF_STATEMENTS


def is_of_statements(actions: set[str] | None) -> bool:
    """May a rule of these actions (None for all) be about statements? Groups may hold anything."""
    return actions is None or not actions <= _LASTING | OF_PEOPLE


def may_be_of_columns(actions: set[str] | None) -> bool:
    """May a rule of these actions (None for all) be about the columns of a statement? Groups may hold anything."""
    return actions is None or not actions <= _NOT_OF_COLUMNS


def lacking(schema: Schema) -> list[str]:
    """What the schema has no words for.

    Requests are not held against the schema each time, which costs more than to answer them. An action that it does not
    know would be in no group of actions, and no forbid on the group would reach it.
    """
    return [
        f"the schema must let `{action}` be asked of `{kind}`, as hoopx's own does"
        for action, kinds in ASKED.items()
        for kind in kinds
        if not _knows(schema, action, kind)
    ]


def _knows(schema: Schema, action: str, kind: str) -> bool:
    probe = f'permit (principal is User, action == Action::"{action}", resource is {kind});'
    return bool(validate_policies(probe, schema).validation_passed)
