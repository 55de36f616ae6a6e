"""What a command loads before it does anything: start-up is imports, and each heavy one is named here."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from hoopx_cli.menu import page
from hoopx_cli.trust import fingerprint_of
from tests.peers.certificates import Authority
from tests.unit.cli_stage import HOOPX

# 20 to 400 ms each; a command without a session or a login in the keyring has no use for them.
HEAVY = {
    "asyncio",
    "cedarpy",
    "httpx2",
    "inspect",
    "jwt",
    "keyring",
    "picows",
    "prompt_toolkit",
    "psycopg",
    "pyrage",
    "pydantic",
    "pyte",
    "rich",
    "sqlite3",
    "sqlglot",
    "starlette",
    "uvloop",
    "zoneinfo",
    "zstandard",
}
# What the root's page and the version do without, too: 5 to 120 ms each.
NOT_AT_ONCE = HEAVY | {
    "click",
    "collections",
    "cryptography",
    "email",
    "http",
    "msgspec",
    "pathlib",
    "re",
    "shutil",
    "ssl",
    "subprocess",
    "typing",
}


def environ(home: Path, **more: str) -> dict[str, str]:
    return {"HOOPX_HOME": str(home), "HOME": str(home), "PATH": os.environ["PATH"], "COLUMNS": "100", **more}


def loaded_by(home: Path, *arguments: str, **more: str) -> set[str]:
    """Top-level modules at the end of a command."""
    code = (
        "import sys; sys.argv = ['hoopx', *sys.argv[1:]]\n"
        "from hoopx_cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print('LOADED', *{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environ(home, **more), capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["-h"]])
def test_version_and_help_load_nothing_at_all(tmp_path: Path, arguments: list[str]) -> None:
    assert not loaded_by(tmp_path, *arguments) & NOT_AT_ONCE


@pytest.mark.parametrize(
    "arguments", [["completion", "bash"], ["ls", "--help"], ["exec", "--help"], ["sql", "--help"], ["--debug", "-h"]]
)
def test_light_commands_load_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    assert not loaded_by(tmp_path, *arguments) & (HEAVY | {"cryptography", "email", "ssl"})


def test_ls_is_one_connection_one_call_and_nothing_heavy(tmp_path: Path) -> None:
    """The first time the certificate is fetched too; from then on there is one way there and back."""
    with _broker(tmp_path) as (calls, known):
        loaded_by(tmp_path, "ls", **known)
        calls.clear()
        loaded = loaded_by(tmp_path, "ls", **known)
    assert calls == ["connected", "GET /v1/targets"]
    assert not loaded & HEAVY


@pytest.mark.parametrize("columns", [100, 80, 40])
def test_the_quick_page_is_the_page(tmp_path: Path, columns: int) -> None:
    """The usual way comes to the same text: it is taken where there are other options beside."""
    done = subprocess.run(
        [HOOPX, "--debug", "--help"],
        env=environ(tmp_path) | {"COLUMNS": str(columns)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == page(columns)
    assert max(map(len, done.stdout.splitlines())) <= max(columns, 76)


@contextmanager
def _broker(folder: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    """A double of one answer over real TLS, which notes what reaches it."""
    certificate, key = Authority.make("double").write_server(folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    calls: list[str] = []

    class Answering(BaseHTTPRequestHandler):
        def setup(self) -> None:
            calls.append("connected")
            super().setup()

        def do_GET(self) -> None:
            calls.append(f"GET {self.path}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"targets": []}')

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        print_ = fingerprint_of(ssl.PEM_cert_to_DER_cert(certificate.read_text()))
        url = f"https://127.0.0.1:{server.server_port}"
        try:
            yield calls, {"HOOPX_BROKER": url, "HOOPX_CA": print_, "HOOPX_TOKEN": "t"}
        finally:
            server.shutdown()
