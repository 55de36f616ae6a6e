"""A Vault that refuses, sleeps, lies or is none: every failure names the source and the remedy, and no secret."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hoopx_broker.terms.errors import BackendFailed, ExitCode
from hoopx_broker.terms.leases import Order
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.vault_database import VaultDatabaseIssuer, VaultDatabaseOptions
from hoopx_plugins.vault_failures import refused, without_secrets
from hoopx_plugins.vault_server import AppRole, Person, VaultServer
from tests.peers.postgres import Postgres
from tests.peers.processes import closed_port, eventually
from tests.peers.vault.peer import DoubleVault, Vault
from tests.unit.vault_stage import People, Pins, VaultStage, lease_of, login_of


@pytest.fixture(scope="module")
def stage(vault: DoubleVault, postgres: Postgres) -> VaultStage:
    return VaultStage(vault, postgres)


@pytest.fixture(scope="module")
def either(each_vault: Vault, postgres: Postgres) -> VaultStage:
    """For what a real Vault says in words of its own."""
    return VaultStage(each_vault, postgres)


@pytest.fixture
def ill(vault: DoubleVault) -> Iterator[DoubleVault]:
    """A Vault to be made ill; well again after the test."""
    yield vault
    vault.be_well()


def refusal(stage: VaultStage, order: Order, pins: Pins | None = None) -> BackendFailed:
    """What a failing opening says; nothing is left of it."""
    with pytest.raises(BackendFailed) as failed:
        asyncio.run(VaultDatabaseIssuer().issue(order, pins or Pins()))
    assert failed.value.message.startswith("the source `vault-database` of target `db` ")
    assert failed.value.hint
    assert failed.value.exit_code == ExitCode.BACKEND_FAILED
    for secret in (stage.secret_id, *([order.token.reveal()] if order.token else [])):
        assert secret not in failed.value.message + failed.value.hint
    assert stage.made() == set()
    return failed.value


def wrong(stage: VaultStage, case: str) -> Order:
    server = stage.server()
    match case:
        case "role":
            return stage.database_order("nobody")
        case "mount":
            return stage.order(VaultDatabaseOptions("ro", "nowhere", vault=server))
        case "namespace":
            return stage.database_order(server=stage.server(namespace="elsewhere"))
        case "secret id":
            login = AppRole(Secret(stage.role_id), Secret("11111111-2222-3333-4444-555555555555"), stage.approle)
            return stage.database_order(server=stage.server(approle=login))
        case "login mount":
            login = AppRole(Secret(stage.role_id), Secret(stage.secret_id), "nowhere")
            return stage.database_order(server=stage.server(approle=login))
        case "address":
            return stage.database_order(server=stage.server(address=f"https://127.0.0.1:{closed_port()}"))
        case "authority":
            return stage.database_order(server=stage.server(ca=stage.postgres.foreign_ca))
        case "no authority":
            return stage.database_order(server=stage.server(ca=None))
        case "name in the certificate":
            return stage.database_order(server=stage.server(address=stage.vault.url.replace("127.0.0.1", "127.1")))
    raise AssertionError(case)


@pytest.mark.parametrize(
    ("case", "said", "remedy"),
    [
        ("role", "there is no such role (Vault says 400: unknown role: nobody)", "/roles/nobody …`"),
        ("mount", "the policies of its login do not allow `nowhere/creds/ro`", 'path "nowhere/creds/ro" {'),
        ("namespace", "there is no such namespace", "correct `vault.namespace`"),
        ("secret id", "cannot log in to Vault: the role id or the secret id is wrong", "make a new secret id"),
        ("login mount", "lets nobody in at `auth/nowhere`", "`vault.namespace`"),
        ("address", "cannot be reached: nothing listens there", "correct `vault.address`"),
        ("authority", "shows a certificate that cannot be verified", "`vault.ca`"),
        ("no authority", "shows a certificate that cannot be verified", "`vault.ca`"),
        ("name in the certificate", "shows a certificate that cannot be verified", "`vault.address`"),
    ],
)
def test_what_is_wrong_in_the_configuration_is_told(either: VaultStage, case: str, said: str, remedy: str) -> None:
    failed = refusal(either, wrong(either, case))
    assert said in failed.message
    assert remedy in failed.hint


def test_a_login_without_the_rights_is_told_which_are_missing(either: VaultStage) -> None:
    either.vault.write(f"auth/{either.approle}/role/other", {"token_policies": [either.revoker]})
    role_id = either.vault.read(f"auth/{either.approle}/role/other/role-id")["data"]["role_id"]
    secret_id = either.vault.write(f"auth/{either.approle}/role/other/secret-id")["data"]["secret_id"]
    pins = Pins()
    order = either.database_order(
        server=either.server(approle=AppRole(Secret(role_id), Secret(secret_id), either.approle))
    )
    failed = refusal(either, order, pins)
    rule = f'path "{either.database}/creds/ro" {{ capabilities = ["read"] }}'
    assert failed.hint == f"add to them: {rule}; or correct `mount` and `role`"
    assert not either.lives(pins.handle["accessor"])


@pytest.mark.parametrize(
    ("claims", "said", "remedy"),
    [
        ({"exp": 1_700_000_000, "iat": 1_699_999_000}, "does not hold now", "set the clocks"),
        ({"nbf": 4_000_000_000}, "does not hold now", "set the clocks"),
        ({"aud": "somebody else"}, "it does not take that login", "bound audiences"),
    ],
    ids=["expired", "not yet", "for somebody else"],
)
def test_a_persons_token_that_vault_refuses_is_told(
    either: VaultStage, claims: dict[str, Any], said: str, remedy: str
) -> None:
    people = People(either)
    server = either.server(person=Person("people", people.mount))
    failed = refusal(either, either.database_order(server=server, token=people.token(**claims)))
    assert "log in to Vault as `ann@example.com`" in failed.message
    assert said in failed.message
    assert remedy in failed.hint


def test_a_role_for_people_that_is_not_there_is_told(either: VaultStage) -> None:
    people = People(either)
    server = either.server(person=Person("strangers", people.mount))
    failed = refusal(either, either.database_order(server=server, token=people.token()))
    assert f"`auth/{people.mount}` has no such role" in failed.message


# A Vault that is ill


def test_a_sealed_vault_is_told_and_what_it_holds_is_ended_when_it_is_open_again(either: VaultStage) -> None:
    order = either.database_order()
    issued = either.issue(order)
    either.vault.seal()
    try:
        with pytest.raises(BackendFailed, match=r"cannot log in to Vault: it is sealed") as failed:
            either.issue(either.database_order())
        assert "unseal" in failed.value.hint
        with pytest.raises(BackendFailed, match="it is sealed"):
            either.revoke(order, issued.handle)
    finally:
        either.vault.unseal()
    either.revoke(order, issued.handle)
    either.nothing_remains()


def test_what_could_not_be_revoked_while_vault_was_down_is_revoked_later(stage: VaultStage, vault: DoubleVault) -> None:
    order = stage.database_order()
    issued, issuer = stage.issue(order), VaultDatabaseIssuer()
    vault.die()
    with pytest.raises(BackendFailed, match="nothing listens there"):
        stage.revoke(order, issued.handle, issuer)
    vault.start()
    stage.revoke(order, issued.handle, issuer)
    stage.nothing_remains()


def test_a_vault_that_says_yes_and_does_nothing_is_caught(stage: VaultStage, ill: DoubleVault) -> None:
    order = stage.database_order()
    issued = stage.issue(order)
    ill.lie()
    with pytest.raises(BackendFailed, match="told by Vault that a lease is revoked, and it is still there"):
        stage.revoke(order, issued.handle)
    ill.be_well()
    stage.revoke(order, issued.handle)
    stage.nothing_remains()


def test_a_database_that_is_down_keeps_the_lease_and_still_ends_the_login(
    stage: VaultStage, vault: DoubleVault, own_postgres: Postgres
) -> None:
    other = VaultStage(vault, own_postgres)
    order = other.database_order()
    issued = other.issue(order)
    own_postgres.stop()
    with pytest.raises(BackendFailed, match="cannot revoke the lease"):
        other.revoke(order, issued.handle)
    assert not other.lives(issued.handle["accessor"])
    own_postgres.start()
    other.revoke(order, issued.handle)
    assert other.made() == set()


def test_too_many_requests_are_told(stage: VaultStage, ill: DoubleVault) -> None:
    ill.refuse(429, 1, f"auth/{stage.approle}/login")
    failed = refusal(stage, stage.database_order())
    assert "it is asked too often (Vault says 429: rate limit quota exceeded)" in failed.message


def test_a_silent_vault_is_given_up(stage: VaultStage, ill: DoubleVault) -> None:
    ill.be_slow(3, f"auth/{stage.approle}/login")
    failed = refusal(stage, stage.database_order(server=stage.server(timeout="1s")))
    assert "gave no answer within 1 s" in failed.message


def test_a_login_made_when_nobody_waited_any_more_is_undone(stage: VaultStage, ill: DoubleVault) -> None:
    """The wait for a slow Vault is cut off; the thread goes on, and gets a login that nobody knows of."""
    ill.be_slow(0.7, f"{stage.database}/creds/ro")
    pins = Pins()

    async def given_up() -> None:
        async with asyncio.timeout(0.5):
            await VaultDatabaseIssuer().issue(stage.database_order(), pins)

    with pytest.raises(TimeoutError):
        asyncio.run(given_up())
    granted = f"{stage.database}/creds/ro"
    eventually(lambda: any(each["request"]["path"] == granted for each in stage.vault.audit()), "it was asked for")
    stage.nothing_remains()
    eventually(lambda: not stage.lives(pins.handle["accessor"]), "its token is gone")


# What is no Vault


class Canned:
    """Answers each request with the next of its answers, the last again and again, and remembers what it was told."""

    def __init__(self, *answers: tuple[int, dict[str, str], str]) -> None:
        self.heard: list[tuple[str, dict[str, str]]] = []
        left = list(answers)
        canned = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                canned.heard.append((self.path, dict(self.headers)))
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, body = left.pop(0) if len(left) > 1 else left[0]
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body.encode())), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_PUT = do_POST

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


JSON = {"Content-Type": "application/json"}


def told_by(stage: VaultStage, *answers: tuple[int, dict[str, str], str]) -> tuple[BackendFailed, Canned]:
    canned = Canned(*answers)
    try:
        return refusal(stage, stage.database_order(server=stage.server(address=canned.url, ca=None))), canned
    finally:
        canned.close()


def test_tokens_follow_no_redirect(stage: VaultStage) -> None:
    elsewhere = Canned((200, JSON, "{}"))
    try:
        failed, _ = told_by(stage, (307, {"Location": f"{elsewhere.url}/v1/auth/approle/login"}, ""))
        assert "sends it elsewhere" in failed.message
        assert elsewhere.heard == []
    finally:
        elsewhere.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, {}, "<html>Welcome</html>"), "is no Vault"),
        ((200, JSON, "[1]"), "is no Vault"),
        ((200, JSON, "{}"), "got no token from Vault"),
        ((200, JSON, '{"auth": [1]}'), "is no Vault"),
        ((200, JSON, '{"auth": {"client_token": "x", "accessor": "y", "lease_duration": "for ever"}}'), "is no Vault"),
        ((200, JSON, '{"auth": "' + "x" * 3_000_000 + '"}'), "is no Vault"),
        ((200, JSON, "[" * 100_000), "is no Vault"),
        ((200, JSON, '{"lease_duration": 1000000000000000000}'), "is no Vault"),
        ((200, JSON, '{"auth": {"client_token": "x", "accessor": "y", "lease_duration": -1}}'), "is no Vault"),
        ((400, JSON, '{"errors": ' + "[" * 100_000), "(Vault says 400)"),
        ((400, JSON, '{"errors": "not a list"}'), "(Vault says 400: not a list)"),
        ((403, JSON, "\xff"), "(Vault says 403)"),
        ((502, {}, "<html>Bad gateway</html>"), "the login failed at Vault (Vault says 502)"),
        ((501, JSON, '{"errors": []}'), "it is not initialised"),
        ((473, JSON, "{}"), "a standby that does not forward"),
        (
            (200, JSON, '{"auth": {"client_token": "b.x", "accessor": "", "token_type": "batch"}}'),
            "a batch token, which nobody can revoke",
        ),
        ((200, JSON, '{"auth": {"client_token": "hvs.x"}}'), "a batch token, which nobody can revoke"),
    ],
)
def test_answers_of_what_is_no_good_vault_are_told(
    stage: VaultStage, answer: tuple[int, dict[str, str], str], said: str
) -> None:
    failed, _ = told_by(stage, answer)
    assert said in failed.message


def test_what_vault_repeats_of_a_secret_is_not_passed_on(stage: VaultStage) -> None:
    echo = f"no such secret id {stage.secret_id} for hvs.CAESIJ1234567890abcdefgh\x1b[31m"
    failed, _ = told_by(stage, (400, JSON, json.dumps({"errors": [echo]})))
    assert "no such secret id <secret> for <secret>" in failed.message
    assert "\x1b" not in failed.message


@pytest.mark.parametrize(
    "token",
    [
        "hvs.CAESIJlUyAbCdEf_0123456789-xyz",
        "s.VLTLabcdefghij0123456789",
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1In0.c2ln",
        "0b5c4f0e-1c7e-4a55-9c1d-8d1a0f3c2b1a",
        "AKIAIOSFODNN7EXAMPLE",
    ],
)
def test_whatever_looks_like_a_token_is_taken_out(token: str) -> None:
    assert without_secrets(f"1 error occurred:\n\t* bad token {token}!\n\n", ()) == "bad token <secret>!"


def test_a_place_where_nothing_is_mounted_is_told_where_policies_let_it_be_seen() -> None:
    told = ['no handler for route "nowhere/creds/ro". route entry not found.']
    failed = refused("the source", "get a login", "nowhere/creds/ro", "read", 404, told, ())
    assert "nothing is mounted at `nowhere`" in failed.message
    assert "correct `mount`" in failed.hint


def test_nothing_is_taken_from_the_environment(stage: VaultStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token, an address, an authority, a proxy and a .netrc that lie about are another program's."""
    stray = Canned((200, JSON, "{}"))
    monkeypatch.setenv("VAULT_TOKEN", stage.vault.root_token)
    monkeypatch.setenv("VAULT_ADDR", stray.url)
    monkeypatch.setenv("VAULT_NAMESPACE", "elsewhere")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(stage.vault.ca))
    monkeypatch.setenv("SSL_CERT_DIR", "/nonexistent")
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, stray.url)
    try:
        refusal(stage, wrong(stage, "no authority"))
        order = stage.database_order()
        issued = stage.issue(order)
        assert login_of(issued).user in stage.made()
        stage.revoke(order, issued.handle)
        failed, canned = told_by(stage, (403, JSON, '{"errors": ["permission denied"]}'))
        assert "lets nobody in" in failed.message
        [(_, headers)] = canned.heard
        assert "X-Vault-Token" not in headers
        assert "Authorization" not in headers
        assert stray.heard == []
    finally:
        stray.close()


def test_a_lease_of_which_nothing_was_stored_asks_for_nothing() -> None:
    """The login came to nothing; so there is nothing to revoke, even where Vault is down."""
    login = AppRole(Secret("r"), Secret("s"))
    server = VaultServer(address=f"https://127.0.0.1:{closed_port()}", approle=login)
    order = VaultStage.order(object.__new__(VaultStage), VaultDatabaseOptions("ro", vault=server))
    asyncio.run(VaultDatabaseIssuer().revoke(lease_of(order, {}), order.target))
