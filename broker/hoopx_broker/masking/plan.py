"""From facts, classified columns and the catalog to a plan: which columns of an answer are hidden.

A plain column is known by the table and attribute number that the server itself puts into the row description.
What has no such origin (an expression, a set operation) is hidden as soon as a hidden column may flow into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from hoopx_broker.masking.shapes import Mask, mask_for
from hoopx_broker.terms.catalog import Catalog, Relation
from hoopx_broker.terms.facts import StatementFacts, TableUse
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.terms.targets import ColumnName

# Relations of pg_catalog that hold samples of the values in other tables.
_SAMPLES = frozenset({"pg_stats", "pg_stats_ext", "pg_stats_ext_exprs", "pg_statistic", "pg_statistic_ext_data"})
_STORING = frozenset({"insert", "update"})
# What keeps or passes on a value outside of the answer: settings and notifications. A WHERE is enough to feed them.
_ASIDE = frozenset({"set", "session"})
# Columns are classified by name: after these the name would be another, or another table would show the rows.
_RESHAPING = frozenset({"rename", "set-schema", "alter-table"})
# Schemas are names too: after this every classified column in it would have another.
_RENAMING_ALL = "rename-schema"
# What these hold runs later or unseen, so nobody can tell whether it reads masked columns.
_OPAQUE = frozenset({"do", "create-function", "alter-function"})
_HOOKS = frozenset({"create-rule", "create-trigger"})
_WHOLE_ROW = 0  # the attribute number of `SELECT c FROM customers c`


class Origin(Struct, frozen=True):
    """Where a result column comes from, by RowDescription: both numbers are 0 for what is not a plain column."""

    table: int
    attribute: int
    type: int
    format: int


class Hidden(Struct, frozen=True):
    """Everything that is hidden from one principal on one target, in the terms of the server's catalog."""

    columns: dict[ColumnName, str]
    cells: frozenset[tuple[int, int]] = frozenset()
    views: frozenset[int] = frozenset()
    relations: Mapping[int, Relation] = {}
    names: Mapping[tuple[str, str], frozenset[str]] = {}
    functions: frozenset[str] = frozenset()
    computing: frozenset[str] = frozenset()


class Plan(Struct, frozen=True):
    """`derived` hides every column without an origin, except where `clear` says that nothing hidden flows into it.

    `clear` has one entry for each column, or none at all. `quiet` takes the values out of errors and notices.
    """

    hidden: Hidden | None = None
    derived: bool = False
    clear: tuple[bool, ...] = ()
    quiet: bool = False

    @property
    def hides(self) -> bool:
        """Whether any answer under this plan may have hidden columns."""
        return self.hidden is not None

    def masks(self, origins: Sequence[Origin]) -> tuple[Mask | None, ...] | None:
        """A mask or None for each column; None where nothing at all is hidden."""
        if self.hidden is None:
            return None
        # An answer of another width than its statement has columns was misread somewhere: then nothing is clear.
        clear = self.clear if len(self.clear) == len(origins) else (False,) * len(origins)
        found = tuple(
            mask_for(origin.type, origin.format) if self._covers(origin, self.hidden, is_clear=is_clear) else None
            for origin, is_clear in zip(origins, clear, strict=True)
        )
        return found if any(found) else None

    def _covers(self, origin: Origin, hidden: Hidden, *, is_clear: bool) -> bool:
        if origin.table == 0:
            return self.derived and not is_clear
        # A relation made after the catalog was read may show anything.
        unknown = origin.table not in hidden.relations
        if origin.attribute == _WHOLE_ROW and any(origin.table == table for table, _ in hidden.cells):
            return True
        return unknown or (origin.table, origin.attribute) in hidden.cells or origin.table in hidden.views


OPEN = Plan()


def hide(columns: Mapping[ColumnName, str], catalog: Catalog) -> Hidden | None:
    """Find the hidden columns, their copies in child tables and the views over them. None if nothing is hidden."""
    if not columns:
        return None
    cells = {place for column in columns for place in catalog.classified.get(column, ())}
    views = frozenset(oid for oid, reads in catalog.views.items() if not reads.isdisjoint(columns))
    names: dict[tuple[str, str], set[str]] = {}
    for column in columns:
        names.setdefault((column.schema, column.table), set()).add(column.column)
        for oid, _ in catalog.classified.get(column, ()):
            relation = catalog.relations[oid]
            names.setdefault((relation.schema, relation.name), set()).add(column.column)
    for oid in views:
        names.setdefault((catalog.relations[oid].schema, catalog.relations[oid].name), set())
    return Hidden(
        dict(columns),
        frozenset(cells),
        views,
        catalog.relations,
        {key: frozenset(value) for key, value in names.items()},
        frozenset(catalog.functions),
        catalog.computing,
    )


def plan(facts: Iterable[StatementFacts], hidden: Hidden | None) -> Plan | Deny:
    """The plan for statements sent as one, or a refusal where hiding cannot be done on the wire."""
    if hidden is None:
        return OPEN
    statements = tuple(facts)
    derived = quiet = False
    for statement in statements:
        touched = _touched(statement, hidden)
        flows = _flows(statement, hidden, touched)
        refusal = _refusal(statement, hidden, touched, flows=flows)
        if refusal is not None:
            return refusal
        derived = derived or flows
        quiet = quiet or flows or bool(touched)
    # The answers of several statements come one after the other, and are not told apart here.
    clear = _clear(statements[0], hidden) if derived and len(statements) == 1 else ()
    return Plan(hidden, derived, clear, quiet)


def _clear(statement: StatementFacts, hidden: Hidden) -> tuple[bool, ...]:
    """The output columns made of names alone that are neither hidden columns nor functions of the target's own."""
    touched = [_columns(use, hidden) for use in _touched(statement, hidden)]
    through_view = not all(touched)
    unknown = statement.indirect is not None or statement.dangerous or "call" in statement.actions
    if statement.outputs is None or through_view or unknown:
        return ()
    suspect = hidden.functions.union(*(columns for columns in touched if columns))
    clear = tuple(names is not None and names.isdisjoint(suspect) for names in statement.outputs)
    return clear if any(clear) else ()


def _touched(statement: StatementFacts, hidden: Hidden) -> list[TableUse]:
    """A view that shows hidden columns is known as such: the tables behind it are not what the statement reads."""
    return [use for use in statement.tables if not use.through and _columns(use, hidden) is not None]


def _columns(use: TableUse, hidden: Hidden) -> frozenset[str] | None:
    """The hidden columns of what is used, none for a view over some; None where nothing is hidden in it."""
    if use.schema is not None:
        return hidden.names.get((use.schema, use.name))
    found = [columns for (_, name), columns in hidden.names.items() if name == use.name]
    if not found:
        return None
    return frozenset[str]().union(*found) if all(found) else frozenset()


def _flows(statement: StatementFacts, hidden: Hidden, touched: list[TableUse]) -> bool:
    """May a hidden value reach the answer by another way than as a plain column?"""
    # What is not known to be harmless, and any function of the target's own, may read any table.
    if statement.indirect is not None or statement.dangerous or "call" in statement.actions:
        return True
    if any(f.name in hidden.functions for f in statement.functions) or _calls_by_dot(statement, hidden):
        return True
    for use in touched:
        columns = _columns(use, hidden) or frozenset()
        through_view = not columns
        if through_view or statement.whole_rows or not columns.isdisjoint(statement.shown):
            return True
    return False


def _calls_by_dot(statement: StatementFacts, hidden: Hidden) -> bool:
    """`row.name` calls a function `name` where no column has that name, and only the server knows which it is."""
    return not hidden.functions.isdisjoint(statement.mentioned)


def _refusal(statement: StatementFacts, hidden: Hidden, touched: list[TableUse], *, flows: bool) -> Deny | None:
    if any(use.schema in (None, "pg_catalog") and use.name in _SAMPLES for use in statement.tables):
        return Deny("the statistics of the planner hold values of masked columns", "mask")
    if not _OPAQUE.isdisjoint(statement.kinds):
        hint = "whoever may see the columns of this target unmasked may send it"
        return Deny("nobody can see whether a function or DO block reads masked columns", "mask", hint)
    if statement.copy == "out" and (touched or flows):
        return Deny("COPY would carry masked columns unmasked", "mask", "use SELECT, whose answer can be masked")
    if touched and statement.dangerous:
        return Deny("the statement could carry masked columns past the answer", "mask")
    if _reshapes(statement, touched):
        return Deny("the statement changes a table with masked columns so that they could be read unmasked", "mask")
    if _stores(statement, hidden, touched, flows=flows):
        return Deny("the statement would store masked columns where nothing masks them", "mask")
    return None


def _reshapes(statement: StatementFacts, touched: list[TableUse]) -> bool:
    """Would it make columns that are found by name go by another one, or send their rows elsewhere?"""
    if _RENAMING_ALL in statement.kinds:
        return True
    # A rule or trigger gets each row that is written, by the names `new` and `old`.
    hooks = any(use.action == "ddl" for use in touched) and not _HOOKS.isdisjoint(statement.kinds)
    return hooks or (bool(touched) and not _RESHAPING.isdisjoint(statement.kinds))


def _stores(statement: StatementFacts, hidden: Hidden, touched: list[TableUse], *, flows: bool) -> bool:
    """Would a hidden value be kept outside of the answer? What nobody can look into may hold any."""
    # What a new table or view holds is read later under a name of its own, so here even a plain `*` is too much.
    makes = "ddl" in statement.actions and statement.kinds != {"create-table"}
    keeps = makes or (flows and not _STORING.isdisjoint(statement.actions))
    aside = not _ASIDE.isdisjoint(statement.actions)
    if _may_read(statement, hidden):
        return keeps or "ddl" in statement.actions or (aside and statement.indirect is None)
    if statement.indirect is not None:
        return keeps
    reads = any(use.action == "read" for use in touched)
    return reads and (keeps or aside or _sets_sequence(statement, hidden, touched))


def _may_read(statement: StatementFacts, hidden: Hidden) -> bool:
    """Does it call what may read any table: a function of the target's own, or one that is not known?"""
    if statement.kinds == {
        "create-trigger"
    }:  # what a trigger calls gets the rows of its table, and those are not hidden
        return False
    called = statement.doubtful | {
        function.name for function in statement.functions if function.name in hidden.functions
    }
    return not called <= hidden.computing


def _sets_sequence(statement: StatementFacts, hidden: Hidden, touched: list[TableUse]) -> bool:
    """`setval` keeps a number, and a WHERE is enough to feed it."""
    columns = frozenset[str]().union(*(_columns(use, hidden) or frozenset() for use in touched))
    sets = any(function.name == "setval" for function in statement.functions)
    return sets and (statement.whole_rows or not columns.isdisjoint(statement.mentioned))
