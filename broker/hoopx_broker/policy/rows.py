"""What the names in FROM stand for, and how a query looks up the names of columns in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import structs

from hoopx_broker.terms.lineage import ANYTHING, MADE, NOTHING, Flow, together
from hoopx_broker.terms.outline import ALL

# Stands where nobody knows which name the server gives to a column.
NAMELESS = ""

Columns = tuple[tuple[str, Flow], ...]


class Rows(NamedTuple):
    """What one name in FROM stands for: its columns in order, or None where they are not all known.

    `rest` is what flows into a column that is not among `known`; None where there is no other.
    """

    alias: str
    columns: Columns | None
    known: Mapping[str, Flow]
    rest: Flow | None = None
    is_aside: bool = False

    def find(self, name: str) -> Flow | None:
        found = self.known.get(name)
        return self.rest if found is None else found

    @property
    def whole(self) -> Flow:
        return together(self.known.values()).derived | (self.rest or NOTHING)


def listed(alias: str, columns: Columns, *, is_aside: bool = False) -> Rows:
    """Rows whose columns are all known; what has no name here may go by any."""
    known: dict[str, Flow] = {}
    for name, flow in columns:
        known[name] = known[name] | flow if name in known else flow
    return Rows(alias, columns, known, known.pop(NAMELESS, None), is_aside)


def unknown(alias: str, flow: Flow) -> Rows:
    """Rows whose columns are not known, but what may be in them is."""
    return Rows(alias, None, {}, flow.derived)


def renamed(found: Rows, names: Sequence[str], alias: str) -> Rows:
    """`t(a, b)`: the first columns have new names."""
    if found.columns is None:
        return unknown(alias, found.whole) if names else found._replace(alias=alias)
    columns = tuple(
        (names[number] if number < len(names) else name, flow) for number, (name, flow) in enumerate(found.columns)
    )
    own = listed(alias, columns, is_aside=found.is_aside)
    old = {name for name, _ in found.columns}
    # Columns that `*` leaves out keep their names.
    kept = {name: flow for name, flow in found.known.items() if name not in old}
    return own._replace(known={**kept, **own.known})


@dataclass(slots=True)
class Scope:
    """The rows that one query can name, what its `*` is, and the query around it."""

    outer: Scope | None
    rows: list[Rows] = field(default_factory=list)
    star: list[Columns | None] = field(default_factory=list)

    def levels(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer

    def column(self, name: str) -> Flow:
        """A bare name: a column of the innermost query that has it, else the whole of the rows of that name."""
        perhaps: list[Flow] = []
        for level in self.levels():
            exact = [rows.known[name] for rows in level.rows if not rows.is_aside and name in rows.known]
            if exact:  # two columns of one name beside each other are an error
                return together([*exact, *perhaps])
            perhaps += [rows.rest for rows in level.rows if not rows.is_aside and rows.rest is not None]
        whole = [rows.whole for rows in self._named(name)]
        return together([*whole, *perhaps]).derived if whole or perhaps else self.everything()

    def has(self, name: str) -> bool | None:
        """Is there a column of this name in sight? None where nobody knows."""
        rows = [each for level in self.levels() for each in level.rows if not each.is_aside]
        if any(name in each.known for each in rows):
            return True
        return None if any(each.rest is not None for each in rows) else False

    def _named(self, alias: str) -> list[Rows]:
        for level in self.levels():
            if found := [rows for rows in level.rows if rows.alias == alias]:
                return found
        return []

    def of_rows(self, alias: str, name: str) -> Flow:
        """`rows.name`: a column, or else a function that is given the whole row."""
        found = self._named(alias)
        if not found:
            return self.everything()
        flows = [rows.find(name) for rows in found]
        known = [flow for flow in flows if flow is not None]
        return together(known) if known else together(rows.whole for rows in found)

    def of_any_rows(self, alias: str, name: str) -> Flow:
        """`schema.rows.name`: only of tables that are called so, which may be further out than an alias that is."""
        found = [rows for level in self.levels() for rows in level.rows if rows.alias == alias]
        if name == ALL:
            return together(rows.whole for rows in found) if found else self.everything()
        flows = [rows.find(name) or rows.whole for rows in found]
        return together(flows) if flows else self.everything()

    def may_have(self, alias: str, name: str) -> bool:
        """May `rows.name` be a column?"""
        found = self._named(alias)
        return not found or any(rows.find(name) is not None for rows in found)

    def columns_of(self, alias: str) -> Columns | None:
        """`rows.*` as columns."""
        found = self._named(alias)
        return found[0].columns if len(found) == 1 else None

    def own(self) -> Flow:
        """All that `*` may be."""
        return together(rows.whole for rows in self.rows if not rows.is_aside)

    def all_columns(self) -> Columns | None:
        """`*` as columns."""
        if any(columns is None for columns in self.star):
            return None
        return tuple(column for columns in self.star if columns is not None for column in columns)

    def whole(self, alias: str) -> Flow:
        found = self._named(alias)
        return together(rows.whole for rows in found) if found else self.everything()

    def everything(self) -> Flow:
        """What is not found may be anything."""
        return together(rows.whole for level in self.levels() for rows in level.rows).derived | ANYTHING

    def with_more(self, rows: Iterable[Rows]) -> Scope:
        return Scope(self.outer, [*self.rows, *rows], self.star)


def united(left: Rows, right: Rows) -> Rows:
    """The answers of both sides of a set operation, by position; the names are those of the left one."""
    if left.columns is None or right.columns is None or len(left.columns) != len(right.columns):
        return unknown("", left.whole | right.whole)
    pairs = zip(left.columns, right.columns, strict=True)
    return listed("", tuple((name, _either(one, other)) for (name, one), (_, other) in pairs))


def counting(found: Rows) -> Rows:
    """A recursive query may count from its first value on to any other."""
    if found.columns is None:
        return found
    return listed(found.alias, tuple((name, flow | MADE if flow == NOTHING else flow) for name, flow in found.columns))


def _either(one: Flow, other: Flow) -> Flow:
    """A copy of one or of the other; what nothing flows into is a copy of nothing."""
    both = one | other
    is_plain = bool(both.columns) and all(flow.is_plain or flow == NOTHING for flow in (one, other))
    return structs.replace(both, is_plain=is_plain)
