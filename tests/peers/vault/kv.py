"""KV version 2 of the double: versions, soft deletion, destruction, check-and-set."""

from __future__ import annotations

from tests.peers.vault.answers import NOTHING, Answer, Json, Refused, not_found
from tests.peers.vault.clock import now, stamp
from tests.peers.vault.engine import Call, Engine

WRONG_PATH = (
    "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use."
)


class KvEngine(Engine):
    """`store` maps a path to its versions, the newest last."""

    def is_there(self, call: Call) -> bool:
        kind, _, path = call.path.partition("/")
        return kind not in ("data", "metadata") or path in call.mount.store

    def handle(self, call: Call) -> Answer:
        kind, _, path = call.path.partition("/")
        operation = "write" if call.request.writes else call.request.operation
        match kind, operation:
            case "data", "read":
                return self._read(call, path)
            case "data", "write":
                return self._write(call, path)
            case "data", "delete":
                for newest in call.mount.store.get(path, [])[-1:]:
                    newest["deletion_time"] = stamp(now())
                return NOTHING
            case (("delete" | "undelete" | "destroy"), "write"):
                return self._many(call, kind, path)
            case "metadata", "read":
                return self._metadata(call, path)
            case "metadata", "list":
                return self._list(call, path)
            case "metadata", "delete":
                call.mount.store.pop(path, None)
                return NOTHING
            case "config", "read":
                told = {"cas_required": False, "delete_version_after": "0s", "max_versions": 0}
                return Answer(data=told)
            case (("data" | "metadata" | "delete" | "undelete" | "destroy" | "config"), _):
                raise Refused(405, "unsupported operation")
        return Answer(status=404, warnings=[WRONG_PATH])

    def _read(self, call: Call, path: str) -> Answer:
        versions = call.mount.store.get(path, [])
        number = int(call.request.query.get("version") or 0) or len(versions)
        if not 0 < number <= len(versions):
            raise not_found()
        found = versions[number - 1]
        gone = found["deletion_time"] or found["destroyed"]
        data = {"data": None if gone else found["data"], "metadata": self._about(found) | {"version": number}}
        return Answer(status=404 if gone else 200, data=data)

    def _write(self, call: Call, path: str) -> Answer:
        data = call.body.get("data")
        if not isinstance(data, dict):
            raise Refused(400, "no data provided")
        versions = call.mount.store.setdefault(path, [])
        cas = (call.body.get("options") or {}).get("cas")
        if cas is not None and int(cas) != len(versions):
            raise Refused(400, "check-and-set parameter did not match the current version")
        versions.append({"data": data, "created_time": stamp(now()), "deletion_time": "", "destroyed": False})
        return Answer(data=self._about(versions[-1]) | {"version": len(versions)})

    def _many(self, call: Call, kind: str, path: str) -> Answer:
        versions, numbers = call.mount.store.get(path, []), [int(each) for each in call.body.get("versions") or []]
        if not numbers:
            raise Refused(400, "no version number provided")
        chosen = [versions[number - 1] for number in numbers if 0 < number <= len(versions)]
        for version in chosen:
            match kind:
                case "delete":
                    version["deletion_time"] = stamp(now())
                case "undelete":
                    version["deletion_time"] = ""
                case _:
                    version.update(destroyed=True, data=None)
        return NOTHING

    def _metadata(self, call: Call, path: str) -> Answer:
        versions = call.mount.store.get(path)
        if not versions:
            raise not_found()
        about = [self._about(version) for version in versions]
        for each in about:
            each.pop("custom_metadata")
        told = {
            "cas_required": False,
            "created_time": about[0]["created_time"],
            "current_version": len(about),
            "custom_metadata": None,
            "delete_version_after": "0s",
            "max_versions": 0,
            "oldest_version": 0,
            "updated_time": about[-1]["created_time"],
            "versions": {str(number): each for number, each in enumerate(about, 1)},
        }
        return Answer(data=told)

    def _list(self, call: Call, path: str) -> Answer:
        folder = f"{path.rstrip('/')}/" if path else ""
        below = {each[len(folder) :] for each in call.mount.store if each.startswith(folder)}
        keys = sorted({f"{each.split('/')[0]}/" if "/" in each else each for each in below})
        if not keys:
            raise not_found()
        return Answer(data={"keys": keys})

    def _about(self, version: Json) -> Json:
        told = {key: version[key] for key in ("created_time", "deletion_time", "destroyed")}
        return {"custom_metadata": None, **told}
