"""How local programs reach an open session: connection strings, the psql line, and environments for children."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from msgspec import Struct

from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.secret import Secret

# Any name is let in: who it is was settled with the broker.
USER = "hoopx"

# What a caller's environment may hold that would lead libpq elsewhere, or make it demand what a local socket lacks.
CONFLICTING = frozenset(
    {
        "PGHOST",
        "PGHOSTADDR",
        "PGPORT",
        "PGUSER",
        "PGPASSWORD",
        "PGDATABASE",
        "PGPASSFILE",
        "PGSERVICE",
        "PGSERVICEFILE",
        "PGSSLMODE",
        "PGREQUIRESSL",
        "PGSSLNEGOTIATION",
        "PGGSSENCMODE",
        "PGCHANNELBINDING",
        "PGREQUIREAUTH",
        "PGTARGETSESSIONATTRS",
        "DATABASE_URL",
    }
)
# What lets one act as the person at the broker, which a child has no need to.
_OURS = frozenset({"HOOPX_TOKEN", "HOOPX_ID_TOKEN", "HOOPX_CLIENT_ID", "HOOPX_CLIENT_KEY", "HOOPX_CLIENT_SECRET"})


# By these a job proves who it is, and a desktop opens its keyring: an agent on behalf of a person has its own way.
_IDENTITIES = frozenset(
    {
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_URL",
        "ACTIONS_RUNTIME_TOKEN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "BUILDKITE_AGENT_ACCESS_TOKEN",
        "CIRCLE_OIDC_TOKEN",
        "CIRCLE_OIDC_TOKEN_V2",
        "CI_JOB_JWT",
        "CI_JOB_JWT_V2",
        "CI_JOB_TOKEN",
        "DBUS_SESSION_BUS_ADDRESS",
        "GNOME_KEYRING_CONTROL",
        "SPIFFE_ENDPOINT_SOCKET",
    }
)


class Access(Struct, frozen=True):
    """One session's local socket. `host` is an address, or the folder of a socket file (then without a password)."""

    target: str
    session: str
    database: str
    host: str
    port: int
    password: Secret | None
    expires_at: float
    socket: Path | None = None

    def url(self) -> str:
        """A libpq URI; it holds the password."""
        database = quote(self.database, safe="")
        if self.password is None:
            return f"postgresql://{USER}@/{database}?" + urlencode({"host": self.host, "port": self.port})
        return f"postgresql://{USER}:{self.password.reveal()}@{self.host}:{self.port}/{database}?sslmode=disable"

    def psql(self) -> str:
        """A shell line. The password stands in its environment: arguments can be read by every user of a machine."""
        parts = {"host": self.host, "port": str(self.port), "dbname": self.database, "user": USER}
        if self.password is not None:
            parts["sslmode"] = "disable"
        line = f"psql {shlex.quote(' '.join(f'{name}={_conninfo(value)}' for name, value in parts.items()))}"
        return line if self.password is None else f"PGPASSWORD={self.password.reveal()} {line}"

    def jdbc(self) -> str:
        """For Java and what is built on it; it holds the password. There is none for a socket file."""
        if self.password is None:
            raise ValueError("JDBC knows no socket files")
        known = {"user": USER, "password": self.password.reveal(), "sslmode": "disable"}
        return f"jdbc:postgresql://{self.host}:{self.port}/{quote(self.database, safe='')}?{urlencode(known)}"

    def variables(self) -> dict[str, str]:
        """What PostgreSQL's own clients read."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": USER,
            "PGDATABASE": self.database,
            "PGSSLMODE": "disable",
            "DATABASE_URL": self.url(),
            **({"PGPASSWORD": self.password.reveal()} if self.password is not None else {}),
        }

    def document(self) -> dict[str, Any]:
        """The stable JSON form."""
        return {
            "target": self.target,
            "session": self.session,
            "database": self.database,
            "host": self.host,
            "port": self.port,
            "user": USER,
            "password": self.password.reveal() if self.password is not None else None,
            "url": self.url(),
            "expires_at": self.expires_at,
        }


def environment(environ: Mapping[str, str], accesses: Sequence[Access]) -> dict[str, str]:
    """A child's environment: the caller's, cleared of what would lead elsewhere, with the way to each target.

    One target is what `PG*` and `DATABASE_URL` mean. With several, each has `<TARGET>_DATABASE_URL` and nothing is
    the default, so that no statement goes to a target by mistake.
    """
    kept = {name: value for name, value in environ.items() if name not in CONFLICTING | _OURS}
    if len(accesses) == 1:
        kept |= accesses[0].variables()
    return kept | {variable_of(access.target): access.url() for access in accesses}


def environment_of_agent(environ: Mapping[str, str], accesses: Sequence[Access], instructions: str) -> dict[str, str]:
    """As `environment`, and without anything by which the child could act as the person whom it works for.

    What is left is what every program of this Unix user can find: docs/agents.md says how to keep that away, too.
    """
    kept = {
        name: value
        for name, value in environment(environ, accesses).items()
        if not name.startswith("HOOPX_") and name not in _IDENTITIES
    }
    named = {"HOOPX_AGENT_INSTRUCTIONS": instructions} if instructions else {}
    return kept | {"HOOPX_AGENT": "1"} | named


def variable_of(target: str) -> str:
    """`PROD_DB_DATABASE_URL` for `prod-db`."""
    name = re.sub(r"[^A-Z0-9]", "_", target.upper())
    return f"{'_' if name[:1].isdigit() else ''}{name}_DATABASE_URL"


def demand_distinct(targets: Sequence[str]) -> None:
    """Raises `BadInput` where two targets would share a variable."""
    seen: dict[str, str] = {}
    for target in targets:
        name = variable_of(target)
        if name in seen:
            message = f"`{seen[name]}` and `{target}` would both be `{name}`"
            raise BadInput(message, "name each target once, or run one command for each")
        seen[name] = target


def _conninfo(value: str) -> str:
    """A value in libpq's own quoting."""
    if re.fullmatch(r"[A-Za-z0-9_./@:-]+", value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
