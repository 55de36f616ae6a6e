"""glewlwyd, a provider in C: its tokens name people by an opaque pairwise `sub`, and it says `slow_down`.

Its pages are a program in JavaScript that talks to the server's own HTTP API; `answer` makes the same calls:
`/api/auth/` logs in, `/api/auth/grant/CLIENT` allows, `/api/oidc/device` takes the code. Learnt from its
documentation (`OIDC.md`, `API.md`) and from 2.7.5 itself:
- the device flow ignores PKCE, and knows no way to decline: whoever does not want to leaves the page;
- a refresh brings no ID token, so the access token must name the broker, which wants `resource` (RFC 8707);
- without a `sector_identifier_uri` of the client a person's `sub` is another one in every token;
- a person who is disabled still renews; one who is deleted does not;
- its revocation takes no public client, only whoever shows an access token, and none that is bound to a key;
- it knows no loopback of any port: the whole address to return to must be registered.
"""

from __future__ import annotations

import json
import os
import sqlite3
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import httpx2
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from hoopx_broker.api.messages import SignIn
from hoopx_broker.identity.verify import trust
from hoopx_broker.terms.settings import Claims, OidcIssuer
from hoopx_cli.signin import Prompt
from tests.peers import found
from tests.peers.browser import Page
from tests.peers.oidc import PASSWORD, SCOPES, Clock, Provider
from tests.peers.processes import bound_to_us, closed_port, eventually, unprivileged

AUDIENCE = "https://broker.example.com"
CLIENT = "hoopx-cli"
TOKEN_LIFE = 1800  # seconds; longer than the broker believes keys unasked
PLUGIN = "oidc"


class Hasty(Clock):
    """Sleeps a fifth of what is asked: the server sees who comes too early, and who does not. Long naps are free."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if seconds < 30:
            time.sleep(seconds / 5)


class Glewlwyd(Provider, frozen=True, kw_only=True):
    """A running glewlwyd."""

    desk: Office

    def terminal_clock(self) -> Clock:
        return Hasty()

    def answer(self, prompt: Prompt, person: str, says: Literal["yes", "no"] = "yes") -> Page:
        """Log in, see what is asked, allow it (or leave), and let the code be taken."""
        url = prompt.complete_url or prompt.url
        with self._browser() as browser:
            page = browser.get(url)
            if says == "yes":
                self._log_in_and_allow(browser, person)
                page = browser.get(f"{url}&g_continue")
                assert "prompt=deviceComplete" in str(page.url), page.url
            return _seen(page)

    def visit(self, url: str, person: str) -> Page:
        [back] = parse_qs(urlsplit(url).query)["redirect_uri"]
        self.desk.allow_return_to(back)
        with self._browser() as browser:
            browser.get(url)
            self._log_in_and_allow(browser, person)
            return _seen(browser.get(f"{url}&g_continue"))

    def _browser(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.desk.url, trust_env=False, follow_redirects=True)

    def _log_in_and_allow(self, browser: httpx2.Client, person: str) -> None:
        browser.post("/api/auth/", json={"username": person, "password": PASSWORD}).raise_for_status()
        grant = f"/api/auth/grant/{self.sign_in.client_id}"
        asked = browser.get(f"{grant}/{' '.join(SCOPES)}").raise_for_status().json()["scope"]
        browser.put(grant, json={"scope": " ".join(each["name"] for each in asked)}).raise_for_status()


def _seen(page: httpx2.Response) -> Page:
    return Page(str(page.url), page.status_code, page.text, dict(page.headers), None)


class Binding(Enum):
    """Whether it binds tokens to the key of a proof (RFC 9449, its draft 7)."""

    ON = True
    OFF = False


class Office:
    """The administrator's part: all of it through the server's own API."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx2.Client(base_url=url, trust_env=False, timeout=10)

    def log_in(self) -> bool:
        """As the administrator whom the schema comes with; False while nobody listens."""
        try:
            login = self._client.post("/api/auth/", json={"username": "admin", "password": "password"})
        except httpx2.TransportError:
            return False
        return login.status_code == 200

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self._client.request(method, f"/api{path}", json=body)
        assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text}"
        told: dict[str, Any] = answer.json() if answer.content else {}
        return told

    def furnish(self, binding: Binding) -> None:
        """People with groups, the scopes that are asked for, the plugin, and the client of `hoopx login`."""
        backend = self.call("GET", "/mod/user/database")
        several = {"multiple": True, "read": True, "write": True, "profile-read": True, "profile-write": False}
        backend["parameters"]["data-format"]["groups"] = several
        self.call("PUT", "/mod/user/database", backend)
        self.call("PUT", "/mod/user/database/reset")
        for scope in SCOPES[1:]:
            self.call("POST", "/scope/", {"name": scope, "display_name": scope, "password_required": False})
        self.add_person("ann", ["developers"])
        self.add_person("dora", ["dba", "developers"])
        parameters = plugin_parameters(f"{self.url}/api/{PLUGIN}", binding)
        plugin = {"module": "oidc", "name": PLUGIN, "display_name": "OIDC", "enabled": True, "parameters": parameters}
        self.call("POST", "/mod/plugin/", plugin)
        self.call("POST", "/client/", client())

    def add_person(self, name: str, groups: Sequence[str]) -> None:
        account = {"username": name, "password": PASSWORD, "email": f"{name}@example.com", "enabled": True}
        self.call("POST", "/user/", account | {"groups": list(groups), "scope": [*SCOPES, "g_profile"]})

    def allow_return_to(self, url: str) -> None:
        self.call("PUT", f"/client/{CLIENT}", client(redirect_uri=[url]))

    def set_groups(self, person: str, groups: Sequence[str]) -> None:
        self.call("PUT", f"/user/{person}", self.call("GET", f"/user/{person}") | {"groups": list(groups)})

    def take_out(self, person: str) -> None:
        self.call("DELETE", f"/user/{person}")

    def turn_keys(self) -> None:
        self._sign_with(signing_key(), self._signing_keys()[0])

    def withdraw_keys(self) -> None:
        self._sign_with(self._signing_keys()[0])

    def _signing_keys(self) -> list[dict[str, Any]]:
        """The first one signs."""
        keys: list[dict[str, Any]] = json.loads(self._plugin()["parameters"]["jwks-private"])["keys"]
        return keys

    def _sign_with(self, *keys: dict[str, Any]) -> None:
        plugin = self._plugin()
        changed = plugin["parameters"] | {"jwks-private": json.dumps({"keys": keys}), "default-kid": keys[0]["kid"]}
        self.call("PUT", f"/mod/plugin/{PLUGIN}", plugin | {"parameters": changed})
        self.call("PUT", f"/mod/plugin/{PLUGIN}/reset")

    def _plugin(self) -> dict[str, Any]:
        return self.call("GET", f"/mod/plugin/{PLUGIN}")

    def close(self) -> None:
        self._client.close()


@contextmanager
def glewlwyd_provider(home: Path, binding: Binding) -> Iterator[Glewlwyd]:
    """Takes a second: a database from its own schema, the server, its furniture. Skips, visibly, without it."""
    found.require("glewlwyd")
    root = found.glewlwyd_root()
    assert root is not None
    port = closed_port()
    write_home(home, root, port)
    command = [*unprivileged(), *bound_to_us(), str(root / "usr/bin/glewlwyd"), f"--config-file={home}/glewlwyd.conf"]
    with (home / "out").open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        desk = Office(f"http://127.0.0.1:{port}")
        try:
            eventually(desk.log_in, "glewlwyd takes its administrator")
            desk.furnish(binding)
            yield provider(desk, binding)
        finally:
            desk.close()
            process.kill()


def provider(desk: Office, binding: Binding) -> Glewlwyd:
    issuer, clock = f"{desk.url}/api/{PLUGIN}", Clock()
    config = OidcIssuer(issuer, AUDIENCE, "human", Claims("email", "groups"), CLIENT, SCOPES)
    return Glewlwyd(
        sign_in=SignIn(issuer, CLIENT, AUDIENCE, SCOPES),
        tls=ssl.create_default_context(),
        trust=trust(config, clock),
        clock=clock,
        shares_clock=False,
        interval=1.0,
        says_slow_down=True,
        binds_tokens=binding is Binding.ON,
        can_decline=False,
        can_revoke=binding is Binding.OFF,
        has_opaque_sub=True,
        desk=desk,
    )


def write_home(home: Path, root: Path, port: int) -> None:
    """Configuration and database; `root` is where its package was unpacked."""
    schema = (root / "usr/share/dbconfig-common/data/glewlwyd/install/sqlite3").read_text()
    database = sqlite3.connect(home / "glewlwyd.db")
    database.executescript(schema)
    database.close()
    modules = {"user": "user", "client": "client", "user_auth_scheme": "scheme", "plugin": "plugin"}
    texts = {f"{name}_module_path": str(root / "usr/lib/glewlwyd" / folder) for name, folder in modules.items()}
    texts |= {
        "bind_address": "127.0.0.1",
        "external_url": f"http://127.0.0.1:{port}",
        "login_url": "login.html",
        "api_prefix": "api",
        "static_files_path": f"{root}/usr/share/glewlwyd/webapp/",
        "log_mode": "file",
        "log_level": "INFO",
        "log_file": f"{home}/glewlwyd.log",
        "cookie_domain": "127.0.0.1",
        "session_key": "GLEWLWYD_SESSION",
        "admin_scope": "g_admin",
        "profile_scope": "g_profile",
        "hash_algorithm": "SHA512",
    }
    lines = [f"port={port}", "cookie_secure=0", *(f'{name}="{value}"' for name, value in texts.items())]
    lines.append(f'database={{ type="sqlite3"; path="{home}/glewlwyd.db"; }};')
    (home / "glewlwyd.conf").write_text("\n".join(lines) + "\n")


def plugin_parameters(issuer: str, binding: Binding) -> dict[str, Any]:
    """The OIDC plugin: device and code flow, refresh tokens of one use, proofs of possession, revocation."""
    key = signing_key()
    from_user = [
        {"user-parameter": name, "token-parameter": name, "token-changed": False} for name in ("email", "groups")
    ]
    flows = {"code": True, "device": True, "refresh": True, "token": False, "password": False, "client": False}
    return {f"auth-type-{flow}-enabled": allowed for flow, allowed in flows.items()} | {
        "iss": issuer,
        "jwks-private": json.dumps({"keys": [key]}),
        "default-kid": key["kid"],
        "jwks-show": True,
        "access-token-duration": TOKEN_LIFE,
        "refresh-token-duration": 86_400,
        "code-duration": 600,
        "refresh-token-one-use": "always",
        "subject-type": "pairwise",
        "allowed-scope": list(SCOPES),
        "email-claim": "mandatory",
        "claims": [{"name": "groups", "user-property": "groups", "type": "string", "mandatory": True, "scope": []}],
        "additional-parameters": from_user,
        "pkce-allowed": True,
        "introspection-revocation-allowed": True,
        "introspection-revocation-auth-scope": ["openid"],
        "device-authorization-expiration": 600,
        "device-authorization-interval": 1,
        "oauth-dpop-allowed": binding.value,
        "oauth-dpop-iat-duration": 60,
        "oauth-dpop-iat-gap-duration": 3600,  # the clock of who sleeps without waiting runs ahead
        "resource-allowed": True,
        "resource-scope": {"openid": [AUDIENCE]},
        "resource-client-property": "",
    }


def client(**changes: Any) -> dict[str, Any]:
    """The public client that `hoopx login` is."""
    return {
        "client_id": CLIENT,
        "name": "hoopx",
        "confidential": False,
        "enabled": True,
        "authorization_type": ["device_authorization", "code", "refresh_token"],
        "redirect_uri": ["http://127.0.0.1/"],
        "sector_identifier_uri": f"{AUDIENCE}/sector",
        "scope": [],
    } | changes


def signing_key() -> dict[str, Any]:
    """A new private key as JWK."""
    private = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    named = {name: value for name, value in private.items() if name != "key_ops"}
    return named | {"kid": os.urandom(6).hex(), "alg": "ES256"}
