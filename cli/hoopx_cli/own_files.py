"""Change files that a person keeps: only those of their own, whole or not at all, with the mode that they have."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from hoopx_broker.terms.errors import BadInput

# Notes for an agent, or a list of connections; what is larger is no such file.
MAX_FILE = 1_000_000


class OwnFiles:
    """`hint` says what to do where a file cannot be used."""

    def __init__(self, hint: str) -> None:
        self._hint = hint

    def create(self, path: Path, text: str) -> None:
        """Of mode 0600. Raises `BadInput`, also where something is there."""
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unwritable(path, error) from None
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)

    def found(self, path: Path) -> Path:
        """The file itself, behind links of ours: AGENTS.md is often one to CLAUDE.md. Others' links lead nowhere."""
        try:
            found = path.resolve(strict=True)
            owners = {path.lstat().st_uid, found.stat().st_uid}
            if owners != {os.geteuid()} or not stat.S_ISREG(found.stat().st_mode):
                raise BadInput(f"`{path}` is not a file of yours", self._hint)
        except OSError as error:
            raise self._unwritable(path, error) from None
        return found

    def read(self, path: Path) -> str:
        try:
            if path.stat().st_size > MAX_FILE:
                raise BadInput(f"`{path}` has more than {MAX_FILE} bytes", self._hint)
            with path.open(encoding="utf-8", newline="") as file:
                return file.read()
        except UnicodeDecodeError:
            raise BadInput(f"`{path}` is not text", self._hint) from None
        except OSError as error:
            raise self._unwritable(path, error) from None

    def replace(self, path: Path, text: str) -> None:
        mode = stat.S_IMODE(path.stat().st_mode)
        try:
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                os.fchmod(file.fileno(), mode)
            Path(name).replace(path)
        except OSError as error:
            raise self._unwritable(path, error) from None

    def _unwritable(self, path: Path, error: OSError) -> BadInput:
        return BadInput(f"`{path}` cannot be written: {(error.strerror or '').lower()}", self._hint)
