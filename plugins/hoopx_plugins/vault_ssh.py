"""SSH certificates of Vault: a key made here for one session, signed there for as long as the session may last."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    SSHCertificate,
    load_ssh_public_identity,
)

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Issued, Lease, Order, SshCertificate
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_plugins.vault_connection import Json
from hoopx_plugins.vault_ending import ENDS, fades_at
from hoopx_plugins.vault_failures import VaultRefused
from hoopx_plugins.vault_lease import Visit, Visits
from hoopx_plugins.vault_server import Name, Place, VaultOptions


class VaultSshOptions(VaultOptions, frozen=True, forbid_unknown_fields=True):
    """`role` of the SSH engine at `mount`, of the type `ca`. `user` is who logs in.

    `valid_principals` are the names that the certificate is to hold; `user` alone where none are said.
    """

    role: Name
    user: str
    valid_principals: tuple[str, ...] = ()
    mount: Place = "ssh"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.user or any(not each or "," in each for each in self.principals):
            raise ValueError("`user` and `valid_principals` must be names, one each, without commas")

    @property
    def principals(self) -> tuple[str, ...]:
        return self.valid_principals or (self.user,)


class VaultSshIssuer:
    """Certificates that Vault signs. Nobody can call one back: it ends by its own time."""

    Options: ClassVar[type[VaultSshOptions]] = VaultSshOptions
    kinds: ClassVar[frozenset[str]] = frozenset({"ssh"})
    exclusive: ClassVar[bool] = False

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._visits = Visits(clock)

    async def issue(self, order: Order, pin: Pin) -> Issued:
        options: VaultSshOptions = order.target.credentials
        visit = await self._visits.enter(options.server, order, pin)
        key = Ed25519PrivateKey.generate()
        answer = await _signed(visit, options, key.public_key(), pin)

        async def finished() -> Issued:
            text, certificate = _certificate_in(answer, key.public_key(), options, visit.who)
            await visit.give_back()
            private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
            handle = {"serial": str(certificate.serial), ENDS: str(certificate.valid_before)}
            credential = SshCertificate(options.user, Secret(private), text)
            return Issued(credential, handle, float(certificate.valid_before))

        return await visit.all_or_none(finished())

    async def revoke(self, lease: Lease, target: Target) -> float | None:
        """End the login at Vault, if the broker died with it, and say when the certificate ends by its own time."""
        options: VaultSshOptions = target.credentials
        await self._visits.end(options.server, lease, target)
        return fades_at(lease.handle)


async def _signed(visit: Visit, options: VaultSshOptions, public: Ed25519PublicKey, pin: Pin) -> Json:
    """For the order's time; for the role's own where that is more than it may."""
    path = f"{options.mount}/sign/{options.role}"
    body: Json = {
        "public_key": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
        "valid_principals": ",".join(options.principals),
        "cert_type": "user",
    }
    asked = body | {"ttl": f"{visit.left()}s"}
    doing = f"get a certificate from `{path}`"
    return await visit.make(pin, "post", path, asked, doing, lambda refused: body if _is_too_long(refused) else None)


def _is_too_long(refused: VaultRefused) -> bool:
    return refused.status == 400 and "ttl" in refused.told.lower() and "larger" in refused.told.lower()


def _certificate_in(
    answer: Json, public: Ed25519PublicKey, options: VaultSshOptions, who: str
) -> tuple[str, SSHCertificate]:
    """Whole and ours: a certificate over this key, for this user, in its own words."""
    text = str((answer.get("data") or {}).get("signed_key") or "").strip()
    hint = "look at that role at Vault: is its `key_type` `ca`, and does it allow users and these principals?"
    try:
        certificate = load_ssh_public_identity(text.encode())
    except ValueError:
        certificate = None
    if not isinstance(certificate, SSHCertificate) or certificate.public_key() != public:
        raise BackendFailed(f"{who} got no certificate over its key from Vault", hint)
    try:
        certificate.verify_cert_signature()
    except InvalidSignature:
        raise BackendFailed(f"{who} got a certificate with a wrong signature from Vault", hint) from None
    if not {each.encode() for each in options.principals} <= set(certificate.valid_principals):
        raise BackendFailed(f"{who} got a certificate that is not for `{options.user}`", hint)
    return text, certificate
