"""The outline of a query as far as the flow of values goes: what stands in FROM, and what each column is made of.

It is what the grammar alone can tell. Which columns its names stand for is for the target's catalog to say.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

# How a value is used where it decides which rows come, in which order, or whether an error does. `equality` compares
# the plain value, `null` asks whether there is one, `group` puts equal ones together; `computed` is anything else
# that is made of it first.
Use = Literal["equality", "null", "group", "order", "range", "pattern", "cast", "arithmetic", "computed"]

ALL = "*"
EVERY = -1


class Reference(Struct, frozen=True, tag="reference"):
    """A column or row by name, outermost first: `("c", "email")`. `*` at the end means all columns."""

    names: tuple[str, ...]


class Field(Struct, frozen=True, tag="field"):
    """`(row).column`, where `row` may be the rows of FROM or a column that holds a row."""

    row: tuple[str, ...]
    column: str


class Call(Struct, frozen=True, tag="call"):
    """What a function adds that is not known to be PostgreSQL's own and harmless. Its arguments are parts as well."""

    schema: str | None
    name: str


class Inner(Struct, frozen=True, tag="inner"):
    """All columns of one of the query's `queries`, by its number from 0."""

    number: int


class Output(Struct, frozen=True):
    """One column of an answer, or with `is_star` all that its one part stands for.

    `is_plain` where it is a copy of its one part, `is_constant` where it is one value that the statement says. The
    name is empty where nobody knows what the server calls it.
    """

    name: str
    parts: tuple[Part, ...] = ()
    is_plain: bool = False
    is_star: bool = False
    is_constant: bool = False


class Used(Struct, frozen=True):
    """A value that decides something: a part, or an output of the same query by its number from 1, or `EVERY` one.

    With both it is the part if that is a column in sight, and else the output. `against` is what it is compared with.
    """

    use: Use
    part: Part | None = None
    column: int = 0
    against: tuple[Part, ...] = ()


class Table(Struct, frozen=True, tag="table"):
    """A relation, or a WITH query where one of that name is in sight. `columns` are the new names that `t(a, b)` gives.

    `is_aside` where its columns are only found by its name (`old`, `excluded`), and `*` is without them. `is_copied`
    where COPY reads it as a whole, which leaves out generated columns, `is_written` where the statement writes to it,
    which is never a WITH query.
    """

    schema: str | None
    name: str
    alias: str
    columns: tuple[str, ...] = ()
    is_aside: bool = False
    is_copied: bool = False
    is_written: bool = False


class Subquery(Struct, frozen=True, tag="subquery"):
    """A query in FROM. Only a lateral one sees what stands before it."""

    alias: str
    query: Outline
    columns: tuple[str, ...] = ()
    is_lateral: bool = False


class Computed(Struct, frozen=True, tag="computed"):
    """Functions, XMLTABLE or JSON_TABLE in FROM: all that goes in may come out under any name.

    `columns` are all of its columns where the statement tells, else None.
    """

    alias: str
    parts: tuple[Part, ...] = ()
    columns: tuple[str, ...] | None = None


class Join(Struct, frozen=True, tag="join"):
    """Two sources. `shared` are the columns of USING; `is_natural` means all that have the same name.

    With an `alias` it hides what is inside of it, so that its `conditions`, with the `queries` in them, are its own;
    `using_alias` names the shared columns only.
    """

    left: Source
    right: Source
    shared: tuple[str, ...] = ()
    is_natural: bool = False
    alias: str = ""
    columns: tuple[str, ...] = ()
    using_alias: str = ""
    conditions: tuple[Used, ...] = ()
    queries: tuple[Outline, ...] = ()


class With(Struct, frozen=True):
    """A WITH query. `more` are the columns of SEARCH and CYCLE, after its own, which hold values of its rows."""

    name: str
    query: Outline
    columns: tuple[str, ...] = ()
    is_recursive: bool = False
    more: tuple[str, ...] = ()


class Stored(Struct, frozen=True):
    """What is written into a column of a table; no column where it is by position or into all of them."""

    schema: str | None
    table: str
    column: str
    parts: tuple[Part, ...] = ()


class Outline(Struct, frozen=True, tag="query"):
    """A query. `arms` are the two sides of a set operation, whose columns flow together by their position.

    `queries` are those in its expressions. `stored` is what it writes, as a statement of its own or inside of WITH.
    """

    outputs: tuple[Output, ...] = ()
    sources: tuple[Source, ...] = ()
    used: tuple[Used, ...] = ()
    arms: tuple[Outline, ...] = ()
    withs: tuple[With, ...] = ()
    queries: tuple[Outline, ...] = ()
    stored: tuple[Stored, ...] = ()


Part = Reference | Field | Call | Inner
Source = Table | Subquery | Computed | Join
