"""A provider that answers as a test scripts it, over a real socket: the stage of the sign-in tests."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

import jwt
import msgspec

from hoopx_broker.api.messages import SignIn
from hoopx_cli.keyring import Login
from hoopx_cli.signin import Prompt, sign_in

START = 1_800_000_000.0
TLS = ssl.create_default_context()


def token(aud: object = "hoopx", exp: object = START + 600) -> str:
    """A JWT; who reads it here does not check its signature."""
    return jwt.encode({"aud": aud, "exp": exp}, "a secret of at least thirty-two bytes")


def said(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


class Script:
    """What the provider says. `heard` holds each form it was sent, by the path; `proofs` the DPoP headers of /token.

    `nonce` is the one that it wants in proofs, if any; `nonces` those that it turns to when it has told the last.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.heard: list[tuple[str, dict[str, str]]] = []
        self.proofs: list[str | None] = []
        self.authorizations: list[str | None] = []
        self.revocations: list[str | None] = []  # Authorization headers of /revoke
        self.nonce: str | None = None
        self.nonces: list[str] = []
        self.metadata: dict[str, Any] = {
            "issuer": url,
            "token_endpoint": f"{url}/token",
            "device_authorization_endpoint": f"{url}/device",
            "authorization_endpoint": f"{url}/authorize",
            "revocation_endpoint": f"{url}/revoke",
        }
        self.device: dict[str, Any] = {
            "device_code": "the-device-code",
            "user_code": "BCDF-GHJK",
            "verification_uri": f"{url}/activate",
        }
        self.device_status = 200
        self.token_answers: list[tuple[int, Any]] = [(200, {"access_token": token(), "refresh_token": "r-1"})]
        self.revoke_status = 200
        self.now = START
        self.naps: list[float] = []

    def asks(self) -> SignIn:
        return SignIn(self.url, "hoopx-cli", "hoopx", ("openid", "offline_access"))

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds

    def sign_in(self) -> tuple[Login, Prompt]:
        shown: list[Prompt] = []
        login = sign_in(self.asks(), TLS, shown.append, self.clock, self.sleep, self.clock)
        return login, shown[0]

    def forms(self, path: str) -> list[dict[str, str]]:
        return [form for heard, form in self.heard if heard == path]

    def takes_proofs(self) -> None:
        self.metadata["dpop_signing_alg_values_supported"] = ["RS256", "ES256"]

    def lacks_nonce(self) -> bool:
        """Whether the last proof on /token does not hold the nonce that is wanted."""
        proof = self.proofs[-1] if self.proofs else None
        return self.nonce is not None and (proof is None or said(proof).get("nonce") != self.nonce)

    def answer(self, path: str) -> tuple[int, Any]:
        if path == "/token" and self.lacks_nonce():
            return 400, {"error": "use_dpop_nonce"}
        match path:
            case "/.well-known/openid-configuration":
                return 200, self.metadata
            case "/device":
                return self.device_status, self.device
            case "/token":
                return self.token_answers.pop(0) if len(self.token_answers) > 1 else self.token_answers[0]
            case "/revoke":
                return self.revoke_status, {}
            case _:
                return 404, {}


@contextmanager
def scripted() -> Iterator[Script]:
    """The provider runs on loopback while the test plays."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            script.heard.append((self.path, dict(parse_qsl(body.decode()))))
            if self.path == "/token":
                script.proofs.append(self.headers.get("DPoP"))
                script.authorizations.append(self.headers.get("Authorization"))
            if self.path == "/revoke":
                script.revocations.append(self.headers.get("Authorization"))
            self._reply()

        def _reply(self) -> None:
            status, answer = script.answer(self.path)
            body = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
            self.send_response(status)
            if script.nonce is not None and self.path == "/token":
                self.send_header("DPoP-Nonce", script.nonce)
                if script.nonces:
                    script.nonce = script.nonces.pop(0)
            self.send_header("location", f"{script.url}/elsewhere")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: the test's own assertions speak."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script = Script(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
