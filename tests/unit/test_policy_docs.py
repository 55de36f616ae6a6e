"""The examples of docs/policies.md are true, and its tables leave nothing out."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from hoopx_broker.policy import trial
from hoopx_broker.policy.load import load
from hoopx_broker.policy.shipped import directory

PAGE = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"### ([^\n]+)\n\n```cedar\n(.*?)```\n\n```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_every_example_is_found() -> None:
    assert len(EXAMPLES) == PAGE.count("```cedar\n") - 1 == 15


@pytest.mark.parametrize(("title", "rules", "cases"), EXAMPLES)
def test_an_example_does_what_it_says_beside_the_shipped_rules(
    tmp_path: Path, title: str, rules: str, cases: str
) -> None:
    for path in directory().glob("*.cedar"):
        shutil.copy(path, tmp_path)
    (tmp_path / "example.cedar").write_text(rules, encoding="utf-8")
    (tmp_path / "example.yaml").write_text(cases, encoding="utf-8")
    outcome = trial.run(load(tmp_path))
    assert outcome.failures == ()
    assert outcome.cases >= 2
    assert not set(re.findall(r'@id\("([^"]+)"\)', rules)) & set(outcome.unreached)


def test_every_word_of_the_schema_is_explained() -> None:
    schema = (directory() / "hoopx.cedarschema").read_text(encoding="utf-8")
    code = re.sub(r"//[^\n]*", "", schema)
    words = re.findall(r'(?:entity|action) "?([\w.]+)"?', code) + re.findall(r"(\w+)\??:", code)
    told = set(re.findall(r"[\w.]+", " ".join(re.findall(r"`([^`\n]+)`", PAGE))))
    told |= {part for word in told for part in word.split(".")}
    assert set(words) - told - {"principal", "resource"} == set()


def test_every_danger_that_the_shipped_rules_name_is_explained() -> None:
    guards = (directory() / "20-guards.cedar").read_text(encoding="utf-8")
    named = re.findall(r'dangerous\.contains\("([\w-]+)"\)', guards)
    for group in re.findall(r"dangerous\.containsAny\(\[([^\]]*)\]", guards):
        named += re.findall(r'"([\w-]+)"', group)
    assert {danger for danger in named if f"`{danger}`" not in PAGE} == set()
