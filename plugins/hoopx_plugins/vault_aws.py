"""Keys for AWS by Vault's AWS engine: of an assumed role, a federated user, or a user made for the session."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar, Literal

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import AwsKeys, Issued, Lease, Order
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_plugins.vault_connection import Json
from hoopx_plugins.vault_ending import ENDS, fades_at
from hoopx_plugins.vault_lease import Visits
from hoopx_plugins.vault_server import Name, Place, VaultOptions

CredentialType = Literal["assumed-role", "federation-token", "iam-user"]
# AWS gives no keys for less.
SHORTEST = 900


class VaultAwsOptions(VaultOptions, frozen=True, forbid_unknown_fields=True):
    """`role` of the AWS engine at `mount`; `type` as that role's `credential_type`.

    `role_arn` says which, where the role allows several.
    """

    role: Name
    type: CredentialType = "assumed-role"
    role_arn: str | None = None
    mount: Place = "aws"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.role_arn is not None and self.type != "assumed-role":
            raise ValueError("`role_arn` is for `type: assumed-role` only")


class VaultAwsIssuer:
    """Keys that Vault asks AWS for. Those of a user end with the lease; temporary ones by themselves."""

    Options: ClassVar[type[VaultAwsOptions]] = VaultAwsOptions
    kinds: ClassVar[frozenset[str]] = frozenset({"aws"})
    exclusive: ClassVar[bool] = False

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._visits = Visits(clock)

    async def issue(self, order: Order, pin: Pin) -> Issued:
        options: VaultAwsOptions = order.target.credentials
        visit = await self._visits.enter(options.server, order, pin)
        path, body = _asked(options, order, visit.left())
        answer = await visit.make(pin, "post" if body else "get", path, body, f"get keys from `{path}`")

        async def finished() -> Issued:
            keys = _keys_in(answer, visit.who)
            seconds, is_renewable = int(answer.get("lease_duration") or 0), bool(answer.get("renewable"))
            if options.type == "iam-user":
                return Issued(keys, visit.handle, await visit.lasting(seconds, is_renewable=is_renewable))
            ends = int(self._visits.clock()) + seconds
            return Issued(keys, {**visit.handle, ENDS: str(ends)}, float(ends))

        return await visit.all_or_none(finished())

    async def revoke(self, lease: Lease, target: Target) -> float | None:
        """Vault deletes the user that it made; temporary keys live to their end, which this gives."""
        options: VaultAwsOptions = target.credentials
        await self._visits.end(options.server, lease, target)
        return fades_at(lease.handle)


def _asked(options: VaultAwsOptions, order: Order, seconds: int) -> tuple[str, Json | None]:
    if options.type == "iam-user":
        return f"{options.mount}/creds/{options.role}", None
    body: Json = {"ttl": f"{max(SHORTEST, seconds)}s"}
    if options.type == "assumed-role":
        body["role_session_name"] = f"hoopx-{order.session}"[:64]
    if options.role_arn:
        body["role_arn"] = options.role_arn
    return f"{options.mount}/sts/{options.role}", body


def _keys_in(answer: Json, who: str) -> AwsKeys:
    data = answer.get("data") or {}
    if not data.get("access_key") or not data.get("secret_key"):
        raise BackendFailed(f"{who} got no keys from Vault", "give an engine for AWS as `mount`")
    session = data.get("session_token") or data.get("security_token")
    return AwsKeys(str(data["access_key"]), Secret(str(data["secret_key"])), Secret(str(session)) if session else None)
