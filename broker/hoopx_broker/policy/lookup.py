"""Look up what a name may stand for, by the target's catalog and the search paths that may hold."""

from __future__ import annotations

from msgspec import Struct

from hoopx_broker.policy.facts.relations import TEMPORARY
from hoopx_broker.terms.catalog import Catalog, Relation
from hoopx_broker.terms.facts import FunctionName, TableName

# Where a name that nothing is known of is taken to be, and one without a schema that nobody resolved.
DEFAULT_SCHEMA = "public"
SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema"})


class Bearings(Struct, frozen=True):
    """How a connection looks for names without a schema.

    `paths` are all search paths that may hold by now; None where nobody can tell, and a name then means everything of
    that name. `user` is the schema `"$user"`. `temporary` are relations that the session may have made for itself: they
    come before all others of their name. `made` are others that it has made, which no catalog may know yet.
    """

    paths: tuple[tuple[str, ...], ...] | None = None
    user: str = ""
    temporary: frozenset[str] = frozenset()
    made: frozenset[TableName] = frozenset()

    @property
    def sure_path(self) -> tuple[str, ...] | None:
        """The one path that holds, where nothing of the session's own comes before it."""
        return self.paths[0] if self.paths is not None and len(self.paths) == 1 and not self.temporary else None


ANYWHERE = Bearings()


class Lookup:
    """The relations and functions of one catalog, as one connection finds them."""

    def __init__(self, catalog: Catalog, bearings: Bearings) -> None:
        self.catalog = catalog
        self._paths = _effective(bearings)
        self._temporary = bearings.temporary
        self._made = bearings.made

    def meant(self, table: TableName) -> list[TableName]:
        """Each table that a name may stand for, with its schema."""
        if table.schema is not None:
            return [table]
        found = {relation.schema for relation in self._candidates(table.name)}
        if table.name in self._temporary:
            found.add(TEMPORARY)
        return [TableName(schema, table.name) for schema in sorted(found or {DEFAULT_SCHEMA})]

    def _candidates(self, name: str) -> tuple[Relation, ...]:
        known = self.catalog.by_name.get(name, ())
        if self._paths is None or not known:
            return known
        by_schema = {relation.schema: relation for relation in known}
        first = (next((by_schema[schema] for schema in path if schema in by_schema), None) for path in self._paths)
        return tuple(dict.fromkeys(relation for relation in first if relation is not None))

    def relation(self, table: TableName) -> Relation | None:
        known = self.catalog.by_name.get(table.name, ())
        return next((relation for relation in known if relation.schema == table.schema), None)

    def is_own(self, table: TableName) -> bool:
        """Did the session make it, so that no catalog knows it yet?"""
        return self.relation(table) is None and (table.schema == TEMPORARY or table in self._made)

    def columns_of(self, table: TableName) -> tuple[str, ...] | None:
        """The names of its columns in order, None where they are not known."""
        relation = self.relation(table)
        return None if relation is None else self.catalog.columns.get(relation.oid)

    def is_visible(self, function: FunctionName) -> bool:
        """May a name without a schema mean it?"""
        return self._paths is None or any(function.schema in path for path in self._paths)


def _effective(bearings: Bearings) -> tuple[tuple[str, ...], ...] | None:
    """Paths as the server searches them: its own schema comes first, unless the path says where it comes."""
    if bearings.paths is None:
        return None
    paths = (tuple(bearings.user if name == "$user" else name for name in path) for path in bearings.paths)
    return tuple(path if "pg_catalog" in path else ("pg_catalog", *path) for path in paths)
