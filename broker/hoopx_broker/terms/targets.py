"""Named backends and what is known about them."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from hoopx_broker.terms.masks import Masks

TargetKind = Literal["postgres", "aws"]
TlsModeName = Literal["disable", "require", "verify-ca", "verify-full"]


class UpstreamTls(Struct, frozen=True, forbid_unknown_fields=True):
    """TLS towards the backend, with libpq's meanings of the modes. `ca` is a path to PEM certificates."""

    mode: TlsModeName = "verify-full"
    ca: str | None = None


class ColumnName(Struct, frozen=True, order=True):
    """A base column of a PostgreSQL database, case as stored in the catalog."""

    schema: str
    table: str
    column: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}.{self.column}"


class Target(Struct, frozen=True):
    """A backend that sessions may be opened to: at an address, or in a cloud, where it has a `region` and no address.

    `credentials` holds the options of the issuer named by `source`.

    `ttl` is the longest life of a lease, in seconds; `session` how long a session may last, None for as long as that;
    `idle` how long a client may say nothing, None for without end. Its recordings are kept as class `retention` is.
    """

    name: str
    kind: TargetKind
    host: str
    port: int
    database: str
    tls: UpstreamTls
    source: str
    labels: dict[str, str] = field(default_factory=dict)
    classify: dict[ColumnName, str] = field(default_factory=dict)
    credentials: Any = None
    ttl: int = 3600
    session: int | None = None
    idle: int | None = None
    masks: Masks = field(default_factory=Masks)
    region: str = ""
    account: str = ""
    retention: str = "default"

    @property
    def longest(self) -> int:
        """How long a session may last, in seconds."""
        return self.ttl if self.session is None else self.session
