"""`hoopx exec --events FILE`: what happens to its sessions, one JSON object a line, for the script around it."""

from __future__ import annotations

import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from hoopx_broker.api.messages import Opened
from hoopx_broker.api.messages import Waiting as AskedFor
from hoopx_broker.terms.errors import BadInput

# At the end, whoever reads slowly is waited for so long.
GOODBYE_SECONDS = 5

# What the caller holds open is used as it stands: opened anew, a file would begin at its beginning.
_HELD = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,6})|/dev/stderr")
_ITS_OUTPUT = frozenset({"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})


class Line(Struct, frozen=True, tag_field="event", kw_only=True):
    """`at` is in seconds since the Unix epoch. No line holds a secret."""

    at: float


class Waiting(Line, frozen=True, tag="waiting"):
    """People are asked; `expires_at` is until when the request waits."""

    target: str
    request: str
    approvers: dict[str, int]
    reason: str
    link: str
    expires_at: float


class Approved(Line, frozen=True, tag="approved"):
    """The request that was waited for is granted."""

    target: str
    request: str


class SessionOpened(Line, frozen=True, tag="opened"):
    """A session is open; `rules` let it."""

    target: str
    session: str
    rules: tuple[str, ...]
    expires_at: float


class Ready(Line, frozen=True, tag="ready"):
    """All sessions are open, and the command runs."""

    pid: int
    targets: tuple[str, ...]


class Ended(Line, frozen=True, tag="ended"):
    """The last line. `why` is one of WHYS, `message` what people were told, empty where the command ended by itself."""

    exit_code: int
    why: str
    message: str


# By itself; --timeout; a session ended first; a signal before the command ran; it or a session did not come about.
WHYS = COMMAND, TIMEOUT, SESSION, SIGNAL, FAILED = "command", "timeout", "session", "signal", "failed"
AnyLine = Waiting | Approved | SessionOpened | Ready | Ended


class Diary:
    """Hears what happens; `write` takes each line. Without one it only remembers how it ended."""

    def __init__(self, write: Callable[[bytes], None] | None = None, clock: Callable[[], float] = time.time) -> None:
        self._write = write
        self._clock = clock
        self._asked: dict[str, str] = {}
        self._why, self._message = FAILED, ""

    def waiting(self, target: str, asked: AskedFor) -> None:
        self._asked[target] = asked.request
        self._note(
            Waiting(
                at=self._clock(),
                target=target,
                request=asked.request,
                approvers=asked.approvers,
                reason=asked.reason,
                link=asked.link,
                expires_at=asked.expires_at,
            )
        )

    def opened(self, opened: Opened) -> None:
        """An approval that was waited for has come first."""
        target, at = opened.target, self._clock()
        if target in self._asked:
            self._note(Approved(at=at, target=target, request=self._asked[target]))
        self._note(
            SessionOpened(
                at=at, target=target, session=opened.session, rules=opened.rules, expires_at=opened.expires_at
            )
        )

    def ready(self, pid: int, targets: Iterable[str]) -> None:
        self._note(Ready(at=self._clock(), pid=pid, targets=tuple(targets)))

    def because(self, why: str, message: str) -> None:
        """Why it is about to end, where the command does not end by itself."""
        self._why, self._message = why, message

    def ended(self, exit_code: int) -> None:
        self._note(Ended(at=self._clock(), exit_code=exit_code, why=self._why, message=self._message))

    def _note(self, line: AnyLine) -> None:
        if self._write is not None:
            self._write(msgspec.json.encode(line) + b"\n")


@contextmanager
def kept_in(path: str, warn: Callable[[str], None]) -> Iterator[Diary]:
    """A diary in a file, a FIFO or `/dev/fd/N`; without a path one that nobody reads.

    What is not written in time at the end, or can no longer be written, is told to `warn`. Raises `BadInput`.
    """
    if not path:
        yield Diary()
        return
    if path in _ITS_OUTPUT:
        message = "standard output is the command's own"
        raise BadInput(message, "give --events a file, a FIFO, or /dev/fd/3 with `3>FILE` behind the command")
    writer = _Writer(_opened(path), path, warn)
    try:
        yield Diary(writer.put)
    finally:
        writer.close()


def _opened(path: str) -> int:
    """As a shell opens for `>`: a FIFO waits for its reader, before anything else is done."""
    held = _HELD.fullmatch(path)
    try:
        if held is not None:
            return os.dup(int(held[1] or 2))
        return os.open(Path(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        why = (error.strerror or "").lower()
        raise BadInput(f"`{path}` cannot be written: {why}", "give --events another file") from None


class _Writer:
    """A thread writes: a reader that dawdles holds up neither the sessions nor the command."""

    def __init__(self, handle: int, path: str, warn: Callable[[str], None]) -> None:
        self._handle = handle
        self._path = path
        self._warn = warn
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        self._lines.put(line)

    def close(self) -> None:
        self._lines.put(None)
        self._thread.join(GOODBYE_SECONDS)
        if self._thread.is_alive():
            self._warn(f"`{self._path}` does not take the last events; nobody reads it")

    def _run(self) -> None:
        try:
            while (line := self._lines.get()) is not None:
                while line:
                    line = line[os.write(self._handle, line) :]
        except OSError as error:
            self._warn(f"events are no longer written to `{self._path}`: {(error.strerror or '').lower()}")
        finally:
            os.close(self._handle)
