"""Policies hold as a whole, or every problem is told at once with its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hoopx_broker.policy.load import load
from hoopx_broker.policy.problems import BadPolicies
from hoopx_broker.policy.shipped import directory
from hoopx_broker.policy.sources import cut
from hoopx_broker.terms.errors import ExitCode

GOOD = '@id("good") permit (principal, action == Action::"read", resource);\n'


def problems(where: Path, **files: str) -> list[str]:
    """What is wrong with these files (`_` is `.` in their names), as `file:line: message`."""
    for name, text in files.items():
        (where / name.replace("_", ".")).write_text(text, encoding="utf-8")
    with pytest.raises(BadPolicies) as caught:
        load(where)
    assert caught.value.exit_code == ExitCode.USAGE
    return [str(problem).removeprefix(f"{where}/") for problem in caught.value.problems]


def test_the_shipped_policies_hold() -> None:
    policies = load(directory())
    assert {
        "no-unbounded-write",
        "no-ddl-in-prod",
        "no-server-reach",
        "no-role-switch",
        "agents-analytics-only",
        "sensitive-needs-approval",
    } <= set(policies.rules)
    assert policies.rules["sensitive-needs-approval"].approvers == {"dba": 1}


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        a_cedar='// a comment; with a semicolon\n@id("a;1")\npermit (principal, action, resource)\nwhen { x y };\n'
        + GOOD
        + 'permit (principal, action == Action::"read", resource);\n',
        b_cedar='\n\n@id("b")\npermit (principal, action == Action::"raed", resource)\n'
        'when { principal.nmae == "x" };\n' + GOOD,
        c_cedar='@id("c") permit (principal, action == Action::"read", resource)',
    )
    assert found[0] == "a.cedar:4: not Cedar: unexpected token `y`"
    assert found[1].startswith("a.cedar:6: no `@id")
    assert 'b.cedar:4: unrecognized action `Action::"raed"`' in " ".join(found)
    assert any(problem.startswith('b.cedar:6: `@id("good")` is taken already at') for problem in found)
    assert "c.cedar:1: not Cedar: unexpected end of input" in found


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("permit (principal, action == Action::\"read\", resource)\nwhen { resource.nmae == \"x\" };",
         "2: attribute `nmae` on entity type"),
        ('permit (principal, action == Action::"read", resource is Tabel);', "1: unrecognized entity type `Tabel`"),
        ('permit (principal, action == Action::"read", resource)\nwhen { context.duration == "x" };', "types"),
        ('permit (principal, action == Action::"read", resource)\nwhen {\n context.hsa_where };',
         "3: attribute `hsa_where`"),
        ('permit (principal, action == Action::"insert", resource is Database);',
         "unable to find an applicable action"),
        ('@messsage("x") forbid (principal, action, resource);', "1: unknown annotation `@messsage`"),
        ('@message("x") permit (principal, action, resource);', "1: `@message` belongs on a `forbid`"),
        ('@approvers("dba") permit (principal, action, resource);', "`@approvers` belongs on a `forbid`"),
        ('@approvers("dba") forbid (principal, action == Action::"read", resource);', "`context.approvals`"),
        ('@approvers("dba,") forbid (principal, action == Action::"read", resource)'
         ' unless { context.approvals.contains("dba") };', "list of different groups"),
        ('@approvers("a, a") forbid (principal, action == Action::"read", resource)'
         ' unless { context.approvals.contains("a") };', "list of different groups"),
        ('@approvers("dba")\n@quorum("0") forbid (principal, action == Action::"read", resource)'
         ' unless { context.approvals.contains("dba") };', "2: `@quorum` is a number"),
        ('@approvers("dba") @quorum("²") forbid (principal, action == Action::"read", resource)'
         ' unless { context.approvals.contains("dba") };', "`@quorum` is a number"),
        ('@approvers forbid (principal, action == Action::"read", resource)'
         ' unless { context.approvals.contains("a") };', "list of different groups"),
        ('@approvers("a") @quorum forbid (principal, action == Action::"read", resource)'
         ' unless { context.approvals.contains("a") };', "`@quorum` is a number"),
        ('@quorum("1") forbid (principal, action, resource);', "`@quorum` needs `@approvers`"),
        ("permit (principal == ?principal, action, resource);", "templates"),
        ("nonsense", "not Cedar"),
        ('permit (principal, action, resource) when { "unterminated };', "not Cedar"),
    ],
)  # fmt: skip
def test_a_mistake_is_found_before_it_runs(tmp_path: Path, rule: str, message: str) -> None:
    found = problems(tmp_path, x_cedar=f'@id("x") {rule}')
    assert any(message in problem for problem in found), found


@pytest.mark.parametrize("name", ["judge", "default", "mask", "Upper", "with space", "", "x" * 65])
def test_a_name_that_rulings_could_not_carry_is_refused(tmp_path: Path, name: str) -> None:
    assert "@id" in problems(tmp_path, x_cedar=f'@id("{name}") permit (principal, action, resource);')[0]


def test_a_directory_that_is_none_or_empty_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(BadPolicies, match="no such directory"):
        load(tmp_path / "nowhere")
    assert problems(tmp_path) == [f"{tmp_path}:0: no `*.cedar` file: everything would be denied"]


def test_a_file_that_is_no_text_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "x.cedar").write_bytes(b"\xff")
    assert "cannot be read" in problems(tmp_path)[0]


def test_a_schema_of_ones_own_is_used_and_must_hold(tmp_path: Path) -> None:
    found = problems(tmp_path, x_cedar=GOOD, x_cedarschema="entity User;\nentity T in [Nowhere];\n")
    assert found == ["x.cedarschema:2: not a schema: failed to resolve type: Nowhere"]


def test_a_schema_without_words_for_what_is_asked_is_a_problem(tmp_path: Path) -> None:
    """An action that the schema does not know is in no group of actions: a forbid on the group would not reach it."""
    own = (directory() / "hoopx.cedarschema").read_text(encoding="utf-8")
    for taken, told in {
        "action lock in [query] appliesTo { principal: [User], resource: [Table], context: Statement };\n": "lock",
        "Column, ": "read",
    }.items():
        assert taken in own
        found = problems(tmp_path, x_cedar=GOOD, own_cedarschema=own.replace(taken, ""))
        assert found[0].startswith(f"own.cedarschema:1: the schema must let `{told}` be asked of")


def test_two_schemas_are_one_too_many(tmp_path: Path) -> None:
    own = (directory() / "hoopx.cedarschema").read_text(encoding="utf-8")
    assert problems(tmp_path, x_cedar=GOOD, a_cedarschema=own, b_cedarschema=own)[0].startswith("b.cedarschema:1:")


def test_the_version_names_the_exact_texts(tmp_path: Path) -> None:
    (tmp_path / "x.cedar").write_text(GOOD, encoding="utf-8")
    first = load(tmp_path).version
    assert load(tmp_path).version == first
    (tmp_path / "x.cedar").write_text(GOOD + "// a remark\n", encoding="utf-8")
    assert load(tmp_path).version != first


def test_rules_are_found_in_folders_below(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "x.cedar").write_text(GOOD, encoding="utf-8")
    assert set(load(tmp_path).rules) == {"good"}


def test_semicolons_in_strings_and_comments_end_no_policy() -> None:
    text = '// one; two\n@message("a;\\";b") permit (x);\n\n// three\nforbid (y) when { "//" }; // four;\n'
    assert [(source.line, source.text.split()[0]) for source in cut("f", text)] == [
        (2, '@message("a;\\";b")'),
        (5, "forbid"),
    ]
