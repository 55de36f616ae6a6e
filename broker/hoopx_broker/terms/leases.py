"""Short-lived credentials and the sessions they are for."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from hoopx_broker.terms.ids import LeaseId, SessionId
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, TargetKind

# Among the values of an obligation: what the target's own configuration decides where no rule says anything. An agent
# and its human are bound so where a rule binds one of them and none the other: to no more than either of both.
TARGETS_OWN = "(the target's own)"

LeaseState = Literal["pending", "live", "ending", "ended"]


class DatabaseLogin(Struct, frozen=True):
    """A user name and a password, as databases know them. Lives in memory only."""

    user: str
    password: Secret


class AwsKeys(Struct, frozen=True):
    """Keys for AWS's API: temporary ones have a session token. Lives in memory only, here and on the laptop."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None


class SshCertificate(Struct, frozen=True):
    """A private key (OpenSSH's PEM) and the certificate over it, to log in as `user`. Lives in memory only."""

    user: str
    private_key: Secret
    certificate: str


Credential = DatabaseLogin | AwsKeys | SshCertificate


class Order(Struct, frozen=True):
    """What an issuer is asked for. Times are seconds since the Unix epoch.

    `expires_at` is when the lease ends unless it is renewed. `token` is what the person logged in with, None where
    there is none; it is held in memory only, for sources that want to know the person by themselves. `obligations` is
    what the rules that allowed the session bind its lease to, by the names of their annotations.
    """

    lease: LeaseId
    session: SessionId
    target: Target
    principal: Principal
    expires_at: float
    token: Secret | None = None
    obligations: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Issued(Struct, frozen=True):
    """An issuer's answer: the credential, and the handle by which it is revoked (stored and shown, so never a secret).

    `expires_at` is when the source ends it by itself, in seconds since the Unix epoch; None for the order's own time.
    """

    credential: Credential
    handle: dict[str, str] = field(default_factory=dict)
    expires_at: float | None = None


class Lease(Struct, frozen=True):
    """A lease as stored. While `state` is `pending`, `handle` is what the issuer pinned so far, perhaps nothing.

    Revoking must then work from that and the ids alone. While it is `ending`, `fades_at` is when it ends by itself,
    where its source cannot call it back. Times are seconds since the Unix epoch.
    """

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
    renewals: int = 0
    fades_at: float | None = None


def concerns(obligation: str, kind: TargetKind) -> bool:
    """Whether such an obligation is about credentials for targets of this kind."""
    return (obligation == "aws_policy") == (kind == "aws")


def name_of(credential: Credential) -> str:
    """What the target calls whoever uses it; no secret."""
    match credential:
        case DatabaseLogin(user) | SshCertificate(user):
            return user
        case AwsKeys(access_key_id):
            return access_key_id


def secrets_of(credential: Credential) -> tuple[Secret, ...]:
    match credential:
        case DatabaseLogin(_, password):
            return (password,)
        case SshCertificate(_, private_key):
            return (private_key,)
        case AwsKeys(_, secret_access_key, session_token):
            return (secret_access_key,) if session_token is None else (secret_access_key, session_token)
