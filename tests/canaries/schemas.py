"""Databases full of canaries: random schemas, and one that is always the same."""

from __future__ import annotations

from random import Random

from msgspec import Struct, field

from hoopx_broker.terms.targets import ColumnName
from tests.canaries.values import TYPES, Canary, canary

ROWS = 3
SIDE = "Side Schema"
# Names that need quotes, are words of the grammar, or names of functions too.
_TABLES = ("people", "Order Lines", "select", "accounts", "Ünïts", "a.b", 'we"ird', "notes", "json_agg")
_COLUMNS = ("email", "name", "code", "Mixed Case", "user", "value", "x y", "born", "upper", "to_json", "c.d", "note")
_PLAIN_TYPES = ("text", "integer", "date", "mood", "boolean", "label")
_SORTS = {
    "text": "text", "varchar(40)": "text", "label": "text", "integer": "number", "bigint": "number",
    "numeric": "number", "date": "date", "uuid": "uuid", "inet": "inet", "jsonb": "jsonb", "bytea": "bytea",
    "text[]": "texts", "mood": "mood", "boolean": "boolean",
}  # fmt: skip


class Column(Struct, frozen=True):
    """`type` is as in its definition; `sort` is what the grammar tells apart."""

    name: str
    type: str
    is_classified: bool = False

    @property
    def sort(self) -> str:
        return _SORTS[self.type]


class Table(Struct, frozen=True):
    """Anything that can be read from; `is_base` where rows can be changed in it."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    is_base: bool = True

    @property
    def is_classified(self) -> bool:
        return any(column.is_classified for column in self.columns)

    @property
    def written(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"


_ID = Column("id", "integer")


class Schema(Struct):
    """How to make a database, and what the grammar may name in it.

    `functions` are calls by the sort that they give, `sources` those that may stand in FROM (see `grammar.SOURCES`).
    """

    setup: list[str] = field(default_factory=list)
    canaries: list[Canary] = field(default_factory=list)
    classify: dict[ColumnName, str] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    functions: dict[str, list[str]] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_BEGINNING = [
    f"CREATE SCHEMA {quoted(SIDE)}",
    "CREATE TYPE mood AS ENUM ('calm', 'merry')",
    "CREATE DOMAIN label AS text CHECK (length(value) < 60)",
    "CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)'",
    "CREATE FUNCTION glue(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT concat($1, $2)'",
    "CREATE OPERATOR ### (LEFTARG = text, RIGHTARG = text, FUNCTION = glue)",
    "CREATE AGGREGATE glued(text) (SFUNC = glue, STYPE = text)",
    "CREATE FUNCTION tattle(text) RETURNS text LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE NOTICE 'told %', $1 USING DETAIL = $1, HINT = $1; RETURN $1; END $$",
    "CREATE FUNCTION complain(text) RETURNS text LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION 'no %', $1 USING DETAIL = $1, HINT = $1, COLUMN = $1; END $$",
    "CREATE FUNCTION dynamic(text) RETURNS text LANGUAGE plpgsql AS"
    " $$ DECLARE got text; BEGIN EXECUTE $1 INTO got; RETURN got; END $$",
]


def random_schema(random: Random) -> Schema:
    """Several tables with classified columns beside plain ones, and all that can stand between them and a reader."""
    schema = Schema(setup=list(_BEGINNING))
    names = random.sample(_TABLES, 4)
    made: list[Table] = []
    for name in names:
        table = _table(random, random.choice(("public", "public", SIDE)), name, is_plain=name == names[-1])
        add_table(random, schema, table, parent=random.choice(made) if made else None)
        made.append(table)
    _inherit(random, schema, made[0])
    _partition(random, schema)
    _add_functions(random, schema, random.choice(made[:3]))
    for table in made[:3]:
        _add_views(random, schema, table)
    path = random.choice((f"public, {quoted(SIDE)}", f"{quoted(SIDE)}, public", f'"$user", public, {quoted(SIDE)}'))
    schema.setup += [f"ALTER DATABASE {{database}} SET search_path = {path}", "ANALYZE"]
    return schema


def _table(random: Random, schema: str, name: str, *, is_plain: bool) -> Table:
    names = random.sample(_COLUMNS, 5)
    hidden = [] if is_plain else [Column(each, random.choice(TYPES), is_classified=True) for each in names[:2]]
    if not is_plain and all(column.sort != "text" for column in hidden):
        hidden[0] = Column(names[0], "text", is_classified=True)
    open_ = [Column(each, random.choice(_PLAIN_TYPES)) for each in names[2:]]
    columns = [*hidden, *open_, Column("parent_id", "integer")]
    random.shuffle(columns)
    return Table(schema, name, (_ID, *columns))


def add_table(random: Random, schema: Schema, table: Table, parent: Table | None = None, more: str = "") -> None:
    """Define and fill it."""
    columns = [f"{quoted(column.name)} {column.type}" for column in table.columns]
    if not more:
        columns.append("PRIMARY KEY (id)")
    if parent is not None:
        columns.append(f"FOREIGN KEY (parent_id) REFERENCES {parent.written}")
    schema.setup.append(f"CREATE TABLE {table.written} ({', '.join(columns)}) {more}")
    _classify(schema, table)
    schema.setup.append(fill(random, schema, table))
    schema.tables.append(table)


def _classify(schema: Schema, table: Table) -> None:
    for column in table.columns:
        if column.is_classified:
            schema.classify[ColumnName(table.schema, table.name, column.name)] = column.sort


def fill(random: Random, schema: Schema, table: Table, first: int = 1) -> str:
    """An INSERT with a canary of its own in every classified cell."""
    rows = []
    for number in range(first, first + ROWS):
        cells = [_cell(random, schema, column, number) for column in table.columns]
        rows.append(f"({', '.join(cells)})")
    names = ", ".join(quoted(column.name) for column in table.columns)
    return f"INSERT INTO {table.written} ({names}) VALUES {', '.join(rows)}"


def _cell(random: Random, schema: Schema, column: Column, number: int) -> str:
    if column.is_classified:
        schema.canaries.append(canary(random, column.type))
        return schema.canaries[-1].literal
    match column.sort:
        case "number":
            return str(number)
        case "date":
            return f"date '2026-01-01' + {number}"
        case "mood":
            return random.choice(("'calm'", "'merry'"))
        case "boolean":
            return random.choice(("true", "false"))
        case _:
            return f"'plain {random.choice(('amber', 'sorrel', 'tan'))} {number}'"


def _inherit(random: Random, schema: Schema, parent: Table) -> None:
    """A child elsewhere, whose columns are hidden because its parent's are."""
    child = Table(SIDE, "child of it", (*parent.columns, Column("beside", "text")))
    schema.setup.append(f'CREATE TABLE {child.written} ("beside" text) INHERITS ({parent.written})')
    schema.setup.append(fill(random, schema, child, 100))
    schema.tables.append(child)


def _partition(random: Random, schema: Schema) -> None:
    """One partition made as such, and one attached whose columns stand in another order."""
    columns = (
        _ID,
        Column("secret", random.choice(TYPES), is_classified=True),
        Column("open", "text"),
    )
    whole = Table("public", "parts", columns)
    low, high = Table("public", "parts_low", columns), Table(SIDE, "parts_high", columns[::-1])
    written = ", ".join(f"{quoted(each.name)} {each.type}" for each in columns)
    turned = ", ".join(f"{quoted(each.name)} {each.type}" for each in columns[::-1])
    schema.setup += [
        f"CREATE TABLE public.parts ({written}) PARTITION BY RANGE (id)",
        "CREATE TABLE public.parts_low PARTITION OF public.parts FOR VALUES FROM (0) TO (100)",
        f"CREATE TABLE {high.written} (pad integer, {turned})",
        f"ALTER TABLE {high.written} DROP COLUMN pad",
        f"ALTER TABLE public.parts ATTACH PARTITION {high.written} FOR VALUES FROM (100) TO (1000)",
    ]
    _classify(schema, whole)
    schema.setup += [fill(random, schema, whole), fill(random, schema, whole, 100)]
    schema.tables += [whole, low, high]


# Over a table (or over the first view of it): is the class's column shown as it is, what is made, and of what.
_VIEWS = (
    (True, "VIEW", "SELECT * FROM {view}"),
    (True, "MATERIALIZED VIEW", "SELECT * FROM {view}"),
    (False, "VIEW", "SELECT id, upper(shown::text) FROM {view}"),
    (False, "VIEW", "SELECT id, row_to_json(v)::text FROM {view} v"),
    (False, "VIEW", "SELECT id, 'plain' FROM {view} UNION SELECT 0, shown::text FROM {view}"),
    (False, "VIEW", "SELECT id, t::text FROM {table} t"),
    (False, "VIEW", "SELECT id, peek() FROM {table} t"),
    (False, "MATERIALIZED VIEW", "SELECT id, string_agg(shown::text, ' ') FROM {view} GROUP BY id"),
)


def _add_views(random: Random, schema: Schema, table: Table) -> None:
    stem = f"{table.name} view"
    hidden = next(column for column in table.columns if column.is_classified)
    plain = [column for column in table.columns if not column.is_classified][2:4]
    shown = (_ID, Column("shown", hidden.type, is_classified=True), *plain)
    listed = ", ".join(quoted(column.name) for column in (_ID, hidden, *plain))
    first = Table(table.schema, stem, shown, is_base=False)
    _add_view(schema, first, f"SELECT {listed} FROM {table.written}")
    for number, (is_plain, kind, query) in enumerate(random.sample(_VIEWS, 3)):
        columns = shown if is_plain else (_ID, Column("as text", "text", is_classified=True))
        view = Table(table.schema, f"{stem} {number}", columns, is_base=False)
        _add_view(schema, view, query.format(view=first.written, table=table.written), kind)


def _add_view(schema: Schema, view: Table, query: str, kind: str = "VIEW") -> None:
    names = ", ".join(quoted(column.name) for column in view.columns)
    schema.setup.append(f"CREATE {kind} {view.written} ({names}) AS {query}")
    schema.tables.append(view)


# Functions that read a classified column, or its whole table, where nobody sees it in the statement.
_READING = """
CREATE FUNCTION peek() RETURNS text LANGUAGE sql STABLE AS $$ {one} $$
CREATE FUNCTION peek_at(integer) RETURNS text LANGUAGE sql AS $$ SELECT {cell} FROM {table} WHERE id = $1 $$
CREATE FUNCTION peek_all() RETURNS SETOF text LANGUAGE sql AS $$ SELECT {cell} FROM {table} $$
CREATE FUNCTION peek_rows() RETURNS SETOF {table} LANGUAGE sql AS $$ TABLE {table} $$
CREATE FUNCTION peek_table() RETURNS TABLE (a integer, b text) LANGUAGE sql AS $$ SELECT id, {cell} FROM {table} $$
CREATE FUNCTION of_row({table}) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT $1.{cell} $$
CREATE FUNCTION blurt() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'it is %', ({one}); RETURN 1; END $$
CREATE FUNCTION burst() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'it is %', ({one}); END $$
CREATE TABLE public.defaults (id integer, got text DEFAULT peek())
"""
_CALLS = {
    "text": ["peek()", "peek_at(1)", "(SELECT min(x) FROM peek_all() x)", "(SELECT max(t.of_row) FROM {table} t)"],
    "number": ["blurt()", "burst()"],
}
_CALLS_IN_FROM = ["peek_all() AS {f}(a)", "peek_table() AS {f}(n, b)", "peek() AS {f}(a)", "peek_rows() AS {f}(n)"]


def _add_functions(random: Random, schema: Schema, table: Table) -> None:
    hidden = random.choice([column for column in table.columns if column.is_classified])
    cell = f"{quoted(hidden.name)}::text"
    one = f"SELECT {cell} FROM {table.written} ORDER BY id LIMIT 1"
    schema.setup += _READING.format(table=table.written, cell=cell, one=one).strip().splitlines()
    schema.tables.append(Table("public", "defaults", (_ID, Column("got", "text"))))
    schema.functions = {sort: [call.format(table=table.written) for call in calls] for sort, calls in _CALLS.items()}
    schema.sources = _CALLS_IN_FROM


def shop() -> Schema:
    """The same each time, for tests that name its tables: people with everything classified, and plain orders."""
    random, schema = Random(7), Schema(setup=list(_BEGINNING))
    hidden = [Column(name, type_, is_classified=True) for name, type_ in zip(_HIDDEN, TYPES, strict=True)]
    people = Table("public", "people", (_ID, Column("name", "text"), *hidden))
    plain = (Column("parent_id", "integer"), Column("item", "text"), Column("made", "date"), Column("mood", "mood"))
    orders = Table("public", "orders", (_ID, *plain))
    add_table(random, schema, people)
    add_table(random, schema, orders, parent=people)
    _inherit(random, schema, people)
    _partition(random, schema)
    _add_functions(random, schema, Table("public", "people", people.columns[:3]))
    for name, query in _SHOP_VIEWS.items():
        columns = (_ID, Column("email", "text", is_classified=True))
        _add_view(schema, Table("public", name, columns, is_base=False), query)
    schema.setup.append("ANALYZE")
    return schema


_HIDDEN = ("email", "phone", "badge", "account", "born", "token", "address", "extra", "photo", "salary", "tags")
_SHOP_VIEWS = {
    "contacts": "SELECT id, email FROM people",
    "loud_contacts": "SELECT id, upper(email) FROM contacts",
    "whole_people": "SELECT id, p::text FROM people p",
    "peeking": "SELECT id, peek() FROM orders",
    "all_names": "SELECT id, item FROM orders UNION ALL SELECT id, email FROM people",
}
