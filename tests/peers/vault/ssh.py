"""The SSH engine of the double: a certificate authority, and certificates that a real sshd accepts."""

from __future__ import annotations

import re
import secrets
import time

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import ssh

from tests.peers.vault.answers import NOTHING, SYSTEM_MAX_TTL, Answer, Json, Refused, names, not_found, seconds, wrapped
from tests.peers.vault.engine import Call, Engine

BACKDATED = 30  # seconds; Vault's own `not_before_duration`
KINDS = {"user": ssh.SSHCertificateType.USER, "host": ssh.SSHCertificateType.HOST}
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class SshEngine(Engine):
    open = ("public_key",)

    def is_there(self, call: Call) -> bool:
        return not call.path.startswith("roles/") or call.path in call.mount.store

    def handle(self, call: Call) -> Answer:
        kind = call.path.split("/")[0]
        match kind, "write" if call.request.writes else call.request.operation:
            case "config", "write":
                return self._configure(call)
            case (("config" | "public_key"), "read"):
                if "ca" not in call.mount.store:
                    raise Refused(400, "keys haven't been configured yet")
                public = call.mount.store["ca"]["public_key"]
                return Answer(data={"public_key": public}, text=public if kind == "public_key" else None)
            case "roles", "write":
                call.mount.store[call.path] = _role(call.mount.store.get(call.path, {}) | call.body)
                return NOTHING
            case "roles", "read":
                if call.path not in call.mount.store:
                    raise not_found()
                return Answer(data=call.mount.store[call.path])
            case "roles", "delete":
                call.mount.store.pop(call.path, None)
                return NOTHING
            case "sign", "write":
                return self._sign(call)
            case (("config" | "roles" | "sign"), _):
                raise Refused(405, "unsupported operation")
        raise Refused(404, wrapped("unsupported path"))

    def _configure(self, call: Call) -> Answer:
        private = call.body.get("private_key")
        key = forms.load_ssh_private_key(private.encode(), None) if private else _new_key(call.body)
        pem = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.OpenSSH, forms.NoEncryption()).decode()
        public = key.public_key().public_bytes(forms.Encoding.OpenSSH, forms.PublicFormat.OpenSSH).decode() + "\n"
        call.mount.store["ca"] = {"private_key": pem, "public_key": public}
        return Answer(data={"public_key": public})

    def _sign(self, call: Call) -> Answer:
        role, body = call.mount.store.get(f"roles/{call.name}"), call.body
        if role is None:
            raise Refused(400, f"Unknown role: {call.name}")
        if "ca" not in call.mount.store:
            raise Refused(500, wrapped("failed to read CA private key"))
        public = _public(body.get("public_key"))
        kind = body.get("cert_type", "user")
        if kind not in KINDS:
            raise Refused(400, "cert_type must be either 'user' or 'host'")
        if not role.get(f"allow_{kind}_certificates"):
            raise Refused(400, f"cert_type '{kind}' is not allowed by role")
        at, ttl, serial = int(time.time()), _ttl(role, body), secrets.randbits(63)
        builder = (
            ssh.SSHCertificateBuilder()
            .public_key(public)
            .serial(serial)
            .type(KINDS[kind])
            .key_id(_key_id(call, role, public).encode())
            .valid_principals([each.encode() for each in _principals(role, body)])
            .valid_after(at - BACKDATED)
            .valid_before(at + ttl)
        )
        for name, value in sorted(_options(role, body, "critical_options").items()):
            builder = builder.add_critical_option(name.encode(), value.encode())
        for name, value in sorted(_options(role, body, "extensions").items()):
            builder = builder.add_extension(name.encode(), value.encode())
        signed = builder.sign(_loaded(call.mount.store["ca"]["private_key"]))
        told = {"serial_number": f"{serial:x}", "signed_key": signed.public_bytes().decode() + "\n"}
        return Answer(data=told)


def _new_key(body: Json) -> Key:
    kind = body.get("key_type", "ssh-rsa")
    if kind in ("ed25519", "ssh-ed25519"):
        return ed25519.Ed25519PrivateKey.generate()
    if kind in ("ssh-rsa", "rsa"):
        return rsa.generate_private_key(65537, int(body.get("key_bits") or 0) or 4096)
    return ec.generate_private_key(ec.SECP256R1())


def _role(body: Json) -> Json:
    if body.get("key_type") not in ("ca", "otp"):
        raise Refused(400, "invalid key type")
    if body["key_type"] == "otp":
        raise Refused(400, "the double signs certificates only: key_type ca")
    kinds = {f"allow_{kind}_certificates": bool(body.get(f"allow_{kind}_certificates")) for kind in KINDS}
    if not any(kinds.values()):
        raise Refused(400, "Either 'allow_user_certificates' or 'allow_host_certificates' must be set to 'true'")
    times = {key: seconds(body.get(key)) for key in ("ttl", "max_ttl")}
    return {"allowed_users": "", "default_user": "", **body, **kinds, **times}


def _public(text: str | None) -> ssh.SSHCertPublicKeyTypes:
    if not text:
        raise Refused(400, "missing public_key")
    try:
        return ssh.load_ssh_public_key(text.encode())  # type: ignore[return-value]
    except (ValueError, UnsupportedAlgorithm) as problem:
        raise Refused(400, f"failed to parse public_key as SSH key: {problem}") from problem


def _loaded(pem: str) -> Key:
    return ssh.load_ssh_private_key(pem.encode(), None)  # type: ignore[return-value]


def _ttl(role: Json, body: Json) -> int:
    most = role["max_ttl"] or SYSTEM_MAX_TTL
    ttl = seconds(body.get("ttl")) or role["ttl"] or most
    if ttl > most:
        raise Refused(400, f"ttl is larger than maximum allowed {most}")
    return min(ttl, most)


def _principals(role: Json, body: Json) -> list[str]:
    asked = names(body.get("valid_principals") or role["default_user"])
    allowed = names(role["allowed_users"]) or names(role["default_user"])
    if not asked:
        raise Refused(400, "empty valid principals not allowed by role")
    for each in asked:
        if "*" not in allowed and each not in allowed:
            raise Refused(400, f"{each} is not a valid value for valid_principals")
    return asked


def _options(role: Json, body: Json, kind: str) -> dict[str, str]:
    asked, default = body.get(kind), role.get(f"default_{kind}") or {}
    if not asked:
        return dict(default)
    allowed = names(role.get(f"allowed_{kind}"))
    refused = sorted(set(asked) - set(allowed)) if allowed and allowed != ["*"] else []
    if refused:
        raise Refused(400, f"{kind.replace('_', ' ')} [{' '.join(refused)}] are not on allowed list")
    return dict(asked)


def _key_id(call: Call, role: Json, public: ssh.SSHCertPublicKeyTypes) -> str:
    asked = call.body.get("key_id")
    if asked and not role.get("allow_user_key_ids"):
        raise Refused(400, "setting key_id is not allowed by role")
    if asked:
        return str(asked)
    values = {
        "token_display_name": call.owner.display_name,
        "role_name": call.name,
        "public_key_hash": ssh.ssh_key_fingerprint(public, SHA256()).hex(),
    }
    template = role.get("key_id_format") or "vault-{{token_display_name}}-{{public_key_hash}}"
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values.get(match[1], match[0]), template)
