"""Keys found by discovery: what is believed, for how long, and what a hostile provider cannot do."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from hoopx_broker.identity import documents
from hoopx_broker.identity.discovery import FRESH, MAX_AGE, PAUSE, OnlineKeys, read_metadata
from hoopx_broker.identity.documents import MAX_DOCUMENT, checked_url, fetcher
from hoopx_broker.identity.verify import Gate, Trust
from hoopx_broker.terms.errors import BadInput, Unauthenticated, Unreachable
from tests.unit.identity_stage import KEYS, RSA_KEY, URL, claims, human, jwk, jwks, signed

NEW_KEY = rsa.generate_private_key(65537, 2048)


class Provider:
    """A provider on a held clock: what it publishes, and every call it heard."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.keys = KEYS
        self.metadata: dict[str, Any] = {"issuer": URL, "jwks_uri": URL + "/keys"}
        self.is_down = False
        self.heard: list[str] = []
        self.online = OnlineKeys(URL, self.fetch, lambda: self.now)

    async def fetch(self, url: str) -> bytes:
        self.heard.append(url)
        await asyncio.sleep(0)
        if self.is_down:
            raise Unreachable("down")
        return self.keys if url.endswith("/keys") else msgspec.json.encode(self.metadata)

    def knows(self, kid: str, after: float = 0) -> bool:
        self.now += after
        return asyncio.run(self.online.find(kid, "RS256")) is not None


def test_keys_are_found_by_discovery_and_asked_for_once() -> None:
    provider = Provider()
    assert provider.knows("r1")
    assert provider.knows("r1", after=FRESH - 1)
    assert provider.heard == [URL + "/.well-known/openid-configuration", URL + "/keys"]


def test_a_new_key_is_taken_when_a_token_names_it() -> None:
    provider = Provider()
    assert provider.knows("r1")
    provider.keys = jwks(jwk(RSA_KEY, "r1"), jwk(NEW_KEY, "r2"))
    assert provider.knows("r2", after=PAUSE)


def test_a_withdrawn_key_is_forgotten_within_its_freshness() -> None:
    provider = Provider()
    assert provider.knows("r1")
    provider.keys = jwks(jwk(NEW_KEY, "r2"))
    assert not provider.knows("r1", after=FRESH)


def test_a_storm_of_unknown_key_ids_makes_one_call() -> None:
    provider = Provider()
    assert provider.knows("r1")
    provider.now += PAUSE

    async def storm() -> None:
        found = await asyncio.gather(*(provider.online.find(f"made-up-{n}", "RS256") for n in range(200)))
        assert found == [None] * 200

    asyncio.run(storm())
    assert len(provider.heard) == 4


def test_a_provider_that_is_down_is_not_hammered() -> None:
    provider = Provider()
    provider.is_down = True
    for _ in range(50):
        with pytest.raises(Unreachable):
            provider.knows("r1")
    assert len(provider.heard) == 1


def test_a_short_outage_locks_nobody_out_and_a_long_one_fails_closed() -> None:
    provider = Provider()
    assert provider.knows("r1")
    provider.is_down = True
    assert provider.knows("r1", after=MAX_AGE - 1)
    with pytest.raises(Unreachable):
        provider.knows("r1", after=1)
    provider.is_down = False
    assert provider.knows("r1", after=PAUSE)


def test_a_provider_that_starts_to_publish_rubbish_counts_as_down() -> None:
    provider = Provider()
    assert provider.knows("r1")
    provider.keys = b'{"keys": []}'
    assert provider.knows("r1", after=FRESH)
    with pytest.raises(Unreachable):
        provider.knows("r1", after=MAX_AGE)


def test_a_gate_tells_nobody_that_its_provider_is_down() -> None:
    provider = Provider()
    provider.is_down = True
    notes: list[str] = []
    gate = Gate([Trust(human(jwks=None), provider.online)], lambda: provider.now, notes.append)
    with pytest.raises(Unauthenticated, match="this token is not accepted"):
        asyncio.run(gate.who(signed(claims())))
    assert "are not known" in notes[0]


def test_strangers_tokens_make_no_call_at_all() -> None:
    provider = Provider()
    gate = Gate([Trust(human(jwks=None), provider.online)], lambda: provider.now, lambda _: None)
    for said in (claims(iss="https://evil.example"), claims(aud="other")):
        with pytest.raises(Unauthenticated):
            asyncio.run(gate.who(signed(said)))
    assert provider.heard == []


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"issuer": URL + "/", "jwks_uri": URL + "/k"}, "another issuer"),
        ({"issuer": "https://evil.example", "jwks_uri": URL + "/k"}, "another issuer"),
        ({"issuer": URL, "jwks_uri": "http://login.example.com/k"}, "not an https URL"),
        ({"issuer": URL, "jwks_uri": "file:///etc/passwd"}, "not a URL"),
        ({"issuer": URL, "jwks_uri": "http://127.0.0.1:9/k"}, "into this machine"),
        ({"issuer": URL, "jwks_uri": "https://[::1]/k"}, "into this machine"),
        ({"issuer": URL}, "cannot be read"),
        ({"issuer": [URL], "jwks_uri": URL}, "cannot be read"),
        ([], "cannot be read"),
    ],
)
def test_a_discovery_document_speaks_of_its_issuer_and_points_to_https(metadata: object, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        read_metadata(msgspec.json.encode(metadata), URL)


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com",
        "https://",
        "https://user:pw@login.example.com",
        "https://user@login.example.com",
        "https://login.example.com/#x",
        "https://login.example.com:99999",
        "https://[::1",
        "ftp://127.0.0.1/",
        "https://l\u043egin.example.com",
        "https://a.example/\n",
        "http://localhost.evil.example/",
        "",
        None,
    ],
)
def test_an_issuer_that_is_no_https_url_stops_the_start(url: object) -> None:
    with pytest.raises(BadInput, match="URL"):
        checked_url(url, "issuer")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/a", "http://[::1]:1", "http://localhost:3", "https://a.example"]
)
def test_plain_http_is_for_loopback(url: str) -> None:
    assert checked_url(url, "issuer") == url


# --- fetching, over a real socket -------------------------------------------------------------------------------


@contextmanager
def server(answer: bytes, status: int = 200, **headers: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: the test's own assertions speak."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/keys"
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def fetched(url: str) -> bytes:
    return asyncio.run(fetch_later(url))


async def fetch_later(url: str) -> bytes:
    return await fetcher(None)(url)


def test_a_document_is_fetched() -> None:
    with server(KEYS) as url:
        assert fetched(url) == KEYS


def test_a_giant_document_is_not_read_to_its_end() -> None:
    with server(b" " * (MAX_DOCUMENT + 1)) as url, pytest.raises(Unreachable, match="more than"):
        fetched(url)


def test_a_compressed_document_is_refused_before_it_can_swell() -> None:
    with server(gzip.compress(b" " * 10_000_000), content_encoding="gzip") as url, pytest.raises(Unreachable):
        fetched(url)


@pytest.mark.parametrize("status", [301, 302, 307, 404, 500])
def test_a_redirect_or_an_error_is_no_document(status: int) -> None:
    with server(KEYS, status, location="http://127.0.0.1:1/") as url, pytest.raises(Unreachable, match=str(status)):
        fetched(url)


def test_a_provider_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_SECONDS", 0.2)

    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unreachable, match="cannot be had"):
        fetched(f"http://127.0.0.1:{silent.getsockname()[1]}/keys")


def test_a_provider_that_is_not_there_is_unreachable() -> None:
    with server(b"") as url:
        pass
    with pytest.raises(Unreachable, match="ConnectError"):
        fetched(url)


@pytest.mark.parametrize("back", [1.0, 3600.0, 86_400.0])
def test_a_clock_that_was_set_back_keeps_no_withdrawn_key_alive_and_no_new_one_out(back: float) -> None:
    provider = Provider()
    assert provider.knows("r1")
    provider.keys = jwks(jwk(NEW_KEY, "r2"))
    assert provider.knows("r2", after=-back)
    assert not provider.knows("r1")
    calls = len(provider.heard)
    assert not provider.knows("r1", after=PAUSE - 1)
    assert len(provider.heard) == calls  # and strangers make no more calls than before
