"""sys/… of the double: health, seal, mounts, policies, leases, namespaces, audit, capabilities."""

from __future__ import annotations

import time
import uuid

from tests.peers.vault import policies
from tests.peers.vault.answers import NOTHING, Answer, Json, Refused, names, not_found, seconds, wrapped
from tests.peers.vault.clock import stamp
from tests.peers.vault.engine import Call, Engine
from tests.peers.vault.state import Mount, Namespace, mount, word

VERSION = "2.7.2"  # of the OpenBao that the double is held against
ONLY_AT_THE_TOP = ("health", "seal-status", "seal", "unseal")


def fresh_namespace(name: str) -> Namespace:
    """What every namespace has from the start."""
    return Namespace(
        id=name and word(6),
        mounts={"sys/": mount("system"), "cubbyhole/": mount("cubbyhole")},
        logins={"token/": mount("token", description="token based credentials")},
        policies={"default": policies.DEFAULT},
    )


class SystemEngine(Engine):
    open = ("health", "seal-status", "unseal")

    def handle(self, call: Call) -> Answer:
        area, _, rest = call.path.partition("/")
        if area in ONLY_AT_THE_TOP and call.request.namespace:
            raise Refused(400, "operation unavailable in namespaces")
        match area:
            case "health" | "seal-status":
                return Answer(flat=self._health() if area == "health" else self._seal())
            case "seal" | "unseal" if call.request.writes:
                return self._turn(call, area)
            case "mounts":
                return self._mounts(call, rest, call.namespace.mounts, "")
            case "auth":
                return self._mounts(call, rest, call.namespace.logins, "auth/")
            case "policies" | "policy":
                return self._policies(call, rest.removeprefix("acl").lstrip("/") if area == "policies" else rest)
            case "leases":
                return self._leases(call, *rest.partition("/")[::2])
            case "renew" | "revoke" if call.request.writes:
                return self._leases(call, area, rest)
            case "namespaces":
                return self._namespaces(call, rest)
            case "audit":
                return self._audit(call, rest)
            case "capabilities-self" if call.request.writes:
                return self._capabilities(call)
        raise Refused(404, wrapped("unsupported path"))

    def _health(self) -> Json:
        sealed = self.core.state.sealed
        return {
            "initialized": True,
            "sealed": sealed,
            "standby": sealed,
            "replication_performance_mode": "unknown" if sealed else "disabled",
            "replication_dr_mode": "unknown" if sealed else "disabled",
            "server_time_utc": int(time.time()),
            "version": VERSION,
        }

    def _seal(self) -> Json:
        told = {"type": "shamir", "initialized": True, "sealed": self.core.state.sealed, "t": 1, "n": 1, "progress": 0}
        return {**told, "nonce": "", "version": VERSION, "migration": False, "storage_type": "inmem"}

    def _turn(self, call: Call, area: str) -> Answer:
        if area == "seal":
            self.core.state.sealed = True
            return NOTHING
        if call.body.get("key") != self.core.state.unseal_key:
            raise Refused(400, "'key' must be a valid hex or base64 string")
        self.core.state.sealed = False
        self.core.save()
        return Answer(flat=self._seal())

    def _mounts(self, call: Call, rest: str, table: dict[str, Mount], kind: str) -> Answer:
        place = f"{rest.strip('/')}/"
        match "write" if call.request.writes else call.request.operation:
            case "read" if not rest:
                told = {name: _shown(each) for name, each in table.items()}
                return Answer(data=told, flat=told)
            case "read":
                found = table.get(place)
                if found is None:
                    raise Refused(400, f"No {'auth' if kind else 'secret'} engine mount at {place}")
                return Answer(data=_shown(found), flat=_shown(found))
            case "write" if rest.endswith("/tune"):
                return self._tune(call, table, f"{rest.removesuffix('/tune').strip('/')}/")
            case "write":
                return self._mount(call, place, table)
            case "delete":
                for lease in self.core.leases.under(f"{call.request.namespace}{kind}{place}"):
                    self.core.leases.revoke(lease.id)
                table.pop(place, None)
                return NOTHING
        raise Refused(405, "unsupported operation")

    def _mount(self, call: Call, place: str, table: dict[str, Mount]) -> Answer:
        kind = {"kv-v2": "kv"}.get(call.body.get("type", ""), call.body.get("type", ""))
        options = call.body.get("options") or ({"version": "2"} if call.body.get("type") == "kv-v2" else None)
        if any(place.startswith(each) or each.startswith(place) for each in table):
            raise Refused(400, f"path is already in use at {place}")
        if kind not in self.core.engines or kind in ("system", "token", "cubbyhole"):
            raise Refused(400, f"plugin not found in the catalog: {kind}")
        if kind == "kv" and (options or {}).get("version") != "2":
            raise Refused(400, "the double has version 2 of KV only: say options {version: 2}")
        config = call.body.get("config") or {}
        made = mount(kind, options, call.body.get("description", ""))
        made.default_ttl, made.max_ttl = seconds(config.get("default_lease_ttl")), seconds(config.get("max_lease_ttl"))
        table[place] = made
        return NOTHING

    def _tune(self, call: Call, table: dict[str, Mount], place: str) -> Answer:
        found = table.get(place)
        if found is None:
            raise Refused(400, f"No mount at {place}")
        found.default_ttl = seconds(call.body.get("default_lease_ttl", found.default_ttl))
        found.max_ttl = seconds(call.body.get("max_lease_ttl", found.max_ttl))
        return NOTHING

    def _policies(self, call: Call, name: str) -> Answer:
        known = call.namespace.policies
        match "write" if call.request.writes else call.request.operation:
            case "list" | "read" if not name:
                top = [] if call.request.namespace else ["root"]
                return Answer(data={"keys": sorted([*known, *top])})
            case "read":
                if name not in known:
                    raise not_found()
                return Answer(data={"name": name, "policy": known[name]})
            case "write":
                text = call.body.get("policy")
                if not text:
                    raise Refused(400, "'policy' parameter not supplied or empty")
                if name == "root":
                    raise Refused(400, 'cannot update "root" policy')
                policies.parse(text)
                known[name] = text
                return NOTHING
            case "delete":
                known.pop(name, None)
                return NOTHING
        raise Refused(405, "unsupported operation")

    def _leases(self, call: Call, what: str, rest: str) -> Answer:
        if what == "lookup" and call.request.operation == "list":
            return self._list_leases(call, rest)
        if not call.request.writes:
            raise Refused(405, "unsupported operation")
        if what in ("revoke-prefix", "revoke-force"):
            for lease in self.core.leases.under(f"{call.request.namespace}{rest.rstrip('/')}/"):
                self.core.leases.revoke(lease.id, force=what == "revoke-force")
            return NOTHING
        lease_id = str(call.body.get("lease_id") or rest)
        if not lease_id:
            raise Refused(400, "lease_id must be specified")
        match what:
            case "lookup":
                return self._lookup(lease_id)
            case "renew":
                return self.core.leases.renew(lease_id, seconds(call.body.get("increment")))
            case "revoke":
                return self._revoke(lease_id, sync=bool(call.body.get("sync", True)))
        raise Refused(404, wrapped("unsupported path"))

    def _revoke(self, lease_id: str, *, sync: bool) -> Answer:
        lease = self.core.leases.get(lease_id)
        if sync:
            self.core.leases.revoke(lease_id)
            return NOTHING
        if lease is not None:
            self.core.leases.end_soon(lease)
        return Answer(status=202)

    def _lookup(self, lease_id: str) -> Answer:
        lease = self.core.leases.get(lease_id)
        if lease is None:
            raise Refused(400, "invalid lease")
        told = {
            "id": lease.id,
            "path": lease.path,
            "issue_time": stamp(lease.issued),
            "expire_time": stamp(lease.ends),
            "last_renewal": stamp(lease.renewed),
            "renewable": lease.renewable,
            "ttl": max(int(lease.ends - time.time()), 0),
        }
        return Answer(data=told)

    def _list_leases(self, call: Call, rest: str) -> Answer:
        prefix = f"{call.request.namespace}{rest.rstrip('/')}/"
        below = [lease.id[len(prefix) :] for lease in self.core.leases.under(prefix)]
        if not below:
            raise not_found()
        return Answer(data={"keys": sorted({f"{each.split('/')[0]}/" if "/" in each else each for each in below})})

    def _namespaces(self, call: Call, rest: str) -> Answer:
        known, path = self.core.state.namespaces, f"{call.request.namespace}{rest.strip('/')}/"
        match "write" if call.request.writes else call.request.operation:
            case "write":
                found = known.setdefault(path, fresh_namespace(path))
                return Answer(data={"id": found.id, "path": path, "custom_metadata": {}})
            case "list":
                return Answer(data={"keys": [name for name in known if name]})
            case "delete":
                known.pop(path, None)
                return NOTHING
        raise Refused(405, "unsupported operation")

    def _audit(self, call: Call, name: str) -> Answer:
        audits = self.core.state.audits
        match "write" if call.request.writes else call.request.operation:
            case "read":
                return Answer(data=audits, flat=audits)
            case "write":
                if call.body.get("type") != "file" or not (call.body.get("options") or {}).get("file_path"):
                    raise Refused(400, "the double has the audit device `file` only, with options {file_path: …}")
                audits[f"{name.strip('/')}/"] = {"type": "file", "options": call.body["options"]}
                return NOTHING
            case "delete":
                audits.pop(f"{name.strip('/')}/", None)
                return NOTHING
        raise Refused(405, "unsupported operation")

    def _capabilities(self, call: Call) -> Answer:
        told: Json = {}
        for path in names(call.body.get("paths") or call.body.get("path")):
            told[path] = sorted(self.core.capabilities(call.owner, call.request.namespace, path)) or ["deny"]
        return Answer(data=told, flat=told)


class Cubbyhole(Engine):
    """Mounted as with Vault; nobody who is tested puts anything in."""

    def handle(self, call: Call) -> Answer:
        raise not_found()


def _shown(found: Mount) -> Json:
    config = {"default_lease_ttl": found.default_ttl, "max_lease_ttl": found.max_ttl, "force_no_cache": False}
    told = {"type": found.type, "accessor": found.accessor, "description": found.description, "config": config}
    return {**told, "options": found.options, "local": False, "seal_wrap": False, "uuid": str(uuid.uuid4())}
