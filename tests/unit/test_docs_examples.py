"""No example of the documentation stands there unread: each is run by a test, or said here why not, and looked at."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.problems import BadConfig
from hoopx_broker.policy.load import load as load_policies
from hoopx_broker.policy.shipped import directory
from tests.unit.docs_examples import (
    ROOT,
    Example,
    commands_in,
    every_option,
    examples,
    in_prose,
    is_taken,
    pages,
    place,
    unknown_options,
)
from tests.unit.test_config_upstream import metadata

TESTS = Path(__file__).parents[1]
HERE = "unit/test_docs_examples.py"
PAGES, TASKS = "journeys/test_docs_pages.py", "journeys/test_docs_tasks.py"
SOURCES, POLICIES = "unit/test_docs_credentials.py", "unit/test_policy_docs.py"
AWS = "the like is done at AWS: `json` is read here"
VAULT = "unit/test_docs_vault.py"
ENGINES = "OpenBao has no engine for AWS, and that for databases wants one: unit/test_plugins_vault_database.py has it"
PICTURE = "a picture"
NOTE = "the form of a note; golden/recordings/test_recording_golden.py has real ones"

# Page and language -> how many examples there are, and the test that runs them or why none can. Whoever writes a new
# one sees to it that it runs, and counts it here.
KNOWN: dict[tuple[str, str], tuple[int, str]] = {
    ("../CONTRIBUTING.md", "sh"): (1, HERE),
    ("../README.md", "console"): (3, "journeys/test_readme.py, with people at browsers; `make demo`: test_demo.py"),
    ("../README.md", "sql"): (1, "journeys/test_readme.py"),
    ("../README.md", "text"): (1, PICTURE),
    ("../README.md", "yaml"): (1, "journeys/test_readme.py"),
    ("agents.md", "sh"): (2, TASKS),
    ("approvals.md", "cedar"): (1, "journeys/approvals_stage.py"),
    ("approvals.md", "sh"): (8, "journeys/test_request_commands.py"),
    ("architecture.md", "text"): (1, PICTURE),
    ("aws.md", "cedar"): (1, "unit/test_docs_aws.py"),
    ("aws.md", "ini"): (1, "journeys/test_aws.py reads the keys by it"),
    ("aws.md", "json"): (1, "unit/test_docs_aws.py"),
    ("aws.md", "sh"): (2, "journeys/test_aws.py does the same without AWS's own program, which is not here"),
    ("aws.md", "yaml"): (2, "unit/test_docs_aws.py"),
    ("cli.md", "sh"): (3, PAGES),
    ("configuration.md", "text"): (1, HERE),
    ("configuration.md", "yaml"): (1, "unit/test_config_whole.py"),
    ("connect.md", "sh"): (5, "journeys/test_connect_stays.py"),
    ("credentials.md", "cedar"): (1, HERE),
    ("credentials.md", "yaml"): (1, SOURCES),
    ("credentials/aws-assume-role.md", "cedar"): (1, HERE),
    ("credentials/aws-assume-role.md", "json"): (1, AWS),
    ("credentials/aws-assume-role.md", "yaml"): (1, SOURCES),
    ("credentials/aws-rds-iam.md", "json"): (1, AWS),
    ("credentials/aws-rds-iam.md", "yaml"): (1, SOURCES),
    ("credentials/aws-secretsmanager.md", "json"): (1, AWS),
    ("credentials/aws-secretsmanager.md", "yaml"): (1, SOURCES),
    ("credentials/aws-ssm.md", "json"): (1, AWS),
    ("credentials/aws-ssm.md", "yaml"): (1, SOURCES),
    ("credentials/aws-web-identity.md", "json"): (2, AWS),
    ("credentials/aws-web-identity.md", "yaml"): (1, SOURCES),
    ("credentials/aws.md", "json"): (1, AWS),
    ("credentials/aws.md", "yaml"): (1, SOURCES),
    ("credentials/mysql-role.md", "sql"): (1, "tests/peers/mariadb.py sets up the same; a test here compares"),
    ("credentials/mysql-role.md", "yaml"): (2, SOURCES),
    ("credentials/own-source.md", "python"): (1, SOURCES),
    ("credentials/own-source.md", "toml"): (1, HERE),
    ("credentials/postgres-role.md", "sql"): (2, PAGES),
    ("credentials/postgres-role.md", "yaml"): (4, SOURCES),
    ("credentials/static.md", "yaml"): (3, SOURCES),
    ("credentials/vault-aws.md", "hcl"): (1, ENGINES),
    ("credentials/vault-aws.md", "sh"): (1, ENGINES),
    ("credentials/vault-aws.md", "yaml"): (1, SOURCES),
    ("credentials/vault-database.md", "hcl"): (1, ENGINES),
    ("credentials/vault-database.md", "sh"): (1, ENGINES),
    ("credentials/vault-database.md", "sql"): (3, "unit/test_plugins_vault_database.py"),
    ("credentials/vault-database.md", "yaml"): (1, SOURCES),
    ("credentials/vault-kv.md", "hcl"): (1, VAULT),
    ("credentials/vault-kv.md", "sh"): (1, VAULT),
    ("credentials/vault-kv.md", "yaml"): (1, SOURCES),
    ("credentials/vault-ssh.md", "hcl"): (1, VAULT),
    ("credentials/vault-ssh.md", "sh"): (1, VAULT),
    ("credentials/vault-ssh.md", "yaml"): (1, SOURCES),
    ("credentials/vault.md", "hcl"): (3, VAULT),
    ("credentials/vault.md", "sh"): (5, VAULT),
    ("credentials/vault.md", "yaml"): (7, SOURCES),
    ("evidence.md", "sh"): (6, "journeys/test_evidence_log.py, test_witnesses.py and test_docs_pages.py"),
    ("evidence.md", "yaml"): (1, "unit/test_docs_evidence.py"),
    ("federation.md", "yaml"): (2, HERE),
    ("identity.md", "yaml"): (1, "unit/test_config_whole.py"),
    ("issuer.md", "yaml"): (1, HERE),
    ("jobs.md", "yaml"): (12, "unit/test_docs_jobs.py; those of a vendor's pipeline are read as YAML"),
    ("leases.md", "sh"): (1, "journeys/stage.py starts a second broker so: `standby_broker`"),
    ("leases.md", "yaml"): (1, "unit/test_docs_leases.py"),
    ("login.md", "sh"): (2, PAGES),
    ("masking.md", "console"): (1, PAGES),
    ("masking.md", "sql"): (1, "unit/test_docs_masking.py"),
    ("masking.md", "text"): (1, "journeys/test_unmask.py"),
    ("masking.md", "yaml"): (3, HERE),
    ("masking.md", "yml"): (1, "unit/test_docs_masking.py"),
    ("notifiers.md", "json"): (1, "unit/test_docs_notifiers.py"),
    ("notifiers.md", "python"): (3, "unit/test_docs_notifiers.py"),
    ("notifiers.md", "toml"): (1, "unit/test_docs_notifiers.py"),
    ("notifiers.md", "yaml"): (5, "unit/test_docs_notifiers.py"),
    ("pages.md", "yaml"): (1, "unit/test_docs_pages.py"),
    ("performance.md", "sh"): (1, "takes minutes: the words of its command lines are read here"),
    ("policies.md", "cedar"): (16, POLICIES),
    ("policies.md", "sh"): (1, "shapes of commands, which journeys/test_docs_tasks.py runs as docs/tasks has them"),
    ("policies.md", "yaml"): (15, POLICIES),
    ("protocols/postgres.md", "mermaid"): (2, PICTURE),
    ("protocols/postgres.md", "sh"): (1, PAGES),
    ("recording-format-1.md", "python"): (1, "golden/recordings/test_recording_golden.py"),
    ("recording-format-1.md", "text"): (
        1,
        "the form of a note; golden/recordings/test_recording_golden.py has real ones",
    ),
    ("recording-format.md", "python"): (1, "golden/recordings/test_recording_golden.py"),
    ("recording-format.md", "text"): (
        1,
        "the form of a note; golden/recordings/test_recording_golden.py has real ones",
    ),
    ("replay.md", "sh"): (1, PAGES),
    ("sessions.md", "sh"): (1, "unit/test_docs_sessions.py"),
    ("sql.md", "sh"): (3, "journeys/test_docs_sql.py"),
    ("sql.md", "text"): (1, "journeys/test_docs_sql.py"),
    ("state.md", "sh"): (2, "journeys/test_bad_input.py migrates so; journeys/test_workers.py has a broker of several"),
    ("state.md", "sql"): (2, "unit/test_docs_state.py and test_storage_postgres.py"),
    ("state.md", "yaml"): (1, "unit/test_docs_state.py"),
    ("stores.md", "json"): (1, AWS),
    ("stores.md", "yaml"): (1, "unit/test_docs_stores.py"),
    ("tasks/agent.md", "sh"): (3, TASKS),
    ("tasks/approver.md", "sh"): (3, TASKS),
    ("tasks/ci-job.md", "sh"): (3, TASKS),
    ("tasks/ci-job.md", "yaml"): (1, TASKS),
    ("tasks/first-connection.md", "sh"): (7, TASKS),
    ("tasks/operator.md", "sh"): (5, TASKS),
    ("tasks/operator.md", "yaml"): (1, TASKS),
    ("tasks/policy-author.md", "cedar"): (1, TASKS),
    ("tasks/policy-author.md", "sh"): (3, TASKS),
    ("tasks/policy-author.md", "yaml"): (1, TASKS),
    ("verify.md", "console"): (2, PAGES),
    ("verify.md", "python"): (1, "unit/test_docs_verify.py"),
    ("verify.md", "sh"): (2, "unit/test_docs_verify.py and journeys/test_evidence.py"),
    ("walk.md", "sql"): (1, PAGES),
    ("walk.md", "text"): (1, PAGES),
}
# What other programs take, where prose tells of them; the rest is a command line of hoopx's.
OTHERS = re.compile(r"^(make |kubectl |buildkite-agent |circleci |hoopx (recording|evidence) \d$)|--name=value$")
UNTOLD = ["refresh-names"]  # a command that people never type
# Of `make bench` and of `make regress`.
LANES = [ROOT / "benchmarks/arguments.py", TESTS / "regress/__main__.py"]


def of(language: str) -> list[Example]:
    return [each for each in examples() if each.language == language]


def lane_options() -> set[str]:
    return {option for lane in LANES for option in re.findall(r'"(--[\w-]+)"', lane.read_text(encoding="utf-8"))}


def one(page: str, language: str) -> str:
    [text] = [each.text for each in of(language) if each.page == page]
    return text


def test_every_example_is_run_by_a_test_or_told_why_not() -> None:
    found = {(each.page, each.language) for each in examples()}
    counts = {key: sum((each.page, each.language) == key for each in examples()) for key in found}
    assert counts == {key: count for key, (count, _) in KNOWN.items()}


def test_tests_that_run_examples_are_there_and_know_their_page() -> None:
    for (page, _), (_, how) in KNOWN.items():
        name = Path(page).stem
        tests = [TESTS / each for each in re.findall(r"(?:unit|journeys|golden)/[\w/]+\.py", how)]
        assert tests or how in (AWS, PICTURE) or " " in how, how
        assert all(test.is_file() for test in tests), how
        if tests and " " not in how and how != SOURCES:  # which takes every page of a folder
            assert name in tests[0].read_text(encoding="utf-8"), (page, how)


@pytest.mark.parametrize("language", ["sh", "console"])
def test_every_command_line_is_taken(language: str) -> None:
    lines = 0
    for each in of(language):
        typed = [line[2:] for line in each.text.splitlines() if line.startswith("$ ")]
        for words in commands_in("\n".join(typed) if language == "console" else each.text):
            lines += 1
            if any("…" in word for word in words):
                assert unknown_options(words) == [], (each.page, words)
            else:
                is_taken(words)
    assert lines > 5


def test_every_command_and_option_that_a_page_names_is_there() -> None:
    known = every_option() | lane_options()
    for page, code in ((each, code) for each in pages() for code in in_prose(each)):
        if OTHERS.search(code):
            continue
        for words in commands_in(code):
            if words != UNTOLD:
                assert unknown_options(words) == [], (page, code)
        options = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", code.split(" -- ")[0]))
        assert options <= known, (page, code)


@pytest.mark.parametrize(
    "words",
    [["exec", "db", "--wate", "1m", "--", "true"], ["sessions", "look"], ["sql"], ["leases", "revoke", "--al"]],
)
def test_a_command_line_that_nobody_could_type_is_noticed(words: list[str]) -> None:
    with pytest.raises(Exception, match=r"(?i)no such|missing|there is no"):
        is_taken(words)
    with pytest.raises(LookupError):
        place(["konnect"])


def test_json_toml_and_yaml_can_be_read() -> None:
    for each in of("json"):
        assert json.loads(each.text), each.page
    assert tomllib.loads(one("credentials/own-source.md", "toml"))["project"]["entry-points"]["hoopx.issuers"]
    for each in of("yaml"):
        assert yaml.safe_load(each.text), each.page


def test_make_has_what_pages_tell_to_make() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in ("../CONTRIBUTING.md", "performance.md"):
        for target in re.findall(r"^make ([\w-]+)|&& make ([\w-]+)", one(page, "sh"), re.MULTILINE):
            assert re.search(rf"^{''.join(target)}:", makefile, re.MULTILINE), target
    assert set(re.findall(r"--[\w-]+", one("performance.md", "sh"))) <= lane_options()


# --- configurations and rules that no other test reads ---

IDENTITY = "identity:\n  - {kind: embedded, users: {ann: {password: one}}}\n"
TARGET = "  db:\n    kind: postgres\n    address: localhost\n    database: app\n"
LOGIN = "    credentials: {from: static, user: u, password: p}\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    return tmp_path


def written(home: Path, text: str) -> Path:
    (home / "hoopx.yaml").write_text(text)
    return home / "hoopx.yaml"


def indented(text: str, by: str) -> str:
    return "".join(f"{by}{line}\n" for line in text.splitlines())


def test_the_providers_that_the_broker_sends_people_on_to_are_read(home: Path) -> None:
    oidc, saml = [each.text for each in of("yaml") if each.page == "federation.md"]
    (home / "idp-metadata.xml").write_text(metadata())
    embedded = load(written(home, oidc + saml + "targets:\n" + TARGET + LOGIN), {"IDP_SECRET": "s"}).embedded
    assert embedded is not None
    assert [each.name for each in embedded.upstreams] == ["Example Corp", "Old Corp"]


def test_the_agents_of_the_issuers_page_are_read(home: Path) -> None:
    whole = yaml.safe_load(one("issuer.md", "yaml"))["identity"][0]["agents"]
    shown = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert all(f"{name}: " in shown for name in whole), "test_config_whole.py reads them there"


def test_the_detectors_of_the_masking_page_are_read(home: Path) -> None:
    _, *samples = [each.text for each in of("yaml") if each.page == "masking.md"]
    for sample in samples:
        text = IDENTITY + "targets:\n" + TARGET + LOGIN + indented(sample, "    ")
        assert load(written(home, text), {}).targets["db"].masks.detectors, sample


def test_the_problems_of_a_configuration_are_told_as_its_page_shows_them(home: Path) -> None:
    first, second = one("configuration.md", "text").splitlines()
    text = IDENTITY + "targets:\n" + TARGET.replace("  db:", "  prod-db:").replace("address", "adress")
    text += "    credentials: {from: static, user: u, password: env:DB_ADMIN_PASSWORD}\n"
    with pytest.raises(BadConfig) as bad:
        load(written(home, text), {})
    told = [re.sub(r"^.*?hoopx\.yaml:\d+: ", "", str(each)) for each in bad.value.problems]
    assert {re.sub(r"^hoopx\.yaml:\d+: ", "", line) for line in (first, second)} <= set(told)


@pytest.mark.parametrize("page", ["credentials.md", "credentials/aws-assume-role.md", "policies.md"])
def test_a_rule_that_stands_alone_is_one(tmp_path: Path, page: str) -> None:
    shutil.copy(directory() / "hoopx.cedarschema", tmp_path)
    rule = next(each.text for each in of("cedar") if each.page == page)
    for named in re.findall(r"[\w/-]+\.json", rule):
        (tmp_path / named).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / named).write_text('{"Version": "2012-10-17", "Statement": []}')
    (tmp_path / "example.cedar").write_text(rule)
    assert set(load_policies(tmp_path).rules) == set(re.findall(r'@id\("([^"]+)"\)', rule))


def test_the_administrator_of_the_mysql_page_is_the_one_that_tests_work_with() -> None:
    made = (TESTS / "peers/mariadb.py").read_text(encoding="utf-8")
    for line in one("credentials/mysql-role.md", "sql").splitlines():
        granted = line.split(" ON ")[0].removeprefix("GRANT ")
        assert granted.split(" TO ")[0].split(" IDENTIFIED")[0].replace("hoopx_admin", "{ADMIN}") in made, line
