"""Turn the broker's refusals into the errors that a command leaves with."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from hoopx_broker.api.messages import Refusal
from hoopx_broker.terms.errors import (
    BackendFailed,
    BadInput,
    Denied,
    HoopxError,
    Refused,
    StillPending,
    Unauthenticated,
    Unreachable,
)

_ERRORS: dict[int, type[HoopxError]] = {
    int(kind.exit_code): kind
    for kind in (BackendFailed, BadInput, Denied, Refused, StillPending, Unauthenticated, Unreachable)
}


class _Envelope(Struct, frozen=True):
    error: Refusal


def error_of(refusal: Refusal) -> HoopxError:
    """The error of the refusal's exit code; a code that this version does not know stays an unexpected one."""
    kind = _ERRORS.get(refusal.exit_code, HoopxError)
    return kind(refusal.message, refusal.hint)


def error_in(status: int, body: bytes) -> HoopxError:
    """The error in an HTTP answer. What is no refusal of a broker is told by its status alone."""
    try:
        return error_of(msgspec.json.decode(body, type=_Envelope).error)
    except msgspec.DecodeError:
        return _by_status(status)


def _by_status(status: int) -> HoopxError:
    if status in (200, 301, 302, 307, 308, 404, 405):
        return Unreachable("what answers there is not a hoopx broker", "check the address in --broker or HOOPX_BROKER")
    if status == 401:
        return Unauthenticated("the broker does not take this token", "log in with `hoopx login`")
    if status in (502, 503, 504):
        return Unreachable(f"the broker cannot be reached behind its front (HTTP {status})", "try again in a moment")
    return HoopxError(f"the broker answered with HTTP {status}", "its log says why")
