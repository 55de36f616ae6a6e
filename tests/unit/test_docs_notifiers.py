"""The page on notifiers holds: its configurations are read, its receivers verify, its plugin is told."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.config_notify import DEFAULT_EVENTS, EVENTS
from hoopx_broker.notices import courier
from hoopx_broker.terms.notices import Notice, Said
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.notice_body import body_of
from hoopx_plugins.webhook import WebhookNotifier, WebhookOptions
from tests.peers.certificates import Authority
from tests.unit.notices_stage import NOON, NOTICE, entry, stage

PAGE = (Path(__file__).parents[2] / "docs" / "notifiers.md").read_text()
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
REST = """\
policies: .
identity: [{issuer: https://login.example.com, client_id: hoopx-cli, audience: hoopx}]
targets:
  prod-db: {kind: postgres, address: h, database: d, credentials: {from: static, user: u, password: p}}
"""
ENVIRON = {
    "HOOK_URL": "https://hooks.example.com/x",
    "HOOK_SECRET": SECRET,
    "OLD_HOOK_SECRET": SECRET,
    "SLACK_TOKEN": "xoxb-1",
    "SLACK_SIGNING_SECRET": "s",
}


def samples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("sample", samples("yaml"), ids=range(len(samples("yaml"))))
def test_each_configuration_is_read(tmp_path: Path, sample: str) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "mail").write_text("from-a-file\n")
    Authority.make("hooks").write(tmp_path / "hooks-ca.pem")
    (tmp_path / "hoopx.yaml").write_text(REST + sample)
    assert load(tmp_path / "hoopx.yaml", ENVIRON).notify


def loaded(folder: Path, number: int) -> Any:
    """One of the page's programs as a module."""
    file = folder / f"sample_{number}.py"
    file.write_text(samples("python")[number])
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_both_receivers_of_the_page_believe_what_is_sent_and_nothing_else(tmp_path: Path) -> None:
    library, by_hand = loaded(tmp_path, 0), loaded(tmp_path, 1)
    notifier = WebhookNotifier("hook", WebhookOptions(url=Secret(ENVIRON["HOOK_URL"]), secrets=(Secret(SECRET),)))
    body = body_of(NOTICE)
    headers = notifier._headers(NOTICE.id, body)
    assert library.receive(SECRET, headers, body) == "request.asked: ann on prod-db"
    assert library.receive(SECRET, headers, body) == "had it already"
    assert by_hand.is_of_hoopx(SECRET, headers, body)
    assert not by_hand.is_of_hoopx(SECRET, headers, body + b" ")
    late = WebhookNotifier("hook", notifier._options, lambda: time.time() - 400)._headers(NOTICE.id, body)
    assert not by_hand.is_of_hoopx(SECRET, late, body)


def test_the_body_of_the_page_is_what_is_sent() -> None:
    [shown] = samples("json")
    told: Notice = replace(
        NOTICE,
        event="approved",
        state="approved",
        kind="statement",
        requester="reviewer-bot",
        on_behalf_of="ann",
        ticket="OPS-7",
        by="bob",
        comment="go on",
        duration=0,
        session="s_1",
        votes=(Said("bob", "approve", "go on", NOON),),
        statement="delete from orders where id = $1",
        actions=("delete",),
        tables=("delete public.orders",),
    )
    assert json.loads(body_of(told)) == json.loads(shown)


def test_the_notifier_of_the_page_is_told(tmp_path: Path) -> None:
    """Loaded as its entry point would be, and served by a courier."""
    [announced] = samples("toml")
    _, found = tomllib.loads(announced)["project"]["entry-points"]["hoopx.notifiers"]["ledger"].split(":")
    shape = getattr(loaded(tmp_path, 2), found)
    ledger = tmp_path / "ledger"
    notifier = shape("ledger", shape.Options(file=str(ledger)))

    async def scene() -> None:
        async with stage(tmp_path) as s:
            await s.happens("asked", entries=(entry("ledger"),))
            await s.happens("approved", entries=(entry("ledger"),))
            await s.courier(ledger=notifier).tell_due("ledger")
            memory = await s.store.run(lambda c: c.execute("SELECT memory FROM notice_threads").fetchone()[0])
            assert memory == '{"lines":"2"}'

    asyncio.run(scene())
    assert [line.split()[1:3] for line in ledger.read_text().splitlines()] == [["asked", "ann"], ["approved", "ann"]]


def test_the_events_and_times_of_the_page_are_those_of_the_code() -> None:
    table = PAGE[PAGE.index("| event | when |") :].split("\n\n")[0]
    assert set(re.findall(r"`([a-z-]+)`", table)) == set(EVENTS)
    [default] = re.findall(r"\| `events` \|[^|]*\|(.*)\|", PAGE)
    assert tuple(re.findall(r"`([a-z-]+)`", default)) == DEFAULT_EVENTS
    said = " ".join(PAGE.split())
    assert f"four at once, {courier.TRY_SECONDS:.0f} s for each" in said
    assert courier.LANES == 4
    assert courier.CLAIM_SECONDS == 60
    assert f"Again** after {courier.FIRST_RETRY:.0f} s" in said
