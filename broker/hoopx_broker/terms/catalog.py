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
    through other views too. `functions` maps the name of each function outside `pg_catalog` to its schemas;
    `attributes` are those of them that can be called like a column, as `row.name`, because one argument is enough;
    `computing` are those that read no table, as far as their language and volatility tell.
    """

    relations: dict[int, Relation] = field(default_factory=dict)
    by_name: dict[str, tuple[Relation, ...]] = field(default_factory=dict)
    classified: dict[ColumnName, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    views: dict[int, frozenset[ColumnName]] = field(default_factory=dict)
    functions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    attributes: frozenset[str] = frozenset()
    computing: frozenset[str] = frozenset()
