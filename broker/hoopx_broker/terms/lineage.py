"""Where the values of a statement come from, by the target's catalog: which classified columns flow where."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, structs

from hoopx_broker.terms.outline import Use
from hoopx_broker.terms.targets import ColumnName


class Flow(Struct, frozen=True):
    """The classified columns that flow into a value. `anything` where nobody can tell whether that is all.

    `is_plain` where the value is a copy of the one column. `is_made` where the statement makes up as many values as it
    likes: comparing those with a column asks about all of them at once.
    """

    columns: frozenset[ColumnName] = frozenset()
    anything: bool = False
    is_plain: bool = False
    is_made: bool = False

    def __or__(self, other: Flow) -> Flow:
        if self in (NOTHING, other):
            return other
        if other == NOTHING:
            return self
        return Flow(
            self.columns | other.columns,
            self.anything or other.anything,
            self.is_plain and other.is_plain,
            self.is_made or other.is_made,
        )

    @property
    def derived(self) -> Flow:
        """The same, computed with."""
        return structs.replace(self, is_plain=False) if self.is_plain else self


NOTHING = Flow()
ANYTHING = Flow(anything=True)
MADE = Flow(is_made=True)


def together(flows: Iterable[Flow]) -> Flow:
    found = NOTHING
    for flow in flows:
        found = found | flow
    return found


class Probe(Struct, frozen=True, order=True):
    """A classified column whose values decide something: which rows come, in which order, or whether it fails."""

    column: ColumnName
    use: Use


class Kept(Struct, frozen=True):
    """What is written to a table; `column` is `*` where it may be any of them."""

    schema: str | None
    table: str
    column: str
    flow: Flow


class Lineage(Struct, frozen=True):
    """`outputs` has each column of the answer, None where their number is not known; `reach` is all of them.

    `is_doubtful` where something runs unseen that may read any table; `is_whole` is false where the statement was too
    much to be followed to its end. `knows_new` where it uses relations that the session made and no catalog knows yet.
    """

    outputs: tuple[Flow, ...] | None = ()
    reach: Flow = NOTHING
    probes: tuple[Probe, ...] = ()
    kept: tuple[Kept, ...] = ()
    is_doubtful: bool = False
    is_whole: bool = True
    knows_new: bool = False

    @property
    def touched(self) -> frozenset[ColumnName]:
        """Every classified column that has a part in the statement."""
        stored = (kept.flow.columns for kept in self.kept)
        return self.reach.columns.union((probe.column for probe in self.probes), *stored)
