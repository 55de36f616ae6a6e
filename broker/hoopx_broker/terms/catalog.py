"""What a target's catalog says about names: read when sessions open, and again when it goes stale."""

from __future__ import annotations

from msgspec import Struct, field

from hoopx_broker.terms.facts import FunctionName, Volatility
from hoopx_broker.terms.lineage import Flow
from hoopx_broker.terms.outline import Outline
from hoopx_broker.terms.targets import ColumnName


class Relation(Struct, frozen=True):
    """A table, view or other relation; `kind` is `pg_class.relkind`."""

    oid: int
    schema: str
    name: str
    kind: str


class Attribute(Struct, frozen=True):
    """A column as the server numbers it, and the oid of its type (of a domain, the one that it is made of)."""

    name: str
    number: int
    type: int


class Catalog(Struct, frozen=True):
    """Everything by name or by oid; temporary relations, which belong to one connection each, are left out.

    `classified` maps each classified column to its places (oid, attribute number), inheritance children included.
    `views` maps the oid of each view or materialized view to the classified columns that its definition reads,
    through other views too. `labelled` are the columns that the database itself classifies, with their class.
    """

    relations: dict[int, Relation] = field(default_factory=dict)
    by_name: dict[str, tuple[Relation, ...]] = field(default_factory=dict)
    classified: dict[ColumnName, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    views: dict[int, frozenset[ColumnName]] = field(default_factory=dict)
    # Functions outside `pg_catalog`, by name; of several of one name in one schema the least harmless counts.
    functions: dict[str, tuple[FunctionName, ...]] = field(default_factory=dict)
    # Names of the server's own functions; of several of one name the least harmless counts.
    server: dict[str, Volatility] = field(default_factory=dict)
    # Names of those outside `pg_catalog` that one argument is enough for, so that `row.name` calls them.
    attributes: frozenset[str] = frozenset()
    # Names of those that read no table, as far as their language and volatility tell.
    computing: frozenset[str] = frozenset()
    # Names of the columns of each relation outside of the system's schemas.
    columns: dict[int, tuple[str, ...]] = field(default_factory=dict)
    # The relations that the definition of each view reads, and the functions of the target's own that it calls.
    reads: dict[int, tuple[int, ...]] = field(default_factory=dict)
    calls: dict[int, tuple[FunctionName, ...]] = field(default_factory=dict)
    # Inheritance and partitions: what is below each relation, and above it.
    children: dict[int, tuple[int, ...]] = field(default_factory=dict)
    parents: dict[int, tuple[int, ...]] = field(default_factory=dict)
    # What using an operator, or casting to a type, may call beside what only computes.
    operators: dict[str, tuple[FunctionName, ...]] = field(default_factory=dict)
    types: dict[str, tuple[FunctionName, ...]] = field(default_factory=dict)
    labelled: dict[ColumnName, str] = field(default_factory=dict)
    # What flows into the columns of the relations that hold classified values, views and generated columns included; a
    # column that is not there holds none. How relations are laid out, and which of their columns are generated.
    flows: dict[int, dict[str, Flow]] = field(default_factory=dict)
    layout: dict[int, tuple[Attribute, ...]] = field(default_factory=dict)
    generated: dict[int, tuple[str, ...]] = field(default_factory=dict)
    # Whether the text of a function of the target's own speaks of notifications, as triggers do.
    notifies: bool = False
    # The outlines of view definitions by their text, None for those that cannot be read; and the texts by view.
    definitions: dict[str, Outline | None] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
