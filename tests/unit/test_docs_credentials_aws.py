"""The pages on AWS: their configurations hold, their policies are policies, and the broker's own is enough."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.problems import BadConfig
from hoopx_broker.policy.load import load as load_policies
from hoopx_broker.terms.iam import document
from hoopx_plugins.aws_assume_role import AwsAssumeRoleOptions
from tests.peers.certificates import Authority

PAGES = sorted((Path(__file__).parents[2] / "docs/credentials").glob("aws*.md"))
REST = "policies: .\nidentity:\n  - kind: embedded\n    users: {ann: {password: one}}\n"
SOURCES = ("aws-assume-role", "aws-rds-iam", "aws-secretsmanager", "aws-ssm", "aws-web-identity")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


CONFIGURATIONS = [(page.stem, each) for page in PAGES for each in blocks(page, "yaml")]
POLICIES = [(page.stem, each) for page in PAGES for each in blocks(page, "json")]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Authority.make("rds").write(tmp_path / "rds-eu-central-1.pem")
    (tmp_path / "policies").mkdir()
    people = blocks(next(page for page in PAGES if page.stem == "aws-web-identity"), "json")[0]
    (tmp_path / "policies" / "aws-people.json").write_text(people)
    return tmp_path


def test_every_source_has_a_page_with_a_configuration_and_a_policy() -> None:
    assert {page for page, _ in CONFIGURATIONS} == {page for page, _ in POLICIES} == {"aws", *SOURCES}


@pytest.mark.parametrize(("page", "written"), CONFIGURATIONS)
def test_a_configuration_is_taken_as_it_stands(home: Path, page: str, written: str) -> None:
    (home / "hoopx.yaml").write_text(written + REST)
    settings = load(home / "hoopx.yaml", {"BILLING_EXTERNAL_ID": "hoopx-4711"})
    assert set(settings.targets) == set(yaml.safe_load(written)["targets"])
    assert all(target.source.startswith("aws-") for target in settings.targets.values())
    assert all(target.credentials.aws.region for target in settings.targets.values())


def test_a_target_may_have_an_account_of_its_own(home: Path) -> None:
    (written,) = (each for page, each in CONFIGURATIONS if page == "aws")
    (home / "hoopx.yaml").write_text(written + REST)
    targets = load(home / "hoopx.yaml", {"BILLING_EXTERNAL_ID": "hoopx-4711"}).targets
    own: AwsAssumeRoleOptions = targets["billing-aws"].credentials
    shared: AwsAssumeRoleOptions = targets["prod-aws"].credentials
    assert own.aws is not None
    assert shared.aws is not None
    assert (own.aws.region, own.aws.external_id) == ("us-east-1", "hoopx-4711")
    assert shared.aws.region == "eu-central-1"


@pytest.mark.parametrize(("page", "written"), POLICIES)
def test_a_policy_is_one_that_aws_would_take(page: str, written: str) -> None:
    policy: dict[str, Any] = json.loads(written)
    for statement in policy["Statement"]:
        trusted = statement.pop("Principal", None)
        if trusted is not None:
            statement["Resource"] = "*"  # a trust policy is the role's, and names none
    assert document(json.dumps(policy))


def test_the_rule_binds_the_keys_to_what_it_says(tmp_path: Path) -> None:
    (rule,) = blocks(next(page for page in PAGES if page.stem == "aws-assume-role"), "cedar")
    (tmp_path / "aws.cedar").write_text(rule)
    bound = load_policies(tmp_path).rules["operators"].obligations
    assert bound == {"aws_policy": ("arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess",)}


@pytest.mark.parametrize(
    ("changed", "to", "said"),
    [
        ("file:policies/aws-people.json", "ReadOnlyAccess", "`session_policy` is not JSON"),
        ("aws: {region: eu-central-1}\n", "", "needs a section `aws`"),
        ("region: eu-central-1}", "region: frankfurt}", "`region` is not the name of a region"),
        ("max_duration: 1h", "max_duration: 5m", "from `15m` to `12h`"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(home: Path, changed: str, to: str, said: str) -> None:
    written = next(each for page, each in CONFIGURATIONS if page == "aws-web-identity")
    assert changed in written
    (home / "hoopx.yaml").write_text(written.replace(changed, to) + REST)
    with pytest.raises(BadConfig, match=r"hoopx\.yaml:\d+: ") as failure:
        load(home / "hoopx.yaml", {})
    assert said in str(failure.value)
