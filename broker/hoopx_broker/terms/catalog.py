"""What a target's catalog says about names: taken at the opening of a session, refreshed when it goes stale."""

from __future__ import annotations

from msgspec import Struct, field

from hoopx_broker.terms.targets import ColumnName


class Relation(Struct, frozen=True):
    """A table, view or other relation; `kind` is `pg_class.relkind`."""

    oid: int
    schema: str
    name: str
    kind: str


class Catalog(Struct, frozen=True):
    """`classified` maps each classified column to its places (oid, attribute number), inheritance children included.

    `views` maps the oid of each view or materialized view to the classified columns that its definition reads,
    through other views too. `functions` are the names of functions outside `pg_catalog`, `builtins` those inside.
    """

    relations: dict[int, Relation] = field(default_factory=dict)
    by_name: dict[str, tuple[Relation, ...]] = field(default_factory=dict)
    classified: dict[ColumnName, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    views: dict[int, frozenset[ColumnName]] = field(default_factory=dict)
    functions: frozenset[str] = frozenset()
    builtins: frozenset[str] = frozenset()
