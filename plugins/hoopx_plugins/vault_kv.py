"""A login that lies in Vault's KV engine, read anew for each session, so that its rotation is followed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Credential, DatabaseLogin, Issued, Lease, Order
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_plugins.vault_connection import Vault
from hoopx_plugins.vault_lease import Visits
from hoopx_plugins.vault_secrets import read_secret
from hoopx_plugins.vault_server import Place, VaultOptions


class VaultKvOptions(VaultOptions, frozen=True, forbid_unknown_fields=True):
    """`path` is `MOUNT/PATH`. The name is `user`, or stands in `user_field`; the password in `password_field`."""

    path: Place
    user: str | None = None
    user_field: str | None = None
    password_field: str = "password"

    def __post_init__(self) -> None:
        super().__post_init__()
        if "/" not in self.path:
            raise ValueError("`path` must be the engine's mount and the secret's path, such as `secret/app/db`")
        if self.user is not None and self.user_field is not None:
            raise ValueError("say either `user` or `user_field`")


class VaultKvIssuer:
    """Hands out what somebody keeps in Vault. As with `static`, the backend cannot tell sessions apart."""

    Options: ClassVar[type[VaultKvOptions]] = VaultKvOptions
    kinds: ClassVar[frozenset[str]] = frozenset({"postgres", "mysql"})
    exclusive: ClassVar[bool] = False

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._visits = Visits(clock)

    async def issue(self, order: Order, pin: Pin) -> Issued:
        """The login as it stands there now; the login at Vault is given back at once, for nothing hangs on it."""
        options: VaultKvOptions = order.target.credentials
        visit = await self._visits.enter(options.server, order, pin)

        def read(vault: Vault, token: Secret) -> dict[str, Secret]:
            return read_secret(vault, token, options.path)

        fields = await visit.look(read)
        return Issued(_login_in(fields, options, visit.who))

    async def renew(self, lease: Lease, credential: Credential, order: Order, pin: Pin) -> Issued:
        """The same login: it has no end of its own."""
        return Issued(credential, lease.handle)

    async def revoke(self, lease: Lease, target: Target) -> None:
        """End the login at Vault, if the broker died with it; what was read was there before the session."""
        options: VaultKvOptions = target.credentials
        await self._visits.end(options.server, lease, target)


def _login_in(fields: dict[str, Secret], options: VaultKvOptions, who: str) -> DatabaseLogin:
    user = options.user or _field(fields, options.user_field or "username", options.path, who).reveal()
    return DatabaseLogin(user, _field(fields, options.password_field, options.path, who))


def _field(fields: dict[str, Secret], name: str, path: str, who: str) -> Secret:
    if name not in fields:
        hint = f"write it (`vault kv patch {path} {name}=…`), or correct `user_field` or `password_field`"
        raise BackendFailed(f"{who} finds no text in the field `{name}` of `{path}` in Vault", hint)
    return fields[name]
