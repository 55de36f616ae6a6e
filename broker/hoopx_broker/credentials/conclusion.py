"""What one attempt to end a lease came to, and what follows from it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

# Nothing is left; it must be looked at again later; it ends by itself; it did not work.
Outcome = Literal["gone", "settling", "fading", "failed"]


class Conclusion(Struct, frozen=True):
    """Revoked, or left to those who try again, and why. `is_probed`: its login was seen refused.

    `fades_at` is when it ends by itself, in seconds since the Unix epoch, where its source cannot call it back.
    """

    is_revoked: bool
    is_probed: bool = False
    fades_at: float | None = None
    why: str = ""

    @property
    def outcome(self) -> Outcome:
        if self.is_revoked:
            return "gone"
        if self.fades_at is not None:
            return "fading"
        return "failed" if self.why else "settling"
