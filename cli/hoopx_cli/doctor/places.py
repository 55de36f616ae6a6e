"""HOOPX_HOME and the local sockets: whose they are, and who else could get at them."""

from __future__ import annotations

import os
import secrets
import socket
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from hoopx_broker.terms.errors import BadInput, ExitCode
from hoopx_cli import callers, sockets
from hoopx_cli.doctor.findings import Checked, broken, fine, odd, of_error, unlooked
from hoopx_cli.settings import read_private

MAX_FILES = 10_000  # a home with more is not looked through to its end
SHOWN = 5  # files named in one line
# Commands refuse to read these where others could; the rest of a home has no secrets.
SECRET = ("logins.json", "accounts.json")
_OTHERS, _OTHERS_WRITE = 0o077, 0o022


def home(place: Path) -> Checked:
    """Whether the folder and what lies in it is of its owner alone."""
    if not place.exists():
        above = next(each for each in place.parents if each.exists())
        if not os.access(above, os.W_OK | os.X_OK):
            return _unusable(place, f"`{above}` cannot be written to")
        return fine("home", f"`{place}` is not there yet; the first login makes it", path=str(place))
    found = place.stat()
    if not stat.S_ISDIR(found.st_mode):
        return _unusable(place, "it is no folder")
    if found.st_uid != os.geteuid():
        return _unusable(place, "it is another user's")
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        return _unusable(place, "it cannot be written to")
    return _refused(place) or _open_to_others(place, found.st_mode) or _in_order(place)


def _refused(place: Path) -> Checked | None:
    for name in SECRET:
        try:
            read_private(place / name)
        except BadInput as error:
            return of_error("home", error)
    return None


def _open_to_others(place: Path, mode: int) -> Checked | None:
    mend = f"chmod -R go-rwx {place}"
    if mode & _OTHERS_WRITE:
        return odd("home", f"others can write to `{place}` (mode {stat.S_IMODE(mode):04o})", mend)
    open_files = list(islice(_readable_by_others(place), SHOWN + 1))
    if open_files:
        named = ", ".join(f"`{path.relative_to(place)}`" for path in open_files[:SHOWN])
        more = " and more" if len(open_files) > SHOWN else ""
        return odd("home", f"others can read {named}{more} in `{place}`", mend)
    return None


def _in_order(place: Path) -> Checked:
    return fine("home", f"`{place}` and what is in it are yours alone", path=str(place))


def _readable_by_others(place: Path) -> Iterator[Path]:
    """Files below a folder that others may enter; what stands in a private one is out of their reach."""
    seen = 0
    for folder, folders, files in os.walk(place):
        if not Path(folder).stat().st_mode & 0o011:
            folders.clear()
            continue
        for name in files:
            seen += 1
            found = (Path(folder) / name).lstat()
            if stat.S_ISREG(found.st_mode) and found.st_mode & _OTHERS:
                yield Path(folder) / name
        if seen > MAX_FILES:
            return


def _unusable(place: Path, why: str) -> Checked:
    return broken("home", f"`{place}`: {why}", "set HOOPX_HOME to a folder of yours", ExitCode.USAGE)


def ports(place: Path, broker: str) -> Iterator[Checked]:
    """Whether the local socket can be made, and whether the remembered ports of this broker's targets are free."""
    try:
        sockets.on_port(0).close()
    except BadInput as error:
        yield of_error("port", error)
        return
    remembered = {
        name.partition(" ")[2]: port
        for name, port in sockets.remembered_ports(place).items()
        if name.partition(" ")[0] == broker
    }
    taken = {target: port for target, port in sorted(remembered.items()) if not _is_free(port)}
    for target, port in taken.items():
        yield _taken(target, port)
    if not taken:
        told = f"; free are the ports of {', '.join(sorted(remembered))}" if remembered else ""
        yield fine("port", f"{sockets.LOOPBACK} takes local sockets{told}", ports=remembered)


def _is_free(port: int) -> bool:
    try:
        sockets.on_port(port).close()
    except (BadInput, OverflowError):
        return False
    return True


def _taken(target: str, port: int) -> Checked:
    facts = {"target": target, "port": port}
    owner = callers.listener_at(port)
    if owner is not None and owner == os.geteuid():
        found = f"a program of yours listens on port {port} of `{target}`: an open `hoopx connect`, or something else"
        return fine("port", found, **facts)
    whose = "another program" if owner is None else "a program of another user"
    found = f"{whose} listens on port {port}, where `{target}` was before"
    mend = "`hoopx connect` takes another port and says so: change saved connections, and give that port no password"
    return odd("port", found, mend, **facts)


def socket_file(place: Path) -> Checked:
    """Whether a socket file (`--socket`) in HOOPX_HOME is out of everybody else's reach: some disks know no modes."""
    if not place.is_dir():
        return unlooked("socket", f"`{place}` is not there yet")
    path = place / f".doctor-{secrets.token_hex(4)}"
    if len(os.fsencode(path)) > sockets.MAX_PATH:
        return unlooked("socket", f"`{place}` is too long for a socket; give --socket a shorter path")
    try:
        made = sockets.bound(path)
    except BadInput as error:
        return odd("socket", error.message, "choose a folder of yours for --socket")
    try:
        return _judged(made, path)
    finally:
        made.close()
        path.unlink(missing_ok=True)


def _judged(made: socket.socket, path: Path) -> Checked:
    mode = stat.S_IMODE(path.lstat().st_mode)
    if mode & _OTHERS:
        mend = "use the port with its password, or a socket file on a disk that keeps modes"
        return odd("socket", f"socket files in `{path.parent}` get mode {mode:04o}: others can use them", mend)
    return fine("socket", f"socket files in `{path.parent}` are yours alone")
