"""The sessions that are open in the background: who they are, asked by a socket that only their own user's process has.

Whoever answers there is alive, so no process is ever taken for another that has its number now.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct, field

from hoopx_broker.terms.errors import BadInput
from hoopx_cli import sockets
from hoopx_cli.rundir import PREFIX, folder_of, locked, name_of

# It answers within a turn of its loop; the end of a session waits for its broker as long as `hoopx connect` does.
ANSWER_SECONDS, END_SECONDS = 5.0, 20.0
MAX_ANSWER = 1 << 20


class Ask(Struct, frozen=True):
    """What is wanted of one."""

    what: Literal["report", "end"]


class Report(Struct, frozen=True):
    """How one stands. `state` is `opening`, `open`, or `lost` while the broker is looked for.

    `address` is where it listens. `account` is whose login it goes by, empty where that was none of this machine.
    """

    target: str
    broker: str
    state: str
    pid: int
    account: str = ""
    session: str = ""
    kind: str = ""
    address: str = ""
    expires_at: float = 0
    connections: int = 0
    statements: int = 0
    denied: int = 0
    masked: int = 0
    waiting: int = 0
    forms: dict[str, list[str]] = field(default_factory=dict)


class Gone(Struct, frozen=True):
    """One that was ended. `is_sure` where the broker has confirmed it."""

    target: str
    session: str
    is_sure: bool


Answer = TypeVar("Answer", Report, Gone)


def all_of(home: Path) -> list[Report]:
    """By their names. What a killed one has left behind is removed."""
    found = [report for path in folder_of(home).glob(f"{PREFIX}*") if (report := _report(path)) is not None]
    return sorted(found, key=lambda report: (report.target, report.broker))


def one_of(home: Path, broker: str, target: str) -> Report:
    """Raises `BadInput` where there is none."""
    report = _report(path_of(folder_of(home), broker, target))
    if report is None:
        raise BadInput(f"no session with `{target}` is open in the background", "`hoopx status` lists those that are")
    return report


def end(home: Path, report: Report) -> Gone:
    """End it, and wait until it has."""
    path = path_of(folder_of(home), report.broker, report.target)
    gone: Gone | None = None
    with suppress(OSError):  # it has ended meanwhile, or was killed
        gone = _asked(path, Ask("end"), Gone, END_SECONDS)
    return gone or Gone(report.target, report.session, is_sure=False)


def end_those(home: Path, which: Callable[[Report], bool]) -> list[Gone]:
    return [end(home, report) for report in all_of(home) if which(report)]


class Claim:
    """The place where one is asked, from before it is opened until it is over."""

    def __init__(self, home: Path, broker: str, target: str) -> None:
        """Raises `BadInput` where there is one already."""
        self._folder = folder_of(home)
        self._path = path_of(self._folder, broker, target)
        with locked(self._folder):
            if _is_held(self._path):
                message = f"a session with `{target}` is open in the background already"
                raise BadInput(message, f"`hoopx status {target} --print env` leads there, `hoopx disconnect` ends it")
            self.socket = sockets.bound(self._path)
            self._made = self._path.lstat().st_ino

    def release(self) -> None:
        """What somebody else has put there since is left alone."""
        with locked(self._folder), suppress(FileNotFoundError):
            if self._path.lstat().st_ino == self._made:
                self._path.unlink()
        self.socket.close()


def path_of(folder: Path, broker: str, target: str) -> Path:
    return folder / f"{PREFIX}{name_of(broker, target)}"


def _report(path: Path) -> Report | None:
    """None where nobody answers; then nothing is left there. Nobody is asked under the lock, who may wait for it."""
    try:
        report = _asked(path, Ask("report"), Report, ANSWER_SECONDS)
    except FileNotFoundError:
        return None
    except ConnectionRefusedError:
        report = None
    if report is not None:
        return report
    with locked(path.parent):
        is_held = _is_held(path)
        if not is_held:  # killed, perhaps while it was asked
            path.unlink(missing_ok=True)
    if is_held:
        raise BadInput(f"what listens at `{path}` does not answer", "end that process, or try again")
    return None


def _is_held(path: Path) -> bool:
    """Whether a process listens there, however busy it is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(ANSWER_SECONDS)
        try:
            asking.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except TimeoutError:
            return True
    return True


def _asked(path: Path, ask: Ask, kind: type[Answer], seconds: float) -> Answer | None:
    """None where it does not answer in time, or makes no sense. Raises `OSError` where nobody is there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(seconds)
        asking.connect(str(path))
        if sockets.peer_uid(asking) != os.geteuid():
            raise BadInput(f"another user listens at `{path}`", "look at who put it there, and remove it")
        with suppress(TimeoutError, ConnectionError, msgspec.DecodeError):
            asking.sendall(msgspec.json.encode(ask) + b"\n")
            return msgspec.json.decode(b"".join(_parts(asking)), type=kind)
    return None


def _parts(asking: socket.socket) -> Iterator[bytes]:
    size = 0
    while size <= MAX_ANSWER and (part := asking.recv(65_536)):
        size += len(part)
        yield part
