"""This installation, and the variables around it: versions, extras, and what contradicts what was remembered."""

from __future__ import annotations

import platform
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path

from hoopx_broker import __version__
from hoopx_broker.terms.errors import BadInput
from hoopx_cli.doctor.findings import Checked, fine, odd
from hoopx_cli.roster import Accounts
from hoopx_cli.settings import Remembered, Settings, origin

KNOWN = (
    "HOOPX_BROKER",
    "HOOPX_TOKEN",
    "HOOPX_CA",
    "HOOPX_CONFIG",
    "HOOPX_HOME",
    "HOOPX_ACCOUNT",
    "HOOPX_AUDIENCE",
    "HOOPX_ID_TOKEN",
    "HOOPX_TOKEN_FILE",
    "HOOPX_CLIENT_ID",
    "HOOPX_CLIENT_KEY",
    "HOOPX_CLIENT_SECRET",
    "HOOPX_ISSUER",
    "HOOPX_AGENT",
    "HOOPX_AGENT_NAME",
    "HOOPX_AGENT_INSTRUCTIONS",
)
_NEAR = 0.85  # how alike two names are for one to be a slip of the other
_EXTRA = re.compile(r"extra == ['\"]([\w-]+)['\"]")
_PACKAGE = re.compile(r"[\w.-]+")


def python() -> Checked:
    version = platform.python_version()
    return fine("python", f"{version} at {sys.executable}", version=version)


def installed(environ: Mapping[str, str]) -> Iterator[Checked]:
    """This hoopx, which one a shell finds, and which optional parts are here."""
    ours = Path(sys.argv[0]).resolve()
    found = shutil.which("hoopx", path=environ.get("PATH"))
    if found is None:
        mend = f"add `{ours.parent}` to PATH: TAB, and tools that start hoopx, look there"
        yield odd("hoopx", f"{__version__}, and no `hoopx` is on PATH", mend, version=__version__)
    elif ours.name == "hoopx" and Path(found).resolve() != ours:
        mend = "take one of them off PATH"
        yield odd("hoopx", f"{__version__} at {ours}, and a shell starts {found}", mend, version=__version__)
    else:
        yield fine("hoopx", f"{__version__} at {found}", version=__version__)
    yield _extras(environ)


def _extras(environ: Mapping[str, str]) -> Checked:
    wanted = _packages_of_extras()
    here = sorted(extra for extra, packages in wanted.items() if all(map(_is_here, packages)))
    missing = sorted(set(wanted) - set(here))
    told = f"{', '.join(here) or 'none'}; not installed: {', '.join(missing) or 'none'}"
    if environ.get("HOOPX_CONFIG") and "broker" in missing:
        mend = "pip install 'hoopx[broker]'"
        return odd("extras", f"HOOPX_CONFIG is set, and the broker is not installed here: {told}", mend)
    return fine("extras", told, installed=here, missing=missing)


def _packages_of_extras() -> dict[str, list[str]]:
    """As this installation's own metadata names them; one that only names other extras has no packages of its own."""
    wanted: dict[str, list[str]] = {}
    for line in metadata.requires("hoopx") or ():
        extra, package = _EXTRA.search(line), _PACKAGE.match(line)
        if extra and package and package.group(0) != "hoopx":
            wanted.setdefault(extra.group(1), []).append(package.group(0))
    return wanted


def _is_here(package: str) -> bool:
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def environment(
    environ: Mapping[str, str], settings: Settings, remembered: Remembered | None, known: Accounts
) -> Iterator[Checked]:
    """Variables that win over what was remembered, contradict each other, or are misspelt. Names, never values."""
    found = [
        *_misspelt(environ),
        *_against_files(environ, settings, remembered),
        *_against_login(environ, settings, known),
        *_leaks(environ),
    ]
    given = sorted(name for name in KNOWN if environ.get(name))
    yield from found
    if not found:
        yield fine("environment", ", ".join(given) or "no variable of hoopx is set", variables=given)


def _misspelt(environ: Mapping[str, str]) -> Iterator[Checked]:
    for name in sorted(environ):
        near = get_close_matches(name, KNOWN, n=1, cutoff=_NEAR) if name.startswith("HOOP") else []
        if near and name not in KNOWN:
            yield odd("environment", f"{name} means nothing to hoopx", f"did you mean {near[0]}?")


def _against_files(environ: Mapping[str, str], settings: Settings, remembered: Remembered | None) -> Iterator[Checked]:
    config = environ.get("HOOPX_CONFIG")
    if config and not Path(config).is_file():
        mend = "unset it, or name the broker's configuration; `hoopx broker check` looks into it"
        yield odd("environment", "HOOPX_CONFIG names a file that is not there", mend)
    if remembered is None:
        return
    named = environ.get("HOOPX_BROKER")
    if named and settings.broker == _origin(named) != remembered.broker:
        found = f"HOOPX_BROKER wins over the broker of the last login, {remembered.broker}"
        yield odd("environment", found, "unset HOOPX_BROKER if that one is meant")
    trusted = remembered.ca if remembered.broker == settings.broker else remembered.others.get(settings.broker)
    given = environ.get("HOOPX_CA")
    if (
        given
        and trusted
        and given == settings.ca
        and given.lower().replace(":", "") != trusted.lower().replace(":", "")
    ):
        found = "HOOPX_CA wins over how this broker was trusted at the last login, which was otherwise"
        yield odd("environment", found, "unset HOOPX_CA, or log in again to remember it")


def _against_login(environ: Mapping[str, str], settings: Settings, known: Accounts) -> Iterator[Checked]:
    is_kept = bool(known.accounts)
    for name in ("HOOPX_TOKEN", "HOOPX_CLIENT_ID"):
        if is_kept and environ.get(name) and not settings.insists:
            yield odd("environment", f"{name} wins over the login that is kept here", f"unset {name} to use the login")
    if environ.get("HOOPX_CLIENT_ID") and not (environ.get("HOOPX_CLIENT_KEY") or environ.get("HOOPX_CLIENT_SECRET")):
        mend = "set HOOPX_CLIENT_KEY or HOOPX_CLIENT_SECRET, or unset HOOPX_CLIENT_ID"
        yield odd("environment", "HOOPX_CLIENT_ID is set without a key or a secret", mend)
    account = environ.get("HOOPX_ACCOUNT")
    if account and account == settings.account and account not in known.accounts:
        yield odd("environment", "HOOPX_ACCOUNT names nobody who is logged in here", "unset it, or `hoopx login`")


def _leaks(environ: Mapping[str, str]) -> Iterator[Checked]:
    if environ.get("SSLKEYLOGFILE"):
        found = "SSLKEYLOGFILE is set: the keys of every connection are written to a file"
        yield odd("environment", found, "unset it, unless you debug TLS right now")


def _origin(named: str) -> str:
    try:
        return origin(named)
    except BadInput:
        return ""


def _plain(ca: str) -> str:
    """A fingerprint may be written with colons and in capitals."""
    return ca.lower().replace(":", "") if ca.lower().startswith("sha256:") else ca
