"""The examples of docs/aws.md are true: the configuration loads, and the rule binds as its case says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from hoopx_broker.daemon.config import load as load_config
from hoopx_broker.policy import trial
from hoopx_broker.policy.load import load
from hoopx_broker.policy.shipped import directory

PAGE = (Path(__file__).parents[2] / "docs/aws.md").read_text(encoding="utf-8")
IDENTITY = "identity:\n  - {issuer: https://login.example.com, client_id: hoopx-cli, audience: hoopx}\n"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_target_loads(tmp_path: Path) -> None:
    configuration, _ = blocks("yaml")
    (tmp_path / "policies").mkdir()
    (tmp_path / "hoopx.yaml").write_text(IDENTITY + configuration)
    target = load_config(tmp_path / "hoopx.yaml", {}).targets["prod-aws"]
    assert (target.kind, target.region, target.account) == ("aws", "eu-central-1", "123456789012")


def test_the_rule_binds_as_its_case_says_beside_the_shipped_rules(tmp_path: Path) -> None:
    for path in directory().glob("*.cedar"):
        shutil.copy(path, tmp_path)
    (tmp_path / "aws").mkdir()
    (tmp_path / "aws" / "s3-read.json").write_text(blocks("json")[0])
    (tmp_path / "example.cedar").write_text(blocks("cedar")[0])
    (tmp_path / "example.yaml").write_text(blocks("yaml")[1])
    outcome = trial.run(load(tmp_path))
    assert (outcome.cases, outcome.failures) == (1, ())
    assert "developers-read-aws" not in outcome.unreached
