"""Follow `env:NAME`, `file:PATH` and the schemes of plugins to the values they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hoopx_broker.daemon.plugins import secret_reader
from hoopx_broker.daemon.problems import Wrong
from hoopx_broker.seams.references import SecretReader
from hoopx_broker.terms.errors import HoopxError

# The largest thing worth a reference is a token or a key; a log file or a device given by mistake must not fill memory.
MAX_REFERENCED = 64 * 1024


class References:
    """Values from outside the file. Every failure is a `Wrong` that names the reference, never what it holds."""

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        self._home = home
        self._environ = environ
        self._sections: dict[str, Any] = {}
        self._readers: dict[str, SecretReader] = {}
        self._read: dict[str, str] = {}

    def know(self, section: str, options: Any) -> None:
        """From here on references of schemes that need this section can be followed."""
        self._sections[section] = options

    def resolve(self, text: str) -> str:
        """The value that `text` stands for: itself where it is no reference."""
        scheme, colon, rest = text.partition(":")
        match scheme if colon else "":
            case "env":
                return self._from_environment(rest)
            case "file":
                return self._from_file(rest)
            case "":
                return text
            case _:
                return self._from_store(text, scheme, rest)

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

    def _from_store(self, text: str, scheme: str, rest: str) -> str:
        """Each reference is followed once: several targets may share it, and the store is not near."""
        if text in self._read:
            return self._read[text]
        shape = secret_reader(scheme)
        if shape is None:
            return text
        if self._sections.get(shape.section) is None:
            what = f"refers to `{scheme}`, but the section `{shape.section}` is not there, or not sound"
            raise Wrong(what, f"add a section `{shape.section}` at the top of the file")
        try:
            reader = self._readers.setdefault(scheme, shape(self._sections[shape.section]))
            value = reader.read(rest)
        except HoopxError as error:
            raise Wrong(f"cannot be read ({error.message})", error.hint) from None
        return self._read.setdefault(text, value)

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
