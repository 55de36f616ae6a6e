"""The broker's configuration, checked and resolved: what `hoopx.yaml` means."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target


class Claims(Struct, frozen=True, forbid_unknown_fields=True):
    """Which claims of a token name the user, the groups, and the person who may have other accounts too."""

    user: str = "sub"
    groups: str | None = None
    person: str | None = None


# What a claim may be, any one of these patterns; or, of a claim that is itself a map, what its own claims may be.
Wanted: TypeAlias = "tuple[str, ...] | dict[str, Wanted]"


class Rule(Struct, frozen=True):
    """What follows for a token all of whose claims in `when` are as wanted. `agent` makes its bearer an agent.

    Without `pull_requests` it never holds for a change that is only proposed.
    """

    when: dict[str, Wanted]
    groups: tuple[str, ...] = ()
    pull_requests: bool = False
    agent: bool = False


class PageClient(Struct, frozen=True):
    """Who the broker is at a provider when people log in at its own pages; `secret` is None for a public client.

    `name` is the provider's for people, `slug` stands for it in URLs.
    """

    client_id: str
    name: str
    slug: str
    secret: Secret | None = None


class OidcIssuer(Struct, frozen=True):
    """An identity provider. `jwks` is set where its keys are pinned from a file, so that no discovery call is made.

    `require_proof` takes no token as a bearer's: who brings one proves that it is bound to a key of theirs.
    `page` is set where people may log in at the broker's own pages by it.
    The issuer of workloads may be a SPIFFE trust domain, `spiffe://example.org`. Where there are `rules`, a token for
    which none of them holds is refused.
    """

    issuer: str
    audience: str
    kind: Literal["human", "workload"]
    claims: Claims
    client_id: str | None = None
    scopes: tuple[str, ...] = ("openid", "profile", "email", "offline_access")
    jwks: bytes | None = None
    jwks_file: Path | None = None
    jwks_url: str | None = None
    ca: Path | None = None
    require_proof: bool = False
    rules: tuple[Rule, ...] = ()
    page: PageClient | None = None


class LocalUser(Struct, frozen=True):
    """A user of the embedded issuer."""

    name: str
    password: Secret
    groups: tuple[str, ...] = ()
    email: str | None = None


class LocalAgent(Struct, frozen=True):
    """An agent of the embedded issuer. It proves itself by a key or by a secret.

    With neither it has no credential of its own: it acts only for a person who brings their own token.
    """

    name: str
    groups: tuple[str, ...] = ()
    jwks: bytes | None = None
    secret: Secret | None = None


class OidcUpstream(Struct, frozen=True):
    """An OpenID provider where people of the embedded issuer log in; `secret` is None for a public client.

    `slug` names it in URLs. The names that it gives begin with `prefix` and, where there are `domains`, are addresses
    in one of them.
    """

    name: str
    slug: str
    provider: OidcIssuer
    secret: Secret | None = None
    prefix: str = ""
    domains: tuple[str, ...] = ()


class SamlUpstream(Struct, frozen=True):
    """As `OidcUpstream`, a SAML identity provider; `metadata` is its own description of itself."""

    name: str
    slug: str
    metadata: bytes
    claims: Claims
    prefix: str = ""
    domains: tuple[str, ...] = ()


Upstream = OidcUpstream | SamlUpstream


class EmbeddedIssuer(Struct, frozen=True):
    """The issuer inside the broker: local users with groups, agents, and providers at which people log in."""

    users: dict[str, LocalUser]
    client_id: str = "hoopx-cli"
    audience: str = "hoopx"
    agents: dict[str, LocalAgent] = {}
    upstreams: tuple[Upstream, ...] = ()


class ServerTls(Struct, frozen=True):
    """Certificate chain and key, both PEM files."""

    cert: Path
    key: Path


class StateUrl(Struct, frozen=True):
    """A PostgreSQL database that holds the state. `shown` names it for people, without password and options."""

    url: Secret
    shown: str

    def __str__(self) -> str:
        return self.shown


class Notify(Struct, frozen=True):
    """An entry of `notify`: a notifier, what it hears of, and its plugin's own `options`.

    `fresh` bounds how old, in seconds, what is known of a person's groups may be when they answer through it; an event
    that could not be told for `give_up` seconds is told no more.
    """

    name: str
    kind: str
    options: Any
    events: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    give_up: int = 86_400
    fresh: int = 12 * 3600


class StorePlace(Struct, frozen=True):
    """A store of evidence that is not a directory: `scheme` names its plugin, `place` is what follows the colon."""

    scheme: str
    place: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.place}"


class WitnessConfig(Struct, frozen=True):
    """Who cosigns checkpoints of the log: a verifier key (`NAME+ID+KEY`), and where it is asked.

    `ca` is a file of certificates that stand in for the system's authorities.
    """

    key: str
    url: str
    ca: Path | None = None


class EvidenceConfig(Struct, frozen=True):
    """How recordings are written and kept. `encrypt_to` holds age recipients; without any, they are in the clear.

    `key` is the private evidence key where brokers share one; None for the one in this broker's own directory of keys.
    `retention` says for each class how many seconds a recording is kept at least; the class of targets that name none
    is `default`, and a class that is not there is kept for good. With a `store`, recordings are in the spool until it
    has them, which may hold `spool_limit` bytes; `options` are the store's own. `witnesses` cosign the log.
    """

    durability: Literal["process", "disk"] = "process"
    encrypt_to: tuple[str, ...] = ()
    key: Secret | None = None
    retention: dict[str, int] = {}
    store: StorePlace | None = None
    spool_limit: int = 20 << 30
    options: Any = None
    witnesses: tuple[WitnessConfig, ...] = ()


class BrokerConfig(Struct, frozen=True):
    """All paths absolute; secrets resolved; every reference holds. Each of `accounts` has the names of one person.

    `recordings` is the directory in which they are written: for good, or until a store has them. `sha256` is of the
    file itself, and `written` has what it says by dotted names of keys, any of which may be a secret.
    """

    host: str
    port: int
    public_url: str
    tls: ServerTls | None
    state: Path | StateUrl
    recordings: Path
    policies: Path
    identity: tuple[OidcIssuer, ...]
    embedded: EmbeddedIssuer | None
    targets: dict[str, Target]
    accounts: tuple[tuple[str, ...], ...] = ()
    source: Path = field(default_factory=Path)
    notify: tuple[Notify, ...] = ()
    evidence: EvidenceConfig = EvidenceConfig()
    sha256: str = ""
    written: dict[str, Secret] = field(default_factory=dict)

    @property
    def keys(self) -> Path:
        """Where this broker's own keys are: on its own disk, beside its state or else beside its recordings."""
        own = self.state if isinstance(self.state, Path) else self.recordings
        return own.parent / "keys"
