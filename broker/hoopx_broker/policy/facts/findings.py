"""What a walk over one statement has found so far; becomes `StatementFacts` at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

from msgspec import msgpack, structs

from hoopx_broker.policy.facts.functions import (
    SECRET_COLUMNS,
    danger,
    is_called_by_dot,
    is_harmless,
    relation_danger,
)
from hoopx_broker.terms.facts import (
    ColumnAction,
    CopyStyle,
    FunctionName,
    Mention,
    StatementFacts,
    TableAction,
    TableName,
    TableUse,
)
from hoopx_broker.terms.outline import Outline

# Aliases that PostgreSQL itself gives to rows: in ON CONFLICT, RETURNING and rules.
_ROWS_OF_THE_SERVER = ("excluded", "old", "new")


@dataclass(slots=True)
class Findings:
    """Grows only: nothing that a walk adds is taken back."""

    kinds: set[str] = field(default_factory=set)
    actions: set[str] = field(default_factory=set)
    tables: set[TableUse] = field(default_factory=set)
    functions: set[FunctionName] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)
    settings: set[str] = field(default_factory=set)
    dangerous: set[str] = field(default_factory=set)
    mentioned: set[str] = field(default_factory=set)
    mentions: set[Mention] = field(default_factory=set)
    dotted: set[str] = field(default_factory=set)
    operators: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    paths: list[tuple[str, ...] | None] = field(default_factory=list)
    # Names of relations and their aliases, and last names of shown references: where they meet, a row may be shown.
    rows: set[str] = field(default_factory=lambda: set(_ROWS_OF_THE_SERVER))
    references: set[str] = field(default_factory=set)
    whole_rows: bool = False
    stars: bool = False
    outline: Outline | None = None
    has_where: bool = True
    has_limit: bool = False
    indirect: str | None = None
    defines: str | None = None
    copies_out: bool = False
    copies_in: bool = False
    copy_style: CopyStyle | None = None

    def table(self, schema: str | None, name: str, action: TableAction) -> None:
        self.tables.add(TableUse(schema, name, action))
        self.actions.add(action)
        if reach := relation_danger(schema, name):
            self.dangerous.add(reach)
        if name == "pg_settings" and action in ("insert", "update", "delete"):
            self.dangerous.add("set-config")  # a rule of the catalog turns the update into SET
            self.paths.append(None)

    def column(self, table: TableName, name: str, action: ColumnAction) -> None:
        """A column of a table that is not in doubt; `*` for all of them."""
        self.mentions.add(Mention(name, action, ((table,),)))

    def function(self, schema: str | None, name: str) -> None:
        function = FunctionName(schema, name)
        self.functions.add(function)
        if reach := danger(name):
            self.dangerous.add(reach)
        if not is_harmless(function):
            self.doubtful.add(name)
            self.actions.add("call")

    def attribute(self, name: str) -> None:
        """What stands after a dot: a column, or a function called in the notation of columns."""
        self.mentioned.add(name)
        if is_called_by_dot(name):
            self.function(None, name)
            self.actions.add("call")

    def setting(self, name: str) -> None:
        """Settings are named in lower case: the server does not tell cases apart."""
        self.settings.add(name.lower())

    def facts(self, kind: str, structure: str) -> StatementFacts:
        """`structure` is the grammar's fingerprint; alone it would tell neither `SET` nor `WHERE` values apart."""
        shows_rows = self.whole_rows or not self.references.isdisjoint(self.rows)
        if self._shows_secrets(shows_rows=shows_rows):
            self.dangerous.add("credentials")
        facts = StatementFacts(
            kind=kind,
            kinds=frozenset(self.kinds | {kind}),
            actions=frozenset(self.actions),
            fingerprint=structure,
            tables=tuple(sorted(self.tables, key=lambda use: (use.schema or "", use.name, use.action))),
            functions=tuple(sorted(self.functions, key=lambda function: (function.schema or "", function.name))),
            doubtful=frozenset(self.doubtful),
            mentions=tuple(sorted(self.mentions, key=_canonical)),
            dotted=frozenset(self.dotted),
            operators=frozenset(self.operators),
            types=frozenset(self.types),
            paths=tuple(dict.fromkeys(self.paths)),
            settings=tuple(sorted(self.settings)),
            has_where=self.has_where,
            has_limit=self.has_limit,
            dangerous=tuple(sorted(self.dangerous)),
            mentioned=frozenset(self.mentioned),
            whole_rows=shows_rows,
            outline=self.outline,
            indirect=self.indirect,
            defines=self.defines,
            copy="out" if self.copies_out else "in" if self.copies_in else None,
            copy_style=self.copy_style,
        )
        return structs.replace(facts, fingerprint=blake2b(_canonical(facts), digest_size=8).hexdigest())

    def _shows_secrets(self, *, shows_rows: bool) -> bool:
        secrets = [SECRET_COLUMNS[use.name] for use in self.tables if use.name in SECRET_COLUMNS]
        return any(shows_rows or self.stars or column in self.mentioned for column in secrets)


# Sets in a fixed order, so that the same facts are the same bytes in every process.
_canonical = msgpack.Encoder(order="deterministic").encode
