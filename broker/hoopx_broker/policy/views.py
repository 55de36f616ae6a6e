"""Follow values through views, so that a view's columns are known for what they show."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import structs

from hoopx_broker.policy.catalogued import Catalogued
from hoopx_broker.policy.lineage import TooMuch, lineage
from hoopx_broker.policy.lookup import Bearings, Lookup
from hoopx_broker.terms.catalog import Catalog
from hoopx_broker.terms.lineage import ANYTHING, NOTHING, Flow
from hoopx_broker.terms.outline import Outline

# A definition as `pg_get_viewdef` gives it to a connection with this path names all that is not in it by its schema.
_PATH = Bearings(paths=(("pg_catalog",),))


def suspects(catalog: Catalog) -> tuple[int, ...]:
    """The views that may show classified values, each after those that it reads.

    Those that read what holds any, and those that call functions which may read any table.
    """
    found: dict[int, bool] = {}

    def is_suspect(oid: int) -> bool:
        if oid not in found:
            found[oid] = oid in catalog.flows or bool(catalog.calls.get(oid))
            reads = [is_suspect(other) for other in catalog.reads.get(oid, ())]
            found[oid] = found[oid] or any(reads)
            if found[oid] and oid in catalog.reads:
                order.append(oid)
        return found[oid]

    order: list[int] = []
    for view in sorted({*catalog.reads, *catalog.calls}):
        is_suspect(view)
    alone = [oid for oid in catalog.calls if found[oid] and oid not in catalog.reads]
    return tuple(dict.fromkeys([*alone, *order]))


def with_views(catalog: Catalog, outlines: Mapping[int, Outline | None]) -> Catalog:
    """The same catalog with the flows of these views, in the order in which they build on each other."""
    for oid, outline in outlines.items():
        flows = _flows(catalog, outline, catalog.columns.get(oid, ()))
        for name, flow in catalog.flows.get(oid, {}).items():  # classified under the view's own name as well
            flows[name] = flows.get(name, NOTHING) | flow
        catalog = structs.replace(catalog, flows=catalog.flows | {oid: flows})
    return catalog


def _flows(catalog: Catalog, outline: Outline | None, columns: tuple[str, ...]) -> dict[str, Flow]:
    """What flows into each column of a view; anything where its definition does not tell."""
    try:
        found = lineage(outline, Catalogued(Lookup(catalog, _PATH))).outputs if outline is not None else None
    except TooMuch:
        found = None
    if found is None or len(found) != len(columns):
        return dict.fromkeys(columns, ANYTHING)
    return {name: flow for name, flow in zip(columns, found, strict=True) if flow.columns or flow.anything}
