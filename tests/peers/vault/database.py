"""The database engine of the double: real roles in a real PostgreSQL or MySQL, by the configured statements."""

from __future__ import annotations

import time

from tests.peers.vault.answers import (
    NOTHING,
    SYSTEM_MAX_TTL,
    Answer,
    Json,
    Refused,
    names,
    not_found,
    seconds,
    wrapped,
)
from tests.peers.vault.clock import now
from tests.peers.vault.engine import Call, Engine
from tests.peers.vault.servers import PLUGINS, Failed, Server, connect
from tests.peers.vault.state import Lease, Mount, word

STATEMENTS = ("creation_statements", "revocation_statements", "renew_statements", "rollback_statements")
SLACK = 5  # seconds that a role outlives its lease in the database itself, as Vault gives them


class DatabaseEngine(Engine):
    def __init__(self) -> None:
        self._servers: dict[str, Server] = {}

    def close(self) -> None:
        for server in self._servers.values():
            server.close()

    def is_there(self, call: Call) -> bool:
        kind, _, name = call.path.partition("/")
        return kind not in ("config", "roles") or f"{kind}/{name}" in call.mount.store

    def handle(self, call: Call) -> Answer:
        kind, _, name = call.path.partition("/")
        operation = "write" if call.request.writes else call.request.operation
        match kind, operation:
            case "creds", "read":
                return self._credentials(call, name)
            case "config", "write":
                return self._configure(call, name)
            case "roles", "write":
                return self._set_role(call, name)
            case (("config" | "roles"), "read"):
                if call.path not in call.mount.store:
                    raise not_found()
                return Answer(data=call.mount.store[call.path] if kind == "roles" else self._shown(call))
            case (("config" | "roles"), "list"):
                found = sorted(each.split("/")[1] for each in call.mount.store if each.startswith(f"{kind}/"))
                if not found:
                    raise not_found()
                return Answer(data={"keys": found})
            case (("config" | "roles"), "delete"):
                call.mount.store.pop(call.path, None)
                return NOTHING
            case (("config" | "roles" | "creds"), _):
                raise Refused(405, "unsupported operation")
        raise Refused(404, wrapped("unsupported path"))

    def renew(self, mount: Mount, lease: Lease, ends: float) -> None:
        role = mount.store.get(f"roles/{lease.inner['role']}")
        if role is None:
            text = f'error during renew: could not find role with name "{lease.inner["role"]}"'
            raise Refused(400, f"failed to renew entry: resp: (*logical.Response)(nil) err: {text}")
        try:
            server = self._server(mount, role["db_name"])
            server.renew(lease.inner["username"], _expiry(ends), role["renew_statements"])
        except Failed as problem:
            raise Refused(400, f"failed to renew entry: resp: (*logical.Response)(nil) err: {problem}") from problem

    def revoke(self, mount: Mount, lease: Lease) -> None:
        role = mount.store.get(f"roles/{lease.inner['role']}") or lease.inner
        try:
            server = self._server(mount, role["db_name"])
            server.drop(lease.inner["username"], role["revocation_statements"])
        except Failed as problem:
            raise Refused(500, str(problem)) from problem

    def _credentials(self, call: Call, name: str) -> Answer:
        role = call.mount.store.get(f"roles/{name}")
        if role is None:
            raise Refused(400, f"unknown role: {name}")
        config = call.mount.store.get(f"config/{role['db_name']}")
        if config is None:
            raise Refused(500, wrapped(f'failed to find entry for connection with name: "{role["db_name"]}"'))
        if not any(each in ("*", name) for each in config["allowed_roles"]):
            raise Refused(500, wrapped(f'"{name}" is not an allowed role'))
        max_ttl = min(role["max_ttl"] or SYSTEM_MAX_TTL, call.mount.max_ttl or SYSTEM_MAX_TTL)
        ttl = role["default_ttl"] or call.mount.default_ttl or SYSTEM_MAX_TTL
        made = {"username": self._username(call, config, name), "password": f"{word(9)}-{word(9)}-"}
        try:
            server = self._server(call.mount, role["db_name"])
            server.create({**made, "expiration": _expiry(now() + min(ttl, max_ttl))}, role["creation_statements"])
        except Failed as problem:
            raise Refused(500, wrapped(str(problem))) from problem
        inner = {
            "username": made["username"],
            "role": name,
            "db_name": role["db_name"],
            "revocation_statements": role["revocation_statements"],
        }
        return self.core.leases.make(call, dict(made), inner, ttl, max_ttl, renewable=True)

    def _username(self, call: Call, config: Json, role: str) -> str:
        """Vault's own template: v-WHO-ROLE-RANDOM-TIME, as much of it as the database takes."""
        plugin = PLUGINS[config["plugin_name"]]
        who = call.owner.display_name[: plugin.display]
        return f"v-{who}-{role[: plugin.role]}-{word(20)}-{int(time.time())}"[: plugin.longest]

    def _configure(self, call: Call, name: str) -> Answer:
        body = {**call.mount.store.get(call.path, {}), **call.body}
        if body.get("plugin_name") not in PLUGINS:
            text = f"plugin not found in the catalog: {body.get('plugin_name')}"
            raise Refused(400, f"error creating database object: invalid database version: {text}")
        config = {
            "plugin_name": body["plugin_name"],
            "connection_url": body.get("connection_url", ""),
            "username": body.get("username", ""),
            "password": body.get("password", ""),
            "tls_ca": body.get("tls_ca", ""),
            "allowed_roles": names(body.get("allowed_roles")),
        }
        if body.get("verify_connection", True):
            try:
                connect(config).close()
            except Failed as problem:
                text = f"error creating database object: error verifying connection: {problem}"
                raise Refused(400, text) from problem
        stale = self._servers.pop(f"{call.mount.accessor}/{name}", None)
        if stale is not None:
            stale.close()
        call.mount.store[call.path] = config
        return NOTHING

    def _shown(self, call: Call) -> Json:
        config = call.mount.store[call.path]
        details = {key: config[key] for key in ("connection_url", "username")}
        told = {key: config[key] for key in ("allowed_roles", "plugin_name")}
        return {**told, "connection_details": details, "password_policy": "", "root_credentials_rotate_statements": []}

    def _set_role(self, call: Call, name: str) -> Answer:
        role = {**call.mount.store.get(call.path, {}), **call.body}
        if not role.get("db_name"):
            raise Refused(400, "database name is required")
        call.mount.store[call.path] = {
            "db_name": role["db_name"],
            "credential_type": "password",
            "default_ttl": seconds(role.get("default_ttl")),
            "max_ttl": seconds(role.get("max_ttl")),
            **{key: _statements(role.get(key)) for key in STATEMENTS},
        }
        return NOTHING

    def _server(self, mount: Mount, name: str) -> Server:
        key = f"{mount.accessor}/{name}"
        if key not in self._servers:
            config = mount.store.get(f"config/{name}")
            if config is None:
                raise Failed(f'failed to find entry for connection with name: "{name}"')
            self._servers[key] = Server(config)
        return self._servers[key]


def _statements(value: object) -> list[str]:
    if not value:
        return []
    return [value] if isinstance(value, str) else [str(each) for each in value]  # type: ignore[attr-defined]


def _expiry(ends: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S+0000", time.gmtime(ends + SLACK))
