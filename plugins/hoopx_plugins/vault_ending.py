"""End what a lease has at Vault, and see it gone; or let it live on."""

from __future__ import annotations

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.vault_connection import Json, Vault
from hoopx_plugins.vault_failures import VaultRefused

# Names in a handle.
ACCESSOR, LEASE = "accessor", "lease"
# When what cannot be called back ends by itself: whole seconds since the Unix epoch.
ENDS = "ends"
# What Vault says of an accessor or a lease that it does not know.
UNKNOWN = ("invalid accessor", "invalid lease", "lease not found")

Handle = dict[str, str]


def end_all(vault: Vault, token: Secret, handle: Handle) -> None:
    """First the lease, whose end Vault then confirms; then the login, and with it whatever else it made."""
    trouble: BackendFailed | None = None
    if lease := handle.get(LEASE):
        try:
            body = {"lease_id": lease, "sync": True}
            vault.ask("put", "sys/leases/revoke", body, doing="revoke the lease", token=token)
        except BackendFailed as error:
            trouble = error  # the login can be ended all the same: Vault goes on with the lease by itself
    if accessor := handle.get(ACCESSOR):
        _unless_unknown(vault, "auth/token/revoke-accessor", {"accessor": accessor}, "revoke the login", token)
    if trouble is not None:
        raise trouble
    for path, body in _whereabouts(handle):
        if _unless_unknown(vault, path, body, "see whether it is revoked", token):
            raise BackendFailed(
                f"{vault.who} was told by Vault that a lease is revoked, and it is still there",
                "look at Vault's log, and for it with `vault lease lookup`; the broker tries again",
            )


def _whereabouts(handle: Handle) -> list[tuple[str, Json]]:
    asked: list[tuple[str, Json]] = []
    if lease := handle.get(LEASE):
        asked.append(("sys/leases/lookup", {"lease_id": lease}))
    if accessor := handle.get(ACCESSOR):
        asked.append(("auth/token/lookup-accessor", {"accessor": accessor}))
    return asked


def _unless_unknown(vault: Vault, path: str, body: Json, doing: str, token: Secret) -> bool:
    """Is it known there? Only Vault's own word for it counts: a 403 may be a lack of rights."""
    try:
        vault.ask("post", path, body, doing=doing, token=token)
    except VaultRefused as refused:
        if refused.status in (400, 403, 404) and any(each in refused.told for each in UNKNOWN):
            return False
        raise
    return True


def renew_lease(vault: Vault, token: Secret, lease: str, seconds: int) -> int:
    """Let a lease end in so many seconds, or as late as Vault takes it; gives the seconds."""
    body = {"lease_id": lease, "increment": seconds}
    answer = vault.ask("put", "sys/leases/renew", body, doing="renew the lease", token=token)
    return int(answer.get("lease_duration") or 0)


def renew_token(vault: Vault, token: Secret, accessor: str, seconds: int) -> int:
    body = {"accessor": accessor, "increment": f"{seconds}s"}
    answer = vault.ask("post", "auth/token/renew-accessor", body, doing="renew the lease's login", token=token)
    return int((answer.get("auth") or {}).get("lease_duration") or 0)


def fades_at(handle: Handle) -> float | None:
    """When the credential ends by itself; None where it was revoked, or nobody ever had it."""
    ends = handle.get(ENDS, "")
    return float(ends) if ends.isdigit() else None
