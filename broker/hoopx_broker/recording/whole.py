"""Bring a private file into being whole or not at all, and never over another."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_WRITABLE_BY_ANYONE = 0o002


def ensure_private_directory(directory: Path) -> None:
    """Made for its owner alone if it is missing; one that anyone may write to is refused (`PermissionError`)."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_mode & _WRITABLE_BY_ANYONE:
        raise PermissionError(f"anyone may write to `{directory}`")


def create_whole(path: Path, content: bytes, *, through_power_cuts: bool) -> int:
    """Create `path`, mode 0600, already holding `content`; the descriptor stands after it.

    Raises `FileExistsError` rather than replace anything. Seen from outside, the file is never half there, even if
    this process is killed: it gets its name when it is complete.
    """
    fd, nameless = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)
    try:
        if os.write(fd, content) != len(content):
            raise OSError(f"`{path}` could not be written whole")
        if through_power_cuts:
            os.fsync(fd)
        os.link(nameless, path)
        if through_power_cuts:
            sync_directory(path.parent)
    except BaseException:
        os.close(fd)
        raise
    finally:
        Path(nameless).unlink(missing_ok=True)
    return fd


def sync_directory(directory: Path) -> None:
    """Names that were given in it outlive a power cut."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
