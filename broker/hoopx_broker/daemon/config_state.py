"""Read `state`: a file of this broker alone, or a PostgreSQL that several share. Its URL is a secret throughout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hoopx_broker.daemon.problems import Wrong
from hoopx_broker.daemon.reading import Section
from hoopx_broker.daemon.references import References
from hoopx_broker.daemon.values import is_loopback
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import StateUrl

DEFAULT = "sqlite:state.db"
_WRITE = "write `sqlite:PATH`, for example `sqlite:state.db`, or `postgresql://USER@HOST/DATABASE`"
_URLS = ("postgresql", "postgres")
# The others let whoever is on the way read everything, and seem to work.
_MODES = ("disable", "require", "verify-ca", "verify-full")
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")


def read_state(top: Section, references: References, home: Path) -> Path | StateUrl:
    return top.hidden_or("state", _parser(references, home), DEFAULT)


def _parser(references: References, home: Path) -> Callable[[str], Path | StateUrl]:
    def parse(text: str) -> Path | StateUrl:
        scheme, _, rest = text.partition(":")
        if scheme == "sqlite":
            return _file(text, rest, home)
        value = text if scheme in _URLS else references.resolve(text)
        if value.partition(":")[0] not in _URLS:
            raise _no_state(text, value)
        return _url(value, home)

    return parse


def _no_state(text: str, value: str) -> Wrong:
    """What was followed, or looks like a URL, may hold a password."""
    if value != text:
        return Wrong(f"`{text}` holds no URL of a state", "store `postgresql://USER:PASSWORD@HOST/DATABASE` there")
    return Wrong("is not a state" if "@" in text or "//" in text else f"`{text}` is not a state", _WRITE)


def _file(text: str, rest: str, home: Path) -> Path:
    if not rest or "\0" in rest:
        raise Wrong(f"`{text}` is not a state", _WRITE)
    if (home / rest).is_dir():
        raise Wrong(f"`{text}` is a directory", "name the file, for example `sqlite:state.db`")
    return home / rest


def _url(value: str, home: Path) -> StateUrl:
    said = _read(value)
    hosts = [host for host in str(said.get("host") or "").split(",") if host]
    if not hosts:
        raise Wrong("names no host", "write `postgresql://USER@HOST/DATABASE`")
    if not said.get("dbname"):
        raise Wrong("names no database", "write `postgresql://USER@HOST/DATABASE`")
    if not said.get("user"):
        raise Wrong("names no user", "write `postgresql://USER@HOST/DATABASE`")
    said = _protected(said, hosts) | {name: str(home / str(said[name])) for name in _FILES if _is_path(said, name)}
    from psycopg.conninfo import make_conninfo  # a broker on a file need not load a database driver to read its own

    return StateUrl(Secret(make_conninfo(**said)), _shown(said, hosts))


def _is_path(said: dict[str, Any], name: str) -> bool:
    return bool(said.get(name)) and said[name] != "system"


def _read(value: str) -> dict[str, Any]:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        return {key: each for key, each in conninfo_to_dict(value).items() if each not in (None, "")}
    except psycopg.Error:  # its text quotes what it could not read
        remedy = "write `postgresql://USER:PASSWORD@HOST/DATABASE`, with `%XX` for what is no letter or digit in them"
        raise Wrong("is not a URL of a PostgreSQL database", remedy) from None


def _protected(said: dict[str, Any], hosts: list[str]) -> dict[str, Any]:
    """Through a network only as it is said there; where nothing is said, only to whom a known authority vouches for."""
    mode = said.get("sslmode")
    if all(host.startswith(("/", "@")) or is_loopback(host) for host in hosts):
        return said
    if mode is not None and mode not in _MODES:
        raise Wrong(f"has `sslmode={mode}`, which goes on in the clear", f"use one of {', '.join(_MODES)}")
    if mode is None:
        said = {**said, "sslmode": "verify-full"}
    if said["sslmode"] == "verify-full" and "sslrootcert" not in said:
        said = {**said, "sslrootcert": "system"}
    return said


def _shown(said: dict[str, Any], hosts: list[str]) -> str:
    ports = str(said.get("port") or "").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    places = [f"{_host(host)}:{port}" if port else _host(host) for host, port in zip(hosts, ports, strict=False)]
    return f"postgresql://{','.join(places)}/{said['dbname']}"


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
