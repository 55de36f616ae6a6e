"""Local sockets that only their owner can use: a loopback port behind a password, or a socket file of mode 0600."""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from hoopx_broker.terms.errors import BadInput
from hoopx_cli.settings import write_private

LOOPBACK = "127.0.0.1"
# Enough for every connection of a pool that starts at once.
BACKLOG = 128
# sun_path holds 104 bytes on macOS and 108 on Linux, the closing NUL among them.
MAX_PATH = 103
# libpq finds a socket file only by this name, with a port number behind it.
LIBPQ_NAME = ".s.PGSQL."
_FIRST_NUMBER, _LAST_NUMBER = 5432, 5532


class SocketFile(Struct, frozen=True):
    """A listening socket file, and where libpq finds it: `host=FOLDER port=NUMBER`."""

    socket: socket.socket
    path: Path
    folder: Path
    number: int


def port_of(text: str, option: str = "--port") -> int:
    """A TCP port as a person writes it."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise BadInput(f"`{text}` is not a port", f"{option} takes a number from 1 to 65535")
    return int(text)


def on_port(port: int) -> socket.socket:
    """Listen on this very port of the loopback address."""
    try:
        return _listening(port)
    except PermissionError:
        hint = "choose one above 1023 with --port, or leave it out"
        raise BadInput(f"port {port} is reserved for the system", hint) from None
    except OSError:
        hint = "choose another with --port, or leave it out"
        raise BadInput(f"port {port} on {LOOPBACK} is taken", hint) from None


def on_usual_port(home: Path, broker: str, target: str, warn: Callable[[str], None]) -> socket.socket:
    """Listen where this target listened last time, so that saved connections work again; else on a free port.

    Whoever listens at the old one would be told the new password by a connection that was saved: `warn` says so.
    """
    remembered = remembered_ports(home)
    name = f"{broker} {target}"
    before = remembered.get(name)
    with suppress(OSError, OverflowError):
        if before is not None:
            return _listening(before)
    made = _listening(0)
    port = remembered[name] = made.getsockname()[1]
    write_private(home / "ports.json", msgspec.json.encode(remembered))
    if before is not None:
        warn(
            f"another program listens on port {before}, where `{target}` was before: it is on {port} now; "
            "change saved connections first, and give no password to the old port"
        )
    return made


def usual_port(home: Path, broker: str, target: str) -> int:
    """The remembered port of this target; one that is free now, and is remembered, where it has had none yet."""
    remembered = remembered_ports(home)
    name = f"{broker} {target}"
    if name not in remembered:
        with on_free_port() as made:
            remembered[name] = made.getsockname()[1]
        write_private(home / "ports.json", msgspec.json.encode(remembered))
    return remembered[name]


def on_free_port() -> socket.socket:
    return _listening(0)


@contextmanager
def on_file(path: Path) -> Iterator[SocketFile]:
    """Listen on a socket file, and remove it and its alias afterwards. Files that are not ours are left alone."""
    path = path.expanduser().absolute()
    made = bound(path)
    identity = path.lstat().st_ino
    alias: Path | None = None
    try:
        number = _libpq_number(path.name)
        if number is None:
            alias, number = _alias(path)
        yield SocketFile(made, path, path.parent, number)
    finally:
        made.close()
        if alias is not None and alias.is_symlink() and alias.readlink() == Path(path.name):
            alias.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            if path.lstat().st_ino == identity:
                path.unlink()


def peer_uid(connection: socket.socket) -> int:
    """Who is at the other end of a Unix socket, as the kernel knows it."""
    if hasattr(socket, "SO_PEERCRED"):
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[1])
    # macOS and BSD: SOL_LOCAL is 0, LOCAL_PEERCRED is 1; struct xucred begins with its version and the uid.
    return int(struct.unpack_from("2I", connection.getsockopt(0, 1, 76))[1])


def _listening(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((LOOPBACK, port))
        made.listen(BACKLOG)
        made.settimeout(0)
    except BaseException:
        made.close()
        raise
    return made


def remembered_ports(home: Path) -> dict[str, int]:
    """By broker and target (`https://HOST:PORT TARGET`); a file that cannot be read only costs the memory."""
    try:
        return msgspec.json.decode((home / "ports.json").read_bytes(), type=dict[str, int])
    except (OSError, msgspec.DecodeError):
        return {}


def bound(path: Path) -> socket.socket:
    """Listen on a socket file of mode 0600. Raises `BadInput` where that cannot be, or somebody listens already."""
    if len(os.fsencode(path)) > MAX_PATH:
        raise BadInput(f"the socket path is longer than {MAX_PATH} bytes", "choose a shorter one, for instance in /tmp")
    demand_own_folder(path.parent)
    _clear(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The file gets its mode as it is made: a chmod afterwards would leave a moment for others.
    before = os.umask(0o177)
    try:
        made.bind(str(path))
        made.listen(BACKLOG)
        made.settimeout(0)
    except OSError as error:
        made.close()
        reason = (error.strerror or str(error)).lower()
        hint = "--socket names a file in a folder of yours"
        raise BadInput(f"no socket can be made at `{path}`: {reason}", hint) from None
    finally:
        os.umask(before)
    return made


def demand_own_folder(folder: Path) -> None:
    """Raises `BadInput` where another user could put a socket of theirs in the place of ours.

    In `/tmp` nobody can: its sticky bit lets everybody remove only what is their own.
    """
    try:
        place = folder.resolve(strict=True)
        for each in (place, *place.parents):
            if _is_others(each.stat()):
                message = f"other users could replace what stands in `{each}`"
                raise BadInput(message, "--socket names a file in a folder that only you can write to")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        message = f"no socket can be made in `{folder}`: {reason}"
        raise BadInput(message, "--socket names a file in a folder of yours") from None


def _is_others(found: os.stat_result) -> bool:
    if found.st_uid not in (0, os.geteuid()):
        return True
    group_writes = bool(found.st_mode & stat.S_IWGRP) and not _is_ours_alone(found.st_gid)
    return not found.st_mode & stat.S_ISVTX and (group_writes or bool(found.st_mode & stat.S_IWOTH))


def _is_ours_alone(group: int) -> bool:
    """Root's group, or the one that many systems give each user under the user's own name."""
    if group == 0:
        return True
    import grp  # not there on Windows, which has no socket files of this kind either
    import pwd

    try:
        found, me = grp.getgrgid(group), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return group == me.pw_gid and found.gr_name == me.pw_name and set(found.gr_mem) <= {me.pw_name}


def _clear(path: Path) -> None:
    """Remove a socket file of ours that nobody listens on; refuse everything else that stands there."""
    try:
        found = path.lstat()
    except OSError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise BadInput(f"`{path}` is there and is not a socket", "choose another path with --socket")
    if found.st_uid != os.geteuid():
        raise BadInput(f"the socket `{path}` is another user's", "choose another path with --socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass
    raise BadInput(f"the socket `{path}` is in use", "end what listens there, or choose another path with --socket")


def _libpq_number(name: str) -> int | None:
    number = name.removeprefix(LIBPQ_NAME)
    return int(number) if number != name and number.isascii() and number.isdigit() else None


def _alias(path: Path) -> tuple[Path, int]:
    """A link beside the socket under the first free of libpq's names."""
    for number in range(_FIRST_NUMBER, _LAST_NUMBER):
        alias = path.with_name(f"{LIBPQ_NAME}{number}")
        if alias.is_symlink() and not alias.exists() and alias.lstat().st_uid == os.geteuid():
            # Left by a hoopx that was killed: its socket is gone.
            alias.unlink(missing_ok=True)
        with suppress(FileExistsError):
            alias.symlink_to(path.name)
            return alias, number
    raise BadInput(f"`{path.parent}` has no free name for psql", f"call the socket `{LIBPQ_NAME}N` yourself")
