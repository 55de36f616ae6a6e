"""What the client sees of rows under a plan: those of a result, and those of a COPY."""

from __future__ import annotations

from functools import partial

from hoopx_broker.masking.detect import Detection
from hoopx_broker.masking.plan import Covered, Plan
from hoopx_broker.masking.shapes import TEXT_FORMAT, Mask
from hoopx_broker.masking.typed import BYTEA, JSON, TEXT
from hoopx_broker.terms.facts import CopyStyle
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres import detecting, messages, rows
from hoopx_broker.wire.postgres.copying import CopyOut
from hoopx_broker.wire.postgres.copying_cells import Look

BINARY_FORMAT = 1
_UNKNOWN = 0  # no type has this oid
# Types by how a value of theirs begins as text. One that is none of them after all is looked into as text.
_WRITTEN_AS = {b"{": JSON, b"[": JSON, b'"': JSON, b"\\": BYTEA}


def shown(data: bytes, plan: Plan, masks: tuple[Mask | None, ...] | None, covered: Covered | None) -> bytes:
    """Rows as the client sees them: hidden by `masks`, and looked into where `covered` says so."""
    if masks is not None:
        data = rows.hide(data, masks)
    if covered is not None and plan.look is not None:
        data = detecting.hide(data, plan.look, covered)
    return data


def copy_out(plan: Plan, shape: messages.CopyShape) -> CopyOut | None:
    """What hides the rows of a COPY; None where nothing in them is hidden."""
    if not plan.hides or plan.is_open_copy:
        return None
    if plan.copy is None or (plan.copy.format == "binary") != shape.is_binary:
        raise BrokenPeer("the rows of a COPY came that cannot be masked")
    masks = plan.copy_masks() or (None,) * shape.columns
    if len(masks) != shape.columns:
        raise BrokenPeer("the rows of a COPY have other columns than its statement")
    look = None if plan.look is None else _looking(plan.look, plan.copy)
    sees = None if plan.look is None else partial(plan.look.sees, encoded=True)
    return CopyOut(plan.copy, masks, look, sees) if any(masks) or look is not None else None


def _looking(detection: Detection, style: CopyStyle) -> Look:
    """COPY tells no types. As text, a value is looked into as what it is written like."""

    def into_text(cell: bytes, _column: int) -> bytes | None:
        return detection.hide(cell, _WRITTEN_AS.get(cell[:1], TEXT), TEXT_FORMAT)

    def into_binary(cell: bytes, _column: int) -> bytes | None:
        # No text has a zero byte. What has one is made of parts with lengths, or of nothing that is looked for.
        return detection.hide(cell, _UNKNOWN if b"\0" in cell else TEXT, BINARY_FORMAT)

    return into_binary if style.format == "binary" else into_text
