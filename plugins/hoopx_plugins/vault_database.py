"""Dynamic database logins of Vault: a user of the database for each session, made and dropped by Vault."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Credential, DatabaseLogin, Issued, Lease, Order
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_plugins.vault_connection import Json, Vault
from hoopx_plugins.vault_ending import ACCESSOR, LEASE, renew_lease, renew_token
from hoopx_plugins.vault_lease import Visits
from hoopx_plugins.vault_server import Name, Place, VaultOptions


class VaultDatabaseOptions(VaultOptions, frozen=True, forbid_unknown_fields=True):
    """`role` of the database engine at `mount`, whose statements make the logins."""

    role: Name
    mount: Place = "database"


class VaultDatabaseIssuer:
    """Logins that Vault's database engine makes; each has a login at Vault of its own, with which it ends."""

    Options: ClassVar[type[VaultDatabaseOptions]] = VaultDatabaseOptions
    kinds: ClassVar[frozenset[str]] = frozenset({"postgres", "mysql"})
    exclusive: ClassVar[bool] = True

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._visits = Visits(clock)

    async def issue(self, order: Order, pin: Pin) -> Issued:
        options: VaultDatabaseOptions = order.target.credentials
        visit = await self._visits.enter(options.server, order, pin)
        path = f"{options.mount}/creds/{options.role}"
        answer = await visit.make(pin, "get", path, None, f"get a login from `{path}`")

        async def finished() -> Issued:
            login = _login_in(answer, visit.who)
            seconds, is_renewable = int(answer.get("lease_duration") or 0), bool(answer.get("renewable"))
            ends = await visit.lasting(seconds, is_renewable=is_renewable)
            return Issued(login, visit.handle, ends)

        return await visit.all_or_none(finished())

    async def renew(self, lease: Lease, credential: Credential, order: Order, pin: Pin) -> Issued:
        """The same login until the order's end, or as long as Vault lets it live. The broker's own login renews."""
        options: VaultDatabaseOptions = order.target.credentials
        clock = self._visits.clock
        seconds = max(1, int(order.expires_at - clock()))

        def renewed(vault: Vault, token: Secret) -> int:
            of_login = renew_token(vault, token, lease.handle[ACCESSOR], seconds)
            return min(of_login, renew_lease(vault, token, lease.handle[LEASE], seconds))

        life = await self._visits.as_broker(options.server, order.target, renewed)
        return Issued(credential, lease.handle, min(clock() + life, order.expires_at))

    async def revoke(self, lease: Lease, target: Target) -> None:
        """Have Vault drop the login now, end its token, and see both gone."""
        options: VaultDatabaseOptions = target.credentials
        await self._visits.end(options.server, lease, target)


def _login_in(answer: Json, who: str) -> DatabaseLogin:
    data = answer.get("data") or {}
    if not data.get("username") or not data.get("password") or not answer.get("lease_id"):
        raise BackendFailed(
            f"{who} got no user name with a password and a lease",
            "give its role passwords, and an engine for databases as `mount`",
        )
    return DatabaseLogin(str(data["username"]), Secret(str(data["password"])))
