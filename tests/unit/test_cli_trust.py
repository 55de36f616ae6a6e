"""Whom the laptop believes: exactly the broker that was meant, on every connection."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hoopx_broker.terms.errors import BadInput, Unreachable
from hoopx_cli import trust
from hoopx_cli.settings import Settings
from tests.peers.certificates import Authority


class TlsDouble:
    """A double of a broker's port: shakes hands, keeps what it is told, and says `ok`."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(exist_ok=True)
        authority = Authority.make(name)
        self.ca = authority.write(folder / "ca.pem")
        self.certificate, key = authority.write_server(folder)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, key)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.heard: list[bytes] = []
        self.connections = 0

    @property
    def fingerprint(self) -> str:
        return trust.fingerprint_of(ssl.PEM_cert_to_DER_cert(self.certificate.read_text()))

    @contextmanager
    def running(self) -> Iterator[TlsDouble]:
        thread = threading.Thread(target=self._serve)
        thread.start()
        try:
            yield self
        finally:
            self._listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            with plain:
                plain.settimeout(10)
                try:
                    with self._context.wrap_socket(plain, server_side=True) as tls:
                        self.heard.append(tls.recv(1000))
                        tls.sendall(b"ok")
                except OSError:
                    self.heard.append(b"")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[TlsDouble]:
    with TlsDouble(tmp_path / "broker", "broker").running() as double:
        yield double


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[TlsDouble]:
    with TlsDouble(tmp_path / "impostor", "broker").running() as double:
        yield double


def settings(double: TlsDouble, ca: str | None, home: Path) -> Settings:
    return Settings(f"https://127.0.0.1:{double.port}", ca, home / "home")


def speak(context: ssl.SSLContext, double: TlsDouble) -> bytes:
    with (
        socket.create_connection(("127.0.0.1", double.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(b"secret")
        return tls.recv(10)


def test_a_fingerprint_opens_to_that_certificate(broker: TlsDouble, tmp_path: Path) -> None:
    assert speak(trust.context(settings(broker, broker.fingerprint, tmp_path)), broker) == b"ok"


def test_colons_and_capitals_are_taken(broker: TlsDouble, tmp_path: Path) -> None:
    digits = broker.fingerprint.removeprefix("sha256:").upper()
    spelled = "SHA256:" + ":".join(digits[at : at + 2] for at in range(0, 64, 2))
    assert speak(trust.context(settings(broker, spelled, tmp_path)), broker) == b"ok"


def test_a_pinned_context_tells_nothing_to_anybody_else(broker: TlsDouble, impostor: TlsDouble, tmp_path: Path) -> None:
    pinned = trust.context(settings(broker, broker.fingerprint, tmp_path))
    with pytest.raises(ssl.SSLCertVerificationError):
        speak(pinned, impostor)
    assert b"secret" not in b"".join(impostor.heard)


def test_the_question_for_the_certificate_sends_nothing(broker: TlsDouble, tmp_path: Path) -> None:
    trust.context(settings(broker, broker.fingerprint, tmp_path))
    assert broker.connections == 1
    assert b"".join(broker.heard) == b""


def test_a_wrong_fingerprint_says_what_was_seen_and_what_to_do(broker: TlsDouble, tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as caught:
        trust.context(settings(broker, "sha256:" + "00" * 32, tmp_path))
    assert broker.fingerprint in caught.value.message
    assert caught.value.hint


def test_a_certificate_once_seen_needs_no_question(broker: TlsDouble, tmp_path: Path) -> None:
    trust.context(settings(broker, broker.fingerprint, tmp_path))
    assert speak(trust.context(settings(broker, broker.fingerprint, tmp_path)), broker) == b"ok"
    assert broker.connections == 2


def test_a_planted_file_in_the_cache_is_not_believed(broker: TlsDouble, impostor: TlsDouble, tmp_path: Path) -> None:
    cache = tmp_path / "home" / "certificates" / f"{broker.fingerprint.removeprefix('sha256:')}.pem"
    cache.parent.mkdir(parents=True)
    cache.write_text(impostor.certificate.read_text())
    pinned = trust.context(settings(broker, broker.fingerprint, tmp_path))
    with pytest.raises(ssl.SSLCertVerificationError):
        speak(pinned, impostor)


def test_a_broker_that_changed_its_certificate_is_told_from_one_that_is_untrusted(
    broker: TlsDouble, impostor: TlsDouble, tmp_path: Path
) -> None:
    trust.context(settings(broker, broker.fingerprint, tmp_path))
    moved = settings(impostor, broker.fingerprint, tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        speak(trust.context(moved), impostor)
    said = trust.why(moved, caught.value)
    assert impostor.fingerprint in said.message
    assert broker.fingerprint in said.message


def test_a_ca_file_opens_to_what_it_signed_and_to_nothing_else(
    broker: TlsDouble, impostor: TlsDouble, tmp_path: Path
) -> None:
    by_file = trust.context(settings(broker, str(broker.ca), tmp_path))
    assert speak(by_file, broker) == b"ok"
    with pytest.raises(ssl.SSLCertVerificationError):
        speak(by_file, impostor)


def test_a_ca_file_does_not_excuse_a_wrong_name(broker: TlsDouble, tmp_path: Path) -> None:
    by_file = trust.context(settings(broker, str(broker.ca), tmp_path))
    with (
        socket.create_connection(("127.0.0.1", broker.port), timeout=10) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        by_file.wrap_socket(plain, server_hostname="elsewhere.example")


def test_the_system_does_not_trust_a_self_made_certificate(broker: TlsDouble, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        speak(trust.context(settings(broker, None, tmp_path)), broker)
    assert "HOOPX_CA" in trust.why(settings(broker, None, tmp_path), caught.value).hint


@pytest.mark.parametrize("text", ["sha256:", "sha256:nonsense", "sha256:" + "0" * 63, "sha256:" + "0" * 65, "sha256:é"])
def test_what_is_no_fingerprint_is_bad_input(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        trust.context(Settings("https://127.0.0.1:1", text, tmp_path))


def test_a_ca_file_that_is_missing_or_no_certificate_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "not.pem").write_text("not a certificate")
    for name in ("absent.pem", "not.pem", "."):
        with pytest.raises(BadInput):
            trust.context(Settings("https://127.0.0.1:1", str(tmp_path / name), tmp_path))


def test_something_that_speaks_no_tls_is_unreachable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def hang_up() -> None:
            connection, _ = listening.accept()
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(Unreachable):
            trust.presented(f"https://127.0.0.1:{port}")
        thread.join(10)
