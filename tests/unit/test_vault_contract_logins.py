"""What Vault's logins (JWT, AppRole, Kubernetes) and its SSH engine promise: held against a real one and the double.

Sources: the pages `auth/jwt`, `auth/approle`, `auth/kubernetes` and `secret/ssh` of Vault's API documentation.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from tests.peers.certificates import Authority
from tests.peers.vault.answers import Json
from tests.peers.vault.peer import Reply, Vault

ISSUER = "https://idp.example.com"


class Signer(Struct, frozen=True):
    """Somebody who signs tokens, such as an identity provider or a cluster."""

    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls) -> Signer:
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @property
    def pem(self) -> str:
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode()

    @property
    def jwks(self) -> Json:
        told = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**told, "kid": "one", "use": "sig", "alg": "ES256"}]}

    def sign(self, **changes: Any) -> str:
        """A token of ann's; a claim that is changed to None is left out."""
        at = int(time.time())
        claims = {"iss": ISSUER, "sub": "u-1", "aud": "vault", "iat": at, "exp": at + 300, "email": "ann@example.com"}
        told = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return jwt.encode(told, self.key, algorithm="ES256", headers={"kid": "one"})


class Site:
    """What an identity provider publishes, and a cluster's TokenReview: a stand-in for both, with a signer's key."""

    def __init__(self, signer: Signer) -> None:
        self.signer = signer
        self.authenticates = True
        handler = type("Handler", (_Handler,), {"site": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def reviewed(self, token: str) -> Json:
        claims = jwt.decode(token, options={"verify_signature": False})
        user = {"username": claims["sub"], "uid": "uid-1", "groups": ["system:serviceaccounts"]}
        status: Json = {"authenticated": self.authenticates, "user": user, "audiences": claims["aud"]}
        return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        self._say(200, self.site.signer.jwks)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._say(201, self.site.reviewed(asked["spec"]["token"]))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""

    def _say(self, status: int, told: Json) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def site() -> Iterator[Site]:
    running = Site(Signer.make())
    yield running
    running.close()


class JwtStage(Struct):
    vault: Vault
    place: str
    signer: Signer

    def log_in(self, role: str = "people", **changes: Any) -> Reply:
        body = {"role": role, "jwt": self.signer.sign(**changes)}
        return self.vault.ask("POST", f"auth/{self.place}/login", body, token=None)


@pytest.fixture
def people(each_vault: Vault) -> JwtStage:
    """A method where people log in by the tokens of a provider whose key is configured."""
    stage = JwtStage(each_vault, each_vault.enable_login(each_vault.fresh("jwt"), "jwt"), Signer.make())
    config = {"jwt_validation_pubkeys": [stage.signer.pem], "bound_issuer": ISSUER, "default_role": "people"}
    each_vault.write(f"auth/{stage.place}/config", config)
    role = {
        "role_type": "jwt",
        "user_claim": "email",
        "bound_audiences": ["vault"],
        "token_policies": ["reads"],
        "token_ttl": "10m",
        "token_max_ttl": "30m",
    }
    each_vault.write(f"auth/{stage.place}/role/people", role)
    return stage


def test_a_person_logs_in_with_their_own_token_and_the_audit_knows_them(people: JwtStage) -> None:
    auth = people.log_in().body["auth"]
    assert (auth["policies"], auth["lease_duration"], auth["renewable"]) == (["default", "reads"], 600, True)
    assert auth["orphan"] is True
    assert auth["metadata"] == {"role": "people"}
    again = people.log_in().body["auth"]
    assert auth["entity_id"] == again["entity_id"] != people.log_in(email="bob@example.com").body["auth"]["entity_id"]
    own = people.vault.read("auth/token/lookup-self", token=auth["client_token"])["data"]
    assert own["display_name"] == f"{people.place}-ann@example.com"
    named = [
        line["auth"]["display_name"]
        for line in people.vault.audit()
        if line["request"]["path"] == "auth/token/lookup-self" and line["auth"].get("entity_id") == auth["entity_id"]
    ]
    assert set(named) == {f"{people.place}-ann@example.com"}


def test_a_person_s_token_is_renewed_within_the_role_s_most(people: JwtStage) -> None:
    token = people.log_in().body["auth"]["client_token"]
    renewed = people.vault.write("auth/token/renew-self", {"increment": "2h"}, token=token)
    assert 1797 <= renewed["auth"]["lease_duration"] <= 1800


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"aud": "other"}, "audience claim does not match any expected audience"),
        ({"aud": None}, "audience claim does not match any expected audience"),
        ({"iss": "https://else.example.com"}, "invalid issuer (iss) claim"),
        ({"exp": 1_000_000_000}, "token is expired"),
        ({"nbf": 4_000_000_000}, "token not yet valid"),
        ({"email": None}, 'claim "email" not found in token'),
        ({"exp": None, "iat": None}, "no issued at (iat), not before (nbf), or expiration time (exp) claims in token"),
    ],
    ids=["aud", "no aud", "iss", "exp", "nbf", "no user", "no times"],
)
def test_a_token_that_does_not_fit_is_refused_with_400(people: JwtStage, changes: Json, said: str) -> None:
    refused = people.log_in(**changes)
    assert refused.status == 400
    assert said in refused.errors[0]


def test_somebody_else_s_signature_and_no_token_are_refused(people: JwtStage) -> None:
    forged = Signer.make().sign()
    path = f"auth/{people.place}/login"
    for body, said in (
        ({"role": "people", "jwt": forged}, "no known key successfully validated the token signature"),
        ({"role": "people", "jwt": "x.y"}, "error validating token"),
        ({"role": "people"}, "missing token"),
        ({"role": "none", "jwt": people.signer.sign()}, 'role "none" could not be found'),
    ):
        refused = people.vault.ask("POST", path, body, token=None)
        assert refused.status == 400
        assert said in refused.errors[0]


def test_bound_claims_must_be_there(people: JwtStage) -> None:
    role = {"role_type": "jwt", "user_claim": "email", "bound_claims": {"groups": ["dba"]}, "bound_audiences": "vault"}
    people.vault.write(f"auth/{people.place}/role/dba", role)
    assert people.log_in("dba", groups=["dba", "developers"]).status == 200
    refused = people.log_in("dba", groups=["developers"])
    assert (refused.status, "does not match any associated bound claim" in refused.errors[0]) == (400, True)
    assert people.log_in("dba").status == 400


def test_a_role_without_bounds_or_user_is_refused(people: JwtStage) -> None:
    path = f"auth/{people.place}/role/x"
    assert people.vault.ask("POST", path, {"role_type": "jwt", "user_claim": "email"}).status == 400
    assert people.vault.ask("POST", path, {"role_type": "jwt", "bound_audiences": ["vault"]}).status == 400
    assert people.vault.ask("GET", path).status == 404


def test_keys_come_from_a_jwks_too(people: JwtStage, site: Site) -> None:
    place, vault = people.vault.enable_login(people.vault.fresh("jwt"), "jwt"), people.vault
    unset = vault.ask("POST", f"auth/{place}/login", {"role": "r", "jwt": site.signer.sign()}, token=None)
    assert (unset.status, unset.errors) == (400, ["could not load configuration"])
    both = {"jwks_url": site.url, "jwt_validation_pubkeys": [site.signer.pem]}
    assert vault.ask("POST", f"auth/{place}/config", both).status == 400
    vault.write(f"auth/{place}/config", {"jwks_url": f"{site.url}/jwks"})
    vault.write(f"auth/{place}/role/r", {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"]})
    stage = JwtStage(vault, place, site.signer)
    assert stage.log_in("r").status == 200
    assert JwtStage(vault, place, Signer.make()).log_in("r").status == 400


def test_a_secret_id_of_one_use_serves_once(each_vault: Vault) -> None:
    name = each_vault.fresh("broker")
    role_id, secret_id = each_vault.approle(name, "reads", secret_id_num_uses=1, token_ttl="20m")
    body = {"role_id": role_id, "secret_id": secret_id}
    auth = each_vault.write("auth/approle/login", body, token=None)["auth"]
    assert (auth["policies"], auth["lease_duration"]) == (["default", "reads"], 1200)
    assert auth["metadata"]["role_name"] == name
    again = each_vault.ask("POST", "auth/approle/login", body, token=None)
    assert again.status == 400
    assert "invalid" in again.errors[0]


def test_a_wrong_role_id_or_secret_id_is_refused_with_400(each_vault: Vault) -> None:
    role_id, secret_id = each_vault.approle(each_vault.fresh("broker"), "reads")
    for body in (
        {"role_id": role_id, "secret_id": "bad"},
        {"role_id": "bad", "secret_id": secret_id},
        {"role_id": role_id},
    ):
        assert each_vault.ask("POST", "auth/approle/login", body, token=None).status == 400
    assert each_vault.ask("POST", "auth/nowhere/login", {"role_id": role_id}, token=None).status == 403
    assert each_vault.ask("GET", "auth/approle/role/none/role-id").status == 404


def test_a_service_account_logs_in_if_its_cluster_stands_by_it(each_vault: Vault, site: Site, tmp_path: Path) -> None:
    place = each_vault.enable_login(each_vault.fresh("kubernetes"), "kubernetes")
    role = {"bound_service_account_names": "hoopx", "bound_service_account_namespaces": "prod", "token_ttl": "15m"}
    each_vault.write(f"auth/{place}/role/broker", {**role, "token_policies": "reads", "audience": "vault"})

    def log_in(name: str = "hoopx", role: str = "broker", **changes: Any) -> Reply:
        account = {"namespace": "prod", "serviceaccount": {"name": name, "uid": "uid-1"}}
        subject = f"system:serviceaccount:prod:{name}"
        token = site.signer.sign(**{"sub": subject, "aud": ["vault"], "kubernetes.io": account, **changes})
        return each_vault.ask("POST", f"auth/{place}/login", {"role": role, "jwt": token}, token=None)

    assert log_in().errors == ["could not load backend configuration"]
    ca = Authority.make("cluster").write(tmp_path / "ca.pem").read_text()
    each_vault.write(f"auth/{place}/config", {"kubernetes_host": site.url, "kubernetes_ca_cert": ca})
    auth = log_in().body["auth"]
    assert (auth["policies"], auth["lease_duration"]) == (["default", "reads"], 900)
    assert auth["metadata"]["service_account_name"] == "hoopx"
    assert log_in("other").status == 403
    assert log_in(aud=["elsewhere"]).status == 403
    assert (log_in(role="none").status, log_in(role="none").errors) == (400, ['invalid role name "none"'])
    site.authenticates = False
    assert log_in().status == 403


class SshStage(Struct):
    vault: Vault
    place: str
    home: Path
    public: str

    def sign(self, **more: Any) -> Reply:
        return self.vault.ask("POST", f"{self.place}/sign/dev", {"public_key": self.public, **more})

    def described(self, signed: str) -> str:
        """What OpenSSH itself reads in the certificate."""
        (self.home / "cert.pub").write_text(signed)
        asked = ["ssh-keygen", "-L", "-f", str(self.home / "cert.pub")]
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=10).stdout


@pytest.fixture
def ssh(each_vault: Vault, tmp_path: Path) -> SshStage:
    place, key = each_vault.enable(each_vault.fresh("ssh"), "ssh"), tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=10)
    each_vault.write(f"{place}/config/ca", {"generate_signing_key": True, "key_type": "ed25519"})
    role = {
        "key_type": "ca",
        "allow_user_certificates": True,
        "allowed_users": "app,deploy",
        "default_user": "app",
        "default_extensions": {"permit-pty": ""},
        "allowed_extensions": "permit-pty,permit-port-forwarding",
        "ttl": "5m",
        "max_ttl": "10m",
        "key_id_format": "{{token_display_name}}-{{role_name}}",
    }
    each_vault.write(f"{place}/roles/dev", role)
    return SshStage(each_vault, place, tmp_path, key.with_suffix(".pub").read_text())


def test_a_key_is_signed_as_the_role_says(ssh: SshStage) -> None:
    told = ssh.sign(valid_principals="deploy").body
    assert told["lease_id"] == ""  # nothing that could be revoked
    text = ssh.described(told["data"]["signed_key"])
    assert "user certificate" in text
    assert 'Key ID: "token-dev"' in text
    assert "deploy" in text
    assert "permit-pty" in text
    assert f"Serial: {int(told['data']['serial_number'], 16)}" in text
    assert "permit-pty" not in ssh.described(ssh.sign(extensions={"permit-port-forwarding": ""}).data["signed_key"])
    public = ssh.vault.read(f"{ssh.place}/config/ca")["data"]["public_key"]
    assert public.startswith("ssh-ed25519 ")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"valid_principals": "root"}, "root is not a valid value for valid_principals"),
        ({"ttl": "1h"}, "ttl is larger than maximum allowed 600"),
        ({"key_id": "somebody else"}, "setting key_id is not allowed by role"),
        ({"public_key": "junk"}, "failed to parse public_key as SSH key"),
        ({"public_key": ""}, "missing public_key"),
        ({"extensions": {"permit-X11-forwarding": ""}}, "are not on allowed list"),
        ({"cert_type": "host"}, "cert_type 'host' is not allowed by role"),
    ],
    ids=["principal", "ttl", "key id", "junk", "no key", "extension", "host"],
)
def test_what_the_role_does_not_allow_is_not_signed(ssh: SshStage, asked: Json, said: str) -> None:
    refused = ssh.sign(**asked)
    assert refused.status == 400
    assert said in refused.errors[0]


def test_an_ssh_role_that_is_not_there_is_told(ssh: SshStage) -> None:
    refused = ssh.vault.ask("POST", f"{ssh.place}/sign/none", {"public_key": ssh.public})
    assert (refused.status, refused.errors) == (400, ["Unknown role: none"])
