"""People and programs with a whole broker: browsers, several accounts, keys that tokens are bound to, and agents."""

from __future__ import annotations

import json
import re
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm

from hoopx_cli.settings import write_private
from tests.journeys.stage import Running, Stage, playing, running
from tests.peers import clients
from tests.peers.browser import Browser, Page
from tests.peers.postgres import Postgres

PASSWORDS = {"lena": "correct-horse", "mara": "battery-staple"}
CODE_LINE = r"open (https://\S+) and type the code: (\S+)"
BROWSER_LINE = r"open (https://\S+/authorize\S+)"
AGENT_KEY = ec.generate_private_key(ec.SECP256R1())
ALLOW, REFUSE = 0, 1


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Stage]:
    """A broker whose issuer knows two people, an agent with a key and one with a secret."""
    stage = Stage(tmp_path_factory.mktemp("accounts") / "office", postgres)
    public = json.dumps({"keys": [json.loads(ECAlgorithm.to_jwk(AGENT_KEY.public_key())) | {"kid": "k1"}]})
    (stage.home / "reviewer.jwks").write_text(public)
    write_private(stage.home / "report-secret", b"a-long-secret-of-a-program-0123456789")
    people = """\
identity:
  - kind: embedded
    users:
      lena: {password: correct-horse, groups: [developers], email: lena@example.com}
      mara: {password: battery-staple, groups: [developers], email: mara@example.com}
    agents:
      reviewer-bot: {jwks_file: reviewer.jwks, groups: [developers]}
      report-bot: {secret: "file:report-secret", groups: [developers]}
"""
    text = stage.config.read_text()
    stage.config.write_text(text[: text.index("identity:")] + people + text[text.index("targets:") :])
    with playing(stage):
        yield stage


@pytest.fixture
def laptop(office: Stage, request: pytest.FixtureRequest) -> str:
    """A laptop of its own for each test, by its name."""
    return "".join(sign for sign in str(request.node.name) if sign.isalnum())[-60:]


def logged_in(office: Stage, laptop: str, user: str) -> None:
    """By the code, as on a machine without a desktop."""
    with running(office, "login", who=laptop) as login, Browser(trust(office)) as browser:
        shown = login.says(CODE_LINE)
        page = browser.submit(browser.open(shown.group(1)), {"user_code": shown.group(2)})
        page = browser.submit(page, {"user": user, "password": PASSWORDS[user]})
        browser.submit(page, {}, button=ALLOW)
        assert login.end().fine().err.rstrip().endswith(f"as {user}")


def browsed(office: Stage, login: Running, user: str, button: int = ALLOW) -> Page:
    """The address that the terminal shows, opened in a browser on this machine, to the page that remains."""
    with Browser(trust(office)) as browser:
        page = browser.open(login.says(BROWSER_LINE).group(1))
        page = browser.submit(page, {"user": user, "password": PASSWORDS[user]})
        return browser.submit(page, {}, button=button)


def trust(office: Stage) -> ssl.SSLContext:
    where = urlsplit(office.url)
    pem = ssl.get_server_certificate((str(where.hostname), int(where.port or 0)))
    return ssl.create_default_context(cadata=pem)


# --- by a browser on this machine ---------------------------------------------------------------------------------


def test_a_person_logs_in_by_a_browser_and_works(office: Stage, laptop: str) -> None:
    with running(office, "login", "--browser", who=laptop) as login:
        page = browsed(office, login, "lena")
        assert "close this page" in page.html
        assert login.end().fine().err.rstrip().endswith("as lena")
    assert office.listed("whoami", who=laptop)[0]["user"] == "lena"
    assert office.hoopx("exec", "shop-prod", "--", *clients.psql("SELECT 1"), who=laptop).fine().out == "1\n"


def test_a_person_who_refuses_in_the_browser_is_not_logged_in(office: Stage, laptop: str) -> None:
    with running(office, "login", "--browser", who=laptop) as login:
        page = browsed(office, login, "lena", REFUSE)
        assert "The terminal says why" in page.html
        outcome = login.end()
    assert outcome.code == 11
    assert "declined" in outcome.err
    assert office.hoopx("whoami", who=laptop).code == 11


def test_somebody_who_finds_the_port_cannot_end_the_login(office: Stage, laptop: str) -> None:
    with running(office, "login", "--browser", who=laptop) as login:
        address = login.says(BROWSER_LINE).group(1)
        port = re.search(r"127\.0\.0\.1%3A(\d+)", address)
        assert port is not None
        for query in ("", "?code=evil", "?code=evil&state=guessed", "?error=access_denied&state=guessed"):
            assert httpx2.get(f"http://127.0.0.1:{port.group(1)}/callback{query}", trust_env=False).status_code == 404
        assert login.process.poll() is None
        browsed(office, login, "mara")
        assert login.end().fine().err.rstrip().endswith("as mara")


def test_ctrl_c_leaves_the_login_at_once(office: Stage, laptop: str) -> None:
    with running(office, "login", "--browser", who=laptop) as login:
        login.says(BROWSER_LINE)
        assert login.end(signal.SIGINT).code == 130


def test_the_two_ways_are_not_asked_for_at_once(office: Stage, laptop: str) -> None:
    assert office.hoopx("login", "--browser", "--no-browser", who=laptop).code == 2


# --- several accounts ---------------------------------------------------------------------------------------------


def test_two_accounts_live_side_by_side_and_one_switches_between_them(office: Stage, laptop: str) -> None:
    logged_in(office, laptop, "lena")
    logged_in(office, laptop, "mara")
    accounts = office.listed("accounts", who=laptop)
    assert [(each["user"], each["is_current"], each["kept_in"]) for each in accounts] == [
        ("lena", False, "file"),
        ("mara", True, "file"),
    ]
    assert office.listed("whoami", who=laptop)[0]["user"] == "mara"
    assert office.listed("whoami", "--account", "lena", who=laptop)[0]["user"] == "lena"
    office.hoopx("accounts", "use", "lena", who=laptop).fine()
    assert office.listed("whoami", who=laptop)[0]["user"] == "lena"
    assert objects_of(office, laptop, HOOPX_ACCOUNT="mara")["user"] == "mara"
    assert office.hoopx("whoami", "--account", "nobody", who=laptop).code == 11


def objects_of(office: Stage, laptop: str, **environ: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(office.hoopx("whoami", "-o", "json", who=laptop, **environ).fine().out)
    return found


def test_one_account_logs_out_and_the_other_stays(office: Stage, laptop: str) -> None:
    logged_in(office, laptop, "lena")
    logged_in(office, laptop, "mara")
    office.hoopx("logout", who=laptop).fine()
    outcome = office.hoopx("whoami", who=laptop)
    assert outcome.code == 11
    assert "hoopx accounts use" in outcome.err
    assert "lena" in outcome.err
    assert office.listed("whoami", "--account", "lena", who=laptop)[0]["user"] == "lena"
    office.hoopx("logout", "--all", who=laptop).fine()
    assert office.listed("accounts", who=laptop) == []


def test_a_login_that_a_thief_copied_is_spent_by_log_out(office: Stage, laptop: str) -> None:
    logged_in(office, laptop, "lena")
    stolen = (office.home / f"home-{laptop}" / "hoopx" / "logins.json").read_text()
    office.hoopx("logout", who=laptop).fine()
    [login] = (json.loads(stolen)[office.url]["lena"],)
    answer = httpx2.post(
        f"{office.url}/oidc/token",
        data={"grant_type": "refresh_token", "client_id": login["client_id"], "refresh_token": login["refresh"]},
        verify=trust(office),
        trust_env=False,
    )
    assert answer.status_code == 400


# --- keys ---------------------------------------------------------------------------------------------------------


def test_a_copied_token_without_its_key_opens_nothing(office: Stage, laptop: str) -> None:
    logged_in(office, laptop, "lena")
    kept = json.loads((office.home / f"home-{laptop}" / "hoopx" / "logins.json").read_text())[office.url]["lena"]
    for scheme in ("Bearer", "DPoP"):
        headers = {"authorization": f"{scheme} {kept['bearer']}"}
        answer = httpx2.get(f"{office.url}/v1/whoami", headers=headers, verify=trust(office), trust_env=False)
        assert answer.status_code == 401
    assert office.hoopx("whoami", who="thief", HOOPX_TOKEN=kept["bearer"]).code == 11


def test_a_copied_refresh_token_without_its_key_renews_nothing(office: Stage, laptop: str) -> None:
    logged_in(office, laptop, "lena")
    kept = json.loads((office.home / f"home-{laptop}" / "hoopx" / "logins.json").read_text())[office.url]["lena"]
    form = {"grant_type": "refresh_token", "client_id": kept["client_id"], "refresh_token": kept["refresh"]}
    answer = httpx2.post(f"{office.url}/oidc/token", data=form, verify=trust(office), trust_env=False)
    assert answer.status_code == 400
    assert office.listed("whoami", who=laptop)[0]["user"] == "lena"


# --- programs -----------------------------------------------------------------------------------------------------


def by_key(folder: Path) -> dict[str, str]:
    path = folder / "agent.pem"
    write_private(path, AGENT_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {"HOOPX_CLIENT_ID": "reviewer-bot", "HOOPX_CLIENT_KEY": str(path)}


def test_an_agent_with_a_key_works_and_leaves_nothing_behind(office: Stage, laptop: str, tmp_path: Path) -> None:
    environ = by_key(tmp_path)
    me = objects_of(office, laptop, **environ)
    assert (me["user"], me["kind"]) == ("reviewer-bot", "agent")
    selected = office.hoopx("exec", "shop-dev", "--", *clients.psql("SELECT 1"), who=laptop, **environ)
    assert selected.fine().out == "1\n"
    left = [path for path in (office.home / f"home-{laptop}").rglob("*") if path.is_file()]
    assert not {path.name for path in left} & {"logins.json", "accounts.json"}
    assert not [path for path in left if b"eyJ" in path.read_bytes()], "no token is written anywhere"


def test_an_agent_with_a_secret_works(office: Stage, laptop: str) -> None:
    secret = (office.home / "report-secret").read_text()
    me = objects_of(office, laptop, HOOPX_CLIENT_ID="report-bot", HOOPX_CLIENT_SECRET=secret)
    assert (me["user"], me["kind"]) == ("report-bot", "agent")


def test_a_wrong_secret_and_a_wrong_key_are_refused_with_what_to_do(office: Stage, laptop: str, tmp_path: Path) -> None:
    wrong = office.hoopx("whoami", who=laptop, HOOPX_CLIENT_ID="report-bot", HOOPX_CLIENT_SECRET="wr0ng")
    other = ec.generate_private_key(ec.SECP256R1())
    write_private(tmp_path / "other.pem", other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    named = {"HOOPX_CLIENT_ID": "reviewer-bot", "HOOPX_CLIENT_KEY": str(tmp_path / "other.pem")}
    for outcome in (wrong, office.hoopx("whoami", who=laptop, **named)):
        assert outcome.code == 11
        assert "HOOPX_CLIENT_ID" in outcome.err
        assert "hoopx login" not in outcome.err
        assert "wr0ng" not in outcome.err


def test_the_flag_means_a_person_even_where_a_program_is_named(office: Stage, laptop: str, tmp_path: Path) -> None:
    logged_in(office, laptop, "lena")
    environ = by_key(tmp_path)
    assert objects_of(office, laptop, **environ)["user"] == "reviewer-bot"
    as_lena = office.hoopx("whoami", "-o", "json", "--account", "lena", who=laptop, **environ)
    assert json.loads(as_lena.fine().out)["user"] == "lena"
