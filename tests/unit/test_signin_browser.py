"""Logging in by a browser on this machine: the one answer that belongs to it counts, and nothing else does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import jwt
import pytest

from hoopx_broker.api import compact
from hoopx_broker.identity.proofs import read_proof
from hoopx_broker.terms.errors import ExitCode, Unauthenticated, Unreachable
from hoopx_cli.browser_signin import sign_in_by_browser
from hoopx_cli.callers import TABLES, user_of
from hoopx_cli.keyring import Login
from hoopx_cli.loopback import MAX_CONNECTIONS
from tests.unit.signin_stage import START, TLS, Script, scripted, token

Answered = dict[str, str]


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as playing:
        yield playing


class Visit:
    """A person's browser, sent to the provider with `asked`, and back with what the provider says."""

    def __init__(self, script: Script, url: str) -> None:
        self.script = script
        self.url = url
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self.back = self.asked["redirect_uri"]

    def comes_back(self, **said: str) -> httpx2.Response:
        return self.opens(f"{self.back}?{urlencode({'state': self.asked['state'], **said})}")

    def opens(self, url: str, **headers: str) -> httpx2.Response:
        return httpx2.get(url, headers=headers, trust_env=False, timeout=10)

    def id_token(self, **other: object) -> str:
        claims = {"iss": self.script.url, "aud": "hoopx-cli", "nonce": self.asked["nonce"], "exp": START + 600} | other
        return jwt.encode({name: value for name, value in claims.items() if value is not None}, "k" * 32)

    def gives(self, **other: object) -> None:
        answer: dict[str, Any] = {"access_token": token(), "id_token": self.id_token(), "refresh_token": "r-1"}
        self.script.token_answers = [(200, {name: said for name, said in (answer | other).items() if said is not None})]


def log_in(script: Script, act: Callable[[Visit], object], patience: float = 20.0) -> Login:
    """What `act` does happens beside the login, as in life; a failure of its own fails the test."""
    failed: list[BaseException] = []
    acting: list[threading.Thread] = []

    def show(url: str) -> None:
        visit = Visit(script, url)

        def run() -> None:
            try:
                act(visit)
            except BaseException as error:
                failed.append(error)

        acting.append(threading.Thread(target=run))
        acting[0].start()

    try:
        return sign_in_by_browser(script.asks(), TLS, show, script.clock, patience)
    finally:
        for thread in acting:
            thread.join(20)
        assert failed == []


def allow(visit: Visit, **said: str) -> None:
    visit.gives()
    assert visit.comes_back(code="the-code", **said).status_code == 200


def seen(visit: Visit, visits: list[Visit]) -> Visit:
    visits.append(visit)
    return visit


def test_the_browser_comes_back_and_the_person_is_logged_in(script: Script) -> None:
    login = log_in(script, allow)
    assert login.bearer.reveal() == token()
    assert login.refresh is not None
    assert login.key is not None


def test_the_provider_is_asked_by_all_that_protects_a_code(script: Script) -> None:
    script.takes_proofs()
    visits: list[Visit] = []

    def act(visit: Visit) -> None:
        visits.append(visit)
        allow(visit)

    log_in(script, act)
    [visit], [spent] = visits, script.forms("/token")
    assert visit.url.startswith(f"{script.url}/authorize?")
    assert visit.asked["response_type"] == "code"
    assert visit.asked["scope"] == "openid offline_access"
    assert visit.asked["code_challenge_method"] == "S256"
    assert visit.asked["code_challenge"] == compact.challenge(spent["code_verifier"])
    assert len(spent["code_verifier"]) >= 43
    assert (spent["code"], spent["redirect_uri"]) == ("the-code", visit.back)
    assert script.proofs[0] is not None
    proof = read_proof(script.proofs[0], "POST", lambda url: url == f"{script.url}/token", None, script.now)
    assert visit.asked["dpop_jkt"] == proof.thumbprint
    assert not {spent["code_verifier"], script.proofs[0]} & set(visit.asked.values())


def test_two_logins_share_no_secret(script: Script) -> None:
    visits: list[Visit] = []
    for _ in range(2):
        log_in(script, lambda visit: allow(seen(visit, visits)))
    one, two = visits
    assert not {one.asked[name] for name in ("state", "nonce", "code_challenge")} & set(two.asked.values())


def test_a_query_that_the_provider_has_in_its_address_stays(script: Script) -> None:
    script.metadata["authorization_endpoint"] += "?tenant=7"
    visits: list[Visit] = []
    log_in(script, lambda visit: allow(seen(visit, visits)))
    assert visits[0].asked["tenant"] == "7"


def test_the_page_that_remains_holds_no_secret_and_runs_nothing(script: Script) -> None:
    pages: list[httpx2.Response] = []

    def act(visit: Visit) -> None:
        visit.gives()
        pages.append(visit.comes_back(code="<script>alert(1)</script>"))

    log_in(script, act)
    [page] = pages
    assert "close this page" in page.text
    assert "script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"


# --- what the provider may say ----------------------------------------------------------------------------------


def test_a_person_who_says_no_is_not_logged_in(script: Script) -> None:
    with pytest.raises(Unauthenticated, match="declined") as told:
        log_in(script, lambda visit: visit.comes_back(error="access_denied"))
    assert told.value.exit_code is ExitCode.LOG_IN_FIRST
    assert script.forms("/token") == []


def test_a_providers_error_is_told_on_the_terminal_in_harmless_words_and_not_on_the_page(script: Script) -> None:
    def act(visit: Visit) -> None:
        page = visit.comes_back(error="server_error", error_description="\x1b[31mbroken <b>thing</b>")
        assert "The terminal says why" in page.text
        assert "broken" not in page.text

    with pytest.raises(Unauthenticated, match="broken") as told:
        log_in(script, act)
    assert told.value.message.isprintable()


def test_a_code_that_the_provider_does_not_take_ends_the_login(script: Script) -> None:
    script.token_answers = [(400, {"error": "invalid_grant"})]
    with pytest.raises(Unreachable, match="invalid_grant"):
        log_in(script, lambda visit: visit.comes_back(code="stolen"))


def test_nobody_comes_back_and_the_login_ends(script: Script) -> None:
    with pytest.raises(Unauthenticated, match="in time"):
        log_in(script, lambda visit: None, patience=0.2)


def test_a_provider_without_a_page_to_log_in_at_is_named(script: Script) -> None:
    del script.metadata["authorization_endpoint"]
    with pytest.raises(Unreachable, match="without --browser"):
        log_in(script, allow)


@pytest.mark.parametrize("url", ["http://evil.example/authorize", "javascript:alert(1)", "https://e.example/\x1b"])
def test_a_page_that_is_not_safe_is_never_opened(script: Script, url: str) -> None:
    script.metadata["authorization_endpoint"] = url
    with pytest.raises(Unreachable):
        log_in(script, allow)


# --- attacks: mix-up, injection, replay -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("announced", "said", "is_believed"),
    [
        (True, {"iss": "THE PROVIDER"}, True),
        (False, {"iss": "THE PROVIDER"}, True),
        (False, {}, True),
        (True, {}, False),
        (True, {"iss": "https://evil.example"}, False),
        (False, {"iss": "https://evil.example"}, False),
    ],
)
def test_the_answer_of_another_provider_is_not_taken_to_this_one(
    script: Script, announced: bool, said: dict[str, str], is_believed: bool
) -> None:
    script.metadata["authorization_response_iss_parameter_supported"] = announced
    told = {name: script.url if value == "THE PROVIDER" else value for name, value in said.items()}
    if is_believed:
        assert log_in(script, lambda visit: allow(visit, **told)).bearer.reveal() == token()
        return
    with pytest.raises(Unreachable, match="another provider"):
        log_in(script, lambda visit: allow(visit, **told))
    assert script.forms("/token") == []


@pytest.mark.parametrize(
    "other",
    [{"nonce": "another login's"}, {"nonce": None}, {"iss": "https://evil.example"}, {"aud": "another-client"}],
)
def test_an_id_token_of_another_login_is_refused(script: Script, other: dict[str, object]) -> None:
    def act(visit: Visit) -> None:
        visit.gives(id_token=visit.id_token(**other))
        visit.comes_back(code="the-code")

    with pytest.raises(Unreachable, match="not for this login"):
        log_in(script, act)


@pytest.mark.parametrize("missing", [None, "", 5, "a.b.c"])
def test_without_an_id_token_nobody_is_logged_in(script: Script, missing: object) -> None:
    def act(visit: Visit) -> None:
        visit.gives(id_token=missing)
        visit.comes_back(code="the-code")

    with pytest.raises(Unreachable, match="not for this login"):
        log_in(script, act)


# --- attacks on the port ----------------------------------------------------------------------------------------


def foreign(visit: Visit) -> Iterator[httpx2.Response]:
    """What other programs of this machine, and pages of other sites, may send to the port."""
    state, back = visit.asked["state"], visit.back
    yield visit.opens(back)
    yield visit.opens(f"{back}?code=evil")
    yield visit.opens(f"{back}?code=evil&state=guessed")
    yield visit.opens(f"{back}?code=evil&state={state[:-1]}")
    yield visit.opens(f"{back}?error=access_denied&state=guessed")
    yield visit.opens(f"{back}?error=access_denied")
    yield visit.opens(f"{back}?state={state}")
    yield visit.opens(f"{back}?code=evil&state={state}&state=other")
    yield visit.opens(f"{back}?code=evil&code=evil2&state={state}")
    yield visit.opens(f"{back}/../callback2?code=evil&state={state}")
    yield visit.opens(f"{back}?code={'x' * 20_000}&state={state}")
    yield visit.opens(f"{back}?{'&'.join(f'a{at}=1' for at in range(100))}&code=evil&state={state}")
    yield visit.opens(f"{back}?code=evil&state={state}", Host="evil.example")
    yield httpx2.post(back, data={"code": "evil", "state": state}, trust_env=False)
    yield httpx2.head(f"{back}?code=evil&state={state}", trust_env=False)


def test_requests_of_others_neither_end_nor_confuse_the_login(script: Script) -> None:
    def act(visit: Visit) -> None:
        for answer in foreign(visit):
            assert answer.status_code >= 400
        assert script.forms("/token") == []
        allow(visit)

    assert log_in(script, act).bearer.reveal() == token()
    assert [form["code"] for form in script.forms("/token")] == ["the-code"]


@pytest.mark.skipif(os.geteuid() != 0 or not TABLES[0].exists(), reason="needs root, to be another user, and Linux")
def test_another_user_of_this_machine_is_not_heard_even_with_the_secret_of_the_login(script: Script) -> None:
    """The command line of a browser shows everybody its address: with `state` and challenge one could log us in as
    oneself, and read what we write then."""
    ask = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket(); s.connect((b'127.0.0.1', int(sys.argv[1]))); "
        "s.sendall(sys.argv[2].encode()); print(s.recv(1000))"
    )

    def act(visit: Visit) -> None:
        visit.gives()
        where = urlsplit(visit.back)
        target = f"{where.path}?{urlencode({'state': visit.asked['state'], 'code': 'evil'})}"
        request = f"GET {target} HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n"
        command = [sys.executable, "-c", ask, str(where.port), request]
        other = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert "404" in other.stdout, other.stderr
        assert visit.comes_back(code="the-code").status_code == 200

    log_in(script, act)
    assert [form["code"] for form in script.forms("/token")] == ["the-code"]


def test_the_system_tells_whose_a_connection_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as caller:
        told = user_of(caller.getsockname(), server.getsockname())
        assert told == (os.getuid() if TABLES[0].exists() else None)
        nobodys = caller.getsockname()[0], server.getsockname()[1]
        assert user_of(nobodys, server.getsockname()) == (-1 if TABLES[0].exists() else None)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_a_caller_by_a_mapped_address_is_found_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET6) as caller:
        caller.connect(("::ffff:127.0.0.1", server.getsockname()[1]))
        told = user_of(("127.0.0.1", caller.getsockname()[1]), server.getsockname())
        assert told == (os.getuid() if TABLES[0].exists() else None)


@pytest.mark.parametrize(
    "rubbish", [b"", b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 100_000]
)
def test_rubbish_on_the_port_changes_nothing(script: Script, rubbish: bytes) -> None:
    def act(visit: Visit) -> None:
        where = urlsplit(visit.back)
        with (
            socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=5) as line,
            suppress(OSError),
        ):
            line.sendall(rubbish)
            line.shutdown(socket.SHUT_WR)
            line.recv(100_000)
        allow(visit)

    assert log_in(script, act).bearer.reveal() == token()


def test_connections_that_say_nothing_do_not_keep_the_browser_out(script: Script) -> None:
    """Browsers themselves open some ahead of need."""

    def act(visit: Visit) -> None:
        where = urlsplit(visit.back)
        idle = [socket.create_connection((str(where.hostname), int(where.port or 0))) for _ in range(8)]
        try:
            allow(visit)
        finally:
            for line in idle:
                line.close()

    assert log_in(script, act).bearer.reveal() == token()


def test_however_many_connections_are_opened_only_so_many_are_held(script: Script) -> None:
    def act(visit: Visit) -> None:
        where = urlsplit(visit.back)
        before = threading.active_count()
        with ExitStack() as idle:
            for _ in range(3 * MAX_CONNECTIONS):
                with suppress(OSError):
                    idle.enter_context(socket.create_connection((str(where.hostname), int(where.port or 0)), 0.2))
            time.sleep(0.5)
            assert threading.active_count() - before <= MAX_CONNECTIONS
        _until_it_is_let_in(visit)

    assert log_in(script, act).bearer.reveal() == token()


def test_the_port_is_only_on_loopback_and_closed_afterwards(script: Script) -> None:
    visits: list[Visit] = []
    log_in(script, lambda visit: allow(seen(visit, visits)))
    where = urlsplit(visits[0].back)
    assert where.hostname == "127.0.0.1"
    with pytest.raises(OSError):  # noqa: PT011 - whichever error the system has for a closed port
        HTTPConnection("127.0.0.1", where.port or 0, timeout=2).connect()


def _until_it_is_let_in(visit: Visit) -> None:
    visit.gives()
    for _ in range(100):
        with suppress(httpx2.HTTPError):
            if visit.comes_back(code="the-code").status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError("the browser was never let in")
