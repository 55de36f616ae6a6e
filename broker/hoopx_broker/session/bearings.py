"""Follow what the statements of a stream do to the meaning of names: search paths, temporary tables, its role."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from hoopx_broker.policy.facts.functions import is_harmless
from hoopx_broker.policy.facts.relations import TEMPORARY
from hoopx_broker.policy.facts.settings import listed
from hoopx_broker.policy.lookup import ANYWHERE, Bearings
from hoopx_broker.policy.names import resolve
from hoopx_broker.terms.catalog import Catalog
from hoopx_broker.terms.facts import StatementFacts, TableName

# Paths and temporary tables that one stream may have; with more, a name means everything of that name.
MAX_PATHS = 64
MAX_TEMPORARY = 4_096
_MAKING = frozenset({"create-table", "create-table-as", "create-view"})
# What runs statements of its own, which may set a path and use it at once.
_BLOCK = "do"
# Settings that decide how the server reads the texts that come after.
_LEXING = frozenset({"standard_conforming_strings", "client_encoding", "all"})

Paths = tuple[tuple[str, ...] | None, ...]


class Compass:
    """What is known of the paths of one stream. It only ever learns: a rollback takes back nothing here.

    `turns` grows with each lesson, so that rulings made before are not used after it.
    """

    def __init__(self, path: str | None = None, user: str = "") -> None:
        """`path` is the one that connections start with, as the server writes it."""
        start = listed(path) if path is not None else None
        self.bearings = Bearings(None if start is None else (start,), user)
        self.turns = 0

    def read(self, facts: Iterable[StatementFacts], catalog: Catalog) -> tuple[StatementFacts, ...]:
        """What the names of statements mean that are sent as one: each may change it for those behind it."""
        bearings = self.bearings
        found: list[StatementFacts] = []
        for statement in facts:
            bearings = _after_setting(bearings, statement.paths)
            (meant,) = resolve((statement,), catalog, bearings)
            bearings = _after(bearings, meant)
            if bearings.paths is None and _BLOCK in statement.kinds:
                (meant,) = resolve((statement,), catalog, ANYWHERE)
            found.append(meant)
        return tuple(found)

    def follow(self, facts: Iterable[StatementFacts]) -> None:
        """These statements, read already, will run, or perhaps fail."""
        before = self.bearings
        for statement in facts:
            self.bearings = _after(_after_setting(self.bearings, statement.paths), statement)
        self.turns += self.bearings != before


def may_relex(statement: StatementFacts) -> bool:
    """May the server read a text after this statement otherwise than one before it?"""
    sets = not _LEXING.isdisjoint(statement.settings) or statement.kind == "discard"
    return sets or "set-config" in statement.dangerous or _may_set_unseen(statement)


def _after(bearings: Bearings, statement: StatementFacts) -> Bearings:
    if _may_set_unseen(statement):
        bearings = structs.replace(bearings, paths=None)
    bearings = _with_made(bearings, statement)
    made = {use.name for use in statement.tables if use.schema == TEMPORARY and use.action == "ddl"}
    if made <= bearings.temporary:
        return bearings
    temporary = bearings.temporary | made
    if len(temporary) > MAX_TEMPORARY:  # then a name means everything, and the names that only these have mean `public`
        return structs.replace(bearings, paths=None)
    return structs.replace(bearings, temporary=temporary)


def _with_made(bearings: Bearings, statement: StatementFacts) -> Bearings:
    """Tables and views that it makes. With too many of them, the others wait until the catalog is read again."""
    if _MAKING.isdisjoint(statement.kinds):
        return bearings
    made = {TableName(use.schema, use.name) for use in statement.tables if use.action == "ddl"} - bearings.made
    if not made or len(made) + len(bearings.made) > MAX_TEMPORARY:
        return bearings
    return structs.replace(bearings, made=bearings.made | made)


def _after_setting(bearings: Bearings, paths: Paths) -> Bearings:
    if bearings.paths is None or set(paths) <= set(bearings.paths):
        return bearings
    learnt = tuple(dict.fromkeys((*bearings.paths, *(path for path in paths if path is not None))))
    too_much = None in paths or len(learnt) > MAX_PATHS
    return structs.replace(bearings, paths=None if too_much else learnt)


def _may_set_unseen(statement: StatementFacts) -> bool:
    """A block, a procedure, or a function of the target's own could change a setting without saying so."""
    if "call" not in statement.actions:
        return False
    return "dynamic-sql" in statement.dangerous or any(
        not is_harmless(function) and function.schema != "pg_catalog" and function.volatility != "immutable"
        for function in statement.functions
    )
