"""What a database says while a statement runs, in words that hold for every kind of database."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

Cell = bytes | None  # as text in UTF-8; None is NULL


class Column(Struct, frozen=True):
    """One column of a result. `as_json` makes a JSON value of a cell's text."""

    name: str
    is_number: bool
    as_json: Callable[[str], bytes]


class Report(Struct, frozen=True):
    """An error or a notice. `position` counts characters of the statement from 1; 0 is no place in it.

    `source` tells where it comes from, as far as the protocol says so: `Source` names what hoopx itself says.
    """

    severity: str
    code: str
    message: str
    detail: str = ""
    hint: str = ""
    position: int = 0
    context: str = ""
    source: str = ""

    @property
    def is_final(self) -> bool:
        """The connection ends with it."""
        return self.severity in ("FATAL", "PANIC")


class Columns(Struct, frozen=True):
    """A result begins."""

    columns: tuple[Column, ...]


class Rows(Struct, frozen=True):
    rows: list[list[Cell]]


class CopyIn(Struct, frozen=True):
    """The server wants data: `Link.copy` sends it."""


class CopyOut(Struct, frozen=True):
    """Data of a COPY, as it is."""

    data: bytes


class Done(Struct, frozen=True):
    """A statement came to its end; `tag` says which and of how many rows, as `UPDATE 3`."""

    tag: str


class Failed(Struct, frozen=True):
    report: Report


class Told(Struct, frozen=True):
    """Something in passing."""

    report: Report


Happening = Columns | Rows | CopyIn | CopyOut | Done | Failed | Told
