"""Saved connections for psql and whatever else is built on libpq: services, and the password of a session that runs.

What is written into a person's own file leads to the usual port of a target and to a private file with the password,
which is there as long as the session is, and no longer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from hoopx_broker.terms.errors import BadInput
from hoopx_cli import locks, sockets
from hoopx_cli.access import USER, Access
from hoopx_cli.marked_block import Change, MarkedBlock
from hoopx_cli.rundir import folder_of, name_of
from hoopx_cli.settings import Settings, read_private, write_private

# What a line of libpq's file takes as it is.
_PLAIN = re.compile(r"[^\x00-\x1f\x7f\[\]]+")
_KEPT = "services.json"
PASSWORDS, HELD = ".pgpass", ".held"


class Service(Struct, frozen=True):
    """A target by the name of a service."""

    target: str
    database: str


class Kept(Struct, frozen=True):
    """Which targets of which broker have a service, and in which file it stands."""

    file: str
    broker: str
    targets: list[str]


def place_of(environ: Mapping[str, str]) -> Path:
    """Where libpq looks."""
    named = environ.get("PGSERVICEFILE")
    return Path(named).absolute() if named else Path.home() / ".pg_service.conf"


def planned(settings: Settings, path: Path, services: Sequence[Service]) -> Change:
    """Raises `BadInput` where a name is taken by a person's own service."""
    block, own = _block(), _block().others(path)
    for each in services:
        if not _PLAIN.fullmatch(each.target) or not _PLAIN.fullmatch(each.database):
            raise BadInput(
                f"`{each.target}` cannot stand in a file of libpq's", "connect to it by its connection string"
            )
        if f"[{each.target}]" in (line.strip() for line in own.splitlines()):
            raise BadInput(
                f"`{path}` has a service `{each.target}` of its own", "rename that one, or leave this target out"
            )
    return block.put(path, [line for each in services for line in _section(settings, each)])


def write(settings: Settings, change: Change, services: Sequence[Service]) -> None:
    if change.is_needed:
        _block().write(change)
    kept = Kept(str(change.path), settings.broker, [each.target for each in services])
    write_private(settings.home / _KEPT, msgspec.json.encode(kept))


def undoing(path: Path) -> Change:
    return _block().take_out(path)


def undo(home: Path, change: Change) -> None:
    """Sessions that run lose their files too: nobody looks for them any more."""
    if change.is_needed:
        _block().write(change)
    kept = _kept(home)
    for target in kept.targets if kept is not None else ():
        _password_file(home, kept.broker if kept is not None else "", target).unlink(missing_ok=True)
    (home / _KEPT).unlink(missing_ok=True)


@contextmanager
def password_kept(settings: Settings, access: Access) -> Iterator[None]:
    """As long as this lasts, the service of this target finds the password, where there is one and it leads here.

    Who listens at the usual port is the only one to write this file, so what a killed one left is replaced.
    """
    path = _password_file(settings.home, settings.broker, access.target) if _is_served(settings, access) else None
    if path is None:
        yield
        return
    line = _line(access)
    with locks.held(path.with_suffix(HELD)):
        write_private(path, line)
        try:
            yield
        finally:
            with suppress(OSError, BadInput):
                if read_private(path) == line:
                    path.unlink(missing_ok=True)


def sweep(home: Path) -> None:
    """Remove what killed ones have left: their locks went with them. The passwords lead nowhere by then."""
    with suppress(OSError, BadInput):
        left = [*folder_of(home).glob(f"*{PASSWORDS}")] if (home / _KEPT).exists() else []
        for path in left:
            with locks.alone(path.with_suffix(HELD)) as is_over:
                if is_over:
                    path.unlink(missing_ok=True)


def _block() -> MarkedBlock:
    return MarkedBlock("psql", "set PGSERVICEFILE to a file of yours")


def _section(settings: Settings, service: Service) -> list[str]:
    port = sockets.usual_port(settings.home, settings.broker, service.target)
    return [
        f"[{service.target}]",
        f"host={sockets.LOOPBACK}",
        f"port={port}",
        f"dbname={service.database}",
        f"user={USER}",
        "sslmode=disable",
        f"passfile={_password_file(settings.home, settings.broker, service.target)}",
    ]


def _is_served(settings: Settings, access: Access) -> bool:
    kept = _kept(settings.home)
    if kept is None or access.password is None or kept.broker != settings.broker or access.target not in kept.targets:
        return False
    return access.port == sockets.usual_port(settings.home, settings.broker, access.target)


def _kept(home: Path) -> Kept | None:
    """What cannot be read only costs the convenience."""
    with suppress(OSError, msgspec.DecodeError, BadInput):
        content = read_private(home / _KEPT)
        return msgspec.json.decode(content, type=Kept) if content is not None else None
    return None


def _password_file(home: Path, broker: str, target: str) -> Path:
    return folder_of(home) / f"{name_of(broker, target)}{PASSWORDS}"


def _line(access: Access) -> bytes:
    """As libpq reads it: `:` and `\\` within a field stand behind a `\\`."""
    password = access.password.reveal() if access.password is not None else ""
    fields = (access.host, str(access.port), access.database, USER, password)
    return (":".join(each.replace("\\", "\\\\").replace(":", "\\:") for each in fields) + "\n").encode()
