"""From lineage and the catalog to a plan: which columns of an answer are hidden, and how each of them looks.

A column is hidden when a hidden column flows into it by the statement's lineage, or when it is one by the table and
attribute number that the server itself puts into the row description. Where the two disagree, it is hidden.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, structs

from hoopx_broker.masking.detect import Detection
from hoopx_broker.masking.hidden import UNSURE, WHOLE, Hidden, Hiding, Origin, touched
from hoopx_broker.masking.outlets import is_hidden, may_read, refusal
from hoopx_broker.masking.shapes import Mask
from hoopx_broker.terms.facts import CopyStyle, StatementFacts
from hoopx_broker.terms.lineage import Flow, Lineage
from hoopx_broker.terms.rulings import Deny

# Of each column the type and format to look into, or None.
Covered = tuple[tuple[int, int] | None, ...]

_NO_TYPE = 0
_TEXT_FORMAT, _BINARY_FORMAT = 0, 1
_COPY_IS_CLOSED = Deny(
    "COPY would carry masked columns unmasked", "mask", "use SELECT, or COPY with named columns and common options"
)
_STORING = frozenset({"insert", "update", "merge", "create-table-as", "create-view"})
_STRUCTURE_CHANGED = Deny(
    "the transaction has changed what names mean, so nobody can tell where masked columns flow",
    "mask",
    "commit, and then send it",
)


class Plan(Struct, frozen=True):
    """`columns` is how each column of the answer is hidden by lineage, None where nobody knows how many there are.

    Then `doubt` hides what has no origin. `quiet` takes the values out of errors and notices. `copy` is how COPY writes
    rows and `types` what they hold, where they are to be masked; `is_open_copy` where COPY reads nothing hidden.
    `knows_new` where relations that no catalog knows are the session's own. `look` looks into what is not hidden.
    """

    hidden: Hidden | None = None
    columns: tuple[Hiding | None, ...] | None = ()
    doubt: bool = False
    quiet: bool = False
    copy: CopyStyle | None = None
    types: tuple[int, ...] = ()
    is_open_copy: bool = False
    knows_new: bool = False
    look: Detection | None = None

    @property
    def hides(self) -> bool:
        """Whether any answer under this plan may have something to hide."""
        return self.hidden is not None or self.look is not None

    @property
    def is_masking(self) -> bool:
        """Whether something in the answer is hidden, as far as can be told before it comes."""
        return self.look is not None or (self.doubt if self.columns is None else any(self.columns))

    def masks(self, origins: Sequence[Origin]) -> tuple[Mask | None, ...] | None:
        """A mask or None for each column; None where nothing at all is hidden."""
        if self.hidden is None:
            return None
        # An answer of another width than its statement has columns was misread somewhere: then nothing is known.
        columns, doubt = self.columns, self.doubt
        if columns is not None and len(columns) != len(origins):
            columns, doubt = None, True
        columns = (UNSURE,) * len(origins) if columns is None else columns
        found = tuple(
            self._mask(self.hidden, self._hiding(self.hidden, lineage, origin, doubt=doubt), origin)
            for lineage, origin in zip(columns, origins, strict=True)
        )
        return found if any(found) else None

    def covered(self, origins: Sequence[Origin], masks: Sequence[Mask | None] | None) -> Covered | None:
        """Type and format of each column to look into, None for those that are hidden; None where there is none."""
        look = self.look
        if look is None:
            return None
        hidden = masks or (None,) * len(origins)
        found = tuple(
            (origin.type, origin.format) if mask is None and look.covers(origin.type, origin.format) else None
            for origin, mask in zip(origins, hidden, strict=True)
        )
        return found if any(found) else None

    def copy_masks(self) -> tuple[Mask | None, ...]:
        """The same for the rows of a COPY, which come without a description."""
        assert self.copy is not None
        if self.hidden is None or self.columns is None or not self.types:
            return ()
        wire_format = _BINARY_FORMAT if self.copy.format == "binary" else _TEXT_FORMAT
        return tuple(
            None if hiding is None else self.hidden.mask(hiding, kind, wire_format)
            for hiding, kind in zip(self.columns, self.types, strict=True)
        )

    def _mask(self, hidden: Hidden, hiding: Hiding | None, origin: Origin) -> Mask | None:
        return None if hiding is None else hidden.mask(hiding, origin.type, origin.format)

    def _hiding(self, hidden: Hidden, lineage: Hiding | None, origin: Origin, *, doubt: bool) -> Hiding | None:
        if origin.table != 0:
            return self._settled(lineage, hidden.at(origin))
        return None if lineage == UNSURE and not doubt else lineage

    def _settled(self, lineage: Hiding | None, origin: Hiding | None) -> Hiding | None:
        """What lineage and the server say of a plain column."""
        if lineage == UNSURE:
            return WHOLE if origin == UNSURE else origin
        if origin == UNSURE:
            return None if lineage is None and self.knows_new else WHOLE
        return lineage if lineage == origin else WHOLE


OPEN = Plan()


def doubting(hidden: Hidden | None, look: Detection | None = None) -> Plan:
    """The plan for an answer whose statement is not known."""
    if hidden is None:
        return OPEN if look is None else Plan(columns=None, look=look)
    return Plan(hidden, columns=None, doubt=True, quiet=True, look=look)


def plan(
    facts: Sequence[StatementFacts],
    hidden: Hidden | None,
    meant: Sequence[StatementFacts] = (),
    look: Detection | None = None,
    *,
    is_turned: bool = False,
) -> Plan | Deny:
    """The plan for statements sent as one, or a refusal where hiding cannot be done on the wire.

    `meant` are those that the names in them stand for, which EXECUTE and FETCH run. `look` looks into what is shown.
    With `is_turned` the transaction has changed what names mean, and lineage is not to be trusted.
    """
    found = _plan(facts, hidden, meant) if hidden is not None else OPEN
    if is_turned and hidden is not None and not isinstance(found, Deny):
        found = _turned(facts, hidden, found)
    if look is None or isinstance(found, Deny):
        return found
    copies = [statement for statement in facts if statement.copy == "out"]
    if not copies:
        return structs.replace(found, look=look)
    style = copies[0].copy_style
    if len(facts) > 1 or style is None:
        return _COPY_IS_CLOSED
    return structs.replace(found, look=look, copy=style, is_open_copy=False)


def counts_hidden(statement: StatementFacts, hidden: Hidden) -> bool:
    """Does it depend on hidden values how many rows there are, as far as anybody can tell?"""
    lineage = statement.lineage
    if lineage is None or not lineage.is_whole or lineage.is_doubtful:
        return bool(touched(statement, hidden)) or may_read(statement, hidden)
    return any(probe.column in hidden.columns for probe in lineage.probes) or may_read(statement, hidden)


def _turned(facts: Sequence[StatementFacts], hidden: Hidden, found: Plan) -> Plan | Deny:
    """Plain columns are known by their origin. What keeps anything of a table with hidden columns is refused."""
    for statement in facts:
        stores = statement.copy == "out" or not _STORING.isdisjoint(statement.kinds)
        if stores and any(use.action == "read" for use in touched(statement, hidden)):
            return _STRUCTURE_CHANGED
    return structs.replace(found, columns=None, doubt=True, quiet=True, copy=None)


def _plan(facts: Sequence[StatementFacts], hidden: Hidden, meant: Sequence[StatementFacts]) -> Plan | Deny:
    for statement in facts:
        if refused := refusal(statement, hidden):
            return refused
    quiet = any(_is_quiet(statement, hidden) for statement in facts)
    if len(facts) != 1:
        # The answers of several statements come one after the other, and are not told apart here.
        if any(statement.copy == "out" and _reaches(statement, hidden) for statement in facts):
            return _COPY_IS_CLOSED
        doubt = any(_reaches(statement, hidden) for statement in facts)
        return Plan(hidden, None, doubt, quiet, is_open_copy=True)
    (statement,) = facts
    if statement.indirect is not None:
        return _indirect(hidden, meant)
    if statement.copy == "out":
        return _copying(statement, hidden, quiet=quiet)
    return _answering(statement, hidden, quiet=quiet)


def _answering(statement: StatementFacts, hidden: Hidden, *, quiet: bool) -> Plan:
    columns = _columns(statement, hidden)
    doubt = _reaches(statement, hidden)
    knows_new = statement.lineage is not None and statement.lineage.knows_new
    return Plan(hidden, columns, doubt, quiet, knows_new=knows_new)


def _indirect(hidden: Hidden, meant: Sequence[StatementFacts]) -> Plan:
    """A name that stood for one statement all the time runs that one."""
    if len(meant) != 1:
        return doubting(hidden)
    return Plan(hidden, _columns(meant[0], hidden), doubt=True, quiet=True)


def _copying(statement: StatementFacts, hidden: Hidden, *, quiet: bool) -> Plan | Deny:
    if not _reaches(statement, hidden):
        return Plan(hidden, quiet=quiet, is_open_copy=True)
    lineage, columns = statement.lineage, _columns(statement, hidden)
    if lineage is None or lineage.outputs is None or columns is None or statement.copy_style is None:
        return _COPY_IS_CLOSED
    types = tuple(_type_of(flow, hidden) for flow in lineage.outputs)
    return Plan(hidden, columns, quiet=quiet, copy=statement.copy_style, types=types)


def _type_of(flow: Flow, hidden: Hidden) -> int:
    """The oid of the type of a plain column, as far as it is one of those that are hidden."""
    if not flow.is_plain:
        return _NO_TYPE
    return next((hidden.types.get(column, _NO_TYPE) for column in flow.columns), _NO_TYPE)


def _columns(statement: StatementFacts, hidden: Hidden) -> tuple[Hiding | None, ...] | None:
    lineage = statement.lineage
    if lineage is None:
        return None
    if statement.kind == "explain":
        # A plan shows no rows, but how many there are of which values: what conditions look at, it tells of. And what
        # a function gave that was called to make it; and with ANALYZE, how much memory the values took.
        runs = "explain-analyze" in statement.kinds and bool(lineage.touched & hidden.columns.keys())
        tells = runs or any(probe.column in hidden.columns for probe in lineage.probes) or may_read(statement, hidden)
        return (WHOLE if tells else None,)
    if lineage.outputs is None:
        return None
    found = tuple(hidden.hiding(flow) for flow in lineage.outputs)
    # What runs unseen, or reads by other ways than queries, may put anything into a value that is no plain column.
    return tuple(each or UNSURE for each in found) if lineage.is_doubtful or statement.dangerous else found


def _reaches(statement: StatementFacts, hidden: Hidden) -> bool:
    """May a hidden value reach the answer at all?"""
    if statement.indirect is not None or statement.dangerous:
        return True
    lineage = statement.lineage or Lineage()
    return lineage.is_doubtful or is_hidden(lineage.reach, hidden)


def _is_quiet(statement: StatementFacts, hidden: Hidden) -> bool:
    """What the server says of it may quote hidden values: of a row that breaks a constraint, all of them."""
    return bool(touched(statement, hidden)) or _reaches(statement, hidden) or may_read(statement, hidden)
