"""A real broker tells a real web service of what waits for people, and goes on telling after it was killed."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from tests.journeys.approvals_stage import ApprovalsStage
from tests.journeys.stage import LENAS_PASSWORD, playing, running
from tests.journeys.test_held_statements import RULE
from tests.peers import clients
from tests.peers.chromium import chromium
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually
from tests.peers.receiver import Answered, Receiver, receiver
from tests.peers.slack_double import SIGNING_SECRET, TOKEN, SlackDouble, click, shown, signed

_UNVERIFIED = ssl._create_unverified_context()
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class NoticesStage(ApprovalsStage):
    def __init__(self, home: Path, postgres: Postgres, there: Receiver) -> None:
        self.there = there
        super().__init__(home, postgres)
        (home / "policies" / "90-payments.cedar").write_text(RULE)

    def configuration(self) -> str:
        self._secret("hook-secret", SECRET)
        return super().configuration() + (
            "notify:\n"
            "  - name: hook\n"
            "    kind: webhook\n"
            f"    url: {self.there.url}/hook\n"
            "    secrets: [file:hook-secret]\n"
            f"    ca: {self.there.ca}\n"
            "    events: [asked, approve, approved, broken-glass]\n"
            "  - name: chat\n"
            "    kind: slack\n"
            "    events: [reviewed]\n"
            "    mode: buttons\n"
            f"    token: {TOKEN}\n"
            f"    signing_secret: {SIGNING_SECRET}\n"
            "    channel: C0DBA\n"
            f"    api: {self.there.url}/api/\n"
            f"    ca: {self.there.ca}\n"
        )

    def _minting(self, roles: str, read_only: str) -> str:
        return super()._minting("[app_read, app_write]", "false")

    def told(self, count: int) -> list[dict[str, Any]]:
        """What the receiver was told, each proved by its signature, once there are so many."""
        eventually(lambda: len(self.there.got) >= count, f"{count} notices have come")
        return [standardwebhooks.Webhook(SECRET).verify(got.body, got.headers) for got in self.there.got]

    def health(self) -> Any:
        with urllib.request.urlopen(f"{self.url}/healthz", context=_UNVERIFIED) as answer:
            return json.load(answer)

    def slack_calls(self, body: bytes, headers: dict[str, str]) -> int:
        call = urllib.request.Request(f"{self.url}/notify/chat/slack", body, headers)
        try:
            with urllib.request.urlopen(call, context=_UNVERIFIED) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code


@pytest.fixture(scope="module")
def stage(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NoticesStage]:
    with (
        receiver(tmp_path_factory.mktemp("receiver")) as there,
        playing(NoticesStage(tmp_path_factory.mktemp("notices"), postgres, there)) as played,
    ):
        yield played


@pytest.fixture(autouse=True)
def _clean(stage: NoticesStage) -> None:
    stage.there.clear()


def test_a_request_is_told_and_what_became_of_it(stage: NoticesStage) -> None:
    asked = stage.hoopx("request", "payments-prod", "--reason", "month end", "-o", "json").fine()
    request = json.loads(asked.out)["id"]
    stage.hoopx("approve", request, "--yes", "--comment", "go on", who="dora").fine()
    first, vote, decided = stage.told(3)
    assert [each["type"] for each in (first, vote, decided)] == ["request.asked", "request.approve", "request.approved"]
    assert first["data"]["reason"] == "month end"
    assert first["data"]["link"] == f"{stage.url}/requests/{request}"
    assert (vote["data"]["by"], vote["data"]["comment"]) == ("dora", "go on")
    assert decided["data"]["state"] == "approved"


def test_of_a_held_statement_only_its_form_is_told(stage: NoticesStage) -> None:
    deletes = clients.psql("DELETE FROM payments WHERE card = '4111111111111111'")
    with running(stage, "exec", "shop-dev", "--", *deletes) as command:
        request = command.says(r"hoopx approve (r_\w+)").group(1)
        [asked] = stage.told(1)
        assert asked["data"]["request"] == request
        assert asked["data"]["statement"] == "DELETE FROM payments WHERE card = $1"
        stage.hoopx("deny", request, who="dora").fine()
        command.end()
    assert b"4111" not in b"".join(got.body for got in stage.there.got)


def test_a_click_in_slack_reaches_the_broker_and_a_forged_one_does_not(stage: NoticesStage, tmp_path: Path) -> None:
    """Whoever clicks as nobody gets a page on which a real browser, without scripts, links the account."""
    slack = SlackDouble("C0DBA")
    stage.there.otherwise = slack.answer
    body, headers = signed(click("hoopx_approve", "r_1", "UEVE", slack.trigger()), time.time())
    assert stage.slack_calls(body, headers | {"X-Slack-Signature": "v0=" + "0" * 64}) == 401
    assert slack.whispers == []
    assert stage.slack_calls(body, headers) == 200
    [whisper] = slack.whispers
    link = whisper["blocks"][-1]["elements"][0]["url"]
    assert link.startswith(f"{stage.url}/notify/chat/link/")
    with pytest.raises(urllib.error.HTTPError) as first:  # sign in first
        urllib.request.urlopen(link, context=_UNVERIFIED)
    with first.value:
        assert first.value.code == 401
    assert stage.slack_calls(body, headers) == 409
    with chromium(tmp_path, scripts=False) as browser:
        browser.has(360, 740)
        browser.open(link)
        browser.press('form[action="/login/embedded"] button')
        browser.type("#user", "lena")
        browser.type("#password", LENAS_PASSWORD)
        browser.press("button")
        browser.shows("@ueve (UEVE in T1)")
        assert browser.breadth <= 360
        browser.photograph(tmp_path / "link.png")
        browser.press("form:not(.out) button")
        browser.shows("is you from now on")
        assert browser.refused() == []
    body, headers = signed(click("hoopx_approve", "r_1", "UEVE", slack.trigger()), time.time() + 1)
    assert stage.slack_calls(body, headers) == 200
    assert "there is no request" in shown(slack.whispers[-1])


def test_what_was_not_told_is_seen_and_told_by_the_next_broker(stage: NoticesStage) -> None:
    stage.there.otherwise = lambda _: Answered(503)
    stage.hoopx("request", "payments-prod", "--reason", "quarter end").fine()
    stage.told(1)
    eventually(lambda: stage.health()["notices_late"] == 1, "it is counted as late")
    stage.kill_broker()
    stage.there.otherwise = lambda _: Answered()
    stage.start_broker()
    first, again = stage.told(2)[:2]
    assert first == again
    assert len({got.headers["webhook-id"] for got in stage.there.got}) == 1
    eventually(lambda: stage.health()["notices_late"] == 0, "it was told")
    said = stage.broker_said()
    assert '"event": "notice.not_told"' in said
    assert SECRET not in said
