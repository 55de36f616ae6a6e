"""What the double remembers, as one document that it writes down after each change, so that it outlives a kill."""

from __future__ import annotations

import os
import secrets
import string
from pathlib import Path

import msgspec
from msgspec import Struct, field

from tests.peers.vault.answers import Json

LETTERS = string.ascii_letters + string.digits


class Mount(Struct, kw_only=True):
    """A secrets engine or login method; `store` is its own, JSON throughout."""

    type: str
    accessor: str
    description: str = ""
    options: dict[str, str] | None = None
    default_ttl: int = 0
    max_ttl: int = 0
    store: Json = field(default_factory=dict)


class Namespace(Struct, kw_only=True):
    id: str
    mounts: dict[str, Mount] = field(default_factory=dict)  # "secret/" -> …
    logins: dict[str, Mount] = field(default_factory=dict)  # "jwt/" -> …
    policies: dict[str, str] = field(default_factory=dict)


class Token(Struct, kw_only=True):
    id: str
    accessor: str
    namespace: str
    policies: list[str]
    display_name: str
    path: str
    created: float
    renewable: bool = True
    ttl: int = 0  # as it was made; 0 never ends
    max_ttl: int = 0  # of the role it came from
    explicit_max_ttl: int = 0
    period: int = 0
    ends: float | None = None
    renewed: float | None = None
    num_uses: int = 0
    parent: str | None = None
    meta: dict[str, str] | None = None
    entity: str = ""
    orphan: bool = False


class Lease(Struct, kw_only=True):
    """`path` begins with the namespace, as lease ids do; `inner` is the engine's own, never told."""

    id: str
    path: str
    namespace: str
    mount: str
    token: str
    issued: float
    ends: float
    renewable: bool
    ttl: int
    max_ttl: int
    inner: Json
    renewed: float | None = None
    attempts: int = 0
    retry_at: float = 0.0


class State(Struct, kw_only=True):
    unseal_key: str
    sealed: bool = False
    namespaces: dict[str, Namespace] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    entities: dict[str, str] = field(default_factory=dict)  # "accessor of the method/alias" -> entity id
    audits: dict[str, Json] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self))
        os.replace(fresh, path)  # noqa: PTH105


def load(path: Path) -> State | None:
    return msgspec.json.decode(path.read_bytes(), type=State) if path.exists() else None


def word(length: int) -> str:
    """Random letters and digits."""
    return "".join(secrets.choice(LETTERS) for _ in range(length))


def mount(kind: str, options: dict[str, str] | None = None, description: str = "") -> Mount:
    return Mount(type=kind, accessor=f"{kind}_{word(8).lower()}", options=options, description=description)
