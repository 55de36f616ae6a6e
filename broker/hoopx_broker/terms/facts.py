"""Facts about one SQL statement, as its server's own grammar reads it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from hoopx_broker.terms.lineage import Lineage
from hoopx_broker.terms.outline import Outline

TableAction = Literal["read", "insert", "update", "delete", "truncate", "ddl", "lock"]
ColumnAction = Literal["read", "insert", "update"]
Volatility = Literal["immutable", "stable", "volatile", "unknown"]


class TableUse(Struct, frozen=True, order=True):
    """A relation and what is done to it. `schema` is None where the statement does not say it.

    `through` are the relations that the statement names and this one lies behind, as `schema.name`: a view over it, its
    partition, its parent. Empty where the statement names it itself.
    """

    schema: str | None
    name: str
    action: TableAction
    through: tuple[str, ...] = ()


class ColumnUse(Struct, frozen=True, order=True):
    """A column of a relation and what is done to it; `*` is all of its columns."""

    schema: str | None
    table: str
    column: str
    action: ColumnAction
    through: tuple[str, ...] = ()


class TableName(Struct, frozen=True, order=True):
    """A relation as a statement names it; `schema` is None where it does not say."""

    schema: str | None
    name: str


class Mention(Struct, frozen=True):
    """A column as a statement names it: of the tables of the first of `levels` that has such a column; `*` is all.

    `unless` is a column's name: the mention counts only where no table of its level has such a column.
    """

    column: str
    action: ColumnAction
    levels: tuple[tuple[TableName, ...], ...]
    unless: str = ""


class FunctionName(Struct, frozen=True, order=True):
    """A function; what it is declared to do is known from the target's catalog only."""

    schema: str | None
    name: str
    volatility: Volatility = "unknown"


class CopyStyle(Struct, frozen=True):
    """How a COPY writes its rows, the server's own defaults filled in. Binary has no use for any but `columns`.

    `columns` is the list of `COPY t (a, b)`, empty for all columns and for queries.
    """

    format: Literal["text", "csv", "binary"]
    delimiter: str
    null: str
    header: bool
    quote: str
    escape: str
    columns: tuple[str, ...] = ()


_STRUCTURE = frozenset({"ddl", "admin"})


class StatementFacts(Struct, frozen=True):
    """What one statement does, nested statements (CTEs, EXPLAIN ANALYZE, PREPARE, cursors) included.

    `kind` is the statement's own kind, `kinds` those of it and all inside. `actions` are the policy actions that must
    each be permitted: read, insert, update, delete, truncate, ddl, call, copy, admin, set, session.
    `has_where` is false as soon as one UPDATE or DELETE at any depth has no WHERE.
    """

    kind: str
    kinds: frozenset[str]
    actions: frozenset[str]
    fingerprint: str
    tables: tuple[TableUse, ...] = ()
    # Columns as the statement names them, and what they are by the catalog.
    mentions: tuple[Mention, ...] = ()
    columns: tuple[ColumnUse, ...] = ()
    functions: tuple[FunctionName, ...] = ()
    # Of `functions`, the names of those that are not known to be harmless.
    doubtful: frozenset[str] = frozenset()
    # Names after a dot that stand for no table's column in sight: of a row that was computed.
    dotted: frozenset[str] = frozenset()
    # Operators without a schema, and types named: with functions of the target's own behind them, a use is a call.
    operators: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    settings: tuple[str, ...] = ()
    # What `search_path` may be after this statement, where it changes it; None in the place of what nobody can tell.
    paths: tuple[tuple[str, ...] | None, ...] = ()
    has_where: bool = True
    has_limit: bool = False
    # Server-side reach: files, programs, other servers, large-object files; `dangerous` names what was found.
    dangerous: tuple[str, ...] = ()
    # Names of columns anywhere in the statement.
    mentioned: frozenset[str] = frozenset()
    # A whole row may flow into the answer by other ways than a plain top-level `*`: a row reference, a nested or
    # set-operation `*`, a natural join, `TABLE x`.
    whole_rows: bool = False
    # How values flow, as far as the grammar tells; and by the catalog, None where nothing is classified in it.
    outline: Outline | None = None
    lineage: Lineage | None = None
    # The answer comes from elsewhere: EXECUTE, FETCH. Its origin is unknown to this statement.
    indirect: str | None = None
    # What this statement names for later use by EXECUTE or FETCH.
    defines: str | None = None
    # Rows leave or enter by COPY: `out`, `in`, or None.
    copy: Literal["in", "out"] | None = None
    # How a COPY `out` writes its rows; None where that is not sure, and then nobody can read them.
    copy_style: CopyStyle | None = None

    @property
    def changes_structure(self) -> bool:
        """Whether it may change what every session on the target sees."""
        return not self.actions.isdisjoint(_STRUCTURE)


class Touched(Struct, frozen=True):
    """What a ruling was about, for who looks for it later: actions, and tables as `schema.name`, both sorted."""

    effects: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()


NOTHING = Touched()


def touched_by(statements: Iterable[StatementFacts]) -> Touched:
    """All that these statements do together."""
    effects: set[str] = set()
    tables: set[str] = set()
    for statement in statements:
        effects |= statement.actions
        tables.update(use.name if use.schema is None else f"{use.schema}.{use.name}" for use in statement.tables)
    return Touched(tuple(sorted(effects)), tuple(sorted(tables)))


class Fault(Struct, frozen=True):
    """What the server itself would say of a text: SQLSTATE, message, and the character meant, from 1 (0 for none)."""

    code: str
    message: str
    position: int = 0
    detail: str = ""
    hint: str = ""


class Unreadable(Struct, frozen=True):
    """The statement could not be read: not this grammar, too large, too deep, or the reader died on it.

    `reason` repeats nothing of the text. `fault` is there where the server would not have run the text either.
    """

    reason: str
    fault: Fault | None = None


def too_complex(reason: str) -> Unreadable:
    """A statement of a size or depth that is not read."""
    message = "hoopx could not parse this statement, so it was not forwarded"
    return Unreadable(reason, Fault("54001", message, 0, reason, "split it into smaller statements"))
