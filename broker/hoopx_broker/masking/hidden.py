"""Everything that is hidden from one principal on one target, in the terms of the server's catalog."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from hoopx_broker.masking.shapes import Mask, mask_for, whole
from hoopx_broker.terms.catalog import Catalog, Relation
from hoopx_broker.terms.facts import StatementFacts, TableUse
from hoopx_broker.terms.lineage import Flow
from hoopx_broker.terms.masks import Masks
from hoopx_broker.terms.targets import ColumnName

# How a column is hidden is the name of its class, whose shape it then has, or one of these.
WHOLE = ""  # by the constant of its type, NULL included
UNSURE = "?"  # nobody can tell: as a whole, unless the server says that it is a plain column of its own
Hiding = str

_WHOLE_ROW = 0  # the attribute number of `SELECT c FROM customers c`


class Origin(Struct, frozen=True):
    """Where a result column comes from, by RowDescription: both numbers are 0 for what is not a plain column."""

    table: int
    attribute: int
    type: int
    format: int


class Hidden(Struct, frozen=True):
    """The hidden columns with their class, and the places (oid, attribute number) that show them.

    `names` are the relations that these are in. `relations` are all that the catalog knows. `notifies` where a function
    of the target's own may send notifications, of whatever rows.
    """

    columns: dict[ColumnName, str]
    masks: Masks = Masks()
    cells: dict[tuple[int, int], Hiding] = {}
    types: dict[ColumnName, int] = {}
    relations: Mapping[int, Relation] = {}
    names: frozenset[tuple[str, str]] = frozenset()
    functions: frozenset[str] = frozenset()
    computing: frozenset[str] = frozenset()
    notifies: bool = False

    def hiding(self, flow: Flow) -> Hiding | None:
        """How to hide what this flows into; None where nothing hidden does."""
        found = {self.columns[column] for column in flow.columns if column in self.columns}
        if found:
            return found.pop() if flow.is_plain and len(found) == 1 else WHOLE
        return UNSURE if flow.anything else None

    def at(self, origin: Origin) -> Hiding | None:
        """How to hide a plain column of this place. A relation made after the catalog was read may show anything."""
        if origin.table not in self.relations:
            return UNSURE
        if origin.attribute == _WHOLE_ROW:
            relation = self.relations[origin.table]
            return WHOLE if (relation.schema, relation.name) in self.names else None
        return self.cells.get((origin.table, origin.attribute))

    def mask(self, hiding: Hiding, type_oid: int, wire_format: int) -> Mask:
        """What stands in the place of the values of a column."""
        if hiding in (WHOLE, UNSURE):
            return whole(type_oid, wire_format)
        shape = self.masks.shape_of(hiding)
        return mask_for(type_oid, wire_format, shape, key=self.masks.key_bytes, data_class=hiding)


def hide(columns: Mapping[ColumnName, str], catalog: Catalog, masks: Masks = Masks()) -> Hidden | None:
    """Find the places of hidden columns, in child tables and views too. None if nothing is hidden."""
    if not columns:
        return None
    found = Hidden(dict(columns), masks)
    cells: dict[tuple[int, int], Hiding] = {}
    types: dict[ColumnName, int] = {}
    for oid, flows in catalog.flows.items():
        for attribute in catalog.layout.get(oid, ()):
            flow = flows.get(attribute.name)
            hiding = found.hiding(flow) if flow is not None else None
            if flow is None or hiding is None:
                continue
            cells[oid, attribute.number] = WHOLE if hiding == UNSURE else hiding
            if flow.is_plain:
                types.update(dict.fromkeys(flow.columns, attribute.type))
    relations = (catalog.relations[oid] for oid, _ in cells if oid in catalog.relations)
    return Hidden(
        dict(columns),
        masks,
        cells,
        types,
        catalog.relations,
        frozenset((relation.schema, relation.name) for relation in relations),
        frozenset(catalog.functions),
        catalog.computing,
        catalog.notifies,
    )


def touched(statement: StatementFacts, hidden: Hidden) -> list[TableUse]:
    """The uses of relations that show hidden columns, whichever columns of them a statement names.

    A view that shows some is known as such: the tables behind it are not what the statement reads.
    """
    return [use for use in statement.tables if not use.through and _shows(use, hidden)]


def _shows(use: TableUse, hidden: Hidden) -> bool:
    if use.schema is not None:
        return (use.schema, use.name) in hidden.names
    return any(name == use.name for _, name in hidden.names)
