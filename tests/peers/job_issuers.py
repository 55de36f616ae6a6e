"""Doubles of those who sign tokens for jobs: HTTP servers on loopback with discovery and keys, as published.

The claims are in `tests/unit/job_claims.py`, with the documents that they were taken from. GitHub's token service and
its header (`typ`, `alg`, `kid`, `x5t`): docs.github.com/en/actions/reference/security/oidc and actions/toolkit,
packages/core/src/oidc-utils.ts. GitLab's `id_tokens` and keys: docs.gitlab.com/ci/secrets/id_token_authentication.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt.algorithms import RSAAlgorithm


class IssuerDouble:
    """An issuer at `issuer`: it publishes itself and its key, and signs what it is told to, by RS256."""

    keys_path = "/.well-known/jwks"

    def __init__(self, path: str = "") -> None:
        self._path = path
        self._key = generate_private_key(65537, 2048)
        self._kid = secrets.token_urlsafe(12)
        self.url = ""
        self.heard: list[str] = []

    @property
    def issuer(self) -> str:
        return self.url + self._path

    def keys(self) -> dict[str, Any]:
        key = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True) | {
            "kid": self._kid,
            "alg": "RS256",
            "use": "sig",
        }
        return {"keys": [{name: value for name, value in key.items() if name != "key_ops"}]}

    def sign(self, claims: Mapping[str, Any], life: float = 300, **header: Any) -> str:
        """With the times of now, unless the claims say others."""
        now = int(time.time())
        said = {"iat": now, "nbf": now - 5, "exp": int(now + life)} | dict(claims)
        return jwt.encode(said, self._key, "RS256", headers={"kid": self._kid} | header)

    def answer(self, path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        self.heard.append(path)
        match urlsplit(path).path.removeprefix(self._path):
            case "/.well-known/openid-configuration":
                return 200, {"issuer": self.issuer, "jwks_uri": self.issuer + self.keys_path}
            case known if known == self.keys_path:
                return 200, self.keys()
            case _:
                return 404, {"message": "Not Found"}

    @contextmanager
    def running(self) -> Iterator[None]:
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, said = double.answer(self.path, {name.lower(): value for name, value in self.headers.items()})
                body = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                if "Location" in said:
                    self.send_header("Location", said["Location"])
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Not among the tests' output."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_port}"
            Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            try:
                yield
            finally:
                server.shutdown()


class GitHubDouble(IssuerDouble):
    """GitHub Enterprise Server as a job sees it: each job may ask for tokens about itself, for any audience."""

    def __init__(self) -> None:
        super().__init__("/_services/token")
        self._jobs: dict[str, dict[str, Any]] = {}
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.life = 300.0  # seconds
        self.audiences: list[str] = []

    def job(self, claims: Mapping[str, Any]) -> dict[str, str]:
        """What the runner sets for a job with `permissions: id-token: write`."""
        may_ask = secrets.token_urlsafe(32)
        self._jobs[may_ask] = dict(claims)
        return {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_SERVER_URL": self.url,
            "GITHUB_REPOSITORY": str(claims.get("repository")),
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/_apis/idtoken/7/jobs/8?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": may_ask,
        }

    def answer(self, path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """`answers` come first, as a service that stumbles would give them."""
        if not urlsplit(path).path.startswith("/_apis/idtoken/"):
            return super().answer(path, headers)
        self.heard.append(path)
        if self.answers:
            return self.answers.pop(0)
        job = self._jobs.get(headers.get("authorization", "").removeprefix("Bearer "))
        if job is None:
            return 401, {"message": "Unauthorized"}
        (audience,) = parse_qs(urlsplit(path).query).get("audience", ["https://github.com/acme"])
        self.audiences.append(audience)
        token = self.sign(job | {"iss": self.issuer, "aud": audience}, self.life, typ="JWT", x5t="example-thumbprint")
        return 200, {"count": len(token), "value": token}


class GitLabDouble(IssuerDouble):
    """A GitLab: it writes the tokens that a job's `id_tokens` name into the job's environment."""

    keys_path = "/oauth/discovery/keys"

    def job(self, claims: Mapping[str, Any], **id_tokens: str) -> dict[str, str]:
        """`id_tokens` has the audience of each."""
        signed = {
            name: self.sign({**claims, "iss": self.issuer, "aud": audience}, typ="JWT")
            for name, audience in id_tokens.items()
        }
        return {"CI": "true", "GITLAB_CI": "true", "CI_SERVER_URL": self.url, **signed}
