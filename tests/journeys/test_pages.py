"""Requests answered in a real browser without scripts, by people of the broker itself and of an organisation."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from hoopx_broker.daemon.pages.paper import VISIT
from tests.journeys.stage import Stage, playing, running
from tests.peers import clients
from tests.peers.chromium import Chromium, chromium
from tests.peers.oidc import PASSWORD
from tests.peers.postgres import Postgres
from tests.peers.processes import closed_port
from tests.peers.upstreams import OIDC_CLIENT, OIDC_SECRET, OidcUpstream, oidc_upstream

PHONE, DESK = (360, 740), (1100, 800)
RULE = """
@id("payments-need-a-dba")
@message("a payment is deleted only with a second pair of eyes")
@approvers("dba")
@quorum("1")
forbid (principal, action == Action::"delete", resource is Table)
when { resource.name == "payments" }
unless { context.approvals.contains("dba") };
"""
# Deletes nothing, whoever agrees.
DELETION = "DELETE FROM payments WHERE id = -1 /* \u202e */ -- " + "a line that no telephone shows at once " * 4


class Office(Stage):
    """A broker where people sign in by passwords of its own or at their provider, which knows its port before."""

    def __init__(self, home: Path, postgres: Postgres, port: int, provider: OidcUpstream) -> None:
        self.port, self.provider = port, provider
        super().__init__(home, postgres)
        (self.home / "policies" / "90-payments.cedar").write_text(RULE)

    def configuration(self) -> str:
        self._secret("page-secret", OIDC_SECRET)
        text = super().configuration().replace("127.0.0.1:0", f"127.0.0.1:{self.port}")
        people = f"""\
      ann: {{password: {PASSWORD}, groups: [developers]}}
      dora: {{password: {PASSWORD}, groups: [dba]}}
  - issuer: {self.provider.url}
    client_id: hoopx-cli
    audience: hoopx
    claims: {{user: email, groups: groups}}
    page: {{name: Example Corp, client_id: {OIDC_CLIENT}, client_secret: file:page-secret}}
"""
        return text.replace("targets:\n", people + "targets:\n")

    def page(self, request: str) -> str:
        return f"{self.url}/requests/{request}"


@pytest.fixture(scope="module")
def office(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    port = closed_port()
    home = tmp_path_factory.mktemp("pages")
    with (
        oidc_upstream(f"https://127.0.0.1:{port}/login/example-corp/callback") as provider,
        playing(Office(home, postgres, port, provider)) as played,
    ):
        yield played


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium(tmp_path_factory.mktemp("browser"), scripts=False) as window:
        yield window


def sign_in(browser: Chromium, who: str) -> None:
    browser.press('form[action="/login/embedded"] button')
    browser.type("#user", who)
    browser.type("#password", PASSWORD)
    browser.press("button")


def log_out(browser: Chromium) -> None:
    browser.press(".out button")
    browser.shows("You are logged out")


def fits(browser: Chromium, home: Path, name: str) -> None:
    """On a desk by day and on a telephone by night; the pictures are for people to look at."""
    for size, dark in ((DESK, False), (PHONE, True)):
        browser.has(*size, dark=dark)
        assert browser.breadth <= size[0]
        browser.photograph(home / f"{name}-{size[0]}-{'dark' if dark else 'light'}.png")


def test_psql_goes_on_when_somebody_agrees_on_their_telephone(
    office: Office, browser: Chromium, tmp_path: Path
) -> None:
    browser.has(*PHONE)
    with running(office, "exec", "shop-dev", "--", *clients.psql(DELETION, "SELECT 'went on'")) as command:
        request = command.says(r"\b(r_[0-9a-z]{10})\b").group(1)
        browser.open(office.page(request))
        sign_in(browser, "dora")
        browser.shows("DELETE FROM payments WHERE id = -1")
        browser.shows("RIGHT-TO-LEFT OVERRIDE")
        fits(browser, tmp_path, "statement")
        browser.type("#comment", "<b>seen</b>")
        browser.press("button.yes")
        browser.shows("&lt;b&gt;seen&lt;/b&gt;")
        assert "went on" in command.end().fine().out
    assert browser.url == office.page(request)
    [shown] = office.listed("requests", "show", request)
    assert (shown["state"], shown["ballots"][0]["comment"]) == ("used", "<b>seen</b>")
    assert browser.refused() == []


def test_the_cookie_opens_pages_and_no_call_of_the_api(office: Office, browser: Chromium) -> None:
    browser.open(f"{office.url}/requests")
    browser.shows("Wait for you")
    [cookie] = [each for each in browser.cookies if each["name"] == VISIT]
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["path"]) == (True, True, "Lax", "/")
    with httpx2.Client(verify=tls_of(office), cookies={VISIT: cookie["value"]}, trust_env=False) as caller:
        assert caller.get(f"{office.url}/requests").status_code == 200
        for path in ("whoami", "requests", "sessions", "targets"):
            assert caller.get(f"{office.url}/v1/{path}").status_code == 401
    log_out(browser)


def test_nobody_agrees_to_their_own_and_an_end_is_told_as_one(office: Office, browser: Chromium) -> None:
    request = asked(office)
    browser.open(office.page(request))
    sign_in(browser, "ann")
    browser.shows("is your own, or one that you are part of")
    assert 'value="approve"' not in browser.html
    browser.press("button.quiet")
    browser.shows("cancelled")
    assert office.hoopx("requests", "wait", request).code != 0
    log_out(browser)


def test_somebody_of_the_organisation_says_no_and_why(office: Office, browser: Chromium, tmp_path: Path) -> None:
    request = asked(office)
    browser.open(office.page(request))
    browser.press('form[action="/login/example-corp"] button')
    browser.type('input[name="login"]', "dora")
    browser.type('input[name="password"]', PASSWORD)
    browser.press("button")
    browser.press("button")  # the provider asks whether it may tell
    browser.shows("dora@example.com")
    browser.type("#comment", "not on a Friday")
    browser.press("button.no")
    browser.shows("not on a Friday")
    fits(browser, tmp_path, "denied")
    assert office.hoopx("requests", "wait", request).code == 13
    assert urlsplit(browser.url).path == f"/requests/{request}"
    assert browser.refused() == []


def test_whoever_a_message_leads_here_meets_a_page_and_who_forged_it_nobody(office: Office, browser: Chromium) -> None:
    """From another site: a link opens the page that it names (`Lax`), and a form that posts to it does nothing."""
    request = asked(office)
    browser.open(link_to(office.page(request)))
    browser.press("a")
    browser.shows("Who and why")
    browser.open(form_to(office.page(request)))
    browser.press("button")
    browser.shows("from another site")
    [shown] = office.listed("requests", "show", request)
    assert shown["state"] == "waiting"


def asked(office: Office) -> str:
    [request] = office.listed("request", "payments-prod", "--reason", "a customer asked")
    return str(request["id"])


def tls_of(office: Office) -> ssl.SSLContext:
    where = urlsplit(office.url)
    assert where.hostname is not None
    assert where.port is not None
    return ssl.create_default_context(cadata=ssl.get_server_certificate((where.hostname, where.port)))


def link_to(url: str) -> str:
    return f"data:text/html,<a href='{url}'>look</a>"


def form_to(url: str) -> str:
    fields = "<input name=answer value=approve><input name=form value=x><input name=seen value=x>"
    return f"data:text/html,<form method=post action='{url}'>{fields}<button>win</button></form>"
