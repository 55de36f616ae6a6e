"""AppRole of the double: role ids, secret ids with uses and an end, and the login by both."""

from __future__ import annotations

import json
import uuid

from tests.peers.vault.answers import NOTHING, Answer, Json, Refused, not_found, seconds, wrapped
from tests.peers.vault.clock import now
from tests.peers.vault.engine import Call
from tests.peers.vault.logins import Method

WRONG = "invalid role or secret ID"


class AppRoleMethod(Method):
    """`store` holds role/NAME with its secret ids under `secrets`, which nobody is shown."""

    def configured(self, body: Json) -> Json:
        raise Refused(404, wrapped("unsupported path"))

    def role(self, body: Json) -> Json:
        if body.get("bind_secret_id", True) is False and not body.get("secret_id_bound_cidrs"):
            raise Refused(500, wrapped("at least one constraint should be enabled on the role"))
        return {"role_id": str(uuid.uuid4()), "secrets": {}, "bind_secret_id": True, **body}

    def handle(self, call: Call) -> Answer:
        parts = call.path.split("/")
        if parts[0] == "role" and len(parts) > 2:
            return self._inside(call, parts[1], "/".join(parts[2:]))
        answer = super().handle(call)
        if answer.data and "secrets" in answer.data:
            answer.data = {key: value for key, value in answer.data.items() if key not in ("secrets", "role_id")}
        return answer

    def login(self, call: Call) -> Answer:
        if not call.body.get("role_id"):
            raise Refused(500, "missing role_id")
        known = {each["role_id"]: (path, each) for path, each in call.mount.store.items() if path.startswith("role/")}
        path, role = known.get(call.body["role_id"], ("", None))
        if role is None:
            raise Refused(400, WRONG)
        if not call.body.get("secret_id"):
            raise Refused(400, "missing secret_id")
        with self.core.lock:
            meta = self._use(role, call.body["secret_id"])
        name = path.removeprefix("role/")
        return self.core.tokens.login(call, role, role["role_id"], "approle", {"role_name": name, **meta})

    def _use(self, role: Json, secret_id: str) -> dict[str, str]:
        """One use less of the secret id, which is gone after its last; its metadata."""
        kept = role["secrets"].get(secret_id)
        if kept is None or (kept["ends"] and kept["ends"] <= now()):
            raise Refused(400, WRONG)
        if kept["uses"] == 1:
            del role["secrets"][secret_id]
        elif kept["uses"] > 1:
            kept["uses"] -= 1
        return dict(kept["metadata"])

    def _inside(self, call: Call, name: str, what: str) -> Answer:
        role = call.mount.store.get(f"role/{name}")
        if role is None:
            raise not_found() if call.request.operation == "read" else Refused(400, f'role "{name}" does not exist')
        match what, "write" if call.request.writes else call.request.operation:
            case "role-id", "read":
                return Answer(data={"role_id": role["role_id"]})
            case "role-id", "write":
                role["role_id"] = call.body["role_id"]
                return NOTHING
            case "secret-id", "write":
                return self._new_secret(call, role, str(uuid.uuid4()))
            case "custom-secret-id", "write":
                return self._new_secret(call, role, str(call.body["secret_id"]))
            case "secret-id/destroy", "write":
                role["secrets"].pop(call.body["secret_id"], None)
                return NOTHING
        raise Refused(404, wrapped("unsupported path"))

    def _new_secret(self, call: Call, role: Json, secret_id: str) -> Answer:
        ttl, uses = seconds(role.get("secret_id_ttl")), int(role.get("secret_id_num_uses") or 0)
        metadata = json.loads(call.body.get("metadata") or "{}")
        accessor = str(uuid.uuid4())
        role["secrets"][secret_id] = {
            "uses": uses,
            "ends": now() + ttl if ttl else 0,
            "metadata": metadata,
            "accessor": accessor,
        }
        told = {"secret_id": secret_id, "secret_id_accessor": accessor}
        return Answer(data={**told, "secret_id_num_uses": uses, "secret_id_ttl": ttl})
