"""Evidence in a directory of this machine: recordings stay where they were written, and small files beside them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from hashlib import file_digest, sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, ClassVar, TypeVar

from msgspec import Struct

from hoopx_broker.recording.whole import ensure_private_directory
from hoopx_broker.seams.store import NotStored, Stored, StoreFailed

_CHUNK = 1 << 18

T = TypeVar("T")


class NoOptions(Struct, frozen=True):
    """Nothing to say."""


class LocalStore:
    """A directory enforces neither times nor holds: whoever may delete files may delete these. The log shows it."""

    Options: ClassVar[type[Any]] = NoOptions
    is_remote = False

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def put_file(self, name: str, path: Path, *, kept_until: float = 0) -> Stored:
        place = self._place(name)

        def put() -> Stored:
            if not place.exists() or not place.samefile(path):
                _write(place, path.read_bytes(), replace=False)
            with place.open("rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
            return Stored(name, place.stat().st_size, digest)

        return await self._tried(put)

    async def put(self, name: str, content: bytes, *, replace: bool = False) -> Stored:
        place = self._place(name)
        await self._tried(lambda: _write(place, content, replace=replace))
        return Stored(name, len(content), sha256(content).hexdigest())

    async def get(self, name: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        place = self._place(name)
        try:
            with place.open("rb") as file:
                file.seek(start)
                left = length if length is not None else os.fstat(file.fileno()).st_size
                while left > 0 and (chunk := file.read(min(_CHUNK, left))):
                    left -= len(chunk)
                    yield chunk
        except OSError as error:
            raise self._failed(error, place) from error

    async def stat(self, name: str) -> Stored:
        place = self._place(name)
        return Stored(name, await self._tried(lambda: place.stat().st_size))

    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        def found() -> list[Stored]:
            places = (Path(where) / each for where, _, names in os.walk(self._directory) for each in names)
            named = ((place.relative_to(self._directory).as_posix(), place) for place in places)
            return sorted(
                (Stored(name, place.stat().st_size) for name, place in named if name.startswith(prefix)),
                key=lambda stored: stored.name,
            )

        for stored in await self._tried(found):
            yield stored

    async def keep(self, name: str, *, until: float | None = None, held: bool | None = None) -> None:
        """Nothing that a directory could enforce."""

    async def delete(self, name: str) -> None:
        place = self._place(name)
        await self._tried(lambda: place.unlink(missing_ok=True))

    async def close(self) -> None:
        """Nothing is held open."""

    def _place(self, name: str) -> Path:
        if any(part in ("", ".", "..") for part in name.split("/")) or "\0" in name:
            raise StoreFailed(
                f"`{name}` cannot be the name of a piece of evidence", "this is a fault of hoopx: report it"
            )
        return self._directory / name

    async def _tried(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise self._failed(error, self._directory) from error

    def _failed(self, error: OSError, place: Path) -> StoreFailed:
        if isinstance(error, FileNotFoundError):
            return NotStored(f"`{place.name}` is not among the evidence in `{self._directory}`", "was it moved away?")
        reason = (error.strerror or str(error)).lower()
        return StoreFailed(f"evidence in `{self._directory}` cannot be used: {reason}", "check its disk and its owner")


def _write(place: Path, content: bytes, *, replace: bool) -> None:
    """Whole or not at all, and still there after a power cut."""
    ensure_private_directory(place.parent)
    if not replace and place.exists():
        if place.read_bytes() != content:
            raise FileExistsError(0, f"`{place.name}` is there already, with other content")
        return
    with NamedTemporaryFile(dir=place.parent, prefix=".", suffix=".new", delete=False) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(place)
