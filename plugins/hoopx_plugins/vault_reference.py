"""References `vault:MOUNT/PATH#FIELD` in the configuration, read once at the start by the broker's own login."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

from hoopx_broker.terms.errors import BackendFailed, BadInput
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.vault_connection import Vault
from hoopx_plugins.vault_failures import VaultUnreachable
from hoopx_plugins.vault_login import log_in_as_broker, token_in_file
from hoopx_plugins.vault_secrets import PATH, read_secret
from hoopx_plugins.vault_server import VaultServer

WHO = "the broker"


class VaultReader:
    """Follows references to one Vault."""

    section: ClassVar[str] = "vault"

    def __init__(self, options: VaultServer) -> None:
        self._server = options
        # A Vault that cannot be reached is waited for once, not for each value.
        self._down: VaultUnreachable | None = None

    def read(self, reference: str) -> str:
        path, hash_, field = reference.partition("#")
        if not hash_ or not field or not PATH.fullmatch(path):
            raise BadInput("it is not MOUNT/PATH#FIELD", "write for example `vault:secret/app/db#password`")
        if self._down is not None:
            raise self._down
        try:
            with Vault(self._server, WHO) as vault:
                fields = self._fields(vault, path)
        except VaultUnreachable as failed:
            self._down = failed
            raise
        if field not in fields:
            raise BackendFailed(f"`{path}` in Vault has no text in the field `{field}`", "correct the field")
        return fields[field].reveal()

    def _fields(self, vault: Vault, path: str) -> dict[str, Secret]:
        if self._server.token_file is not None:
            with token_in_file(vault, self._server.token_file) as kept:
                return read_secret(vault, kept, path)
        token = log_in_as_broker(vault)
        try:
            return read_secret(vault, token.secret, path)
        finally:
            with suppress(BackendFailed):  # it ends by itself soon, too
                vault.ask("post", "auth/token/revoke-self", doing="end its login", token=token.secret)
