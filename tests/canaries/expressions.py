"""The grammar of expressions: typed, so that most of what it writes runs, with whatever carries a value along."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

from msgspec import Struct

from tests.canaries.grammar import AGGREGATES, BOOLEANS, OTHERS, TEXTS, WINDOWS
from tests.canaries.schemas import Schema, Table, quoted

# A type and a constant of each sort.
_SORTS = {
    "text": ("text", "'plain'"),
    "number": ("numeric", "7"),
    "date": ("date", "date '2026-02-03'"),
    "uuid": ("uuid", "gen_random_uuid()"),
    "inet": ("inet", "inet '10.0.0.1'"),
    "jsonb": ("jsonb", "'{\"a\": 1}'::jsonb"),
    "bytea": ("bytea", "'\\x00ff'::bytea"),
    "texts": ("text[]", "array['a', 'b']"),
    "mood": ("mood", "'calm'::mood"),
    "boolean": ("boolean", "true"),
    "row": ("text", "row(1)"),
}
_SHORT = {"T": "text", "N": "number", "D": "date", "U": "uuid", "I": "inet", "J": "jsonb", "B": "bytea", "A": "texts"}
_HOLE = re.compile(r"\{(T|N|D|U|I|J|B|A|any|bool|row|star|q|qN|own|own_number|key|col)\}")


class Source(Struct, frozen=True):
    """What stands in FROM: the name it goes by, its columns with their sorts, and the table that its rows are of.

    The rows of a `scalar` one are values: of a function that gives no rows of several columns.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    table: Table | None = None
    is_scalar: bool = False


Scope = Sequence[Source]


class Expressions:
    """Writes expressions over a scope. `query` writes a subquery of one column of the sort that is asked for."""

    def __init__(self, random: Random, schema: Schema) -> None:
        self.random = random
        self.schema = schema

    def query(self, scope: Scope, sort: str, depth: int) -> str:
        raise NotImplementedError

    def some(self, scope: Scope, sort: str, depth: int) -> str:
        """An expression of this sort; no deeper than `depth`."""
        if depth <= 0 or self.random.random() < 0.25:
            return self._leaf(scope, sort)
        forms = TEXTS if sort == "text" else OTHERS.get(sort, (_SORTS[sort][1],))
        return self.written(self.random.choice(forms), scope, depth - 1)

    def any(self, scope: Scope, depth: int) -> str:
        return self.some(scope, self.random.choice(self.present(scope)), depth)

    def boolean(self, scope: Scope, depth: int) -> str:
        return self.written(self.random.choice(BOOLEANS if depth > 0 else BOOLEANS[:3]), scope, depth - 1)

    def aggregate(self, scope: Scope, depth: int) -> str:
        return self.written(self.random.choice(AGGREGATES), scope, depth - 1)

    def window(self, scope: Scope, depth: int) -> str:
        return self.written(self.random.choice(WINDOWS), scope, depth - 1)

    def present(self, scope: Scope) -> list[str]:
        """The sort of each column in sight."""
        return [sort for source in scope for _, sort in source.columns] or ["text"]

    def _leaf(self, scope: Scope, sort: str) -> str:
        fitting = [(source, name) for source in scope for name, found in source.columns if found == sort]
        if not fitting:
            return self._of_another_sort(scope, sort)
        return self._column(*self.random.choice(fitting))

    def _of_another_sort(self, scope: Scope, sort: str) -> str:
        found = [(source, name) for source in scope for name, _ in source.columns]
        type_, constant = _SORTS[sort]
        if not found or self.random.random() < 0.3:
            return constant
        column = self._column(*self.random.choice(found))
        return f"{column}::text" if type_ == "text" else f"{column}::text::{type_}"

    def _column(self, source: Source, name: str) -> str:
        """One of the ways to write a column."""
        written, row = quoted(name), quoted(source.name)
        if source.is_scalar:
            return self.random.choice((f"{row}.{written}", row))
        ways = [f"{row}.{written}"] * 6 + [written] * 2
        ways += [f"({row}).{written}", f"{written}({row})", f"(({row})).{written}"]
        if source.table is not None and source.name == source.table.name:
            ways.append(f"{source.table.written}.{written}")
        return self.random.choice(ways)

    def row(self, scope: Scope) -> str:
        """A whole row."""
        if not scope:
            return "row(1)"
        source = self.random.choice(list(scope))
        name = quoted(source.name)
        if source.is_scalar:
            return f"row({name})"
        return self.random.choice((name, name, f"({name})", f"row({name}.*)", f"({name}.*)"))

    def _star_of(self, scope: Scope) -> str:
        """A row as the only argument of something, which makes one value of it."""
        rows = [source.name for source in scope if not source.is_scalar]
        return f"{quoted(self.random.choice(rows))}.*" if rows else "row(1)"

    def written(self, form: str, scope: Scope, depth: int) -> str:
        """The form with its holes filled."""
        return _HOLE.sub(lambda hole: self._fill(hole[1], scope, depth), form)

    def _fill(self, hole: str, scope: Scope, depth: int) -> str:
        if hole in _SHORT:
            return self.some(scope, _SHORT[hole], depth)
        makers: dict[str, Callable[[], str]] = {
            "any": lambda: self.any(scope, depth),
            "bool": lambda: self.boolean(scope, depth),
            "row": lambda: self.row(scope),
            "star": lambda: self._star_of(scope),
            "q": lambda: self.query(scope, "text", depth),
            "qN": lambda: self.query(scope, "number", depth),
            "own": lambda: self.random.choice(self.schema.functions["text"]),
            "own_number": lambda: self.random.choice(self.schema.functions["number"]),
            "col": lambda: quoted(self._some_name(scope)),
            "key": lambda: "'" + self._some_name(scope).replace("'", "''") + "'",
        }
        return makers[hole]()

    def _some_name(self, scope: Scope) -> str:
        names = [name for source in scope for name, _ in source.columns]
        return self.random.choice(names) if names else "id"
