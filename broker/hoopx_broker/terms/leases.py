"""Short-lived credentials and the sessions they are for."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from hoopx_broker.terms.ids import LeaseId, SessionId
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target

LeaseState = Literal["pending", "live", "ending", "ended"]


class Order(Struct, frozen=True):
    """What an issuer is asked for. Times are seconds since the Unix epoch."""

    lease: LeaseId
    session: SessionId
    target: Target
    principal: Principal
    expires_at: float


class Credential(Struct, frozen=True):
    """How to log in to a backend. Lives in memory only."""

    user: str
    password: Secret


class Issued(Struct, frozen=True):
    """An issuer's answer: the credential, and the handle by which it is revoked (stored, so never a secret)."""

    credential: Credential
    handle: dict[str, str] = field(default_factory=dict)


class Lease(Struct, frozen=True):
    """A lease as stored. `handle` is empty while `state` is `pending`: revoking must then work from the ids alone."""

    id: LeaseId
    session: SessionId
    target: str
    source: str
    user: str
    state: LeaseState
    expires_at: float
    handle: dict[str, str] = field(default_factory=dict)
    attempts: int = 0
    last_error: str | None = None
