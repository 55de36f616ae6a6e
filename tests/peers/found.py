"""Which real peers this machine has, and how to get the ones that are missing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest
from msgspec import Struct

from tests.peers.postgres import installations
from tests.peers.vault import peer as vault
from tests.regress.source import FETCH, suites

SUPPORTED = range(12, 19)  # major versions of PostgreSQL
PEER_PROVIDER = Path(__file__).parent / "oidc_provider"
SAML_PROVIDER = Path(__file__).parent / "saml_provider"
RELYING_PARTY = Path(__file__).parent / "openid_client"
NODE_CLIENTS = Path(__file__).parent / "days" / "node"
GLEWLWYD = Path(__file__).parent / "glewlwyd_server"
MARIADB = Path(__file__).parent / "mariadb_server"
JDBC = Path(__file__).parent / "days" / "jdbc"
LITEWITNESS = Path(__file__).parent / "litewitness"


class Peer(Struct, frozen=True):
    """A real counterpart. `found` describes it; None when it is missing, and then `install` says how to get it."""

    name: str
    found: str | None
    install: str
    optional: bool = False


def peers() -> list[Peer]:
    """Look for every peer; a program is asked for its version once."""
    return [
        Peer("postgres", _postgres(), "apt-get install postgresql postgresql-contrib"),
        # Older ones come as packages for this platform only.
        Peer("every postgres", _every_postgres(), "make peers-postgres", optional=platform.machine() != "x86_64"),
        Peer("psql", _client("psql"), "apt-get install postgresql-client"),
        Peer("pgbench", _client("pgbench"), "apt-get install postgresql-contrib"),
        Peer("shells", _shells(), "apt-get install zsh fish", optional=shutil.which("apt-get") is None),
        Peer("node", _version("node"), ".ci/peers"),
        Peer("oidc-provider", _node_package(PEER_PROVIDER, "oidc-provider"), ".ci/peers"),
        Peer("openid-client", _node_package(RELYING_PARTY, "openid-client"), ".ci/peers"),
        # A package of Debian's and its children's only.
        Peer("glewlwyd", _glewlwyd(), ".ci/peers", optional=shutil.which("apt-get") is None),
        Peer("mariadb", _mariadb(), ".ci/peers", optional=shutil.which("apt-get") is None),
        Peer("saml provider", _saml_provider(), ".ci/peers"),
        # 300 MB, for the few scenes that only a real browser can play.
        Peer("chromium", _chromium(), "apt-get install chromium chromium-driver", optional=True),
        Peer("node clients", _node_package(NODE_CLIENTS, "postgres"), ".ci/peers", optional=True),
        Peer("pgjdbc", _pgjdbc(), "apt-get install default-jdk-headless maven && .ci/peers", optional=True),
        # Its tests run against the double as well, which stands in for it where it is not.
        Peer("openbao", _openbao(), ".ci/peers", optional=True),
        # Its tests run against the double as well.
        Peer("litewitness", _litewitness(), "install Go 1.25 or newer, then .ci/peers", optional=True),
        Peer("regression SQL", _regression_sql(), FETCH, optional=True),
    ]


def header() -> list[str]:
    """The lines for pytest's header: what was found, and the install line of what was not."""
    lines = []
    for peer in peers():
        missing = f"MISSING{' (optional)' if peer.optional else ''}: {peer.install}"
        lines.append(f"peer {peer.name}: {peer.found or missing}")
    return lines


def require(name: str, environ: Mapping[str, str] = os.environ) -> None:
    """Skip the test, visibly, where the peer is missing; with CI=true fail instead, unless it is optional."""
    peer = next(peer for peer in peers() if peer.name == name)
    if peer.found is not None:
        return
    told = f"no {peer.name} here; install it with `{peer.install}`"
    stop: Callable[[str], None] = pytest.fail if environ.get("CI") == "true" and not peer.optional else pytest.skip
    stop(told)


def program(name: str) -> Path:
    """A PostgreSQL client program: the one on PATH, else one that came with a server."""
    on_path = shutil.which(name)
    beside = [Path(on_path)] if on_path else [server.bin / name for server in installations()]
    for candidate in beside:
        if candidate.exists():
            return candidate
    require(name)
    raise FileNotFoundError(name)


def _postgres() -> str | None:
    return ", ".join(f"{server.version} ({server.origin})" for server in installations()) or None


def _every_postgres() -> str | None:
    majors = {server.major for server in installations()}
    return "all of them" if majors >= set(SUPPORTED) else None


def _client(name: str) -> str | None:
    candidates = [shutil.which(name), *(str(server.bin / name) for server in installations())]
    return next((_version(candidate) for candidate in candidates if candidate and Path(candidate).exists()), None)


def _shells() -> str | None:
    """Those that are not on every machine; bash is."""
    told = [_version(shell) for shell in ("zsh", "fish")]
    return ", ".join(filter(None, told)) if all(told) else None


@cache
def _version(command: str) -> str | None:
    if shutil.which(command) is None:
        return None
    told = subprocess.run([command, "--version"], capture_output=True, text=True, check=False, timeout=10)
    return told.stdout.strip() or None


def _node_package(home: Path, name: str) -> str | None:
    package = home / "node_modules" / name / "package.json"
    return "installed" if package.exists() and shutil.which("node") else None


def _saml_provider() -> str | None:
    package = SAML_PROVIDER / "node_modules" / "samlp" / "package.json"
    return "installed" if package.exists() and shutil.which("node") and shutil.which("openssl") else None


def _chromium() -> str | None:
    return _version("chromedriver") if Path("/usr/bin/chromium").exists() else None


def glewlwyd_root() -> Path | None:
    """Where the package lies: unpacked by `.ci/peers`, or installed."""
    return next((root for root in (GLEWLWYD, Path("/")) if (root / "usr/bin/glewlwyd").exists()), None)


@cache
def _glewlwyd() -> str | None:
    """It tells its version on stderr."""
    root = glewlwyd_root()
    if root is None:
        return None
    asked = [str(root / "usr/bin/glewlwyd"), "--version"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=10)
    return (told.stdout + told.stderr).strip() or None


def mariadb_root() -> Path | None:
    """Where the server lies: unpacked by `.ci/peers`, or installed."""
    return next((root for root in (MARIADB, Path("/")) if (root / "usr/sbin/mariadbd").exists()), None)


def _mariadb() -> str | None:
    root = mariadb_root()
    return _version(str(root / "usr/sbin/mariadbd")) if root else None


def jdbc_driver() -> Path | None:
    """The jar that `.ci/peers` has fetched."""
    return next(iter((JDBC / "lib").glob("postgresql-*.jar")), None)


def _pgjdbc() -> str | None:
    driver = jdbc_driver()
    return driver.stem if driver is not None and shutil.which("java") else None


def _openbao() -> str | None:
    """Or a Vault of HashiCorp's: what `HOOPX_TEST_VAULT` names, else what is found."""
    found = vault.program()
    return vault.version(found) if found is not None else None


def _litewitness() -> str | None:
    """It signs by an agent of OpenSSH's, and tells no version."""
    is_built = all((LITEWITNESS / name).exists() for name in ("litewitness", "witnessctl"))
    return "built" if is_built and all(map(shutil.which, ("ssh-agent", "ssh-add", "ssh-keygen"))) else None


def _regression_sql() -> str | None:
    """PostgreSQL's own suite, which is no part of the project."""
    return ", ".join(suite.home.name for suite in suites()) or None
