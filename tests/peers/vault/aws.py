"""The AWS engine of the double: real STS sessions and real IAM users, at whatever endpoints it is given."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from typing import Any

from tests.peers.vault.answers import NOTHING, Answer, Json, Refused, names, not_found, seconds, wrapped
from tests.peers.vault.engine import Call, Engine
from tests.peers.vault.state import Lease, Mount, word

KINDS = ("assumed_role", "iam_user")
SHORTEST = 900  # seconds; STS grants no less
LIMITS = {"connect_timeout": 5, "read_timeout": 10, "retries": {"max_attempts": 0}}


class AwsEngine(Engine):
    def is_there(self, call: Call) -> bool:
        return not call.path.startswith("roles/") or call.path in call.mount.store

    def handle(self, call: Call) -> Answer:
        operation = "write" if call.request.writes else call.request.operation
        match call.path.split("/")[0], operation:
            case "config", "write" if call.path == "config/root":
                call.mount.store["config/root"] = call.mount.store.get("config/root", {}) | call.body
                return NOTHING
            case "config", "read" if call.path in call.mount.store:
                hidden = ("secret_key",)
                return Answer(
                    data={key: each for key, each in call.mount.store[call.path].items() if key not in hidden}
                )
            case "roles", "write":
                call.mount.store[call.path] = _role(call.mount.store.get(call.path, {}) | call.body)
                return NOTHING
            case "roles", "read":
                if call.path not in call.mount.store:
                    raise not_found()
                return Answer(data=call.mount.store[call.path])
            case "roles", "delete":
                call.mount.store.pop(call.path, None)
                return NOTHING
            case (("creds" | "sts"), ("read" | "write")):
                return self._credentials(call)
            case (("config" | "roles" | "creds" | "sts"), _):
                raise Refused(405, "unsupported operation")
        raise Refused(404, wrapped("unsupported path"))

    def revoke(self, mount: Mount, lease: Lease) -> None:
        """A session of STS cannot be called back; a user goes with all it has."""
        if "user" not in lease.inner:
            return
        try:
            _end_user(_client(mount, "iam"), lease.inner["user"])
        except _refusals() as problem:
            raise Refused(500, _told(problem)) from problem

    def _credentials(self, call: Call) -> Answer:
        role = call.mount.store.get(f"roles/{call.name}")
        if role is None:
            raise Refused(400, f'Role "{call.name}" not found')
        if "config/root" not in call.mount.store:
            raise Refused(400, "the double needs config/root with its endpoints: nothing here talks to AWS itself")
        asked = {**call.request.query, **call.body}
        try:
            return self._assume(call, role, asked) if role["credential_type"] == KINDS[0] else self._user(call, role)
        except _refusals() as problem:
            raise Refused(400, wrapped(_told(problem))) from problem

    def _assume(self, call: Call, role: Json, asked: Json) -> Answer:
        arn = asked.get("role_arn") or (role["role_arns"][0] if len(role["role_arns"]) == 1 else "")
        if arn not in role["role_arns"]:
            raise Refused(400, f"role_arn {arn!r} not in allowed role arns for Vault role {call.name!r}")
        ttl = seconds(asked.get("ttl")) or role["default_sts_ttl"] or 3600
        ttl = max(min(ttl, role["max_sts_ttl"] or ttl), SHORTEST)
        name = asked.get("role_session_name") or _name(call, 64)
        more: Json = {"Policy": role["policy_document"]} if role["policy_document"] else {}
        if role["policy_arns"]:
            more["PolicyArns"] = [{"arn": each} for each in role["policy_arns"]]
        if role.get("session_tags"):
            more["Tags"] = [{"Key": key, "Value": each} for key, each in role["session_tags"].items()]
        sts = _client(call.mount, "sts")
        told = sts.assume_role(RoleArn=arn, RoleSessionName=name, DurationSeconds=ttl, **more)
        keys = told["Credentials"]
        data = {
            "access_key": keys["AccessKeyId"],
            "secret_key": keys["SecretAccessKey"],
            "security_token": keys["SessionToken"],
            "session_token": keys["SessionToken"],
            "arn": told["AssumedRoleUser"]["Arn"],
            "ttl": ttl,
        }
        return self.core.leases.make(call, data, {"arn": data["arn"]}, ttl, ttl, renewable=False)

    def _user(self, call: Call, role: Json) -> Answer:
        iam, name = _client(call.mount, "iam"), _name(call, 64)
        iam.create_user(UserName=name, Path=role["user_path"])
        try:
            for arn in role["policy_arns"]:
                iam.attach_user_policy(UserName=name, PolicyArn=arn)
            if role["policy_document"]:
                iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=role["policy_document"])
            keys = iam.create_access_key(UserName=name)["AccessKey"]
        except _refusals():
            _end_user(iam, name)
            raise
        data = {"access_key": keys["AccessKeyId"], "secret_key": keys["SecretAccessKey"]}
        told = data | {"security_token": None, "session_token": None}
        return self.core.leases.make(call, told, {"user": name}, 0, 0, renewable=True)


def _role(body: Json) -> Json:
    if body.get("credential_type") not in KINDS:
        raise Refused(400, f"unrecognized credential_type (the double has {' and '.join(KINDS)})")
    lists = {key: names(body.get(key)) for key in ("role_arns", "policy_arns")}
    times = {key: seconds(body.get(key)) for key in ("default_sts_ttl", "max_sts_ttl")}
    if body["credential_type"] == "assumed_role" and not lists["role_arns"]:
        raise Refused(400, "role_arns required for credential_type assumed_role")
    return {"policy_document": "", "user_path": "/", **body, **lists, **times}


def _name(call: Call, longest: int) -> str:
    who = re.sub(r"[^\w+=,.@-]", "_", call.owner.display_name)
    return f"vault-{who[:20]}-{call.name[:16]}-{int(time.time())}-{word(8)}"[:longest]


def _client(mount: Mount, service: str) -> Any:
    import boto3  # heavy: only where an AWS engine is used
    from botocore.config import Config

    root = mount.store["config/root"]
    endpoint = root.get(f"{service}_endpoint")
    if not endpoint:
        raise Refused(400, f"the double needs {service}_endpoint in config/root: nothing here talks to AWS itself")
    return boto3.client(
        service,
        region_name=root.get("region") or "us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id=root.get("access_key"),
        aws_secret_access_key=root.get("secret_key"),
        config=Config(**LIMITS),
    )


def _end_user(iam: Any, name: str) -> None:
    """What Vault does: keys, policies, then the user; one that is gone is no error."""
    with suppress(iam.exceptions.NoSuchEntityException):
        for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
            iam.delete_user_policy(UserName=name, PolicyName=policy)
        for attached in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
            iam.detach_user_policy(UserName=name, PolicyArn=attached["PolicyArn"])
        iam.delete_user(UserName=name)


def _refusals() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError

    return (ClientError, BotoCoreError)


def _told(problem: Exception) -> str:
    return f"Error from AWS: {problem}"
