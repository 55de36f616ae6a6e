"""AWS as a target: keys for as long as a session, found by AWS's own tools, written down nowhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.golden.cli_json import as_told
from tests.journeys.stage import POLICIES, Stage, objects, playing, running
from tests.peers.aws import REGION, Aws, allow, policy
from tests.peers.postgres import Postgres
from tests.peers.processes import command_lines, eventually

ROLE = "hoopx-journeys"
CALLED_OFF = "hoopx-called-off"  # moto does not look at conditions: what is denied to one session is denied to all
MANAGED = "arn:aws:iam::aws:policy/ReadOnlyAccess"
READS = policy(allow("s3:ListAllMyBuckets", "sts:GetCallerIdentity"))
BINDS = f"""
@id("developers-read-aws")
@aws_policy("aws/s3-read.json, {MANAGED}")
permit (principal in Group::"developers", action == Action::"connect", resource)
when {{ resource.kind == "aws" }};
"""
# What a child finds, as a client of AWS would.
ASKS = """
import boto3, json, os, sys
session = boto3.Session(profile_name=sys.argv[1] if len(sys.argv) > 1 else None)
found = session.get_credentials()
keys = found.get_frozen_credentials()
print(json.dumps({
    "method": found.method, "id": keys.access_key, "secret": keys.secret_key, "token": keys.token,
    "who": session.client("sts").get_caller_identity()["Arn"],
    "buckets": [each["Name"] for each in session.client("s3").list_buckets()["Buckets"]],
    "region": session.region_name, "output": session._session.get_scoped_config().get("output"),
    "environ": {name: value for name, value in os.environ.items() if name.startswith("AWS_")},
}))
"""


class AwsStage(Stage):
    """A broker with accounts of AWS, as moto plays it, and no database."""

    def __init__(self, home: Path, aws: Aws, role: str) -> None:
        self.aws = aws
        self.role = role
        home.mkdir(mode=0o700, exist_ok=True)
        (home / "aws-secret").write_text(aws.broker.secret_access_key.reveal())
        nowhere = Postgres.__new__(Postgres)  # nothing of it is asked: there is no target of that kind
        super().__init__(home, nowhere)

    def _write_configuration(self) -> None:
        self.mint.write_keys(self.home / "keys.json")
        rules = self.home / "policies"
        rules.mkdir()
        for each in POLICIES.glob("*.cedar*"):
            (rules / each.name).write_text(each.read_text())
        (rules / "aws").mkdir()
        (rules / "aws" / "s3-read.json").write_text(READS)
        (rules / "80-aws.cedar").write_text(BINDS)
        self.config.write_text(self.configuration())

    def configuration(self) -> str:
        broker = self.aws.broker
        login = f"access_key_id: {broker.access_key_id}, secret_access_key: file:aws-secret"
        return super().configuration() + f"aws: {{region: {REGION}, endpoint: '{self.aws.endpoint}', {login}}}\n"

    def _targets(self) -> Iterator[str]:
        short, strange = "ttl: 1h, max_duration: 15m", self.role.replace(ROLE, "somebody-elses")
        for name, role, more in [
            ("prod-aws", self.role, "ttl: 15m"),
            ("short-aws", self.role, short),
            ("barred-aws", strange, short),
            ("called-off-aws", self.role.replace(ROLE, CALLED_OFF), f"{short}, revoke: deny-policy"),
        ]:
            yield f"""\
  {name}:
    kind: aws
    region: {REGION}
    account: "123456789012"
    labels: {{env: prod}}
    credentials: {{from: aws-assume-role, role: '{role}', {more}}}
"""

    def as_client(self, *targets: str, profile: str = "", **more: str) -> dict[str, object]:
        """What a child with sessions to these finds."""
        argument = [profile] if profile else []
        command = [sys.executable, "-c", ASKS, *argument]
        outcome = self.hoopx("exec", *targets, "--", *command, AWS_ENDPOINT_URL=self.aws.endpoint, **more)
        found: dict[str, object] = json.loads(outcome.fine().out)
        return found

    def written(self) -> bytes:
        """Everything that broker and people have on disk."""
        return b"".join(path.read_bytes() for path in sorted(self.home.rglob("*")) if path.is_file())


@pytest.fixture(scope="module")
def aws_stage(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsStage]:
    role = aws.role(ROLE, allow("s3:ListAllMyBuckets", "sts:GetCallerIdentity"))
    aws.role(CALLED_OFF, allow("s3:ListAllMyBuckets"))
    aws.client("s3").create_bucket(Bucket="journeys", CreateBucketConfiguration={"LocationConstraint": REGION})
    with playing(AwsStage(tmp_path_factory.mktemp("aws-stage") / "home", aws, role)) as stage:
        yield stage


def test_a_child_has_the_sessions_keys_and_none_of_the_persons_own(aws_stage: AwsStage) -> None:
    own = aws_stage.home / "home-ann" / ".aws"
    own.mkdir(parents=True)
    (own / "credentials").write_text("[default]\naws_access_key_id = AKIAOWN\naws_secret_access_key = own\n")
    (own / "config").write_text("[default]\noutput = yaml\nregion = us-east-1\ncredential_process = /bin/false\n")
    hostile = {"AWS_PROFILE": "other", "AWS_WEB_IDENTITY_TOKEN_FILE": "/t", "AWS_ROLE_ARN": "arn:aws:iam::1:role/x"}
    found = aws_stage.as_client("prod-aws", **hostile)
    assert found["method"] == "env"
    assert f":assumed-role/{ROLE}/hoopx-" in str(found["who"])
    assert "journeys" in found["buckets"]  # type: ignore[operator]
    assert (found["region"], found["output"]) == (REGION, "yaml")
    environ = found["environ"]
    assert isinstance(environ, dict)
    assert not environ.keys() & hostile.keys()
    assert environ["AWS_CREDENTIAL_EXPIRATION"] > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    assert not Path(environ["AWS_CONFIG_FILE"]).exists()
    call = aws_stage.aws.asked("AssumeRole")[-1]
    assert json.loads(call["Policy"])["Statement"] == json.loads(READS)["Statement"]
    assert call["PolicyArns.member.1.arn"] == MANAGED
    _is_written_nowhere(aws_stage, found)
    _is_recorded(aws_stage, found)


def _is_written_nowhere(stage: AwsStage, found: dict[str, object]) -> None:
    held = stage.written()
    assert str(found["id"]).encode() in held  # the recording names the keys …
    for name in ("secret", "token"):  # … and does not hold them
        assert str(found[name]).encode() not in held


def _is_recorded(stage: AwsStage, found: dict[str, object]) -> None:
    """Who was given which keys, by which rules; and it is proved."""
    session = stage.listed("sessions", "ls")[0]["id"]
    told = stage.hoopx("sessions", "replay", session).fine().out
    assert f"prod-aws (aws, region {REGION}, account 123456789012)" in told
    assert MANAGED in told
    assert f"keys `{found['id']}` were handed out" in told
    assert f"role={stage.role}" in told
    stage.hoopx("sessions", "verify", session).fine()


def test_keys_that_end_before_the_session_are_fetched_by_the_sdk_itself(aws_stage: AwsStage) -> None:
    found = aws_stage.as_client("short-aws")
    assert found["method"] == "container-role"
    environ = found["environ"]
    assert isinstance(environ, dict)
    assert "AWS_ACCESS_KEY_ID" not in environ
    assert "AWS_SECRET_ACCESS_KEY" not in environ


def test_of_several_accounts_each_is_a_profile_and_none_the_default(aws_stage: AwsStage) -> None:
    found = aws_stage.as_client("prod-aws", "short-aws", profile="short-aws")
    assert found["method"] == "custom-process"
    environ = found["environ"]
    assert isinstance(environ, dict)
    assert not {"AWS_ACCESS_KEY_ID", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_PROFILE"} & environ.keys()


def test_connect_answers_the_credential_process_until_it_ends(aws_stage: AwsStage) -> None:
    with running(aws_stage, "connect", "prod-aws") as command:
        command.says(r"credential_process = hoopx credentials prod-aws")
        [keys] = as_told("credentials", aws_stage.hoopx("credentials", "prod-aws").fine().out)
        assert (keys["Version"], "SessionToken" in keys) == (1, True)
        seen = command_lines()
        assert b"hoopx" in seen
        for name in ("SecretAccessKey", "SessionToken"):
            assert keys[name].encode() not in seen
            assert keys[name].encode() not in aws_stage.written()
        assert aws_stage.hoopx("credentials", "prod-aws", who="bob").code == 15
        session = aws_stage.listed("sessions", "ls", "--target", "prod-aws")[0]["id"]
        aws_stage.hoopx("sessions", "kill", session).fine()
        said = command.end().err
        assert "the session ended" in said
        assert "nobody can call back the credential for `prod-aws`; it ends by itself at " in said
    outcome = aws_stage.hoopx("credentials", "prod-aws")
    assert outcome.code == 15
    assert "hoopx connect prod-aws" in outcome.err
    assert not list((aws_stage.home / "home-ann" / "hoopx" / "run").glob("*"))


def test_a_role_that_aws_does_not_give_ends_the_command_with_15_and_says_what_to_do(aws_stage: AwsStage) -> None:
    outcome = aws_stage.hoopx("exec", "barred-aws", "--", "true")
    assert outcome.code == 15
    first, remedy = outcome.err.splitlines()
    assert first.startswith("hoopx: the source `aws-assume-role` of target `barred-aws` failed: AWS does not let `arn:")
    assert "`sts:AssumeRole`" in first
    assert "trust policy" in remedy
    eventually(lambda: not aws_stage.listed("leases", "ls", "--target", "barred-aws"), "what AWS did not make is over")


def test_a_broker_killed_with_a_session_ends_its_keys_when_it_comes_back(aws_stage: AwsStage) -> None:
    with running(aws_stage, "exec", "called-off-aws", "--", "sh", "-c", "echo begun; sleep 100") as command:
        command.says("begun")
        [lease] = aws_stage.listed("leases", "ls", "--target", "called-off-aws")
        aws_stage.kill_broker()
        aws_stage.start_broker()
    eventually(lambda: not aws_stage.listed("leases", "ls", "--target", "called-off-aws"), "it is revoked")
    iam = aws_stage.aws.client("iam")
    denied = iam.get_role_policy(RoleName=CALLED_OFF, PolicyName="hoopx-ended-sessions")["PolicyDocument"]
    assert f":hoopx-{lease['session']}" in json.dumps(denied)


def test_the_target_is_told_for_what_it_is(aws_stage: AwsStage) -> None:
    shown = objects(aws_stage.hoopx("show", "prod-aws", "-o", "json").fine().out)[0]
    assert (shown["kind"], shown["region"], shown["account"]) == ("aws", REGION, "123456789012")
    calls = len(aws_stage.aws.asked("AssumeRole"))
    password = aws_stage.hoopx("token", "prod-aws").fine().out.strip()
    where = {"host": "127.0.0.1", "port": aws_stage.url.rpartition(":")[2], "sslmode": "require"}
    with pytest.raises(psycopg.OperationalError, match="of kind `aws`, which this client does not speak"):
        psycopg.connect(**where, user="ann", dbname="prod-aws", password=password)  # type: ignore[arg-type]
    assert len(aws_stage.aws.asked("AssumeRole")) == calls
    outcome = aws_stage.hoopx("connect", "prod-aws", "--port", "5433")
    assert outcome.code == 2
    assert "no local socket" in outcome.err
