"""This machine's clock, beside the broker's and beside the times in a token."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

from msgspec import Struct

from hoopx_broker.terms.errors import ExitCode
from hoopx_cli.doctor.findings import Checked, broken, fine, odd
from hoopx_cli.output import moment
from hoopx_cli.unverified import seconds_of

TOLERANCE = 60.0  # seconds; what a broker grants to clocks that differ (`identity.claims.MAX_SKEW`)
NEAR = 20.0  # seconds; a clock that is off by more goes on drifting
_MEND = (
    "set this machine's clock (`timedatectl set-ntp true`), or have the broker's set; proofs of a login name the time"
)


class Heard(Struct, frozen=True):
    """The Date of an answer, and when by our clock it was asked for and heard."""

    date: str = ""
    began: float = 0
    ended: float = 0


def against_broker(heard: Heard) -> Checked:
    """HTTP's dates are whole seconds, and the answer was under way: so much is not held against a clock."""
    try:
        theirs = parsedate_to_datetime(heard.date).timestamp() + 0.5
    except (ValueError, OverflowError):
        return odd("clock", "the broker does not tell its time", "something on the way takes the Date out of answers")
    ours = (heard.began + heard.ended) / 2
    ahead = ours - theirs
    certain = max(0.0, abs(ahead) - 0.5 - (heard.ended - heard.began) / 2)
    facts = {"seconds_ahead": round(ahead, 1)}
    if certain > TOLERANCE:
        return broken("clock", _told(ahead), _MEND, ExitCode.LOG_IN_FIRST, **facts)
    if certain > NEAR:
        return odd("clock", _told(ahead), _MEND, **facts)
    return fine("clock", f"it agrees with the broker's, to {max(certain, 1):.0f} s", **facts)


def of_token(claims: dict[str, Any], now: float) -> Checked | None:
    """Whether a token's own times fit this clock. None for a token that tells none."""
    begins, ends = seconds_of(claims.get("iat")), seconds_of(claims.get("exp"))
    if ends is None:
        return None
    facts = {"issued_at": begins, "expires_at": ends}
    if begins is not None and begins > now + TOLERANCE:
        found = f"by this clock it was issued {begins - now:.0f} s in the future"
        return broken("token", found, _MEND, ExitCode.LOG_IN_FIRST, **facts)
    if ends <= now:
        mend = "get a new one: `hoopx login`, or where HOOPX_TOKEN came from"
        return broken("token", f"it ended {moment(ends)}", mend, ExitCode.LOG_IN_FIRST, **facts)
    return fine("token", f"it holds until {moment(ends)}", **facts)


def _told(ahead: float) -> str:
    return f"this machine's is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the broker's"
