"""The broker's certificate: made once, kept private, renewed in time, and exactly what its fingerprint says."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from hoopx_broker.daemon.certificate import FILE_NAME, fingerprint, self_made, server_context
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.settings import BrokerConfig, ServerTls

NOW = datetime.now(UTC)


def config(tls: ServerTls | None = None) -> BrokerConfig:
    here = Path()
    return BrokerConfig("127.0.0.1", 0, "https://127.0.0.1:0", tls, here, here, here, (), None, {})


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, host: str = "localhost") -> str:
    """One real handshake over a socket pair; the answer is the fingerprint of what the client was shown."""
    far, near = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(far, server_side=True) as tls:
                tls.recv(1)
        except (ssl.SSLError, OSError):
            far.close()

    serving = threading.Thread(target=serve)
    serving.start()
    try:
        with client.wrap_socket(near, server_hostname=host) as tls:
            shown = tls.getpeercert(binary_form=True)
            assert shown is not None
            return "sha256:" + hashlib.sha256(shown).hexdigest()
    finally:
        near.close()
        serving.join()


def trusting(file: Path) -> ssl.SSLContext:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cadata=file.read_text().split("-----BEGIN PRIVATE KEY")[0])
    return client


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_a_client_that_trusts_it_reaches_every_name_of_this_machine(tmp_path: Path, host: str) -> None:
    server, told = server_context(config(), tmp_path, NOW)
    assert shake_hands(server, trusting(tmp_path / FILE_NAME), host) == told


def test_it_is_for_no_other_host(tmp_path: Path) -> None:
    server, _ = server_context(config(), tmp_path, NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, trusting(tmp_path / FILE_NAME), "broker.example.com")


def test_nobody_trusts_it_without_being_told(tmp_path: Path) -> None:
    server, _ = server_context(config(), tmp_path, NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, ssl.create_default_context())


def test_old_tls_is_not_spoken(tmp_path: Path) -> None:
    server, _ = server_context(config(), tmp_path, NOW)
    assert server.minimum_version == ssl.TLSVersion.TLSv1_2


def test_it_stays_the_same_over_restarts(tmp_path: Path) -> None:
    _, first = server_context(config(), tmp_path, NOW)
    _, second = server_context(config(), tmp_path, NOW + timedelta(days=300))
    assert first == second


def test_it_is_renewed_a_month_before_its_end(tmp_path: Path) -> None:
    _, first = server_context(config(), tmp_path, NOW)
    later = NOW + timedelta(days=340)
    _, second = server_context(config(), tmp_path, later)
    assert first != second
    cert = x509.load_pem_x509_certificate((tmp_path / FILE_NAME).read_bytes())
    assert cert.not_valid_after_utc > later + timedelta(days=300)
    assert fingerprint(cert) == second


def test_only_its_owner_reads_it_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        file = self_made(tmp_path / "new" / "state", NOW)
    finally:
        os.umask(old)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o077 == 0
    assert list(file.parent.iterdir()) == [file]


def test_a_key_that_others_could_read_is_not_used_again(tmp_path: Path) -> None:
    self_made(tmp_path, NOW).chmod(0o640)
    with pytest.raises(BadInput, match="others may read") as refused:
        server_context(config(), tmp_path, NOW)
    assert "delete it" in refused.value.hint


@pytest.mark.parametrize("keep", [0, 10, 400])
def test_a_damaged_file_is_an_error_with_a_remedy(tmp_path: Path, keep: int) -> None:
    file = self_made(tmp_path, NOW)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(BadInput, match="holds no PEM"):
        server_context(config(), tmp_path, NOW)


def test_a_left_over_of_a_crash_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / f"{FILE_NAME}.{os.getpid()}.new").write_text("half")
    self_made(tmp_path, NOW)
    assert [each.name for each in tmp_path.iterdir()] == [FILE_NAME]


def test_a_directory_that_cannot_be_made_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(BadInput, match="cannot be kept"):
        server_context(config(), tmp_path / "state", NOW)


def test_configured_files_are_used_instead(tmp_path: Path) -> None:
    file = self_made(tmp_path / "elsewhere", NOW)
    _, told = server_context(config(ServerTls(cert=file, key=file)), tmp_path / "state", NOW)
    assert told == fingerprint(x509.load_pem_x509_certificate(file.read_bytes()))
    assert not (tmp_path / "state").exists()


def test_a_key_of_another_certificate_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    one, other = self_made(tmp_path / "one", NOW), self_made(tmp_path / "other", NOW)
    with pytest.raises(BadInput, match="does not belong"):
        server_context(config(ServerTls(cert=one, key=other)), tmp_path, NOW)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.pem cannot be read"):
        server_context(config(ServerTls(cert=tmp_path / "gone.pem", key=tmp_path / "gone.pem")), tmp_path, NOW)
