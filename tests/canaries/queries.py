"""The grammar of queries: select lists, joins, subqueries, CTEs, set operations, groups, windows, rows of all kinds."""

from __future__ import annotations

import re

from msgspec import Struct

from tests.canaries.expressions import Expressions, Scope, Source
from tests.canaries.grammar import SOURCES
from tests.canaries.schemas import Table, quoted

# At most so many sources and columns: long queries hide nothing more, and fail more often.
_SOURCES, _COLUMNS = 3, 3
_SORT_OF = {"n": "number", "j": "jsonb"}


class Select(Struct, frozen=True):
    """A query and the columns of its answer, as far as they are known, with their sorts."""

    text: str
    columns: tuple[tuple[str, str], ...] | None


class Queries(Expressions):
    """Writes whole queries. Within one query, names of sources and CTEs are told apart by a count."""

    _count = 0
    _with: tuple[Source, ...] = ()

    def fresh(self, stem: str) -> str:
        self._count += 1
        return f"{stem}{self._count}"

    def chance(self, of: float) -> bool:
        return self.random.random() < of

    def select(self, depth: int, outer: Scope = ()) -> Select:
        """A query of any columns."""
        kind = self.random.random()
        if depth > 0 and kind < 0.15:
            return self._with_ctes(depth, outer)
        if depth > 0 and kind < 0.27:
            return self._set_operation(depth, outer)
        if kind < 0.31:
            return self._of_a_table()
        if depth > 0 and kind < 0.38:
            return self._grouped(depth, outer)
        return self._plain(depth, outer)

    def query(self, scope: Scope, sort: str, depth: int) -> str:
        """A query of one column of this sort, which may look at what is outside of it."""
        text, inner = self._from(max(depth, 0), 1)
        seen = (*inner, *scope) if self.chance(0.3) else inner
        item = self.aggregate(inner, depth) if sort == "text" and self.chance(0.3) else self.some(seen, sort, depth)
        return f"SELECT {item} FROM {text}{self._where(seen, depth - 1)} LIMIT 1"

    def _of_a_table(self) -> Select:
        table = self.random.choice(self.schema.tables)
        if self.chance(0.5):
            return Select(f"TABLE {table.written}", _columns_of(table))
        return Select(f"SELECT * FROM {table.written}", _columns_of(table))

    # A plain SELECT.

    def _plain(self, depth: int, outer: Scope) -> Select:
        text, scope = self._from(depth, self.random.randint(1, _SOURCES))
        seen = (*scope, *outer) if self.chance(0.3) else scope
        items, columns = self._items(seen, scope, depth)
        window = f" WINDOW w AS (ORDER BY {self.any(scope, 0)})" if " OVER w" in items else ""
        distinct = self._distinct(scope)
        query = f"SELECT {distinct}{items} FROM {text}{self._where(seen, depth)}{window}{self._tail(scope, depth)}"
        return Select(query, columns)

    def _items(self, seen: Scope, scope: Scope, depth: int) -> tuple[str, tuple[tuple[str, str], ...] | None]:
        items: list[str] = []
        columns: list[tuple[str, str]] | None = []
        for _ in range(self.random.randint(1, _COLUMNS)):
            if self.chance(0.15):
                items.append(self._star(scope))
                columns = None
                continue
            item, sort = self._item(seen, depth)
            name = self.random.choice((self.fresh("c"), "name", "email", "id", "value"))
            items.append(f"{item} AS {quoted(name)}")
            if columns is not None:
                columns.append((name, sort))
        return ", ".join(items), None if columns is None else tuple(columns)

    def _item(self, scope: Scope, depth: int) -> tuple[str, str]:
        kind = self.random.random()
        if kind < 0.1:
            return self.row(scope), "row"
        if kind < 0.2:
            return self.window(scope, depth), "text"
        sort = self.random.choice(self.present(scope))
        return self.some(scope, sort, depth), sort

    def _star(self, scope: Scope) -> str:
        source = self.random.choice(list(scope))
        if source.is_scalar:
            return "*"
        name = quoted(source.name)
        return self.random.choice(
            ("*", f"{name}.*", f"({name}).*", f"(({name})).*", f"(row({name}.*)).*", f"(SELECT {name}).*")
        )

    def _distinct(self, scope: Scope) -> str:
        if self.chance(0.88):
            return ""
        return "DISTINCT " if self.chance(0.5) else f"DISTINCT ON ({self.any(scope, 0)}) "

    def _where(self, scope: Scope, depth: int) -> str:
        return f" WHERE {self.boolean(scope, depth)}" if self.chance(0.35) else ""

    def _tail(self, scope: Scope, depth: int) -> str:
        parts = ""
        if self.chance(0.2):
            parts += f" ORDER BY {self.random.choice(('1', '1 DESC', self.any(scope, depth - 1)))}"
        if self.chance(0.2):
            parts += self.random.choice(
                (" LIMIT 3", " OFFSET 1", f" LIMIT ({self.query(scope, 'number', 0)})", " FETCH FIRST 2 ROWS ONLY")
            )
        if self.chance(0.05):
            parts += self.random.choice((" FOR UPDATE", " FOR SHARE", " FOR NO KEY UPDATE SKIP LOCKED"))
        return parts

    def _grouped(self, depth: int, outer: Scope) -> Select:
        text, scope = self._from(depth - 1, 1)
        key = self.any(scope, 0)
        groups = self.random.choice(("{}", "ROLLUP ({})", "GROUPING SETS ((), ({}))", "CUBE ({})")).format(key)
        having = f" HAVING {self.aggregate(scope, 0)} IS NOT NULL" if self.chance(0.3) else ""
        items = f"{key}::text AS k, {self.aggregate(scope, depth)} AS v, {self.aggregate(scope, 0)} AS w"
        query = f"SELECT {items} FROM {text}{self._where(scope, 0)} GROUP BY {groups}{having}"
        return Select(query, (("k", "text"), ("v", "text"), ("w", "text")))

    # FROM.

    def _from(self, depth: int, count: int) -> tuple[str, tuple[Source, ...]]:
        text, source = self._source(depth, ())
        scope: tuple[Source, ...] = (source,)
        for _ in range(count - 1):
            if self.chance(0.5):
                break
            more, source = self._source(depth - 1, scope)
            text += self._joined(more, source, scope)
            scope = (*scope, source)
        return text, scope

    def _joined(self, more: str, source: Source, scope: Scope) -> str:
        if self.chance(0.3):
            return f" NATURAL JOIN {more}" if self.chance(0.4) else f", {more}"
        shared = [name for name, _ in source.columns if any(name in dict(each.columns) for each in scope)]
        if shared and self.chance(0.5):
            return f" JOIN {more} USING ({quoted(self.random.choice(shared))})"
        kind = self.random.choice(("JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"))
        return f" {kind} {more} ON {self.random.choice(('true', self.boolean((*scope, source), 0)))}"

    def _source(self, depth: int, before: Scope) -> tuple[str, Source]:
        kind = self.random.random()
        if self._with and kind < 0.3:
            return self._of_cte()
        if depth > 0 and kind < 0.42:
            return self._subquery(depth, before)
        if kind < 0.5:
            return self._function(before, depth)
        if depth > 0 and kind < 0.54:
            return self._bracketed(depth)
        return self._table()

    def _table(self) -> tuple[str, Source]:
        table = self.random.choice(self.schema.tables)
        columns = _columns_of(table)
        only = "ONLY " if table.is_base and self.chance(0.08) else ""
        sample = " TABLESAMPLE system (100)" if table.is_base and self.chance(0.08) else ""
        written = f"{only}{table.written}"
        if self.chance(0.25):
            return written + sample, Source(table.name, columns, table)
        name = self.random.choice((self.fresh("t"), self.fresh("t"), "email", "upper"))
        if self.chance(0.2):
            renamed = tuple((self.fresh("r"), sort) for _, sort in columns)
            return f"{written} AS {quoted(name)}({_names(renamed)}){sample}", Source(name, renamed, table)
        return f"{written} AS {quoted(name)}{sample}", Source(name, columns, table)

    def _subquery(self, depth: int, before: Scope) -> tuple[str, Source]:
        name = self.fresh("s")
        is_lateral = bool(before) and self.chance(0.5)
        inner = self.select(depth - 1, before if is_lateral else ())
        lateral = "LATERAL " if is_lateral else ""
        if inner.columns is None or (self.chance(0.3) and inner.columns):
            columns = tuple((self.fresh("r"), sort) for _, sort in inner.columns or (("", "text"),))
            return f"{lateral}({inner.text}) AS {name}({_names(columns)})", Source(name, columns)
        return f"{lateral}({inner.text}) AS {name}", Source(name, inner.columns)

    def _bracketed(self, depth: int) -> tuple[str, Source]:
        """A join in brackets under one name: what is inside is seen no more."""
        left, one = self._table()
        right, other = self._table()
        name = self.fresh("j")
        columns = tuple((self.fresh("r"), sort) for _, sort in (*one.columns, *other.columns))
        return f"({left} CROSS JOIN {right}) AS {name}({_names(columns)})", Source(name, columns)

    def _function(self, before: Scope, depth: int) -> tuple[str, Source]:
        """What stands in FROM without being a table; the names of its columns tell their sorts."""
        name = self.fresh("f")
        form = self.random.choice((*SOURCES, *self.schema.sources)).replace("{f}", name)
        text, _, listed = self.written(form, before, depth).rpartition(f"AS {name}")
        columns = tuple((each, _SORT_OF.get(each, "text")) for each in re.findall(r"\w+(?= text|,|\)$)", listed))
        return f"{text}AS {name}{listed}", Source(name, columns, is_scalar=len(columns) == 1)

    # CTEs and set operations.

    def _of_cte(self) -> tuple[str, Source]:
        cte = self.random.choice(self._with)
        name = self.fresh("w")
        return f"{cte.name} AS {name}", Source(name, cte.columns)

    def _with_ctes(self, depth: int, outer: Scope) -> Select:
        before, parts = self._with, []
        for _ in range(self.random.randint(1, 2)):
            text, source = self._cte(depth)
            parts.append(text)
            self._with = (*self._with, source)
        main = self.select(depth - 1, outer)
        self._with = before
        recursive = "RECURSIVE " if any(" UNION " in part for part in parts) else ""
        text = f"({main.text})" if main.text.startswith("WITH") else main.text
        return Select(f"WITH {recursive}{', '.join(parts)} {text}", main.columns)

    def _cte(self, depth: int) -> tuple[str, Source]:
        name = self.fresh("w")
        if self.chance(0.2):
            return self._recursive(name, depth)
        if self.chance(0.15):
            return self._modifying(name)
        inner = self.select(depth - 1)
        how = self.random.choice(("", "", "MATERIALIZED ", "NOT MATERIALIZED "))
        columns = inner.columns
        if columns is None or self.chance(0.4):
            columns = tuple((self.fresh("r"), sort) for _, sort in columns or (("", "text"),))
            return f"{name}({_names(columns)}) AS {how}({inner.text})", Source(name, columns)
        return f"{name} AS {how}({inner.text})", Source(name, columns)

    def _recursive(self, name: str, depth: int) -> tuple[str, Source]:
        first = self.query((), "text", depth - 1)
        again = self.random.choice(("a || ''", "upper(a)", "a", "(SELECT a)"))
        text = f"{name}(n, a) AS (SELECT 1, ({first}) UNION ALL SELECT n + 1, {again} FROM {name} WHERE n < 3)"
        return text, Source(name, (("n", "number"), ("a", "text")))

    def _modifying(self, name: str) -> tuple[str, Source]:
        table = self.random.choice([table for table in self.schema.tables if table.is_base])
        alias = quoted(table.name)
        returned = self.random.choice(("*", f"{alias}::text", f"to_jsonb({alias})::text"))
        text = f"{name} AS (UPDATE {table.written} SET id = id WHERE id < 3 RETURNING {returned} AS a)"
        if returned == "*":
            return text.replace(" AS a)", ")"), Source(name, _columns_of(table))
        return text, Source(name, (("a", "text"),))

    def _set_operation(self, depth: int, outer: Scope) -> Select:
        sorts = [self.random.choice(("text", "text", "number", "date")) for _ in range(self.random.randint(1, 2))]
        parts = [self._part(sorts, depth, names=number == 0) for number in range(self.random.randint(2, 3))]
        text = parts[0]
        for part in parts[1:]:
            text += self.random.choice((" UNION ALL ", " UNION ALL ", " UNION ", " EXCEPT ")) + part
        return Select(text, tuple((f"u{number}", sort) for number, sort in enumerate(sorts)))

    def _part(self, sorts: list[str], depth: int, *, names: bool) -> str:
        if self.chance(0.15):
            return (
                f"VALUES ({', '.join(self.some((), sort, 0) for sort in sorts)})"
                if not names
                else self._part(sorts, 0, names=True)
            )
        text, scope = self._from(depth - 1, 1)
        items = [
            self.some(scope, sort, depth - 1) + (f" AS u{number}" if names else "") for number, sort in enumerate(sorts)
        ]
        return f"(SELECT {', '.join(items)} FROM {text})"


def _columns_of(table: Table) -> tuple[tuple[str, str], ...]:
    return tuple((column.name, column.sort) for column in table.columns)


def _names(columns: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(quoted(name) for name, _ in columns)
