"""AWS as moto plays it: a server of its own, with IAM enforcement on: keys do what policies allow and no more.

Learnt from its source (5.2): it checks signatures, the policies of users and roles (effect, action, resource), and
trust policies for AssumeRole. It does not look at session policies, tags, source identities, expiry, or conditions
(what it does not know counts as met), it makes keys of roles that do not exist, and it verifies no web identity token;
unsigned calls fail while enforcement is on. What was asked of it is read back from its recording.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import boto3
from botocore.config import Config
from msgspec import Struct

from hoopx_broker.terms.leases import AwsKeys
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.aws_account import AwsAccount
from tests.peers.processes import bound_to_us, eventually

REGION = "eu-central-1"
ACCOUNT = "123456789012"
BROKER = "hoopx"  # the IAM user as whom the broker speaks to AWS
_ANYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


class Aws(Struct, frozen=True):
    """A running moto, its administrator, and the user that the broker is."""

    endpoint: str
    recording: Path
    admin: AwsKeys
    broker: AwsKeys

    def client(self, service: str, keys: AwsKeys | None = None) -> Any:
        """boto3's, with these keys; the administrator's without."""
        return _client(self.endpoint, service, keys or self.admin)

    def account(self, **changes: Any) -> AwsAccount:
        """The section `aws` of a broker that speaks to this server."""
        keys = self.broker
        login: dict[str, Any] = {"access_key_id": keys.access_key_id, "secret_access_key": keys.secret_access_key}
        return AwsAccount(**({"region": REGION, "endpoint": self.endpoint} | login | changes))

    def role(
        self, name: str, *statements: dict[str, Any], trusts: str = f"arn:aws:iam::{ACCOUNT}:user/{BROKER}"
    ) -> str:
        """Make a role that may do that, and that `trusts`, the broker, may assume. Gives its ARN."""
        trust = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"AWS": trusts},
        }
        iam = self.client("iam")
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))
        iam.put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=policy(*statements))
        return str(made["Role"]["Arn"])

    def asked(self, action: str) -> list[dict[str, str]]:
        """The parameters of every call of `action` so far, the newest last. Objects that were put are no parameters."""
        bodies = list(_documents(self.recording.read_text()))
        calls = [dict(parse_qsl(base64.b64decode(each["body"]).decode("latin-1"))) for each in bodies if each["body"]]
        return [call for call in calls if call.get("Action") == action]

    @contextmanager
    def without_enforcement(self) -> Iterator[None]:
        """Unsigned calls get in."""
        _enforce(self.endpoint, "inf")
        try:
            yield
        finally:
            _enforce(self.endpoint, "0")


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, resource: str | Sequence[str] = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


@contextmanager
def aws_server(folder: Path) -> Iterator[Aws]:
    log, recording = folder / "moto.log", folder / "recording"
    recording.touch()
    environ = os.environ | {"MOTO_ENABLE_RECORDING": "1", "MOTO_RECORDER_FILEPATH": str(recording)}
    command = [*bound_to_us(), sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environ)
    try:
        endpoint = eventually(lambda: _endpoint(log), f"moto listens (see {log})")
        yield _with_users(endpoint, recording)
    finally:
        process.kill()
        process.wait()


def _endpoint(log: Path) -> str | None:
    found = re.search(r"Running on (http://127\.0\.0\.1:[0-9]+)", log.read_text())
    return found[1] if found else None


def _with_users(endpoint: str, recording: Path) -> Aws:
    nobody = AwsKeys("AKIANOBODY", Secret("nothing"))
    iam = _client(endpoint, "iam", nobody)
    admin = _user(iam, "admin", _ANYTHING)
    broker = _user(iam, BROKER, *_documented())
    _enforce(endpoint, "0")
    return Aws(endpoint, recording, admin, broker)


def _documented() -> list[dict[str, Any]]:
    """What `docs/credentials/aws.md` asks for a broker: no more than that."""
    page = (Path(__file__).parents[2] / "docs/credentials/aws.md").read_text()
    statements: list[dict[str, Any]] = json.loads(page.partition("```json\n")[2].partition("```")[0])["Statement"]
    return statements


def _user(iam: Any, name: str, *statements: dict[str, Any]) -> AwsKeys:
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="may", PolicyDocument=policy(*statements))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return AwsKeys(key["AccessKeyId"], Secret(key["SecretAccessKey"]))


@cache
def _client(endpoint: str, service: str, keys: AwsKeys) -> Any:
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key.reveal(),
        aws_session_token=keys.session_token.reveal() if keys.session_token else None,
        config=Config(retries={"total_max_attempts": 1}),
    )


def _enforce(endpoint: str, after: str) -> None:
    """How many calls get in before policies are looked at."""
    request = urllib.request.Request(f"{endpoint}/moto-api/reset-auth", after.encode(), {"Content-Type": "text/plain"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()


def _documents(text: str) -> Iterator[dict[str, Any]]:
    """One behind the other: the recorder's threads write their line ends apart from what stands before them."""
    decoder, at = json.JSONDecoder(), 0
    while text := text[at:].lstrip():
        found, at = decoder.raw_decode(text)
        yield found
