"""Everything that a broker calls an event happens here once, and stands once in its log: who, what, and no secret."""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.golden.cli_json import as_told
from tests.journeys import native
from tests.journeys.approvals_stage import ALSO, RULES
from tests.journeys.stage import CAST, LENAS_PASSWORD, objects, playing, running
from tests.journeys.test_evidence_s3 import S3Stage
from tests.journeys.test_login import log_in
from tests.journeys.test_revocation import CLIENT, logout, says, tls_of
from tests.peers import clients, found
from tests.peers.aws import Aws, allow
from tests.peers.browser import Browser, Page
from tests.peers.postgres import ADMIN_PASSWORD, Postgres
from tests.peers.processes import eventually
from tests.peers.s3 import Bucket, bucket
from tests.unit.test_docs_evidence import listed

TARGET, ASKING, STRICT = "shop-prod", "payments-prod", "ledger"
SHORT, STUCK, CLOUD = "short", "stuck", "cloud"
LITERAL, VALUE = "canary-of-a-literal", "canary-of-a-parameter"
ROW = "000-12-0005"  # a social security number of somebody in the shop
STUCK_ADMIN = "stuck_admin"
WORK = [*clients.psql("SELECT 1"), "-c", "\\! sleep 60"]


class WholeStage(S3Stage):
    """People, an AWS account, a store that locks, credentials that end soon, and one source that can be stopped."""

    def __init__(self, home: Path, postgres: Postgres, there: Bucket, role: str) -> None:
        self.role = role
        self.passwords = [ADMIN_PASSWORD, LENAS_PASSWORD, there.keys.secret_access_key.reveal()]
        home.mkdir(mode=0o700, exist_ok=True)
        (home / "aws-secret").write_text(there.aws.broker.secret_access_key.reveal())
        super().__init__(home, postgres, there)
        (home / "policies" / "95-strict.cedar").write_text(
            RULES.partition('\n@id("shut")')[0].replace("{{", "{").replace("}}", "}")
        )

    def configuration(self) -> str:
        text = super().configuration().replace("    kind: workload\n", f"    kind: human\n    client_id: {CLIENT}\n")
        text = text.replace("    users:\n", f"    users:\n      petra: {{password: {LENAS_PASSWORD}, groups: [dba]}}\n")
        keys = f"access_key_id: {self.there.aws.broker.access_key_id}, secret_access_key: file:aws-secret"
        text = text.replace("retention: {default: 8s}", "retention: {default: 2s}")
        return text + f"aws: {{region: eu-central-1, endpoint: '{self.there.aws.endpoint}', {keys}}}\n"

    def _targets(self) -> Iterator[str]:
        reader = self._minting(roles="[app_read]", read_only="true")
        yield self._target(TARGET, "{env: prod}", reader) + "    classify: {public.customers.ssn: national-id}\n"
        yield self._target(ASKING, "{env: prod, approval: required}", reader)
        yield self._target(STRICT, "{env: prod, approval: strict}", reader)
        yield self._target(SHORT, "{env: prod}", re.sub(r"ttl: \w+", "ttl: 4s", reader)) + "    session: 1m\n"
        yield self._target(STUCK, "{env: prod}", reader.replace(self.postgres.admin, STUCK_ADMIN))
        source = f"{{from: aws-assume-role, role: '{self.role}', ttl: 15m}}"
        yield f"  {CLOUD}:\n    kind: aws\n    region: eu-central-1\n    account: '123456789012'\n"
        yield f"    labels: {{env: prod}}\n    credentials: {source}\n"

    def environment(self, who: str, **more: str) -> dict[str, str]:
        """As people's: a token that each process binds to a key of its own."""
        groups = ALSO.get(who) or CAST.get(who)
        if groups is not None:
            more = {"HOOPX_TOKEN": self.mint.token(who, groups, jti=secrets.token_hex(8))} | more
        given = super().environment(who, **more)
        self.passwords.append(given["HOOPX_TOKEN"])
        return given

    def told(self, *options: str) -> list[dict[str, Any]]:
        return self.listed("audit", "events", "--limit", "1000", *options, who="olga")

    def is_noted(self, type_: str) -> bool:
        """By a look at the state: whoever asks the broker is an event too."""
        with sqlite3.connect(f"file:{self.home / 'state.db'}?mode=ro", uri=True) as state:
            return state.execute("SELECT 1 FROM events WHERE type = ?", (type_,)).fetchone() is not None

    def newest(self, who: str = "ann") -> str:
        return str(self.listed("sessions", "ls", "--limit", "1", who=who)[0]["id"])

    def log_bytes(self) -> bytes:
        """Every file of the log, as any reader of the store finds it."""
        keys = [key for key in self.there.keys_of() if "/log/" in key]
        assert any("tile/entries" in key for key in keys)
        return b"".join(self.there.admin.get_object(Bucket=self.there.name, Key=key)["Body"].read() for key in keys)


# What a lying witness makes the broker write is played beside its code.
OF_WITNESSES = {"witness.disputed", "witness.went_back"}
OPENED = {"ann": 3, "bob": 1, "dave": 3, "oscar": 5}
# What each phase of the play does, by whom; where nobody is named, the broker does it.
HAPPENED: dict[str, dict[str, int]] = {
    "broker.started": {"": 3},
    "broker.stopped": {"": 1},
    "configuration.loaded": {"": 2},
    "identity.restored": {"sam": 1},
    "identity.revoked": {"sam": 1},
    "key.rotated": {"": 1},
    "lease.called_off": {"sam": 1},
    "lease.fades": {"": 1},
    "lease.issued": OPENED,
    "lease.queued": {"": 1},
    "lease.renewed": {"dave": 1},
    "lease.revoked": {"": 11},
    "log.started": {"": 1},
    "login.ended": {"": 2, "petra": 1},
    "policy.loaded": {"": 2},
    "recording.broken": {"": 1},
    "recording.deleted": {"sam": 10},
    "recording.held": {"olga": 1},
    "recording.released": {"olga": 1},
    "recording.stored": {"": 11},
    "request.accept": {"sam": 1},
    "request.approve": {"dora": 1, "petra": 1},
    "request.approved": {"dora": 1, "petra": 1},
    "request.asked": {"ann": 4, "bob": 1},
    "request.broken-glass": {"oscar": 2},
    "request.cancelled": {"ann": 1},
    "request.denied": {"dora": 1},
    "request.deny": {"dora": 1},
    "request.expired": {"": 1},
    "request.object": {"sam": 1},
    "request.reviewed": {"sam": 2},
    "request.used": {"ann": 1},
    "session.killed": {"dora": 1},
    "session.opened": OPENED,
    "session.refused": {"nobody": 1},
    "session.sealed": {"": 11},
    "session.viewed": {"ann": 5},
}
# What the last of each tells.
TOLD: dict[str, dict[str, Any]] = {
    "configuration.loaded": {"changed": ["targets.short.session"], "first": False},
    "identity.revoked": {"user": "nobody", "reason": "left"},
    "lease.called_off": {"target": "shop-prod", "holder": "dave", "reason": "drill"},
    "lease.fades": {"target": "cloud", "holder": "oscar"},
    "lease.queued": {"target": "stuck", "holder": "dave"},
    "lease.renewed": {"target": "short"},
    "recording.held": {"target": "payments-prod", "reason": "case 17"},
    "recording.released": {"target": "payments-prod", "reason": "settled"},
    "request.approve": {"by": "petra", "requester": "bob"},
    "request.deny": {"comment": "not now", "requester": "ann"},
    "session.killed": {"owner": "bob", "target": "shop-prod"},
    "session.refused": {"ruling": "deny", "target": "shop-prod"},
}


@pytest.fixture(scope="module")
def scene(postgres: Postgres, aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeStage]:
    found.require("psql")
    postgres.sql(
        f"CREATE ROLE {STUCK_ADMIN} LOGIN CREATEROLE PASSWORD '{ADMIN_PASSWORD}';"
        f"GRANT app_read TO {STUCK_ADMIN} WITH ADMIN OPTION"
    )
    role = aws.role("hoopx-events", allow("sts:GetCallerIdentity"))
    try:
        with playing(WholeStage(tmp_path_factory.mktemp("whole") / "home", postgres, bucket(aws), role)) as played:
            yield played
    finally:
        postgres.sql(f"DROP OWNED BY {STUCK_ADMIN}; DROP ROLE {STUCK_ADMIN}")


def test_everything_happens_and_stands_in_the_log_with_who_and_what_and_no_secret(scene: WholeStage) -> None:
    slow = scene.begin("exec", SHORT, "--for", "1m", "--", "sleep", "4", who="dave")
    try:
        _sessions(scene)
        _requests(scene)
        _people(scene)
        _leases(scene)
        slow.end()
    finally:
        slow.close()
    _keeping(scene)
    _restarts(scene)
    told = scene.told()
    assert len({each["id"] for each in told}) == len(told)
    _is_once(told)
    assert {each["type"] for each in told} == listed() - OF_WITNESSES
    _is_no_secret(scene, told)
    audit = scene.hoopx("audit", "verify", "--config", str(scene.config))
    assert (audit.code, audit.out.count(_broken(told))) == (2, 1), "the damaged recording is found, and nothing else"
    assert len(audit.out.splitlines()) == 2, audit.out


def _sessions(scene: WholeStage) -> None:
    read = f"SELECT '{LITERAL}', name, ssn FROM customers WHERE ssn <> '{ROW}'"
    scene.exec(
        TARGET,
        clients.python(f"""
        import psycopg
        with psycopg.connect() as talk:
            talk.execute("{read}").fetchall()
            talk.execute("SELECT %s::text", ["{VALUE}"]).fetchall()
    """),
    ).fine()
    session = scene.newest()
    for command in ("show", "tail", "replay", "verify"):
        scene.hoopx("sessions", command, session).fine()
    scene.hoopx("sessions", "export", session, "--format", "jsonl").fine()
    assert scene.exec(TARGET, ["true"], who="nobody").code == 10
    with running(scene, "exec", TARGET, "--", *WORK, who="bob") as work:
        work.says(r"1\n")
        scene.hoopx("sessions", "kill", scene.newest("bob"), who="dora").fine()
        assert work.end().code != 0
    word = scene.hoopx("token", TARGET, who="oscar").fine().out.strip()
    scene.passwords.append(word)
    native.psql(scene, TARGET, "SELECT 1", who="oscar", token=word).fine()


def _requests(scene: WholeStage) -> None:
    def ask(*options: str, who: str = "ann") -> str:
        return scene.hoopx("request", ASKING, "--reason", "month end", *options, who=who).fine().out.strip()

    used = ask()
    scene.hoopx("approve", used, "--comment", "go on", who="dora").fine()
    scene.hoopx("exec", ASKING, "--request", used, "--", "true").fine()
    scene.hoopx("requests", "cancel", ask("--for", "5m")).fine()
    scene.hoopx("deny", ask("--for", "6m"), "--comment", "not now", who="dora").fine()
    assert scene.hoopx("request", ASKING, "--reason", "late", "--for", "7m", "--wait", "1s").code == 12
    _agree_on_the_page(scene, ask("--for", "8m", who="bob"))
    for verdict in ("--accept", "--object"):
        glass = ["--break-glass", "--reason", "it burns", "--ticket", "OPS-1"]
        scene.hoopx("exec", STRICT, *glass, "--", "true", who="oscar").fine()
        [open_] = scene.listed("requests", "ls", "--review", "open", who="sam")
        review = ["requests", "review", open_["id"], verdict, "--comment", "seen", "-o", "json"]
        as_told("requests review", scene.hoopx(*review, who="sam").fine().out)


def _agree_on_the_page(scene: WholeStage, request: str) -> None:
    with Browser(tls_of(scene)) as browser:
        page = browser.open(f"{scene.url}/requests/{request}")
        page = browser.submit(page, {}, form=_form(page, "/login/embedded"))
        page = browser.submit(page, {"user": "petra", "password": LENAS_PASSWORD})
        page = browser.submit(page, {}, form=_form(page, f"/requests/{request}"))
        assert "approved" in page.html
        browser.submit(page, {}, form=_form(page, "/logout"))


def _form(page: Page, action: str) -> Any:
    [form, *_] = [each for each in page.forms if each.action == action]
    return form


def _people(scene: WholeStage) -> None:
    revoke = ["admin", "revoke", "nobody", "--reason", "left", "-o", "json"]
    as_told("admin revoke", scene.hoopx(*revoke, who="sam").fine().out)
    as_told("admin restore", scene.hoopx("admin", "restore", "nobody", "-o", "json", who="sam").fine().out)
    log_in(scene, "--issuer", f"{scene.url}/oidc")
    scene.hoopx("whoami", who="lena").fine()
    scene.hoopx("logout", who="lena").fine()
    assert says(scene, logout(scene.mint, sub="bob")).status_code == 200


def _leases(scene: WholeStage) -> None:
    with running(scene, "exec", TARGET, "--", *WORK, who="dave") as work:
        work.says(r"1\n")
        scene.hoopx("leases", "revoke", "--user", "dave", "--target", TARGET, "--reason", "drill", who="sam").fine()
        assert work.end().code != 0
    scene.hoopx("exec", CLOUD, "--", "true", who="oscar").fine()
    with running(scene, "exec", STUCK, "--", *WORK, who="dave") as work:
        work.says(r"1\n")
        gone = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{STUCK_ADMIN}'"
        scene.postgres.sql(f"ALTER ROLE {STUCK_ADMIN} NOLOGIN; {gone}")
        try:
            work.close()
            eventually(lambda: scene.is_noted("lease.queued"), "it is tried again")
        finally:
            scene.postgres.sql(f"ALTER ROLE {STUCK_ADMIN} LOGIN")
    scene.nothing_remains()


def _keeping(scene: WholeStage) -> None:
    session = scene.newest("ann")
    eventually(lambda: not scene.here(), "everything is in the store")
    hold = scene.hoopx("audit", "hold", session, "--reason", "case 17", who="olga").fine().out.strip()
    scene.hoopx("audit", "release", hold, "--reason", "settled", who="olga").fine()

    eventually(lambda: _is_deleted(scene), "their time is over")


def _is_deleted(scene: WholeStage) -> bool:
    done = objects(scene.hoopx("audit", "gc", "-o", "json", who="sam").fine().out)
    return all(each["outcome"] == "deleted" for each in done) and not scene.stored()


def _restarts(scene: WholeStage) -> None:
    """A crash with two open sessions, one of whose recordings is damaged; then other policies, settings and keys."""
    with (
        running(scene, "exec", TARGET, "--", *WORK, who="ann") as one,
        running(scene, "exec", TARGET, "--", *WORK, who="oscar") as other,
    ):
        one.says(r"1\n")
        other.says(r"1\n")
        broken = scene.home / "spool" / f"{scene.newest('oscar')}.hoopx"
        scene.kill_broker()
        one.end()
        other.end()
    content = bytearray(broken.read_bytes())
    content[len(content) // 2] ^= 1
    broken.write_bytes(content)
    (scene.home / "policies" / "99-more.cedar").write_text(
        '@id("more")\nforbid (principal == User::"eve", action, resource);\n'
    )
    scene.config.write_text(scene.config.read_text().replace("session: 1m", "session: 2m"))
    scene.start_broker()
    eventually(lambda: scene.is_noted("recording.broken"), "the damage is noted")
    assert scene.stop_broker() == 0
    rotate = ["broker", "keys", "rotate", "--config", str(scene.config), "-o", "json"]
    as_told("broker keys rotate", scene.hoopx(*rotate).fine().out)
    scene.start_broker()
    eventually(lambda: scene.is_noted("key.rotated"), "the log goes on with the new key")


def _broken(told: list[dict[str, Any]]) -> str:
    [session] = [str(each["session"]) for each in told if each["type"] == "recording.broken"]
    return session


def _is_once(told: list[dict[str, Any]]) -> None:
    """Of each: how often, by whom. Logins are those of people who came with a new token each time, and of watchers."""
    counted: dict[str, Counter[str]] = {}
    for each in told:
        counted.setdefault(each["type"], Counter())[each.get("by", "")] += 1
    logins = counted.pop("login.accepted")
    assert logins.keys() == {"ann", "bob", "dave", "dora", "lena", "nobody", "olga", "oscar", "petra", "sam"}
    assert {name: dict(count) for name, count in counted.items()} == HAPPENED
    by_type = {each["type"]: each for each in told}
    for type_, facts in TOLD.items():
        known = by_type[type_] | by_type[type_]["facts"]
        assert {name: known.get(name) for name in facts} == facts
    ways = {each["facts"]["how"] for each in told if each["type"] == "login.accepted"}
    assert ways == {"api", "session", "pass", "page", "sign-in"}
    viewed = Counter(each["facts"]["how"] for each in told if each["type"] == "session.viewed")
    assert viewed == Counter(["show", "tail", "replay", "verify", "export"])


def _is_no_secret(scene: WholeStage, told: list[dict[str, Any]]) -> None:
    canaries = [LITERAL, VALUE, ROW, *filter(None, scene.passwords)]
    everything = scene.log_bytes() + str(told).encode() + scene.broker_said().encode()
    assert all(each["id"].encode() in everything for each in told)
    assert [each for each in canaries if each.encode() in everything] == []
