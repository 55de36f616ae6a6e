"""A session that policy wants approved waits, until a second person says yes or no."""

from __future__ import annotations

import signal
import ssl
import urllib.error
import urllib.request

import pytest

from tests.journeys.stage import Running, Stage, running
from tests.peers import clients

TARGET = "payments-prod"
REQUEST = r"hoopx approve (\S+)"


def _waiting(command: Running) -> str:
    """The id of the request that a waiting command has printed."""
    return command.says(REQUEST).group(1).rstrip(".,;`'\")")


def _exec(*sql: str) -> list[str]:
    return ["exec", TARGET, "--reason", "month end", "--wait", "2m", "--", *clients.psql(*sql)]


def test_a_waiting_session_opens_when_a_dba_agrees(stage: Stage) -> None:
    with running(stage, *_exec("SELECT count(*) FROM payments")) as command:
        request = _waiting(command)
        assert not stage.minted()
        shown = stage.hoopx("approve", request, "--comment", "go ahead", who="dora").fine()
        assert "month end" in shown.err + shown.out
        assert command.end().fine().out == "400\n"
    stage.nothing_remains()


def test_nobody_approves_their_own_request(stage: Stage) -> None:
    with running(stage, *_exec("SELECT 1"), who="dora") as command:
        request = _waiting(command)
        assert stage.hoopx("approve", request, who="dora").code == 10
        stage.hoopx("approve", request, who="dave").fine()
        assert command.end().fine().out == "1\n"


def test_someone_outside_the_approving_group_cannot_approve(stage: Stage) -> None:
    with running(stage, *_exec("SELECT 1")) as command:
        request = _waiting(command)
        assert stage.hoopx("approve", request, who="bob").code == 10
        stage.hoopx("deny", request, "--comment", "not today", who="dora").fine()
        outcome = command.end()
    assert outcome.code == 13
    assert outcome.out == ""
    assert "not today" in outcome.err


def test_an_approval_after_the_refusal_changes_nothing(stage: Stage) -> None:
    request = _requested(stage)
    stage.hoopx("deny", request, who="dora").fine()
    assert stage.hoopx("approve", request, who="dave").code == 2
    assert stage.hoopx("requests", "wait", request).code == 13


def test_without_waiting_the_command_ends_and_names_the_request(stage: Stage) -> None:
    outcome = stage.hoopx("exec", TARGET, "--reason", "in a hurry", "--wait", "0s", "--", "true")
    assert outcome.code == 12
    assert "hoopx approve" in outcome.err


def test_a_script_asks_first_waits_and_then_opens(stage: Stage) -> None:
    request = _requested(stage, "--reason", "scripted")
    assert stage.hoopx("requests", "wait", request, "--wait", "1s").code == 12
    stage.hoopx("approve", request, who="dora").fine()
    stage.hoopx("requests", "wait", request).fine()
    command = ["exec", TARGET, "--reason", "scripted", "--request", request, "--", *clients.psql("SELECT 1")]
    assert stage.hoopx(*command).fine().out == "1\n"


def test_an_approval_opens_one_session_only(stage: Stage) -> None:
    request = _requested(stage, "--reason", "once")
    stage.hoopx("approve", request, who="dora").fine()
    command = ["exec", TARGET, "--reason", "once", "--request", request, "--", "true"]
    stage.hoopx(*command).fine()
    assert stage.hoopx(*command).code in (2, 10, 12)
    stage.nothing_remains()


def test_an_approval_for_one_person_is_of_no_use_to_another(stage: Stage) -> None:
    request = _requested(stage, "--reason", "mine")
    stage.hoopx("approve", request, who="dora").fine()
    stolen = stage.hoopx("exec", TARGET, "--reason", "mine", "--request", request, "--", "true", who="bob")
    assert stolen.code in (2, 10, 12)
    assert not stage.minted()


def test_a_cancelled_request_cannot_be_approved(stage: Stage) -> None:
    request = _requested(stage)
    stage.hoopx("requests", "cancel", request).fine()
    assert stage.hoopx("approve", request, who="dora").code == 2


def test_an_interrupted_wait_ends_with_130_and_nothing_was_minted(stage: Stage) -> None:
    with running(stage, *_exec("SELECT 1")) as command:
        _waiting(command)
        assert command.end(signal.SIGINT).code == 130
    stage.nothing_remains()


@pytest.mark.parametrize("verb", ["approve", "deny"])
def test_a_request_that_does_not_exist_is_bad_usage(stage: Stage, verb: str) -> None:
    assert stage.hoopx(verb, "no-such-request", who="dora").code == 2


def _requested(stage: Stage, *options: str) -> str:
    [request] = stage.listed("request", TARGET, *options)
    return str(request["id"])


def test_nobody_asks_for_less_than_no_time(stage: Stage) -> None:
    """The CLI refuses it too, but anybody can call the broker without it."""
    call = urllib.request.Request(
        f"{stage.url}/v1/requests",
        data=b'{"target": "payments-prod", "duration": -5}',
        headers={"Authorization": f"Bearer {stage.environment('ann')['HOOPX_TOKEN']}"},
    )
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(call, context=trusting)
    with refused.value:
        assert refused.value.code == 400
