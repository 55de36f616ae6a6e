"""Keys from a file: no call goes out, whatever a token names; a bundle that is rotated on disk is read again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from hoopx_broker.identity.keys import SIGNATURES, Key, KeySet, read_keys
from hoopx_broker.terms.errors import BadInput

LOOK = 5.0  # seconds between two looks at the file: whoever sends tokens must not make us read at will
MAX_FILE = 1_048_576  # as at the start; the key sets of large providers are a tenth of this

_Stamp = tuple[int, int, int, int]


class FileKeys:
    """A `KeySource` that begins with `first` and follows the file `path`. A file that cannot be used changes nothing.

    `note` hears, once for each change, why a new file was not taken.
    """

    def __init__(
        self,
        path: Path,
        first: bytes,
        clock: Callable[[], float],
        note: Callable[[str], None],
        uses: frozenset[str] = SIGNATURES,
    ) -> None:
        self._path = path
        self._clock = clock
        self._note = note
        self._uses = uses
        self._content = first
        self._keys = read_keys(first, uses)
        self._looked_at = float("-inf")
        self._stamp: _Stamp | None = None

    async def find(self, kid: str | None, alg: str) -> Key | None:
        if not 0 <= self._clock() - self._looked_at < LOOK:  # below 0 the clock was set back
            self._looked_at = self._clock()
            await self._look()
        return self._keys.pick(kid, alg)

    async def _look(self) -> None:
        try:
            content = await asyncio.to_thread(self._changed)
            if content is None:
                return
            self._keys = self._read(content)
        except (OSError, BadInput) as error:
            why = error.message if isinstance(error, BadInput) else (error.strerror or "it cannot be read").lower()
            self._note(f"the changed key file `{self._path}` is not taken, the keys before hold: {why}")

    def _changed(self) -> bytes | None:
        """What the file holds, if that is not what was looked at last. Raises `OSError`, once for each trouble."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        with self._path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
        if content == self._content:
            return None
        self._content = content
        return content

    def _read(self, content: bytes) -> KeySet:
        if len(content) > MAX_FILE:
            raise BadInput(f"it is larger than {MAX_FILE} bytes", "name the file that holds just the keys")
        return read_keys(content, self._uses)


def _stamp(path: Path) -> _Stamp:
    """Changes whenever the file is written or replaced; zeros where there is none."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0, 0)
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
