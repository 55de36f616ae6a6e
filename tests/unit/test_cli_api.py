"""Asking the broker, and what answers in its place: every strange answer is one clear error."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from hoopx_broker.api.messages import AskFor, Refusal, RequestView, SessionView, TargetView, WhoAmI
from hoopx_broker.api.proof import ProofKey
from hoopx_broker.terms.errors import Denied, HoopxError, Unreachable
from hoopx_broker.terms.secret import Secret
from hoopx_cli import api as room
from hoopx_cli import trust
from hoopx_cli.api import Api
from hoopx_cli.credential import Credential
from hoopx_cli.settings import Settings
from tests.peers.certificates import Authority

ME = WhoAmI("ann", "human", ("developers",), "https://issuer")
WAITING = RequestView("r_1", "waiting", "session", "prod-db", "ann", "why", "", 0, (), {"dba": 1}, 1, 2)


class HttpDouble:
    """A double of the broker's API over real TLS: `answer` gives status, headers and body."""

    def __init__(self, folder: Path) -> None:
        authority = Authority.make("double")
        self.ca = authority.write(folder / "ca.pem")
        self.heard: list[tuple[str, str, str, bytes]] = []
        self.answer: Callable[[str], tuple[int, dict[str, str], bytes]] = lambda path: (404, {}, b"")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.write_server(folder))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"

    def says(self, value: object, status: int = 200) -> None:
        body = msgspec.json.encode(value)
        self.answer = lambda path: (status, {"Content-Length": str(len(body))}, body)

    @contextmanager
    def running(self) -> Iterator[HttpDouble]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join(10)
            self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                double.heard.append((self.command, self.path, self.headers.get("Authorization", ""), body))
                status, headers, answer = double.answer(self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            do_POST = do_GET

            def log_message(self, *args: object) -> None:
                """Tests read `heard`."""

        return Handler


@pytest.fixture
def double(tmp_path: Path) -> Iterator[HttpDouble]:
    with HttpDouble(tmp_path).running() as running:
        yield running


KEY = ProofKey.create()


def asking(double: HttpDouble, home: Path) -> Api:
    settings = Settings(double.url, str(double.ca), home)
    return Api(settings, trust.context(settings), lambda: Credential(Secret("t0ken"), KEY, "Bearer"))


def test_the_token_travels_in_a_header_and_never_in_the_address(double: HttpDouble, tmp_path: Path) -> None:
    double.says(ME)
    assert asking(double, tmp_path).whoami() == ME
    [(method, path, authorization, _)] = double.heard
    assert (method, path, authorization) == ("GET", "/v1/whoami", "Bearer t0ken")


def test_about_is_asked_without_a_token(double: HttpDouble, tmp_path: Path) -> None:
    double.says({"version": "1", "evidence_key": "k", "news": "from a newer broker"})
    assert asking(double, tmp_path).about().evidence_key == "k"
    assert double.heard[0][2] == ""


def test_names_cannot_climb_out_of_their_path(double: HttpDouble, tmp_path: Path) -> None:
    double.says(TargetView("x", "postgres", "allowed"))
    asking(double, tmp_path).target("../sessions/s_1/kill?x=#y")
    assert double.heard[0][1] == "/v1/targets/..%2Fsessions%2Fs_1%2Fkill%3Fx%3D%23y"


def test_a_name_with_line_ends_cannot_smuggle_a_header(double: HttpDouble, tmp_path: Path) -> None:
    double.says(TargetView("x", "postgres", "allowed"))
    asking(double, tmp_path).target("x HTTP/1.1\r\nX-Evil: 1\r\n\r\n")
    assert "\r" not in double.heard[0][1]


def test_an_order_is_sent_as_json(double: HttpDouble, tmp_path: Path) -> None:
    double.says(WAITING)
    assert asking(double, tmp_path).ask(AskFor("prod-db", "why")) == WAITING
    assert msgspec.json.decode(double.heard[0][3], type=AskFor).reason == "why"


def test_lists_are_asked_with_their_filters_only(double: HttpDouble, tmp_path: Path) -> None:
    double.says({"sessions": [SessionView("s_1", "ann", "prod-db", "open", 1)]})
    assert asking(double, tmp_path).sessions(5, target="a&b=c").sessions[0].id == "s_1"
    assert double.heard[0][1] == "/v1/sessions?target=a%26b%3Dc&limit=5"


def test_a_refusal_keeps_its_words(double: HttpDouble, tmp_path: Path) -> None:
    double.says({"error": Refusal("not yours", "ask ann", 10)}, 403)
    with pytest.raises(Denied) as caught:
        asking(double, tmp_path).kill("s_1")
    assert (caught.value.message, caught.value.hint) == ("not yours", "ask ann")


def test_a_redirect_is_not_followed_with_the_token(double: HttpDouble, tmp_path: Path) -> None:
    double.answer = lambda path: (302, {"Location": double.url + "/elsewhere", "Content-Length": "0"}, b"")
    with pytest.raises(Unreachable):
        asking(double, tmp_path).whoami()
    assert len(double.heard) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"7", b'{"user": 7}', b"\xff\xfe", b'{"user":'])
def test_an_answer_that_is_no_answer_is_said(double: HttpDouble, tmp_path: Path, body: bytes) -> None:
    double.answer = lambda path: (200, {"Content-Length": str(len(body))}, body)
    with pytest.raises(HoopxError, match="cannot be read"):
        asking(double, tmp_path).whoami()


def test_an_endless_answer_is_cut(double: HttpDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_ANSWER", 1000)
    double.answer = lambda path: (200, {}, b" " * 100_000)
    with pytest.raises(HoopxError, match="too large"):
        asking(double, tmp_path).whoami()


def test_a_recording_comes_piece_by_piece_and_whole(double: HttpDouble, tmp_path: Path) -> None:
    whole = bytes(range(256)) * 4000
    double.answer = lambda path: (200, {"Content-Length": str(len(whole))}, whole)
    pieces: list[bytes] = []
    asking(double, tmp_path).recording("s_1", pieces.append)
    assert b"".join(pieces) == whole
    assert len(pieces) > 1


def test_a_recording_that_breaks_off_is_no_recording(double: HttpDouble, tmp_path: Path) -> None:
    double.answer = lambda path: (200, {"Content-Length": "1000"}, b"only this")
    with pytest.raises(Unreachable):
        asking(double, tmp_path).recording("s_1", lambda piece: None)


def test_a_sink_that_fails_is_not_taken_for_a_broker_that_does(double: HttpDouble, tmp_path: Path) -> None:
    double.answer = lambda path: (200, {"Content-Length": "4"}, b"data")

    def full(piece: bytes) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        asking(double, tmp_path).recording("s_1", full)


def test_waiting_is_bounded_by_one_long_poll(double: HttpDouble, tmp_path: Path) -> None:
    double.says(WAITING)
    asking(double, tmp_path).request("r_1", wait=100_000)
    assert double.heard[0][1] == f"/v1/requests/r_1?wait={room.LONGEST_POLL_SECONDS}"
