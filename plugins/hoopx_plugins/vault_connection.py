"""Talk to one Vault by hvac: bounded in time, its certificate verified, nothing taken from the environment."""

from __future__ import annotations

import ssl
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.vault_failures import VaultUnreachable, refused
from hoopx_plugins.vault_server import VaultServer

if TYPE_CHECKING:
    from requests import Response, Session

Json = dict[str, Any]
# Certificates and keys are a few KB; a secret of KV is at most 1 MB, which is what Vault stores.
MAX_ANSWER = 2 * 1024 * 1024
CHUNK = 64 * 1024
# A life beyond this is a mistake, and its end is none that a calendar has.
LONGEST = 100 * 365 * 24 * 3600
_NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
CAPABILITIES = {"get": "read", "post": "update", "put": "update", "list": "list"}


class Vault:
    """Requests to a Vault, for one purpose, from one thread. Every failure is a `BackendFailed`; close it after use.

    `who` asks, in words that errors begin with.
    """

    def __init__(self, server: VaultServer, who: str) -> None:
        self.server = server
        self.who = who
        self._session = _session(server, who)
        self._secrets: set[str] = set()  # what was sent: Vault's words are searched for it

    def __enter__(self) -> Vault:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def ask(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        doing: str,
        token: Secret | None = None,
        secrets: tuple[Secret, ...] = (),
    ) -> Json:
        """The answer's JSON, {} where it has none. `secrets` are those in `body`. Raises `VaultRefused`."""
        self._secrets |= {secret.reveal() for secret in (*secrets, *((token,) if token else ()))}
        try:
            status, content = self._send(method, path, body, token)
        except Exception as error:
            raise self._unreachable(error, doing) from None
        if status >= 400:
            raise refused(self.who, doing, path, CAPABILITIES[method], status, _errors(content), self._secrets)
        if status >= 300:
            raise BackendFailed(
                f"{self.who} cannot {doing}: Vault at {self.server.address} sends it elsewhere",
                "give `vault.address` the active node or a balancer; the broker takes its tokens nowhere else",
            )
        return self._json(content, doing) if content else {}

    def _send(self, method: str, path: str, body: Json | None, token: Secret | None) -> tuple[int, bytes]:
        """Status and content, as much of it as can be an answer of Vault's."""
        from hvac.adapters import RawAdapter

        # Without hvac's `Client`, which takes VAULT_TOKEN, ~/.vault-token and more where nothing is said.
        adapter = RawAdapter(
            base_uri=self.server.address.rstrip("/"),
            token=token.reveal() if token else None,
            session=self._session,
            timeout=self.server.seconds,
            namespace=self.server.namespace,
            allow_redirects=False,
        )
        answer: Response = adapter.request(method, f"/v1/{path}", raise_exception=False, json=body, stream=True)
        content = b""
        for chunk in answer.iter_content(CHUNK):
            content += chunk
            if len(content) > MAX_ANSWER:
                content = b"too large"  # which is no JSON
                break
        answer.close()
        return answer.status_code, content

    def _json(self, content: bytes, doing: str) -> Json:
        try:
            read = msgspec.json.decode(content)
        except _NO_JSON:
            read = None
        if not isinstance(read, dict) or not _is_an_answer(read):
            raise BackendFailed(
                f"{self.who} cannot {doing}: what answers at {self.server.address} is no Vault",
                "correct `vault.address`",
            )
        return read

    def _unreachable(self, error: Exception, doing: str) -> BackendFailed:
        """By the kind of error and a few words of it: its text may quote what was sent."""
        place = self.server.address
        what, hint = _trouble(error, self.server.seconds)
        return VaultUnreachable(f"{self.who} cannot {doing}: Vault at {place} {what}", hint)


def _is_an_answer(read: Json) -> bool:
    """What is read of it later has the right kinds."""
    sections = [read.get(name) or {} for name in ("data", "auth")]
    numbers = [each.get("lease_duration") or 0 for each in (read, *sections) if isinstance(each, dict)]
    are_times = all(isinstance(each, int) and 0 <= each <= LONGEST for each in numbers)
    return are_times and all(isinstance(each, dict) for each in sections)


def _errors(content: bytes) -> list[object]:
    """Vault's own words; none where it was not Vault that answered."""
    try:
        said = msgspec.json.decode(content)["errors"]
    except (*_NO_JSON, KeyError, TypeError):
        return []
    return said if isinstance(said, list) else [said]


def _trouble(error: Exception, seconds: int) -> tuple[str, str]:
    import requests

    told = str(error)
    match error:
        case requests.exceptions.SSLError():
            hint = "give its authority as `vault.ca`, and the name in its certificate as `vault.address`"
            return "shows a certificate that cannot be verified", hint
        case requests.exceptions.Timeout():
            return f"gave no answer within {seconds} s", "look whether it is up, or raise `vault.timeout`"
        case requests.exceptions.ConnectionError() if "refused" in told:
            return "cannot be reached: nothing listens there", "start it, or correct `vault.address`"
        case requests.exceptions.ConnectionError() if "resolve" in told or "not known" in told:
            return "cannot be reached: there is no such host", "correct `vault.address`"
        case requests.exceptions.ConnectionError():
            return "broke the connection off, or cannot be reached", "look whether it is up, and `vault.address`"
        case _:
            return f"cannot be asked ({type(error).__name__})", "look at `vault.address` and at Vault's log"


def _session(server: VaultServer, who: str) -> Session:
    """No proxy, .netrc or bundle of certificates from the environment; the authorities are ours to say."""
    try:
        changed = server.ca.stat().st_mtime_ns if server.ca else 0
        trust = _trust(str(server.ca) if server.ca else None, changed)
    except (OSError, ssl.SSLError):
        raise BackendFailed(f"{who} cannot read the certificates in {server.ca}", "correct `vault.ca`") from None
    from requests import Session
    from requests.adapters import HTTPAdapter

    class Trusting(HTTPAdapter):
        def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
            super().init_poolmanager(*arguments, ssl_context=trust, **more)

        def cert_verify(self, connection: Any, url: Any, verify: Any, cert: Any) -> None:
            """The context verifies: requests would add the public authorities of its own bundle to it."""

    session = Session()
    session.trust_env = False
    session.mount("https://", Trusting())
    return session


@lru_cache(maxsize=16)
def _trust(ca: str | None, changed: int) -> ssl.SSLContext:
    """Reading a system's authorities takes longer than all of a lease's requests. `changed` is when `ca` was."""
    return ssl.create_default_context(cafile=ca)
