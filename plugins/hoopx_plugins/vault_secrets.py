"""Read what lies in Vault's KV engine, version 1 or 2."""

from __future__ import annotations

import re

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.vault_connection import Json, Vault
from hoopx_plugins.vault_failures import VaultRefused
from hoopx_plugins.vault_server import SEGMENT

PATH = re.compile(rf"{SEGMENT}(/{SEGMENT})+")


def read_secret(vault: Vault, token: Secret, path: str) -> dict[str, Secret]:
    """The texts of the newest version of `MOUNT/PATH`, by field."""
    mount, is_versioned = _mount_of(vault, token, path)
    rest = path.removeprefix(mount)
    where = f"{mount}data/{rest}" if is_versioned else path
    data: Json = vault.ask("get", where, doing=f"read `{path}`", token=token).get("data") or {}
    fields = data.get("data") if is_versioned else data
    if not isinstance(fields, dict):
        raise BackendFailed(f"{vault.who} finds nothing at `{path}` in Vault", f"write it: `vault kv put {path} …`")
    return {name: Secret(value) for name, value in fields.items() if isinstance(value, str) and value}


def _mount_of(vault: Vault, token: Secret, path: str) -> tuple[str, bool]:
    """Where the engine is mounted, and whether it keeps versions; by the path alone where Vault does not tell."""
    try:
        asked = f"sys/internal/ui/mounts/{path}"
        told: Json = vault.ask("get", asked, doing=f"find the engine of `{path}`", token=token).get("data") or {}
    except VaultRefused as refused:
        if refused.status not in (403, 404):
            raise
        told = {}
    mount = str(told.get("path") or f"{path.split('/')[0]}/")
    options = told.get("options")
    options = options if isinstance(options, dict) else {}
    return mount, not told or str(options.get("version", "1")) == "2"
