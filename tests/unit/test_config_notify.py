"""`notify` in the configuration: what it means, and every way in which it can be wrong, with the line that is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.config_notify import DEFAULT_EVENTS
from hoopx_broker.daemon.problems import BadConfig
from hoopx_broker.terms.settings import Notify
from hoopx_plugins.mail import MailOptions
from hoopx_plugins.slack import SlackOptions
from hoopx_plugins.webhook import WebhookOptions

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENVIRON = {
    "HOOK_URL": "https://hooks.example.com/very-secret",
    "HOOK_KEY": KEY,
    "BAD_KEY": "very-secret",
    "T": "xoxb-1",
}
HEAD = """\
policies: .
identity: [{issuer: https://login.example.com, client_id: hoopx-cli, audience: hoopx}]
targets:
  prod-db: {kind: postgres, address: h, database: d, credentials: {from: static, user: u, password: p}}
notify:
"""
HOOK = "url: env:HOOK_URL, secrets: [env:HOOK_KEY]"


def read(home: Path, entries: str) -> tuple[Notify, ...]:
    """The entries begin on line 6."""
    (home / "hoopx.yaml").write_text(HEAD + entries)
    return load(home / "hoopx.yaml", ENVIRON).notify


def told(home: Path, entries: str) -> list[str]:
    with pytest.raises(BadConfig) as bad:
        read(home, entries)
    assert "very-secret" not in bad.value.message
    return [str(each).removeprefix(f"{home}/hoopx.yaml:") for each in bad.value.problems]


def test_entries_are_read_with_their_references(tmp_path: Path) -> None:
    hook, chat, mail = read(
        tmp_path,
        f"""\
  - {{name: hook, kind: webhook, events: [asked, denied], kinds: [session], groups: [dba], targets: [prod-db],
     labels: {{env: prod}}, give_up: 1h, {HOOK}}}
  - {{name: chat, kind: slack, token: env:T, channel: C0ALL, by_group: {{dba: C0DBA}}, mode: buttons,
     signing_secret: s, fresh: 30m}}
  - {{name: mail, kind: email, server: mail.example.com, sender: a@example.com, by_group: {{dba: [b@example.com]}}}}
""",
    )
    assert hook == Notify(
        "hook",
        "webhook",
        hook.options,
        ("asked", "denied"),
        ("session",),
        ("dba",),
        ("prod-db",),
        {"env": "prod"},
        3600,
    )
    assert isinstance(hook.options, WebhookOptions)
    assert (hook.options.url.reveal(), hook.options.secrets[0].reveal()) == (ENVIRON["HOOK_URL"], KEY)
    assert isinstance(chat.options, SlackOptions)
    assert (chat.options.by_group, chat.fresh, chat.events) == ({"dba": "C0DBA"}, 1800, DEFAULT_EVENTS)
    assert isinstance(mail.options, MailOptions)
    assert mail.options.by_group == {"dba": ("b@example.com",)}
    assert "very-secret" not in repr((hook, chat, mail))


def test_nobody_need_be_told(tmp_path: Path) -> None:
    (tmp_path / "hoopx.yaml").write_text(HEAD.replace("notify:\n", ""))
    assert load(tmp_path / "hoopx.yaml", {}).notify == ()


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ("  []\n", "5: notify: is empty; add at least one entry"),
        ("  - {kind: webhook, " + HOOK + "}\n", "6: notify[0].name: is missing"),
        ("  - {name: a b, kind: webhook, " + HOOK + "}\n", "6: notify[0].name: `a b` is not a name"),
        ("  - {name: a, " + HOOK + "}\n", "6: notify[0].kind: is missing"),
        (
            "  - {name: a, kind: webhok, " + HOOK + "}\n",
            "6: notify[0].kind: `webhok` names no installed notifier; did you mean `webhook`?",
        ),
        (
            "  - {name: a, kind: webhook, events: [askd], " + HOOK + "}\n",
            "6: notify[0].events[0]: `askd` is no event; did you mean `asked`?",
        ),
        (
            "  - {name: a, kind: webhook, kinds: [table], " + HOOK + "}\n",
            "6: notify[0].kinds[0]: `table` is no kind of request; known are `session`",
        ),
        (
            "  - {name: a, kind: webhook, targets: [prod_db], " + HOOK + "}\n",
            "6: notify[0].targets[0]: `prod_db` is no target; did you mean `prod-db`?",
        ),
        (
            "  - {name: a, kind: webhook, groups: dba, " + HOOK + "}\n",
            "6: notify[0].groups: must be a list, not text; write for example `[one, two]`",
        ),
        (
            "  - {name: a, kind: webhook, give_up: 30d, " + HOOK + "}\n",
            "6: notify[0].give_up: `30d` is longer than seven days",
        ),
        (
            "  - {name: a, kind: webhook, fresh: soon, " + HOOK + "}\n",
            "6: notify[0].fresh: `soon` is not a duration",
        ),
        ("  - {name: a, kind: webhook, " + HOOK + ", to: [x]}\n", "6: notify[0].to: is not a known key"),
        (
            f"  - {{name: a, kind: webhook, {HOOK}}}\n  - {{name: a, kind: webhook, {HOOK}}}\n",
            "5: notify: has two entries with the name `a`; give one of them another name",
        ),
        (
            "  - {name: a, kind: webhook, url: env:HOOK_URL, secrets: env:HOOK_KEY}\n",
            "6: notify[0].secrets: must be a list, not text; write for example `[env:ONE, env:OTHER]`",
        ),
        (
            "  - {name: a, kind: webhook, url: env:HOOK_URL, secrets: [env:GONE]}\n",
            "6: notify[0].secrets[0]: refers to the environment variable `GONE`, which is not set; set GONE",
        ),
        (
            "  - {name: a, kind: webhook, url: env:HOOK_URL, secrets: [env:BAD_KEY]}\n",
            "6: notify[0]: `secrets` holds one that begins neither with `whsec_` nor with `whsk_`",
        ),
        (
            "  - {name: a, kind: slack, token: env:T, channel: '#approvals'}\n",
            "6: notify[0].channel: expected `str` matching regex",
        ),
        (
            "  - {name: a, kind: email, server: h, sender: a@example.com, to: [b]}\n",
            "6: notify[0]: `b` is not an address; write for example `dba@example.com`",
        ),
    ],
    ids=range(18),
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, entries: str, problem: str) -> None:
    [found] = told(tmp_path, entries)
    assert found.startswith(problem)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    assert (
        len(told(tmp_path, "  - {name: '', kind: slack, events: [x], fresh: 1}\n  - {kind: emial, give_up: x}\n")) == 7
    )


def test_a_target_with_a_bad_name_is_told_beside_the_rest(tmp_path: Path) -> None:
    entry = f"  - {{name: a, kind: webhook, targets: [prod-db, other], {HOOK}}}\n"
    text = HEAD.replace("  prod-db:", "  'bad name': {kind: aws}\n  prod-db:") + entry
    (tmp_path / "hoopx.yaml").write_text(text)
    with pytest.raises(BadConfig) as bad:
        load(tmp_path / "hoopx.yaml", ENVIRON)
    assert [each.key for each in bad.value.problems if each.key.startswith("notify")] == ["notify[0].targets[1]"]
