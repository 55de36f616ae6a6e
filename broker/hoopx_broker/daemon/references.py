"""Follow `env:NAME` and `file:PATH` to the values they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hoopx_broker.daemon.problems import Wrong

# The largest thing worth a reference is a token or a key; a log file or a device given by mistake must not fill memory.
MAX_REFERENCED = 64 * 1024


class References:
    """Values from outside the file. Every failure is a `Wrong` that names the reference, never what it holds."""

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        self._home = home
        self._environ = environ

    def resolve(self, text: str) -> str:
        """The value that `text` stands for: itself where it is no reference."""
        scheme, colon, rest = text.partition(":")
        match scheme if colon else "":
            case "env":
                return self._from_environment(rest)
            case "file":
                return self._from_file(rest)
            case "vault":
                raise Wrong("refers to Vault, which is not available yet", "use `env:NAME` or `file:PATH`")
            case _:
                return text

    def path(self, text: str) -> Path:
        """`text` as an absolute path, relative ones counted from the directory of the configuration."""
        if not text or "\0" in text:
            raise Wrong("is not a path", "give a path, relative to the directory of this file or absolute")
        return self._home / text

    def read(self, path: Path, limit: int = MAX_REFERENCED) -> bytes:
        """A whole file of at most `limit` bytes."""
        try:
            with path.open("rb") as file:
                content = file.read(limit + 1)
        except OSError as error:
            why = (error.strerror or "it cannot be opened").lower()
            raise Wrong(f"cannot be read ({why}: {path})", "correct the path or its permissions") from None
        if len(content) > limit:
            raise Wrong(f"is larger than {limit // 1024} KiB ({path})", "name the file that holds just the value")
        return content

    def _from_environment(self, name: str) -> str:
        value = self._environ.get(name)
        if value is None:
            raise Wrong(f"refers to the environment variable `{name}`, which is not set", f"set {name}")
        if not value:
            raise Wrong(f"refers to the environment variable `{name}`, which is empty", f"set {name}")
        return value

    def _from_file(self, name: str) -> str:
        """The text of a file without its last line end, which editors and `echo` add."""
        path = self.path(name)
        try:
            text = self.read(path).decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise Wrong(f"refers to a file that is not UTF-8 text ({path})", "store the value as text") from None
        if not text:
            raise Wrong(f"refers to an empty file ({path})", "write the value into it")
        return text
