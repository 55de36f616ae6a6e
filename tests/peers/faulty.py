"""The `hoopx` command on a disk that fails, or in a process that dies at a given step: `python -m tests.peers.faulty`.

A write to a recording fails when it holds a word as `fault-EIO-…`: with that error, or cut short for `fault-short-…`;
with `fault-fsync-…` it is written, and the next fsync of that file fails. So whoever speaks says what fails: a
statement with the word in its text, or a server with it in its rows. The first argument may be a step to die at.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hoopx_broker.evidence import spool
from hoopx_broker.storage import sessions
from hoopx_cli.main import main

_WORD = re.compile(rb"fault-(\w+)-")
_writev, _fsync = os.writev, os.fsync
_doomed: set[int] = set()  # inodes


def faulty_writev(fd: int, pieces: Sequence[bytes]) -> int:
    data = b"".join(pieces)
    found = _WORD.search(data)
    if found is None or Path(f"/proc/self/fd/{fd}").readlink().parent.name not in ("recordings", "spool"):
        return _writev(fd, pieces)
    match kind := found.group(1).decode():
        case "short":
            return os.write(fd, data[: len(data) // 2])
        case "fsync":
            _doomed.add(os.fstat(fd).st_ino)
            return _writev(fd, pieces)
        case _:
            number = getattr(errno, kind)
            raise OSError(number, os.strerror(number))


def faulty_fsync(fd: int) -> None:
    if os.fstat(fd).st_ino in _doomed:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    _fsync(fd)


def _die(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(step: str) -> None:
    match step:
        case "the seal is on disk, and noted nowhere":
            sessions.Sessions.finish = _die  # type: ignore[method-assign]
        case "the store has it, and nobody knows":
            spool.Spool._received = _die  # type: ignore[method-assign]
        case "it is known that the store has it, and it is here too":
            spool.Spool._remove = _die  # type: ignore[method-assign]
        case _:
            raise ValueError(step)


if __name__ == "__main__":
    os.writev, os.fsync = faulty_writev, faulty_fsync  # type: ignore[assignment]
    if " " in sys.argv[1]:
        die_at(sys.argv.pop(1))
    main()
