"""What a client does with queries: every way to send, keep, copy, explain, prepare, fetch or tell of what they give."""

from __future__ import annotations

import re
from random import Random

from tests.canaries.expressions import Source
from tests.canaries.grammar import SCENES
from tests.canaries.queries import Queries
from tests.canaries.schemas import Schema, Table, quoted
from tests.canaries.turns import Turn, Way

Scene = tuple[Turn, ...]
# How deep queries are nested at most.
_DEPTH = 3
_HOLE = re.compile(
    r"\{(query|one|sum|back|table|table_text|base|base_name|base_schema|hidden|columns|other|plain|open|name)\}"
)
_WAYS: tuple[Way, ...] = ("simple", "simple", "extended", "binary", "binary", "prepared", "portal")
# What may run once only: the other ways run it again.
_ONCE = re.compile(
    r"(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|CREATE|ALTER|DROP|PREPARE|DECLARE|CLOSE|MOVE|SET|DISCARD|INSERT)\b"
)
_LAST = ("ROLLBACK", "ROLLBACK", "ROLLBACK", "COMMIT")


class Scenes:
    """Draws scenes over one schema. The same state of `random` gives the same scene."""

    def __init__(self, random: Random, schema: Schema) -> None:
        self._random = random
        self._schema = schema
        self._queries = Queries(random, schema)

    def draw(self) -> Scene:
        (form,) = self._random.choices([forms for _, forms in SCENES], [weight for weight, _ in SCENES])
        names = self._names()
        text = _HOLE.sub(lambda hole: names.get(hole[1]) or self._fresh(hole[1], names), self._random.choice(form))
        texts = text.split(";;")
        if len(texts) > 1 and self._random.random() < 0.85:
            texts = ["BEGIN", *texts, self._random.choice(_LAST)]
        return tuple(Turn(each, self._random.choice(_WAYS[:5] if _ONCE.match(each) else _WAYS)) for each in texts)

    def _names(self) -> dict[str, str]:
        """What means the same wherever it stands in a scene."""
        tables = self._schema.tables
        hiding = [table for table in tables if table.is_classified]
        self._base = self._random.choice([table for table in hiding if table.is_base])
        table, (plain, open_) = self._random.choice(hiding), self._plain(tables)
        return {
            "table": table.written,
            "table_text": table.written.replace("'", "''"),
            "base": self._base.written,
            "base_name": quoted(self._base.name),
            "base_schema": quoted(self._base.schema),
            "hidden": quoted(self._random.choice([each.name for each in self._base.columns if each.is_classified])),
            "columns": ", ".join(quoted(column.name) for column in self._base.columns),
            "other": self._random.choice(tables).written,
            "plain": plain,
            "open": open_,
            "name": f"n{self._random.randrange(10**6)}",
        }

    def _plain(self, tables: list[Table]) -> tuple[str, str]:
        """A table that hides nothing, and a column of it that takes any text."""
        found = [
            (table.written, quoted(column.name))
            for table in tables
            for column in table.columns
            if table.is_base and not table.is_classified and column.type in ("text", "label")
        ]
        return self._random.choice(found)

    def _fresh(self, hole: str, names: dict[str, str]) -> str:
        if hole == "query":
            return self._queries.select(self._random.randint(0, _DEPTH)).text
        if hole == "one":
            return self._queries.query((), "text", self._random.randint(0, 2))
        if hole == "sum":
            return self._queries.query((), "number", self._random.randint(0, 2))
        return self._back(names)

    def _back(self, names: dict[str, str]) -> str:
        """Something of the row `r` that a statement returns."""
        row = Source("r", tuple((column.name, column.sort) for column in self._base.columns), self._base)
        given = ("*", "r.*", "r", "r::text", f"r.{names['hidden']}", self._queries.any((row,), 2))
        return self._random.choice((*given, self._queries.some((row,), "text", 2)))
