"""The private folder of what runs now: sockets by which it is asked, and the passwords of open sessions."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

from hoopx_broker.terms.errors import BadInput
from hoopx_cli import locks, sockets
from hoopx_cli.settings import private_folder

PREFIX = "bg-"
_NAME_BYTES = 16


def name_of(broker: str, target: str) -> str:
    return hashlib.sha256(f"{broker} {target}".encode()).hexdigest()[:_NAME_BYTES]


def folder_of(home: Path) -> Path:
    """Where it is, made if need be: in HOOPX_HOME, or where that path is too long for a socket, in one of the user's.

    Raises `BadInput` where anybody else could have put something there.
    """
    path = home / "run"
    if len(os.fsencode(path)) + 1 + len(PREFIX) + _NAME_BYTES > sockets.MAX_PATH:
        shared = Path(tempfile.gettempdir()) / f"hoopx-{os.geteuid()}"
        _make_private(shared)
        path = shared / hashlib.sha256(os.fsencode(home)).hexdigest()[:_NAME_BYTES]
    else:
        private_folder(home)
    _make_private(path)
    return path


def ports_of(home: Path) -> Path:
    """Where usual ports are taken, made if need be; it has no sockets. Raises `BadInput` as `folder_of`."""
    private_folder(home)
    path = home / "ports"
    _make_private(path)
    return path


def locked(folder: Path) -> AbstractContextManager[None]:
    """One at a time looks for what was left behind, and puts something in its place."""
    return locks.held(folder / "lock")


def _make_private(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadInput(f"`{path}` cannot be made: {reason}", "set HOOPX_HOME to a folder of yours") from None
    if not stat.S_ISDIR(found.st_mode):
        raise BadInput(f"`{path}` is no folder, and leads who knows where", "look at who put it there, and remove it")
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise BadInput(f"others own or can look into `{path}`", "look at what is in it, and remove it")
    sockets.demand_own_folder(path)
