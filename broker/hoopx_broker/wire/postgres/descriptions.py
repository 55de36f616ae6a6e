"""Remember what a stream's row descriptions say, and what is hidden under them: most come again and again."""

from __future__ import annotations

from msgspec import Struct

from hoopx_broker.masking.plan import Covered, Plan
from hoopx_broker.masking.shapes import Mask
from hoopx_broker.wire.postgres import messages
from hoopx_broker.wire.postgres.frames import Frame

# An application repeats some dozens of statements; a description of many columns is not worth its memory.
MAX_REMEMBERED = 64
MAX_REMEMBERED_BYTES = 4096


class Seen(Struct, frozen=True):
    """How a result is seen under a plan. `told` are the names, types, formats of its columns and which are masked."""

    plan: Plan
    masks: tuple[Mask | None, ...] | None
    covered: Covered | None
    told: tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]


class Description:
    """The columns of a result. Under the plan that it was last seen under, they are not looked at again."""

    __slots__ = ("_fields", "_seen")

    def __init__(self, fields: tuple[messages.Field, ...]) -> None:
        self._fields = fields
        self._seen: Seen | None = None

    def under(self, plan: Plan) -> Seen:
        """A plan never changes, so what was found holds for this very plan, and for no other."""
        seen = self._seen
        if seen is None or seen.plan is not plan:
            seen = self._seen = self._look(plan)
        return seen

    def _look(self, plan: Plan) -> Seen:
        fields = self._fields
        masks = plan.masks(fields)
        names, types = tuple([each.name for each in fields]), tuple([each.type for each in fields])
        masked = tuple([n for n, mask in enumerate(masks or ()) if mask is not None])
        told = names, types, tuple([each.format for each in fields]), masked
        return Seen(plan, masks, plan.covered(fields, masks), told)


NOTHING = Description(())


class Descriptions:
    """Of one stream, by their bytes."""

    def __init__(self) -> None:
        self._known: dict[bytes, Description] = {}

    def read(self, frame: Frame) -> Description:
        """Raises `BrokenPeer`."""
        found = self._known.get(frame.data)
        if found is None:
            found = Description(messages.fields(frame))
            if len(frame.data) <= MAX_REMEMBERED_BYTES:
                self._keep(frame.data, found)
        return found

    def _keep(self, data: bytes, description: Description) -> None:
        if len(self._known) >= MAX_REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[data] = description
