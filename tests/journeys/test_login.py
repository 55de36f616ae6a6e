"""`hoopx login`: a person, a terminal that shows a code, and a browser anywhere."""

from __future__ import annotations

import re
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.journeys.stage import LENAS_PASSWORD, Running, Stage, running
from tests.peers import clients
from tests.peers.browser import Browser, Page

ALLOW, REFUSE = 0, 1  # the buttons of the last page, in their order
LOGIN_LINE = r"open (https://\S+) and type the code: (\S+)"


def test_a_person_logs_in_works_and_logs_out(stage: Stage) -> None:
    log_in(stage)
    [me] = stage.listed("whoami", who="lena")
    assert (me["kind"], me["groups"]) == ("human", ["developers"])
    assert stage.hoopx("exec", "shop-prod", "--", *clients.psql("SELECT 1"), who="lena").fine().out == "1\n"
    stage.hoopx("logout", who="lena").fine()
    assert stage.hoopx("whoami", who="lena").code == 11


def test_after_the_login_the_broker_is_remembered(stage: Stage) -> None:
    log_in(stage)
    outcome = stage.hoopx("ls", "-o", "json", who="lena", HOOPX_BROKER="", HOOPX_CA="")
    assert "shop-prod" in outcome.fine().out
    stage.hoopx("logout", who="lena").fine()


def test_tokens_are_kept_where_only_their_owner_reads(stage: Stage) -> None:
    log_in(stage)
    for path in (stage.home / "home-lena").rglob("*"):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    stage.hoopx("logout", who="lena").fine()


def test_a_wrong_password_lets_nobody_in(stage: Stage) -> None:
    with _at_the_password(stage) as (login, browser, page):
        page = browser.submit(page, {"user": "lena", "password": "wrong"})
        assert "Is this you" not in page.html
        assert login.process.poll() is None


def test_a_refused_login_ends_the_command(stage: Stage) -> None:
    with _at_the_password(stage) as (login, browser, page):
        page = browser.submit(page, {"user": "lena", "password": LENAS_PASSWORD})
        browser.submit(page, {}, button=REFUSE)
        assert login.end().code == 11


def log_in(stage: Stage, *arguments: str, **more: str) -> None:
    with _at_the_password(stage, *arguments, **more) as (login, browser, page):
        page = browser.submit(page, {"user": "lena", "password": LENAS_PASSWORD})
        assert "Is this you" in page.html
        browser.submit(page, {}, button=ALLOW)
        assert "lena" in login.end().fine().err


@contextmanager
def _at_the_password(stage: Stage, *arguments: str, **more: str) -> Iterator[tuple[Running, Browser, Page]]:
    """A login in its terminal, and a browser that has typed the code and is asked who is there."""
    with running(stage, "login", *arguments, who="lena", **more) as login, Browser(_trust(stage.url)) as browser:
        login.says(LOGIN_LINE)
        shown = re.search(LOGIN_LINE, login.err)
        assert shown is not None, "the prompt is for people: it belongs on stderr"
        yield login, browser, browser.submit(browser.open(shown.group(1)), {"user_code": shown.group(2)})


def _trust(url: str) -> ssl.SSLContext:
    """Trust in the certificate that is shown now, as of a person who compared its fingerprint."""
    where = urlsplit(url)
    assert where.hostname is not None
    assert where.port is not None
    return ssl.create_default_context(cadata=ssl.get_server_certificate((where.hostname, where.port)))
