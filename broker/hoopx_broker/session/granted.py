"""Remember what people agreed to when a statement was bound, until it is run: once, and at once."""

from __future__ import annotations

from msgspec.structs import replace

from hoopx_broker.session.plea import Agreed
from hoopx_broker.wire.effects import Judge

# Clients send Execute along with Bind. Whoever comes later is asked about again: the world goes on.
RUN_WITHIN_SECONDS = 10.0


class Granted:
    """Of one stream. By the statement to the letter with its parameters, and the policy that asked."""

    def __init__(self) -> None:
        self._of: dict[tuple[Judge, str], tuple[float, Agreed]] = {}

    def keep(self, asked: Judge, policy: str, now: float, agreed: Agreed) -> None:
        """Nothing is kept of what runs already."""
        if asked.binds:
            self._of = {of: each for of, each in self._of.items() if each[0] > now}
            self._of[_run_of(asked), policy] = (now + RUN_WITHIN_SECONDS, agreed)

    def take(self, asked: Judge, policy: str, now: float) -> Agreed | None:
        """What was agreed to for this run; None where people are to be asked. To bind it again is another run."""
        if asked.binds:
            return None
        until, agreed = self._of.pop((_run_of(asked), policy), (0.0, None))
        return agreed if now < until else None


def _run_of(asked: Judge) -> Judge:
    """The server may have told the types of its parameters meanwhile."""
    return replace(asked, binds=False, types=())
