"""Where a session listens on this machine: a port behind a password, or a socket file of its owner's."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from msgspec import Struct

from hoopx_broker.terms.secret import Secret
from hoopx_cli import locks, rundir, sockets
from hoopx_cli.access import Access
from hoopx_cli.settings import Settings


class Door(Struct, frozen=True):
    """Where to listen: a port asked for, a socket file asked for, or neither."""

    port: int | None = None
    file: Path | None = None


class OpenDoor(Struct, frozen=True):
    """A socket that listens. `host` is an address, or the folder of a socket file (then without a password)."""

    socket: socket.socket
    host: str
    port: int
    password: Secret | None
    file: Path | None

    def access(self, target: str, session: str, database: str, expires_at: float) -> Access:
        return Access(target, session, database, self.host, self.port, self.password, expires_at, self.file)


def opened_door(
    stack: ExitStack | AsyncExitStack, settings: Settings, target: str, warn: Callable[[str], None], door: Door = Door()
) -> OpenDoor:
    """Listen as long as the stack lasts. Raises `BadInput` where that cannot be."""
    if door.file is not None:
        file = stack.enter_context(sockets.on_file(door.file))
        return OpenDoor(file.socket, str(file.folder), file.number, None, door.file)
    on = sockets.on_port(door.port) if door.port is not None else _usual(stack, settings, target, warn)
    stack.callback(on.close)
    host, port = on.getsockname()
    return OpenDoor(on, host, port, Secret(secrets.token_urlsafe(32)), None)


def _usual(
    stack: ExitStack | AsyncExitStack, settings: Settings, target: str, warn: Callable[[str], None]
) -> socket.socket:
    """A second session with a target leaves the usual port, and the memory of it, to the first."""
    name = rundir.name_of(settings.broker, target)
    if stack.enter_context(locks.alone(rundir.ports_of(settings.home) / name)):
        return sockets.on_usual_port(settings.home, settings.broker, target, warn)
    on = sockets.on_free_port()
    warn(f"another hoopx listens at the usual port of `{target}`; this one is on {on.getsockname()[1]}")
    return on
