"""The audit log of the double: a line for each request and answer, with who it was; secrets only as HMACs."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.peers.vault.answers import Answer, Json
from tests.peers.vault.clock import now, stamp
from tests.peers.vault.engine import Call

if TYPE_CHECKING:
    from tests.peers.vault.core import Core
OPEN_FIELDS = {"accessor", "lease_duration", "display_name", "policies", "entity_id", "metadata", "token_type"}


class Audit:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._lock = threading.Lock()

    def write(self, call: Call, answer: Answer | None = None, error: str = "") -> None:
        """A line to every file that `sys/audit` knows."""
        places = [Path(device["options"]["file_path"]) for device in self._core.state.audits.values()]
        if not places:
            return
        line = json.dumps(self._entry(call, answer, error)) + "\n"
        with self._lock:
            for place in places:
                with place.open("a") as log:
                    log.write(line)

    def _entry(self, call: Call, answer: Answer | None, error: str) -> Json:
        request = call.request
        entry: Json = {
            "time": stamp(now()),
            "type": "response" if answer is not None or error else "request",
            "auth": self._who(call, answer),
            "request": {
                "id": request.id,
                "operation": request.operation,
                "mount_type": call.mount.type,
                "mount_point": call.mounted,
                "client_token": self._hidden(request.token),
                "namespace": {"id": call.namespace.id, "path": request.namespace},
                "path": request.path,
                "data": self._hidden(request.body),
                "remote_address": request.remote,
            },
        }
        if error:
            entry["error"] = error
        if answer is not None:
            entry["response"] = self._told(answer)
        return entry

    def _who(self, call: Call, answer: Answer | None) -> Json:
        token = call.token
        if token is None and answer is not None and answer.auth:
            token = self._core.state.tokens.get(answer.auth["client_token"])
        if token is None:
            return {"token_type": "default"}
        return {
            "client_token": self._hidden(token.id),
            "accessor": self._hidden(token.accessor),
            "display_name": token.display_name,
            "policies": token.policies,
            "entity_id": token.entity,
            "metadata": token.meta,
            "token_type": "service",
        }

    def _told(self, answer: Answer) -> Json:
        told: Json = {"data": self._hidden(answer.data)}
        if answer.lease_id:
            told["secret"] = {"lease_id": answer.lease_id}
        if answer.auth:
            told["auth"] = {
                key: value if key in OPEN_FIELDS - {"accessor"} else self._hidden(value)
                for key, value in answer.auth.items()
            }
        return told

    def _hidden(self, value: Any) -> Any:
        """Every text within as an HMAC, as Vault does unless told `log_raw`."""
        if isinstance(value, dict):
            return {key: self._hidden(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._hidden(each) for each in value]
        if not isinstance(value, str) or not value:
            return value
        salt = self._core.state.unseal_key.encode()
        return f"hmac-sha256:{hmac.new(salt, value.encode(), hashlib.sha256).hexdigest()}"
