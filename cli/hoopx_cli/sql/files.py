"""Files that the prompt reads and writes: scripts, and data of `\\copy` between a file here and a table there."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from hoopx_broker.terms.errors import BadInput

HOW = "\\copy orders from 'orders.csv' (format csv) · \\copy (select 1) to 'one.csv' csv"

_TOKEN = re.compile(
    r"""[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$.*?\$\1\$|[()]|\w+|.""", re.DOTALL
)
_FILE = re.compile(r"\s*('(?:[^']|'')*'|\S+)(.*)", re.DOTALL)


class Copy(Struct, frozen=True):
    """A COPY as the server takes it, and the file at this end of it; None is the screen."""

    text: str
    is_read: bool
    path: Path | None


def copy_of(words: str) -> Copy:
    """What stands behind `\\copy`, as psql reads it. Raises `BadInput`."""
    what, way, rest = _parted(words)
    found = _FILE.fullmatch(rest)
    if not what or found is None:
        raise BadInput("\\copy wants a table or a query, `from` or `to`, and a file", HOW)
    name, options = found[1], found[2].rstrip()
    is_read = way == "from"
    if name.lower() == "program":
        raise BadInput("\\copy runs no programs here", "write a file first, or use `hoopx exec TARGET -- psql`")
    if is_read and name.lower() in ("stdin", "pstdin"):
        raise BadInput("\\copy reads a file here", HOW)
    is_shown = name.lower() in ("stdout", "pstdout")
    text = f"COPY {what} {'FROM STDIN' if is_read else 'TO STDOUT'}{options}"
    return Copy(text, is_read, None if is_shown else path_of(name))


def path_of(name: str) -> Path:
    """A file as it is named at the prompt: in quotes or without. Raises `BadInput`."""
    if len(name) > 1 and name[0] == name[-1] == "'":
        name = name[1:-1].replace("''", "'")
    if not name or "\0" in name:
        raise BadInput("there is no file named", "\\? lists what there is")
    path = Path(name)
    try:
        return path.expanduser()
    except RuntimeError:  # nobody of that name
        return path


@contextmanager
def reading(path: Path) -> Iterator[int]:
    """A handle of a file. Raises `BadInput`, also for what is none: a FIFO might never end."""
    handle = -1
    try:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise unusable(path, "read", error) from None
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise BadInput(f"`{path}` is no file", "name one")
        yield handle
    finally:
        if handle >= 0:
            os.close(handle)


class Writing:
    """A file that is there whole, or as it was before."""

    def __init__(self, path: Path) -> None:
        """Raises `BadInput`."""
        self._path = path
        self.failure: BadInput | None = None
        try:
            self._path = path.resolve()
            mode = self._path.stat().st_mode if self._path.exists() else None
            if mode is not None and not stat.S_ISREG(mode):
                raise BadInput(f"`{path}` is no file", "name one")
            self._beside = self._path.with_name(f".{self._path.name[:100]}-{secrets.token_hex(4)}")
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.fdopen(os.open(self._beside, flags, 0o666 if mode is None else stat.S_IMODE(mode)), "wb")
        except (OSError, RuntimeError) as error:
            raise unusable(path, "written", error) from None

    def write(self, chunk: bytes) -> bool:
        """False where it cannot be written, and no more is wanted."""
        try:
            self._file.write(chunk)
        except OSError as error:
            self.failure = unusable(self._path, "written", error)
        return self.failure is None

    def keep(self) -> None:
        """Raises `BadInput`."""
        try:
            self._file.close()
            self._beside.replace(self._path)
        except OSError as error:
            raise unusable(self._path, "written", error) from None

    def drop(self) -> None:
        """What was kept stays."""
        with suppress(OSError):
            self._file.close()
        self._beside.unlink(missing_ok=True)


def unusable(path: Path, done: str, error: OSError | RuntimeError) -> BadInput:
    why = (getattr(error, "strerror", None) or "it leads nowhere").lower()
    return BadInput(f"`{path}` cannot be {done}: {why}", "name another file, or see to this one")


def _parted(words: str) -> tuple[str, str, str]:
    """Before, at and behind the first `from` or `to` that stands in no parentheses and quotes."""
    depth = 0
    for token in _TOKEN.finditer(words):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if not depth and token[0].lower() in ("from", "to"):
            return words[: token.start()].strip(), token[0].lower(), words[token.end() :]
    return words, "", ""
