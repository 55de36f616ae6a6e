"""Refuse what no mask on the answer could hide: values that would go elsewhere, or be read under other names."""

from __future__ import annotations

from hoopx_broker.masking.hidden import Hidden, touched
from hoopx_broker.terms.facts import StatementFacts, TableUse
from hoopx_broker.terms.lineage import NOTHING, Flow, Lineage
from hoopx_broker.terms.rulings import Deny

# Relations of pg_catalog that hold samples of the values in other tables.
_SAMPLES = frozenset({"pg_stats", "pg_stats_ext", "pg_stats_ext_exprs", "pg_statistic", "pg_statistic_ext_data"})
# What keeps or passes on a value outside of the answer: settings and notifications. A WHERE is enough to feed them.
_ASIDE = frozenset({"set", "session"})
# Columns are classified by name: after these the name would be another, or another table would show the rows.
_RESHAPING = frozenset({"rename", "set-schema", "alter-table"})
# A superuser can write into the catalog, where names and comments are rows like any others.
_WRITING = frozenset({"insert", "update", "delete", "truncate"})
# Schemas are names too: after this every classified column in it would have another.
_RENAMING_ALL = "rename-schema"
# What these hold runs later or unseen, so nobody can tell whether it reads masked columns.
_OPAQUE = frozenset(
    {"do", "create-function", "alter-function", "define", "create-cast", "create-operator-class", "cluster"}
)
_HOOKS = frozenset({"create-rule", "create-trigger"})
# What these say of a column may be what classifies it.
_LABELLING = frozenset({"comment", "security-label"})
# What these make shows the columns of a query under a name of its own.
_MAKING = frozenset({"create-table-as", "create-view"})
# A table made LIKE another, or with a key that points there, has nothing of its rows.
_EMPTY = frozenset({"create-table"})
_NOWHERE = Lineage(None)


def refusal(statement: StatementFacts, hidden: Hidden) -> Deny | None:
    """Why a statement cannot run for somebody from whom these columns are hidden."""
    lineage = statement.lineage or _NOWHERE
    uses = touched(statement, hidden)
    if any(use.schema in (None, "pg_catalog") and use.name in _SAMPLES for use in statement.tables):
        return Deny("the statistics of the planner hold values of masked columns", "mask")
    if not _OPAQUE.isdisjoint(statement.kinds):
        hint = "whoever may see the columns of this target unmasked may send it"
        return Deny("nobody can see what a function, operator, cast or DO block does with masked columns", "mask", hint)
    if not lineage.is_whole:
        return Deny("the statement is too large to tell where masked columns flow", "mask", "split it, or name less")
    if uses and statement.dangerous:
        return Deny("the statement could carry masked columns past the answer", "mask")
    if _reshapes(statement, uses):
        return Deny("the statement changes a table with masked columns so that they could be read unmasked", "mask")
    if _relabels(statement, uses, hidden):
        return Deny("the statement changes what is said of masked columns, and with it whether they are masked", "mask")
    if _stores(statement, lineage, uses, hidden):
        return Deny("the statement would store masked columns where nothing masks them", "mask")
    return None


def is_hidden(flow: Flow, hidden: Hidden) -> bool:
    return hidden.hiding(flow) is not None


def _reshapes(statement: StatementFacts, uses: list[TableUse]) -> bool:
    """Would it make columns that are found by name go by another one, or send their rows elsewhere?"""
    if _RENAMING_ALL in statement.kinds or _writes_catalog(statement):
        return True
    # A rule or trigger gets each row that is written, by the names `new` and `old`.
    hooks = any(use.action == "ddl" for use in uses) and not _HOOKS.isdisjoint(statement.kinds)
    return hooks or (bool(uses) and not _RESHAPING.isdisjoint(statement.kinds))


def _writes_catalog(statement: StatementFacts) -> bool:
    return any(use.schema == "pg_catalog" and use.action in _WRITING for use in statement.tables)


def _relabels(statement: StatementFacts, uses: list[TableUse], hidden: Hidden) -> bool:
    """Would it change the comment or the label of a hidden column?"""
    if _LABELLING.isdisjoint(statement.kinds):
        return False
    columns = {column.column for column in hidden.columns}
    return any(use.action == "ddl" for use in uses) and not columns.isdisjoint(statement.mentioned)


def _stores(statement: StatementFacts, lineage: Lineage, uses: list[TableUse], hidden: Hidden) -> bool:
    """Would a hidden value be kept outside of the answer? What nobody can look into may hold any."""
    if any(is_hidden(kept.flow, hidden) for kept in lineage.kept):
        return True
    shown = lineage.reach if statement.outline is not None else NOTHING
    if not _MAKING.isdisjoint(statement.kinds) and (is_hidden(shown, hidden) or lineage.is_doubtful):
        return True
    # Structure that has queries in it which are not followed: rules, policies, views inside of CREATE SCHEMA.
    follows = statement.outline is not None or statement.kinds == _EMPTY
    is_unseen = not follows and any(use.action == "read" for use in uses)
    if statement.changes_structure and (is_unseen or may_read(statement, hidden)):
        return True
    reads = bool(lineage.touched & hidden.columns.keys()) or may_read(statement, hidden)
    aside = not _ASIDE.isdisjoint(statement.actions) and statement.indirect is None
    sets_sequence = any(function.name == "setval" for function in statement.functions)
    return reads and (aside or sets_sequence)


def may_read(statement: StatementFacts, hidden: Hidden) -> bool:
    """Does it call what may read any table: a function of the target's own, or one that is not known?"""
    if statement.kinds == {"create-trigger"}:
        # What a trigger calls gets the rows of its table, and those are not hidden.
        return False
    called = statement.doubtful | {
        function.name for function in statement.functions if function.name in hidden.functions
    }
    return not called <= hidden.computing
