"""Where Vault (or OpenBao) is and how the broker logs in: the section `vault` of the configuration."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from hoopx_broker.terms.secret import Secret

# What a mount or a path may look like: nothing that a URL would take apart or climb out of.
SEGMENT = r"[A-Za-z0-9_@:+~-][A-Za-z0-9_.@:+~-]*"
Place = Annotated[str, Meta(pattern=rf"^{SEGMENT}(/{SEGMENT})*$", max_length=256)]
Name = Annotated[str, Meta(pattern=rf"^{SEGMENT}$", max_length=256)]
Seconds = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,2}s$")]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
NO_HVAC = "needs the package hvac: `pip install 'hoopx[vault]'`"
NO_VAULT = "must say where Vault is: add a section `vault` at the top of the file, or `vault` here"


class AppRole(Struct, frozen=True, forbid_unknown_fields=True):
    """A role id and its secret id."""

    role_id: Secret
    secret_id: Secret
    mount: Place = "approle"


class Kubernetes(Struct, frozen=True, forbid_unknown_fields=True):
    """The service account of the broker's pod; its token is read at each login, for Kubernetes renews it."""

    role: Name
    mount: Place = "kubernetes"
    token_file: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class Jwt(Struct, frozen=True, forbid_unknown_fields=True):
    """A token that the broker's platform gives it (SPIFFE, a cloud, a runner), read at each login."""

    role: Name
    token_file: Path
    mount: Place = "jwt"


class Person(Struct, frozen=True, forbid_unknown_fields=True):
    """Credentials are made by a login with the token of whoever opens the session, so Vault's audit names them."""

    role: Name
    mount: Place = "jwt"


class VaultServer(Struct, frozen=True, forbid_unknown_fields=True):
    """One Vault, and exactly one way in for the broker; `token_file` is kept fresh by Vault Agent.

    `ca` holds the certificates of the authority to believe; the system's where it is not said. `timeout` bounds the
    wait for each answer.
    """

    LOGINS: ClassVar[tuple[str, ...]] = ("approle", "kubernetes", "jwt", "token_file")

    address: str
    namespace: Place | None = None
    ca: Path | None = None
    timeout: Seconds = "6s"
    approle: AppRole | None = None
    kubernetes: Kubernetes | None = None
    jwt: Jwt | None = None
    token_file: Path | None = None
    person: Person | None = None

    def __post_init__(self) -> None:
        if importlib.util.find_spec("hvac") is None:
            raise ValueError(NO_HVAC)
        _check_address(self.address)
        said = [each for each in self.LOGINS if getattr(self, each) is not None]
        if len(said) != 1:
            ways = ", ".join(f"`{each}`" for each in self.LOGINS)
            told = " and ".join(f"`{each}`" for each in said)
            raise ValueError(f"must hold exactly one login of the broker ({ways}); it holds {told or 'none'}")

    @property
    def seconds(self) -> int:
        return int(self.timeout.removesuffix("s"))


def _check_address(address: str) -> None:
    """Raises `ValueError`: tokens travel in the clear to nobody but this machine."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("`address` is not a URL; write for example `https://vault.example.com:8200`") from None
    if parts.scheme not in ("https", "http") or not host or parts.username or parts.query or parts.fragment:
        raise ValueError("`address` is not the URL of a Vault; write for example `https://vault.example.com:8200`")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ValueError("`address` must begin with https; http is for a Vault or an agent on this machine only")


class VaultOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every source of Vault is told: a Vault of the target's own, or the one at the top of the file."""

    vault: VaultServer | None = None

    def __post_init__(self) -> None:
        if self.vault is None:
            raise ValueError(NO_VAULT)

    @property
    def server(self) -> VaultServer:
        assert self.vault is not None  # checked when it was made
        return self.vault
