"""`hoopx doctor` beside brokers that are gone, strange, slow or of another time, and beside odd files and variables."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pexpect
import pyte
import pytest

from hoopx_broker import __version__
from hoopx_broker.identity.claims import MAX_SKEW
from hoopx_cli.doctor import clock, examination
from hoopx_cli.doctor.findings import Checked, State
from hoopx_cli.doctor.network import STEPS, Approach
from hoopx_cli.doctor.patience import TooSlow, within
from hoopx_cli.kit import Kit
from hoopx_cli.output import Output
from hoopx_cli.settings import Settings
from hoopx_cli.trust import fingerprint_of
from tests.peers import warm
from tests.peers.certificates import Authority
from tests.peers.clients import HOOPX, Outcome

SECRETS = ("canary-token-1", "canary-client-2", "canary-password-3", "canary-job-4")


class Double:
    """A broker that tells only of itself, with the time and the version that the scene wants."""

    def __init__(self, home: Path) -> None:
        self.authority = Authority.make("double")
        certificate, key = self.authority.write_server(home)
        self.der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
        self.version, self.ahead, self.body = __version__, 0.0, ""
        self.heard: list[str] = []
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]

    def settings(self, ca: str | None = None, host: str = "127.0.0.1") -> Settings:
        return Settings(f"https://{host}:{self.port}", ca or fingerprint_of(self.der), Path("/nonexistent"))

    def _handler(double) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                double.heard.append(str(self.headers))
                body = double.body or json.dumps({"version": double.version, "evidence_key": "k"})
                self.send_response_only(200)
                self.send_header("Date", formatdate(time.time() + double.ahead, usegmt=True))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Nothing: clients that do not trust the double break off."""

        return Handler


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Double]:
    made = Double(tmp_path_factory.mktemp("double"))
    made.server.handle_error = lambda *_: None  # type: ignore[method-assign] # handshakes that are broken off
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join(30)
    made.server.server_close()


@pytest.fixture
def scene(double: Double) -> Double:
    double.version, double.ahead, double.body = __version__, 0.0, ""
    double.heard.clear()
    return double


def walked(settings: Settings, **more: Any) -> dict[str, Checked]:
    return {finding.check: finding for finding in Approach(settings, **more).walk()}


def doctor(home: Path, *arguments: str, **environ: str) -> Outcome:
    given = {"HOME": str(home), "HOOPX_HOME": str(home / "hoopx"), "PATH": os.environ["PATH"]}
    given |= {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    outcome = warm.run(("doctor", *arguments), given | environ)
    assert "Traceback" not in outcome.err
    return outcome


def checks(outcome: Outcome) -> dict[str, dict[str, Any]]:
    return {each["check"]: each for each in json.loads(outcome.out)["checks"]}


def test_a_broker_in_order_is_in_order_and_hears_no_token(scene: Double) -> None:
    found = walked(scene.settings())
    soon = {"certificate": State.WARN}  # certificates of tests hold two days
    assert {name: finding.state for name, finding in found.items()} == dict.fromkeys(STEPS, State.OK) | soon
    assert "it ends soon" in found["certificate"].found
    assert found["certificate"].facts["fingerprint"] == fingerprint_of(scene.der)
    assert len(scene.heard) == 1
    assert "Authorization" not in scene.heard[0]


def test_each_way_of_trust(scene: Double, tmp_path: Path) -> None:
    ca = str(scene.authority.write(tmp_path / "ca.pem"))
    assert f"trusted by {ca}" in walked(scene.settings(ca))["certificate"].found
    another = walked(scene.settings("sha256:" + "0" * 64))["certificate"]
    assert (another.state, another.code) == (State.FAIL, 14)
    assert "shows another certificate" in another.found
    stranger = str(Authority.make("stranger").write(tmp_path / "stranger.pem"))
    untrusted = walked(scene.settings(stranger))["certificate"]
    assert (untrusted.code, fingerprint_of(scene.der) in untrusted.mend) == (14, True)


def test_a_certificate_for_another_name_says_for_which(scene: Double, tmp_path: Path, monkeypatch: Any) -> None:
    ca = str(scene.authority.write(tmp_path / "ca.pem"))
    asked = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **named: asked("127.0.0.1", *more, **named))
    found = walked(scene.settings(ca, host="other.example.com"))
    assert "is not for `other.example.com`: it is for localhost, 127.0.0.1" in found["certificate"].found
    assert found["broker"].state is State.SKIP


def test_what_is_no_broker_is_said_to_be_none(scene: Double) -> None:
    for body in ("<html>", "[]", "{}"):
        scene.body = body
        found = walked(scene.settings())
        assert (found["broker"].state, found["broker"].code) == (State.FAIL, 14), body
        assert found["clock"].state is State.SKIP


@pytest.mark.parametrize(
    ("ahead", "state", "code"),
    [(0, State.OK, 0), (30, State.WARN, 0), (-30, State.WARN, 0), (300, State.FAIL, 11), (-300, State.FAIL, 11)],
)
def test_a_clock_is_judged_by_what_a_broker_grants(scene: Double, ahead: float, state: State, code: int) -> None:
    scene.ahead = ahead
    found = walked(scene.settings())["clock"]
    assert (found.state, found.code) == (state, code)
    assert abs(found.facts["seconds_ahead"] + ahead) < 5
    assert clock.TOLERANCE == MAX_SKEW


def test_a_newer_broker_and_a_newer_laptop(scene: Double) -> None:
    for version, older in (("99.1.0", "this hoopx"), ("0.0.1", "the broker")):
        scene.version = version
        found = walked(scene.settings())["broker"]
        assert found.state is State.WARN
        assert f"bring {older} up to date" in found.mend


@contextmanager
def _listening(attend: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                taken.append(connection)
                attend(connection)

        thread = threading.Thread(target=take)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(30)
        for connection in taken:
            connection.close()


def test_who_never_answers_is_not_waited_for() -> None:
    with _listening(lambda connection: None) as port:
        found = walked(Settings(f"https://127.0.0.1:{port}", None, Path("/nonexistent")), seconds=0.3)
    assert (found["connection"].state, found["tls"].state, found["tls"].code) == (State.OK, State.FAIL, 14)
    with pytest.raises(TooSlow):
        within(0.1, "a keyring", threading.Event().wait)


def test_a_broker_that_shakes_hands_and_says_nothing_more(scene: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    said_nothing = threading.Event()
    monkeypatch.setattr(scene.server.RequestHandlerClass, "do_GET", lambda _: said_nothing.wait(30))
    found = walked(scene.settings(), seconds=0.5)
    said_nothing.set()
    assert (found["certificate"].code, found["broker"].code) == (0, 14)
    assert "no answer in time" in found["broker"].found


def test_a_port_without_tls() -> None:
    with _listening(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")) as port:
        found = walked(Settings(f"https://127.0.0.1:{port}", None, Path("/nonexistent")), seconds=5)
    assert found["tls"].code == 14
    assert "is it a hoopx broker's port?" in found["tls"].mend


def test_offline_with_a_proxy_in_the_environment() -> None:
    found = walked(Settings("https://127.0.0.1:1", None, Path("/nonexistent")), proxy="HTTPS_PROXY")
    assert "HTTPS_PROXY is set, and hoopx goes to its broker directly" in found["connection"].mend
    unknown = walked(Settings("https://no-such-host.invalid:443", None, Path("/nonexistent")))
    assert unknown["address"].code == 14
    assert {unknown[name].state for name in STEPS[1:]} == {State.SKIP}


def test_a_machine_that_has_nothing_yet(tmp_path: Path) -> None:
    done = doctor(tmp_path, "-o", "json", "--broker", "https://127.0.0.1:1")
    found = checks(done)
    assert (done.code, json.loads(done.out)["code"], json.loads(done.out)["ok"]) == (14, 14, False)
    assert found["home"]["state"] == "ok"
    assert found["login"]["code"] == 11
    assert found["completion"]["state"] == "skip"
    assert not (tmp_path / "hoopx").exists(), "a look changes nothing"


def test_the_report_names_every_check_of_the_page(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/cli.md").read_text()
    section = page[page.index("## `doctor`") :].split("\n## ")[0]
    missing = [name for name in checks(doctor(tmp_path, "-o", "json")) if f"`{name}`" not in section]
    assert missing == []


def test_a_broken_settings_file_hides_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "hoopx").mkdir(mode=0o700)
    (tmp_path / "hoopx" / "settings.json").write_text("{broken")
    done = doctor(tmp_path, "-o", "json", HOOPX_BROKER="https://127.0.0.1:1")
    found = checks(done)
    assert done.code == 2
    assert found["settings"]["state"] == "fail"
    assert "remove it and log in again" in found["settings"]["mend"]
    assert (found["connection"]["state"], found["login"]["state"]) == ("fail", "skip")
    assert found["port"]["state"] == "ok"


def test_no_secret_is_printed_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "hoopx").mkdir(mode=0o700)
    logins = tmp_path / "hoopx" / "logins.json"
    logins.write_text(f'{{"https://127.0.0.1:1": {{"bearer": "{SECRETS[0]}"}}}}')
    logins.chmod(0o600)
    given = {
        "HOOPX_TOKEN": SECRETS[0],
        "HOOPX_CLIENT_SECRET": SECRETS[1],
        "HOOPX_BROKER": f"https://ann:{SECRETS[2]}@127.0.0.1:1",
        "HOOPX_ID_TOKEN": SECRETS[3],
        "HOOPX_TOKE": SECRETS[0],
    }
    for form in ("table", "json"):
        done = doctor(tmp_path, "-v", "-o", form, **given)
        assert done.code == 2
        assert not [secret for secret in SECRETS if secret in done.out + done.err]


def test_people_read_one_line_each_and_how_to_mend_it(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--broker", "https://127.0.0.1:1")
    assert "fail  connection   no broker answers at https://127.0.0.1:1: connection refused\n" in done.out
    assert "                   -> start it with `hoopx broker run`" in done.out
    assert done.err == "2 to mend; commands leave with 14\n"
    quiet = doctor(tmp_path, "-q", "--broker", "https://127.0.0.1:1")
    assert {line.split()[0] for line in quiet.out.splitlines()} <= {"warn", "fail", "->"}
    assert quiet.err == ""


def test_what_a_stranger_says_does_not_act_on_the_terminal(scene: Double, tmp_path: Path) -> None:
    scene.version = "9.9\x1b[2J\u202eevil"
    settings = scene.settings()
    done = doctor(tmp_path, "--broker", settings.broker, "--ca", str(settings.ca))
    assert done.code == 11
    assert "the broker is hoopx 9.9" in done.out
    left = {path.name for path in (tmp_path / "hoopx").rglob("*")}
    assert left <= {"logins.lock"}, "a look keeps nothing"
    assert not {"\x1b", "\u202e"} & set(done.out + done.err)


def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "HERE_SECONDS", 0.3)
    os.mkfifo(tmp_path / "settings.json")
    kit = Kit({"HOOPX_HOME": str(tmp_path)}, Output(StringIO(), StringIO(), {}))
    found = {finding.check: finding for finding in examination.examine(kit, lambda _: None)}
    assert "did not answer" in found["settings"].found
    assert {found[name].state for name in (*STEPS, "login", "keyring")} == {State.SKIP}
    assert found["port"].state is State.OK


@pytest.mark.parametrize("columns", [80, 40])
def test_the_screen_that_a_person_sees(tmp_path: Path, columns: int) -> None:
    screen = pyte.Screen(columns, 80)
    environ = {"HOME": str(tmp_path), "HOOPX_HOME": str(tmp_path / "hoopx"), "PATH": os.environ["PATH"]}
    environ |= {"TERM": "xterm", "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring", "LANG": "C.UTF-8"}
    shown, code = pexpect.run(
        f"{HOOPX} doctor --broker https://127.0.0.1:1",
        env=environ,
        withexitstatus=True,
        timeout=60,
        dimensions=(80, columns),
    )
    pyte.Stream(screen).feed(shown.decode())
    lines = [line.rstrip() for line in screen.display if line.strip()]
    assert code == 14
    heads = {line.split()[1]: line.split()[0] for line in lines if line.startswith(("ok ", "warn ", "fail ", "skip "))}
    assert (heads["connection"], heads["home"], heads["tls"]) == ("fail", "ok", "skip")
    assert any("-> start it with" in line for line in lines)
    assert lines[-1].startswith("2 to mend")
    assert "asking the broker" not in "".join(lines), "what moved is gone"
