"""What permits bind a session's credential to: added up, held against both halves of an agent, and hashed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hoopx_broker.policy import trial
from hoopx_broker.policy.explain import explain_opening
from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.load import load
from hoopx_broker.policy.problems import BadPolicies
from hoopx_broker.policy.told import render
from hoopx_broker.terms.leases import TARGETS_OWN
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Deny
from tests.unit.policy_stage import ANN, BOT, NOW, judge_of, target

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
AUDIT = "arn:aws:iam::123456789012:policy/teams/audit"
LIST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:List*", "Resource": "*"}]}


def connect(name: str, group: str, annotations: str = "") -> str:
    return f'@id("{name}") {annotations} permit (principal in Group::"{group}", action == Action::"connect", resource);'


def bound(judge: CedarJudge, who: Principal = ANN) -> dict[str, tuple[str, ...]]:
    ruling = judge.opening(who, target(), NOW)
    assert isinstance(ruling, Allow), ruling
    return ruling.obligations


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "aws").mkdir()
    (tmp_path / "aws" / "list.json").write_text(json.dumps(LIST, indent=2))
    return tmp_path


def test_what_the_deciding_permits_say_is_added_up_and_silence_adds_nothing(rules: Path) -> None:
    judge = judge_of(
        rules,
        connect("silent", "developers"),
        connect("one", "developers", f'@aws_policy("{READ_ONLY}, aws/list.json") @profile("read")'),
        connect("two", "developers", f'@aws_policy("{AUDIT},{READ_ONLY}")'),
        connect("others", "dba", '@profile("write")'),
    )
    text = json.dumps(LIST, separators=(",", ":"))
    assert bound(judge) == {"aws_policy": tuple(sorted((READ_ONLY, AUDIT, text))), "profile": ("read",)}


def test_where_no_permit_says_anything_the_targets_own_configuration_decides(tmp_path: Path) -> None:
    assert bound(judge_of(tmp_path, connect("silent", "developers"))) == {}


def test_a_permit_in_shadow_binds_nothing(tmp_path: Path) -> None:
    shadow = connect("shadow", "developers", '@mode("shadow") @profile("read")')
    assert bound(judge_of(tmp_path, connect("silent", "developers"), shadow)) == {}


@pytest.mark.parametrize(
    ("agents", "humans", "both"),
    [
        ("read", "read", ("read",)),
        ("", "read", ("read", TARGETS_OWN)),
        ("read", "", ("read", TARGETS_OWN)),
        ("", "", None),
    ],
)
def test_an_agent_is_bound_as_it_and_its_human_are(
    tmp_path: Path, agents: str, humans: str, both: tuple[str, ...] | None
) -> None:
    def said(profile: str) -> str:
        return f'@profile("{profile}")' if profile else ""

    judge = judge_of(tmp_path, connect("a", "agents", said(agents)), connect("h", "developers", said(humans)))
    assert bound(judge, BOT) == ({"profile": both} if both else {})


@pytest.mark.parametrize(
    ("one", "other"),
    [('@profile("read")', '@profile("write")'), (f'@aws_policy("{AUDIT}")', f'@aws_policy("{READ_ONLY}")')],
)
def test_an_agent_whose_human_is_bound_to_something_else_is_refused(tmp_path: Path, one: str, other: str) -> None:
    judge = judge_of(tmp_path, connect("a", "agents", one), connect("h", "developers", other))
    ruling = judge.opening(BOT, target(), NOW)
    assert isinstance(ruling, Deny)
    assert "bind `bot` and `ann` to different" in ruling.reason
    assert isinstance(judge.opening(ANN, target(), NOW), Allow)


def problem(where: Path, rule: str) -> str:
    (where / "rules.cedar").write_text("\n" + rule, encoding="utf-8")
    with pytest.raises(BadPolicies) as caught:
        load(where)
    (found,) = caught.value.problems
    return str(found).removeprefix(f"{where}/")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("arn:aws:iam::12:policy/x", "is not the ARN of a managed policy"),
        (f"{READ_ONLY},", "is a list of different policies"),
        (f"{READ_ONLY},{READ_ONLY}", "is a list of different policies"),
        ("ReadOnlyAccess", "is no policy of AWS"),
        ("aws/gone.json", "`aws/gone.json` cannot be read: No such file"),
        ("../secret.json", "`../secret.json` is not in the directory of policies"),
        ("aws/text.json", "`aws/text.json` is not JSON (line 1, column 1)"),
        ("aws/old.json", '`aws/old.json` must have `"Version": "2012-10-17"`'),
        ("aws/large.json", "`aws/large.json` has more than the 2048 characters"),
        ("aws/principal.json", "`aws/principal.json` has `Principal` in a statement"),
    ],
)
def test_a_policy_that_aws_would_not_take_is_a_problem_of_its_line(rules: Path, value: str, told: str) -> None:
    (rules.parent / "secret.json").write_text(json.dumps(LIST))
    statement = LIST["Statement"][0]
    assert isinstance(statement, dict)
    (rules / "aws" / "text.json").write_text("s3")
    (rules / "aws" / "old.json").write_text(json.dumps(LIST | {"Version": "2008-10-17"}))
    (rules / "aws" / "large.json").write_text(json.dumps(LIST | {"Statement": [statement] * 50}))
    (rules / "aws" / "principal.json").write_text(json.dumps(LIST | {"Statement": [statement | {"Principal": "*"}]}))
    found = problem(rules, connect("x", "developers", f'@aws_policy("{value}")'))
    assert found.startswith("rules.cedar:2: ")
    assert told in found


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (
            '@id("f") @profile("read") forbid (principal, action == Action::"connect", resource);',
            "belongs on a `permit`",
        ),
        (
            '@id("r") @profile("read") permit (principal, action == Action::"read", resource);',
            'for `action == Action::"c',
        ),
        (connect("p", "developers", '@profile("read, write")'), "is not the name of one profile"),
        (connect("p", "developers", "@profile"), "is not the name of one profile"),
    ],
)
def test_an_obligation_where_there_is_no_credential_is_a_problem(tmp_path: Path, rule: str, told: str) -> None:
    assert told in problem(tmp_path, rule)


def test_the_version_names_the_files_too(rules: Path) -> None:
    rule = connect("x", "developers", '@aws_policy("aws/list.json")')
    before = judge_of(rules, rule).version
    (rules / "aws" / "list.json").write_text(json.dumps(LIST).replace("List", "Get"))
    assert judge_of(rules, rule).version != before


def test_explaining_and_cases_name_files_as_rules_do(rules: Path) -> None:
    judge = judge_of(rules, connect("x", "developers", f'@aws_policy("{AUDIT}, aws/list.json")'))
    told = render(explain_opening(judge, ANN, target(), NOW))
    assert f"ruling: allow, bound to aws_policy {AUDIT}, aws/list.json" in told
    case = "{name: %s, as: {user: a, groups: [developers]}, on: {target: t, kind: aws}, connect: true, expect: %s}"
    right = f"{{decision: allow, obligations: {{aws_policy: [aws/list.json, '{AUDIT}']}}}}"
    wrong = "{decision: allow, obligations: {}}"
    (rules / "cases.yaml").write_text("\n".join(f"- {case % pair}" for pair in [("r", right), ("w", wrong)]))
    (failure,) = trial.run(load(rules)).failures
    assert failure.line == 2
    assert "expected obligations {}" in failure.message


RECORDED = [("full", "digest", "digest"), ("shape", "digest", "shape"), ("full", "full", "full")]


@pytest.mark.parametrize(("one", "other", "least"), RECORDED)
def test_of_several_permits_the_least_that_any_says_is_recorded(
    tmp_path: Path, one: str, other: str, least: str
) -> None:
    judge = judge_of(
        tmp_path,
        connect("silent", "developers"),
        connect("one", "developers", f'@record("{one}")'),
        connect("other", "developers", f'@record("{other}")'),
        connect("others", "dba", '@record("shape")'),
    )
    ruling = judge.opening(ANN, target(), NOW)
    assert isinstance(ruling, Allow)
    assert (ruling.record, ruling.obligations) == (least, {})
    told = render(explain_opening(judge, ANN, target(), NOW))
    assert ("recording the" in told) == (least != "full")
    case = "- {name: x, as: {user: ann, groups: [developers]}, on: {target: shop-db}, connect: true, expect: "
    (tmp_path / "tests").mkdir()
    for number, said in enumerate(("full", "digest", "shape")):
        (tmp_path / "tests" / f"{number}.yaml").write_text(f"{case}{{decision: allow, record: {said}}}}}\n")
    assert len(trial.run(load(tmp_path)).failures) == 2


@pytest.mark.parametrize(
    "rule",
    [
        connect("odd", "developers", '@record("some")'),
        connect("odd", "developers", "@record"),
        '@id("odd") @record("shape") forbid (principal, action == Action::"connect", resource);',
        '@id("odd") @record("shape") permit (principal, action == Action::"read", resource);',
    ],
)
def test_a_record_that_means_nothing_stops_the_start(tmp_path: Path, rule: str) -> None:
    with pytest.raises(BadPolicies, match="@record"):
        judge_of(tmp_path, rule)
