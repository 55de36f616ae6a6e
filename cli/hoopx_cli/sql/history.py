"""What was typed at the prompt: a private file, without statements that speak of passwords and the like."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prompt_toolkit.history import History

from hoopx_broker.terms.errors import BadInput
from hoopx_cli.settings import private_folder, read_private, write_private

FILE = "sql_history"
KEPT = 1000
# A file of a megabyte is read in a moment; what is longer was pasted, and is found where it came from.
MAX_TEXT = 1000

# Where a secret may stand. A statement too many is left out rather than one too few.
_SECRET = re.compile(
    r"passw|passphrase|secret|token|credential|api_?key|private_?key|identified\s+by|pgp_sym|crypt\s*\(|dblink|scram-|"
    r"subscription|user\s+mapping|://[^/\s]*:[^/\s]*@",
    re.IGNORECASE,
)


def is_kept(text: str) -> bool:
    """As in a shell, what begins with a space is not."""
    return bool(text.strip()) and not text.startswith(" ") and len(text) <= MAX_TEXT and not _SECRET.search(text)


class PrivateHistory(History):
    """One statement a line, as JSON. A file that cannot be had is done without; `complaint` says why."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self._path = home / FILE
        self.complaint = ""
        self._found = self._kept()

    def load_history_strings(self) -> Iterable[str]:
        """The newest first."""
        return reversed(self._found)

    def store_string(self, string: str) -> None:
        if not is_kept(string):
            return
        with suppress(BadInput):
            private_folder(self._path.parent)
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(self._path, flags, 0o600), "w", encoding="ascii") as file:
                file.write(json.dumps(string) + "\n")
        except OSError:
            return

    def _kept(self) -> list[str]:
        try:
            lines = (read_private(self._path) or b"").decode("ascii", "replace").splitlines()
        except BadInput as error:
            self.complaint = error.message
            return []
        found = [text for line in lines if (text := _read(line)) is not None]
        if len(lines) > 2 * KEPT:
            with suppress(BadInput):
                write_private(self._path, "".join(json.dumps(text) + "\n" for text in found[-KEPT:]).encode())
        return found[-KEPT:]


def _read(line: str) -> str | None:
    try:
        text = json.loads(line)
    except ValueError:
        return None
    return text if isinstance(text, str) and is_kept(text) else None
