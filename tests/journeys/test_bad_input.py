"""Everything that goes wrong for ordinary reasons is one line, a remedy, and the right exit code."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
from pathlib import Path

from tests.golden.cli_json import as_told
from tests.journeys.stage import Stage
from tests.journeys.tokens import TokenMint
from tests.peers import clients
from tests.peers.clients import HOOPX, Outcome
from tests.peers.processes import closed_port

TARGET = "shop-prod"


def _complains(outcome: Outcome, code: int, *words: str) -> None:
    """`code`, nothing on stdout, one line that says what happened, at most one more that says what to do."""
    assert outcome.code == code, outcome
    assert outcome.out == ""
    lines = [line for line in outcome.err.splitlines() if line.strip()]
    assert lines, outcome
    assert lines[0].startswith("hoopx: "), outcome
    assert len(lines) <= 2, outcome
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err, outcome


def test_broker_down(stage: Stage) -> None:
    nowhere = f"https://127.0.0.1:{closed_port()}"
    _complains(stage.hoopx("exec", TARGET, "--", "true", HOOPX_BROKER=nowhere), 14, nowhere)
    _complains(stage.hoopx("ls", HOOPX_BROKER=nowhere), 14, nowhere)


def test_something_else_listens_where_the_broker_should(stage: Stage) -> None:
    wrong = f"https://127.0.0.1:{stage.postgres.port}"
    _complains(stage.hoopx("ls", HOOPX_BROKER=wrong), 14)


def test_unknown_target_names_the_nearest(stage: Stage) -> None:
    _complains(stage.hoopx("exec", "shop-prd", "--", "true"), 2, "shop-prd", "shop-prod")
    _complains(stage.hoopx("connect", "shop-prd"), 2, "shop-prod")
    _complains(stage.hoopx("show", "shop-prd"), 2, "shop-prod")


def test_expired_token(stage: Stage) -> None:
    expired = stage.mint.token("ann", ("developers",), lifetime=-3600)
    _complains(stage.hoopx("exec", TARGET, "--", "true", HOOPX_TOKEN=expired), 11, "HOOPX_TOKEN")
    _complains(stage.hoopx("whoami", HOOPX_TOKEN=expired), 11)


def test_a_token_that_somebody_else_signed(stage: Stage) -> None:
    outcome = stage.hoopx("ls", HOOPX_TOKEN=TokenMint().token("ann", ("developers",)))
    _complains(outcome, 11)


def test_no_token_at_all(stage: Stage) -> None:
    _complains(stage.hoopx("ls", HOOPX_TOKEN=""), 11, "hoopx login")


def test_wrong_certificate_fingerprint(stage: Stage) -> None:
    outcome = stage.hoopx("ls", HOOPX_CA="sha256:" + "00" * 32)
    _complains(outcome, 14, stage.fingerprint)


def test_a_fingerprint_that_is_none(stage: Stage) -> None:
    _complains(stage.hoopx("ls", HOOPX_CA="sha256:nonsense"), 2)
    _complains(stage.hoopx("ls", HOOPX_CA=str(stage.home / "no-such-file.pem")), 2)


def test_without_any_trust_the_self_made_certificate_is_refused(stage: Stage) -> None:
    _complains(stage.hoopx("ls", HOOPX_CA=""), 14, "HOOPX_CA")


def test_port_taken(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _complains(stage.hoopx("connect", TARGET, "--port", str(port)), 2, str(port))
    stage.nothing_remains()


def test_database_down(stage: Stage) -> None:
    _complains(stage.hoopx("exec", "asleep", "--", "true"), 15, "asleep")


def test_database_with_a_certificate_of_somebody_else(stage: Stage) -> None:
    _complains(stage.hoopx("exec", "stranger", "--", "true"), 15, "stranger")


def test_credential_source_with_the_wrong_password(stage: Stage) -> None:
    outcome = stage.hoopx("exec", "locked-out", "--", "true")
    _complains(outcome, 15, "`postgres-role` of target `locked-out`", "correct `credentials.user`")
    assert "not-it" not in outcome.err


def test_a_creation_statement_that_fails_half_way_leaves_nothing(stage: Stage) -> None:
    outcome = stage.hoopx("exec", "half-made", "--", "true")
    _complains(
        outcome, 15, "statement 2 of `create`", "`postgres-role` of target `half-made`", "correct that statement"
    )
    stage.nothing_remains()


def test_a_login_that_its_source_has_wrong_is_told_with_the_source(stage: Stage) -> None:
    outcome = stage.hoopx("exec", "misremembered", "--", "true")
    _complains(outcome, 15, "`static`", "`misremembered`", "correct it at its source")
    assert "not-it-either" not in outcome.err


def test_denied_by_policy(stage: Stage) -> None:
    _complains(stage.hoopx("exec", TARGET, "--", "true", who="nobody"), 10)


def test_an_unknown_command_or_option_is_bad_usage(stage: Stage) -> None:
    for arguments in (["conect"], ["ls", "--no-such-option"], ["exec", TARGET], ["exec"]):
        assert stage.hoopx(*arguments).code == 2, arguments


def test_unreadable_policy_stops_the_broker_with_file_and_line(stage: Stage) -> None:
    outcome = _broker_with(
        stage, "policies/broken.cedar", '@id("broken")\npermit (principal, action, resource) when {\n'
    )
    assert outcome.code == 2
    assert "broken.cedar:" in outcome.err
    assert "Traceback" not in outcome.err


def test_a_check_of_the_configuration_finds_an_unreadable_policy_too(stage: Stage) -> None:
    outcome = _broker_with(stage, "policies/broken.cedar", "permit (principal", "check")
    _complains(outcome, 2, "broken.cedar:")


def test_a_check_says_what_it_found_in_order(stage: Stage) -> None:
    outcome = _broker_with(stage, "hoopx.yaml", stage.configuration(), "check", "-o", "json")
    assert outcome.code == 0, outcome
    found = json.loads(outcome.out)
    assert found["issuers"] >= 1
    assert TARGET in found["targets"]


def test_a_misspelt_attribute_in_a_policy_stops_the_broker(stage: Stage) -> None:
    rule = '@id("typo")\nforbid (principal, action == Action::"connect", resource) when { context.reson == "" };\n'
    outcome = _broker_with(stage, "policies/typo.cedar", rule)
    assert outcome.code == 2
    assert "typo.cedar:" in outcome.err


def test_all_problems_of_a_configuration_are_told_at_once(stage: Stage) -> None:
    text = stage.configuration().replace("state:", "stat:").replace("kind: workload", "kind: workload\n    colour: red")
    outcome = _broker_with(stage, "hoopx.yaml", text)
    assert outcome.code == 2
    assert "hoopx.yaml:2" in outcome.err
    assert "colour" in outcome.err


def test_a_configuration_that_does_not_exist(stage: Stage) -> None:
    _complains(stage.hoopx("broker", "run", "--config", "nowhere.yaml"), 2, "nowhere.yaml")


def test_the_brokers_port_is_taken(stage: Stage) -> None:
    taken = stage.url.removeprefix("https://")
    outcome = _broker_with(stage, "hoopx.yaml", stage.configuration().replace("127.0.0.1:0", taken))
    _complains(outcome, 2, f"cannot listen on {taken}: address already in use\n")


def _broker_with(stage: Stage, name: str, text: str, *command: str) -> Outcome:
    """Start, or only check, a second broker from a copy of the configuration with one file changed; see it end."""
    home = Path(tempfile.mkdtemp(dir=stage.home))
    shutil.copytree(stage.home / "policies", home / "policies")
    for secret in ("admin-password", "superuser-password", "keys.json", "hoopx.yaml"):
        shutil.copy(stage.home / secret, home / secret)
    (home / name).write_text(text)
    return clients.run(
        [HOOPX, "broker", *(command or ("run",)), "--config", home / "hoopx.yaml"], stage.environment("ann")
    )


def test_the_state_of_a_running_broker_is_not_migrated_under_it(stage: Stage) -> None:
    outcome = stage.hoopx("broker", "migrate", "--config", str(stage.config))
    assert outcome.code == 2
    assert "another broker" in outcome.err or "in use" in outcome.err


def test_a_state_is_migrated_without_a_broker(stage: Stage, tmp_path: Path) -> None:
    config = tmp_path / "hoopx.yaml"
    config.write_text(stage.config.read_text().replace("sqlite:state.db", f"sqlite:{tmp_path}/fresh.db"))
    for needed in ("keys.json", "policies", "admin-password", "superuser-password"):
        (tmp_path / needed).symlink_to(stage.home / needed)
    as_told("broker migrate", stage.hoopx("broker", "migrate", "--config", str(config), "-o", "json").fine().out)
    assert (tmp_path / "fresh.db").exists()
