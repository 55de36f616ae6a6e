"""Follow values through a query by the target's catalog: which classified columns flow into which of its outputs.

Names are looked up as the server does, query inside of query. What is not found stands for everything in sight, and
what cannot be followed for anything at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, assert_never

from hoopx_broker.policy.rows import NAMELESS, Columns, Rows, Scope, counting, listed, renamed, united, unknown
from hoopx_broker.terms.facts import TableName
from hoopx_broker.terms.lineage import MADE, NOTHING, Flow, Kept, Lineage, Probe, together
from hoopx_broker.terms.outline import (
    ALL,
    Call,
    Computed,
    Field,
    Inner,
    Join,
    Outline,
    Output,
    Part,
    Reference,
    Source,
    Stored,
    Subquery,
    Table,
    Use,
    Used,
    With,
)

# Queries, sources and parts that are followed for one statement: some 50 ms. Honest ones have some hundreds.
MAX_STEPS = 50_000
# A recursive query is followed until nothing more flows; each round adds a column, and few have more than this.
MAX_ROUNDS = 50

# Uses that say nothing of a value but whether it is the same as another.
_OF_PLAIN_VALUES: tuple[Use, ...] = ("equality", "null", "group")


class TooMuch(Exception):
    """It cannot be followed to its end in bounded time."""


class _Made(NamedTuple):
    """What one item of a select list makes: its columns, None where nobody knows how many, and all that flows there."""

    columns: Columns | None
    flow: Flow


class Tables(Protocol):
    """What the catalog knows of relations and functions, as a statement names them."""

    def rows_of(self, table: TableName, *, is_copied: bool) -> Rows:
        """The rows of a relation, without generated columns where it `is_copied`."""
        ...

    def is_home(self, table: TableName, column: str, flow: Flow) -> bool:
        """Is this column itself what flows, so that a value stored there is as classified as before?"""
        ...

    def returned_by(self, call: Call) -> Flow:
        """What a function may add to its arguments."""
        ...


def lineage(outline: Outline, tables: Tables) -> Lineage:
    """Where the values of one statement flow. Raises `TooMuch`."""
    follower = _Follower(tables)
    try:
        answer = follower.query(outline, None, {})
    except RecursionError:
        raise TooMuch from None
    outputs = None if answer.columns is None else tuple(flow for _, flow in answer.columns)
    return Lineage(outputs, answer.whole, tuple(sorted(follower.probes)), tuple(dict.fromkeys(follower.kept)))


@dataclass(slots=True, eq=False)
class _Named:
    """A WITH query, followed when it is first needed. A recursive one is met again while it is followed."""

    query: With
    outer: Scope | None
    withs: Mapping[str, _Named]
    rows: Rows | None = None
    is_followed: bool = False


Withs = Mapping[str, _Named]


class _Follower:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._steps = 0
        self.probes: set[Probe] = set()
        self.kept: list[Kept] = []

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise TooMuch

    # Queries.

    def query(self, outline: Outline, outer: Scope | None, withs: Withs) -> Rows:
        self._step()
        withs = self._withs(outline.withs, outer, withs)
        if outline.arms:
            return self._arms(outline, outer, withs)
        scope = Scope(outer)
        inner = _Inside(self, outline.queries, scope, withs)
        for source in outline.sources:
            rows, star = self._source(source, scope, inner, withs)
            scope.rows += rows
            scope.star.append(star)
        made = [self._output(output, scope, inner) for output in outline.outputs]
        self._uses(outline.used, made, scope, inner)
        for stored in outline.stored:
            self._store(stored, scope, inner)
        inner.finish()
        self._finish(withs)
        return _answer(made)

    def _store(self, stored: Stored, scope: Scope, inner: _Inside) -> None:
        flow = self._parts(stored.parts, scope, inner)
        if (flow.columns or flow.anything) and not self._tables.is_home(
            TableName(stored.schema, stored.table), stored.column, flow
        ):
            self.kept.append(Kept(stored.schema, stored.table, stored.column, flow))

    def _arms(self, outline: Outline, outer: Scope | None, withs: Withs) -> Rows:
        left, right = (self.query(arm, outer, withs) for arm in outline.arms)
        found = united(left, right)
        scope = Scope(outer)
        inner = _Inside(self, outline.queries, scope, withs)
        columns = found.columns if found.columns is not None else ()
        self._uses(
            outline.used,
            [_Made((column,), column[1]) for column in columns] or [_Made(None, found.whole)],
            scope,
            inner,
        )
        inner.finish()
        self._finish(withs)
        return found

    def _output(self, output: Output, scope: Scope, inner: _Inside) -> _Made:
        if output.is_star:
            return self._star(output.parts[0], scope, inner)
        flow = self._parts(output.parts, scope, inner) if output.parts or output.is_constant else MADE
        flow = flow if output.is_plain or output.is_constant else flow.derived | MADE
        return _Made(((output.name, flow),), flow)

    def _star(self, part: Part, scope: Scope, inner: _Inside) -> _Made:
        match part:
            case Reference(names=(_,)):
                return _Made(scope.all_columns(), scope.own())
            case Reference(names=(rows, _)):
                return _Made(scope.columns_of(rows), self._part(part, scope, inner))
            case Field(row=(rows,)) if scope.has(rows) is False:
                return _Made(scope.columns_of(rows), self._part(part, scope, inner))
            case _:  # all columns of a value that is a row
                return _Made(None, self._part(part, scope, inner))

    def _parts(self, parts: Iterable[Part], scope: Scope, inner: _Inside) -> Flow:
        return together(self._part(part, scope, inner) for part in parts)

    def _part(self, part: Part, scope: Scope, inner: _Inside) -> Flow:
        self._step()
        match part:
            case Reference(names=(name,)):
                return scope.everything() if name == ALL else scope.column(name)
            case Reference(names=(rows, name)):
                if name != ALL and not scope.may_have(rows, name):
                    self.probe("computed", scope.whole(rows))  # a dot calls any function of one argument
                return scope.whole(rows) if name == ALL else scope.of_rows(rows, name)
            case Reference(names=(*_, rows, name)):
                return scope.of_any_rows(rows, name)
            case Field(row=(name,), column=column):
                return self._field(name, column, scope)
            case Field(row=(*_, rows, name)):
                return scope.of_any_rows(rows, name).derived
            case Call():
                return self._tables.returned_by(part)
            case Inner(number=number):
                found = inner.rows(number, scope)
                return found.columns[0][1] if found.columns is not None and len(found.columns) == 1 else found.whole
            case _:
                raise TooMuch  # a reference to nothing

    def _field(self, name: str, column: str, scope: Scope) -> Flow:
        """`(name).column`: of the rows of this name, or of a column that holds a row."""
        holding = [each.known[name] for level in scope.levels() for each in level.rows if name in each.known]
        self.probe("computed", together(holding))  # a field, or a function of one argument
        flow = scope.whole(name) if column == ALL else scope.of_rows(name, column)
        return together([flow, *holding]).derived

    # What values decide.

    def _uses(self, used: Iterable[Used], made: Sequence[_Made], scope: Scope, inner: _Inside) -> None:
        for each in used:
            is_column = each.part is not None and self._in_sight(each, scope)
            if each.part is not None and is_column is not False:
                self.probe(each.use, self._part(each.part, scope, inner), self._parts(each.against, scope, inner))
            if each.column and is_column is not True:
                self._use_output(each, made)

    def _use_output(self, used: Used, made: Sequence[_Made]) -> None:
        for one in made[used.column - 1 : used.column] if used.column > 0 else made:
            for flow in (one.flow,) if one.columns is None else (flow for _, flow in one.columns):
                self.probe(used.use, flow)

    def _in_sight(self, used: Used, scope: Scope) -> bool | None:
        """A bare name in GROUP BY is a column in sight first, and else an output; None where nobody knows."""
        match used.part:
            case Reference(names=(name,)) if used.column:
                return scope.has(name)
            case _:
                return True

    def probe(self, use: Use, flow: Flow, against: Flow = NOTHING) -> None:
        """Equality of what is computed from a value is not that of the value, nor is equality with any of many."""
        if use in _OF_PLAIN_VALUES and (not flow.is_plain or flow.is_made or against.is_made):
            use = "computed"
        self.probes.update(Probe(column, use) for column in flow.columns)

    # WITH.

    def _withs(self, queries: tuple[With, ...], outer: Scope | None, withs: Withs) -> Withs:
        if not queries:
            return withs
        known = dict(withs)
        for query in queries:
            # A recursive one may name those after it, too; they all share the same names then.
            known[query.name] = _Named(query, outer, known if query.is_recursive else dict(known))
        return known

    def _finish(self, withs: Withs) -> None:
        """A WITH query that nobody reads runs all the same if it writes."""
        for named in withs.values():
            if named.rows is None and not named.is_followed:
                self._named(named)

    def _named(self, named: _Named) -> Rows:
        if named.rows is not None:
            return named.rows
        if named.is_followed:  # it names itself; it starts from what does not
            return unknown("", NOTHING)
        named.is_followed = True
        query, found = named.query.query, None
        if named.query.is_recursive and query.arms:
            named.rows = self._called(named, self.query(query.arms[0], named.outer, named.withs))
        for _ in range(MAX_ROUNDS):
            found = self._called(named, self.query(query, named.outer, named.withs))
            if query.arms and named.query.is_recursive:
                found = counting(found)
            if found == named.rows or not named.query.is_recursive:
                break
            named.rows = found
        else:
            raise TooMuch
        named.rows = found
        return found

    def _called(self, named: _Named, found: Rows) -> Rows:
        """With the names of its columns, and those of SEARCH and CYCLE."""
        called = renamed(found, named.query.columns, named.query.name)
        if not named.query.more:
            return called
        self.probe("order", called.whole)  # SEARCH and CYCLE compare rows
        if called.columns is None:
            return unknown(named.query.name, called.whole)
        more = tuple((name, called.whole) for name in named.query.more)
        return listed(named.query.name, called.columns + more)

    # FROM.

    def _source(self, source: Source, scope: Scope, inner: _Inside, withs: Withs) -> tuple[list[Rows], Columns | None]:
        self._step()
        match source:
            case Table():
                rows = self._table(source, withs)
                return [rows], () if source.is_aside else rows.columns
            case Subquery():
                found = self.query(source.query, scope if source.is_lateral else scope.outer, withs)
                rows = renamed(found, source.columns, source.alias)
            case Computed():
                rows = self._computed(source, scope, inner)
            case Join():
                return self._join(source, scope, inner, withs)
            case _:
                assert_never(source)
        return [rows], rows.columns

    def _table(self, table: Table, withs: Withs) -> Rows:
        if table.schema is None and not (table.is_aside or table.is_written) and table.name in withs:
            return renamed(self._named(withs[table.name]), table.columns, table.alias)
        found = self._tables.rows_of(TableName(table.schema, table.name), is_copied=table.is_copied)
        found = found._replace(is_aside=table.is_aside)
        return renamed(found, table.columns, table.alias)

    def _computed(self, source: Computed, scope: Scope, inner: _Inside) -> Rows:
        flow = self._parts(source.parts, scope, inner).derived | MADE
        if source.columns is None:
            return unknown(source.alias, flow)
        return listed(source.alias, tuple((name, flow) for name in source.columns))

    def _join(self, join: Join, scope: Scope, inner: _Inside, withs: Withs) -> tuple[list[Rows], Columns | None]:
        # What a join's alias hides has queries of its own in its conditions.
        around = Scope(scope)
        if join.alias:
            inner = _Inside(self, join.queries, around, withs)
        left, left_star = self._source(join.left, scope, inner, withs)
        right, right_star = self._source(join.right, scope.with_more(left), inner, withs)
        both = [*left, *right]
        shared = _shared(join, left_star, right_star)
        self._join_by(shared, both)
        star = _joined(shared, left_star, right_star)
        if join.using_alias:
            columns = tuple((name, together(each.find(name) or NOTHING for each in both)) for name in shared or ())
            both.append(listed(join.using_alias, columns, is_aside=True))
        if not join.alias:
            return both, star
        around.rows += both
        self._uses(join.conditions, (), around, inner)
        inner.finish()
        whole = together(each.whole for each in both)
        found = listed("", star) if star is not None else unknown("", whole)
        found = renamed(found, join.columns, join.alias)
        return [found], found.columns

    def _join_by(self, shared: tuple[str, ...] | None, both: list[Rows]) -> None:
        """Columns that two sides share are compared; where nobody knows which they are, any may be."""
        if shared is None:
            for each in both:
                self.probe("equality", each.whole)
            return
        for name in shared:
            flows = [each.find(name) or NOTHING for each in both]
            for flow in flows:
                self.probe("equality", flow, together(flows))


class _Inside:
    """The queries in the expressions of one query, each followed once, in the scope that it is first needed in."""

    def __init__(self, follower: _Follower, queries: tuple[Outline, ...], scope: Scope, withs: Withs) -> None:
        self._follow: Callable[[Outline, Scope], Rows] = lambda query, scope: follower.query(query, scope, withs)
        self._queries = queries
        self._scope = scope
        self._rows: dict[int, Rows] = {}

    def rows(self, number: int, scope: Scope) -> Rows:
        if number not in self._rows:
            self._rows[number] = self._follow(self._queries[number], scope)
        return self._rows[number]

    def finish(self) -> None:
        """Those whose values go nowhere decide something all the same."""
        for number in range(len(self._queries)):
            self.rows(number, self._scope)


def _answer(made: Sequence[_Made]) -> Rows:
    if any(each.columns is None for each in made):
        known = listed("", tuple(column for each in made if each.columns is not None for column in each.columns))
        return known._replace(columns=None, rest=together(each.flow for each in made).derived)
    return listed("", tuple(column for each in made for column in each.columns or ()))


def _shared(join: Join, left: Columns | None, right: Columns | None) -> tuple[str, ...] | None:
    """The columns that the two sides are joined by; None where nobody knows them."""
    by_name = join.is_natural or join.shared
    if by_name and any(name == NAMELESS for name, _ in (*(left or ()), *(right or ()))):
        return None
    if not join.is_natural:
        return join.shared
    if left is None or right is None:
        return None
    names = {name for name, _ in right}
    return tuple(name for name, _ in left if name in names)


def _joined(shared: tuple[str, ...] | None, left: Columns | None, right: Columns | None) -> Columns | None:
    """What `*` is: the shared columns once, then the others of both sides."""
    if shared is None or left is None or right is None:
        return None
    both = (*left, *right)
    merged = tuple((name, together(flow for other, flow in both if other == name)) for name in shared)
    return (*merged, *(column for column in both if column[0] not in shared))
