"""How long a recording stays: by the class that its target had at its seal, never shorter than was promised then."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from hoopx_broker.evidence.shelf import Shelved
from hoopx_broker.terms.targets import Target

DEFAULT = "default"


class Retention(Struct, frozen=True):
    """`classes` are how many seconds each is kept; a class that is not among them is kept for good."""

    classes: Mapping[str, int]
    targets: Mapping[str, Target]

    def promise(self, target: str, sealed_at: float) -> tuple[str, float]:
        """Its class, and until when it is kept at least: 0 for good. Of a target that is gone, `default`."""
        known = self.targets.get(target)
        class_ = known.retention if known is not None else DEFAULT
        seconds = self.classes.get(class_)
        return class_, sealed_at + seconds if seconds is not None else 0.0

    def until(self, recording: Shelved) -> float | None:
        """When its time is over, None for never. A class that got longer counts; one that got shorter does not."""
        seconds = self.classes.get(recording.class_)
        return max(recording.kept_until, recording.sealed_at + seconds) if seconds is not None else None

    @property
    def shortest(self) -> float | None:
        """Nothing younger than this can be over its time; None where nothing ever is."""
        return min(self.classes.values(), default=None)
