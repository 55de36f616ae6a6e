"""Read what a token says of itself, unchecked: to choose by, never to believe."""

from __future__ import annotations

from typing import Any

import msgspec

from hoopx_broker.api import compact
from hoopx_broker.terms.secret import Secret

MAX_TOKEN = 16_384  # what a broker takes
LAST_MOMENT = 253_402_300_799  # seconds since the Unix epoch: the year 9999, with which calendars end


def claims_of(token: object) -> dict[str, Any]:
    """The claims of a signed token, given as a text or a secret; none of what is not one."""
    raw = token.reveal() if isinstance(token, Secret) else token
    if not isinstance(raw, str) or raw.count(".") != 2 or len(raw) > MAX_TOKEN:
        return {}
    body = raw.split(".")[1]
    try:
        return msgspec.json.decode(compact.decode(body), type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}


def audiences_of(token: Secret) -> tuple[str, ...]:
    """For whom it is; nobody where that is not told in texts."""
    said = claims_of(token).get("aud")
    named: list[Any] = said if isinstance(said, list) else [said]
    return tuple(named) if all(isinstance(each, str) for each in named) else ()


def end_of(token: Secret) -> float:
    """When it ends, in seconds since the Unix epoch; long ago where it does not say."""
    return seconds_of(claims_of(token).get("exp")) or 0.0


def seconds_of(said: object) -> float | None:
    """A number of seconds, or a time in them; None for what is none, and for what no calendar has."""
    if not isinstance(said, int | float) or isinstance(said, bool) or not -LAST_MOMENT <= said <= LAST_MOMENT:
        return None
    return float(said)
