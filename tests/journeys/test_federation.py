"""`hoopx login` at a broker whose people log in at their organisations' providers, real ones of both kinds."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.journeys.stage import Running, Stage, playing, running
from tests.peers.browser import Browser, Page
from tests.peers.chromium import chromium
from tests.peers.oidc import PASSWORD
from tests.peers.postgres import Postgres
from tests.peers.processes import closed_port
from tests.peers.upstreams import (
    OIDC_CLIENT,
    OIDC_SECRET,
    OidcUpstream,
    SamlUpstream,
    oidc_upstream,
    saml_upstream,
)

LOGIN_LINE = r"open (https://\S+) and type the code: (\S+)"
OIDC, SAML = "example-corp", "old-corp"


class Office(Stage):
    """A broker on a port that its providers know before it starts, with two upstreams and nobody of its own."""

    def __init__(self, home: Path, postgres: Postgres, port: int, oidc: OidcUpstream, saml: SamlUpstream) -> None:
        self.port, self.oidc, self.saml = port, oidc, saml
        super().__init__(home, postgres)

    def configuration(self) -> str:
        (self.home / "old-corp.xml").write_text(self.saml.metadata())
        self._secret("oidc-secret", OIDC_SECRET)
        text = super().configuration().replace("127.0.0.1:0", f"127.0.0.1:{self.port}")
        people = f"""\
identity:
  - kind: embedded
    upstream:
      - name: Example Corp
        kind: oidc
        issuer: {self.oidc.url}
        client_id: {OIDC_CLIENT}
        client_secret: file:oidc-secret
        claims: {{user: email, groups: groups}}
        domains: [example.com]
      - name: Old Corp
        kind: saml
        metadata: old-corp.xml
        claims: {{user: email, groups: groups}}
        domains: [old-corp.example]
"""
        return text[: text.index("identity:")] + people + text[text.index("targets:") :]

    @property
    def tls(self) -> ssl.SSLContext:
        where = urlsplit(self.url)
        assert where.hostname is not None
        assert where.port is not None
        return ssl.create_default_context(cadata=ssl.get_server_certificate((where.hostname, where.port)))


@pytest.fixture(scope="module")
def office(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    port = closed_port()
    back = f"https://127.0.0.1:{port}/oidc/upstream/{OIDC}/callback"
    with oidc_upstream(back) as oidc, saml_upstream() as saml:
        home = tmp_path_factory.mktemp("federation")
        with playing(Office(home, postgres, port, oidc, saml)) as played:
            yield played


@contextmanager
def at_the_choice(office: Office, who: str) -> Iterator[tuple[Running, Browser, Page]]:
    """A login in its terminal, and a browser that has typed the code and sees where one may log in."""
    with running(office, "login", who=who) as login, Browser(office.tls) as browser:
        login.says(LOGIN_LINE)
        shown = re.search(LOGIN_LINE, login.err)
        assert shown is not None
        yield login, browser, browser.submit(browser.open(shown.group(1)), {"user_code": shown.group(2)})


def through(browser: Browser, page: Page, slug: str, person: str, variant: str = "honest") -> Page:
    """Choose a provider and go through its pages, to the page of the broker behind them."""
    [form] = [each for each in page.forms if each.action.endswith(f"/{slug}")]
    page = browser.submit(page, {}, form=form)
    while page.form is not None and "/oidc/device" not in page.form.action:
        page = browser.submit(page, {"login": person, "password": PASSWORD, "variant": variant})
    return page


@pytest.mark.parametrize(
    ("slug", "user"), [(OIDC, "dora@example.com"), (SAML, "dora@old-corp.example")], ids=["oidc", "saml"]
)
def test_a_person_logs_in_through_their_organisation(office: Office, slug: str, user: str) -> None:
    with at_the_choice(office, slug) as (login, browser, page):
        assert "password" not in page.html.lower()
        page = through(browser, page, slug, "dora")
        assert "Is this you?" in page.html
        assert user in page.html
        page = browser.submit(page, {})
        assert "You are logged in" in page.html
        assert user in login.end().fine().err
        assert not [url for url in browser.visited if "dora" in url or PASSWORD in url]
    [me] = office.listed("whoami", who=slug)
    assert (me["user"], me["kind"], sorted(me["groups"])) == (user, "human", ["dba", "developers"])
    office.hoopx("logout", who=slug).fine()


@pytest.mark.parametrize("variant", ["response", "both"])
def test_a_provider_may_sign_the_response_or_both(office: Office, variant: str) -> None:
    with at_the_choice(office, "lena") as (_, browser, page):
        assert "Is this you?" in through(browser, page, SAML, "ann", variant).html


@pytest.mark.parametrize(
    ("variant", "why"),
    [
        ("unsigned", "neither the response nor its assertion is signed"),
        ("sha1", "does not hold under any key"),
        ("stranger", "does not hold under any key"),
        ("audience", "its audience is"),
        ("recipient", "to be delivered to"),
        ("expired", "past its end"),
        ("unsolicited", "does not answer the request"),
        ("other_request", "does not answer the request"),
    ],
)
def test_a_dishonest_answer_of_a_saml_provider_lets_nobody_in(office: Office, variant: str, why: str) -> None:
    with at_the_choice(office, "lena") as (login, browser, page):
        page = through(browser, page, SAML, "ann", variant)
        assert page.status == 403
        assert "The answer of Old Corp is not accepted" in page.html
        assert why not in page.html
        assert why in office.broker_said()
        assert login.process.poll() is None


def test_a_saml_provider_that_says_no_is_heard(office: Office) -> None:
    with at_the_choice(office, "lena") as (_, browser, page):
        page = through(browser, page, SAML, "ann", "refuse")
        assert "Old Corp did not let you in: Responder" in page.html


def test_a_wrong_password_at_the_provider_leads_nowhere(office: Office) -> None:
    with at_the_choice(office, "lena") as (login, browser, page):
        assert "Is this you?" not in through(browser, page, SAML, "nobody").html
        assert login.process.poll() is None


def test_an_answer_that_came_by_another_browser_gets_nowhere(office: Office) -> None:
    """Somebody starts a login and lets another person's browser do the rest: neither of the two gets on."""
    with at_the_choice(office, "lena") as (login, attacker, page), Browser(office.tls) as victim:
        [form] = [each for each in page.forms if each.action.endswith(SAML)]
        there = attacker.submit(page, {}, form=form)
        page = victim.open(attacker.visited[-1])
        page = victim.submit(page, {"login": "ann", "password": PASSWORD})
        page = victim.submit(page, {})
        assert "opened in another browser" in page.html
        assert "opened in another browser" in attacker.follow(there, f"{office.url}/oidc/continue").html
        assert login.process.poll() is None


def test_an_answer_that_is_sent_again_gets_nowhere(office: Office) -> None:
    with at_the_choice(office, "lena") as (_, browser, page):
        [form] = [each for each in page.forms if each.action.endswith(SAML)]
        page = browser.submit(page, {}, form=form)
        answer = browser.submit(page, {"login": "ann", "password": PASSWORD})
        assert answer.form is not None
        assert "Is this you?" in browser.submit(answer, {}).html
        assert "opened in another browser" in browser.submit(answer, {}).html


AT_OIDC = ["form:has([value=login]) button", "form:has([value=consent]) button"]  # log in, then consent


@pytest.mark.parametrize(("slug", "presses"), [(OIDC, AT_OIDC), (SAML, ["button"])], ids=["oidc", "saml"])
def test_a_real_browser_brings_its_cookies_along(office: Office, tmp_path: Path, slug: str, presses: list[str]) -> None:
    """Which cookies go along, and whether a page may lead on, is for browsers to say. The answers come from http."""
    with running(office, "login", who=f"real-{slug}") as login, chromium(tmp_path) as browser:
        shown = login.says(LOGIN_LINE)
        browser.open(shown.group(1))
        browser.type("[name=user_code]", shown.group(2))
        browser.press("button")
        browser.press(f"form[action$='/{slug}'] button")
        browser.type("[name=login]", "dora")
        browser.type("[name=password]", PASSWORD)
        for button in presses:
            browser.press(button)
        browser.shows("Is this you?")
        assert browser.url == f"{office.url}/oidc/continue"
        browser.press("[value=allow]")
        browser.shows("You are logged in")
        assert browser.refused() == []
        assert "dora" in login.end().fine().err


def test_the_provider_s_side_is_described_for_whoever_sets_it_up(office: Office) -> None:
    with Browser(office.tls) as browser:
        page = browser.open(f"{office.url}/oidc/upstream/{SAML}/metadata")
    assert page.headers["content-type"].startswith("application/samlmetadata+xml")
    assert f'Location="{office.url}/oidc/upstream/{SAML}/callback"' in page.html
