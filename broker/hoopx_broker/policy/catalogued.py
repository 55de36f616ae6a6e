"""What a target's catalog knows of the relations and functions that values flow through."""

from __future__ import annotations

from collections.abc import Iterable

from hoopx_broker.policy.lookup import SYSTEM_SCHEMAS, Lookup
from hoopx_broker.policy.rows import Rows, listed
from hoopx_broker.terms.facts import TableName
from hoopx_broker.terms.lineage import ANYTHING, MADE, NOTHING, Flow, together
from hoopx_broker.terms.outline import Call

# Columns that every table has, and that hold nothing of anybody's.
_OF_THE_SERVER = dict.fromkeys(("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"), NOTHING)


class Catalogued:
    """`policy.lineage.Tables` by a catalog, and the search paths that may hold."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def rows_of(self, table: TableName, *, is_copied: bool) -> Rows:
        found = [self._rows(each, is_copied=is_copied) for each in self._lookup.meant(table)]
        return found[0] if len(found) == 1 else _any_of(found)

    def _rows(self, table: TableName, *, is_copied: bool = False) -> Rows:
        relation = self._lookup.relation(table)
        if relation is None:
            # What a session makes for itself holds nothing classified: what would put it there is refused. But it may
            # hold all values that there could be, to be compared with.
            is_clean = table.schema in SYSTEM_SCHEMAS or self._lookup.is_own(table)
            return Rows("", None, {}, MADE if is_clean else ANYTHING)
        flows = self._lookup.catalog.flows.get(relation.oid, {})
        columns = self._lookup.catalog.columns.get(relation.oid)
        if columns is None:
            return Rows("", None, flows, NOTHING)
        left_out = self._lookup.catalog.generated.get(relation.oid, ()) if is_copied else ()
        found = listed("", tuple((name, flows.get(name, NOTHING)) for name in columns if name not in left_out))
        return found._replace(known={**_OF_THE_SERVER, **found.known})

    def is_home(self, table: TableName, column: str, flow: Flow) -> bool:
        homes = [self._rows(each).known.get(column, NOTHING) for each in self._lookup.meant(table)]
        return not flow.anything and all(home.is_plain and flow.columns == home.columns for home in homes)

    def returned_by(self, call: Call) -> Flow:
        catalog = self._lookup.catalog
        own = [
            function
            for function in catalog.functions.get(call.name, ())
            if call.schema == function.schema or (call.schema is None and self._lookup.is_visible(function))
        ]
        if own:
            return NOTHING if call.name in catalog.computing else ANYTHING
        is_server = call.schema in (None, *SYSTEM_SCHEMAS) and call.name in catalog.server
        return NOTHING if is_server else ANYTHING


def _any_of(found: Iterable[Rows]) -> Rows:
    """A name that may stand for several relations: a column may be that of each."""
    found = tuple(found)
    names = {name for rows in found for name in rows.known}
    known = {name: together(rows.find(name) or NOTHING for rows in found).derived for name in names}
    rests = [rows.rest for rows in found if rows.rest is not None]
    return Rows("", None, known, together(rests) if rests else None)
