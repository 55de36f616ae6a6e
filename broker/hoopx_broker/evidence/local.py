"""Evidence in a directory of this machine: recordings stay where they were written, and small files beside them."""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from hashlib import file_digest, sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, BinaryIO, ClassVar, TypeVar

from msgspec import Struct

from hoopx_broker.recording.whole import ensure_private_directory
from hoopx_broker.seams.store import NotStored, Stored, StoreFailed

_CHUNK = 1 << 18

T = TypeVar("T")


class LocalOptions(Struct, frozen=True):
    """Nothing to say."""


class LocalStore:
    """A directory enforces neither times nor holds: whoever may delete files may delete these. The log shows it."""

    Options: ClassVar[type[Any]] = LocalOptions
    is_remote = False

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.where = f"file:{directory}"

    @staticmethod
    def check_place(place: str) -> None:
        """It is given a directory that was read already."""

    async def check(self) -> None:
        """It is made when something is first put there."""

    async def now(self) -> float:
        return time.time()

    async def put_file(self, name: str, path: Path, *, kept_until: float = 0) -> Stored:
        place = self._place(name)

        def put() -> Stored:
            with path.open("rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
                size = file.tell()
                if not place.exists() or not place.samefile(path):
                    file.seek(0)
                    _write(place, file, digest, replace=False)
            return Stored(name, size, digest)

        return await self._tried(put)

    async def put(self, name: str, content: bytes, *, replace: bool = False) -> Stored:
        place, digest = self._place(name), sha256(content).hexdigest()
        await self._tried(lambda: _write(place, io.BytesIO(content), digest, replace=replace))
        return Stored(name, len(content), digest)

    async def get(
        self, name: str, start: int = 0, length: int | None = None, *, version: str = ""
    ) -> AsyncIterator[bytes]:
        with await self._open(name, start) as file:
            left = length if length is not None else os.fstat(file.fileno()).st_size
            while left > 0 and (chunk := await self._tried(partial(file.read, min(_CHUNK, left)))):
                left -= len(chunk)
                yield chunk

    async def _open(self, name: str, start: int) -> BinaryIO:
        """Whoever is cancelled meanwhile leaves no file open, whether it was opened by then or is later."""
        opened: list[BinaryIO] = []
        is_gone = False

        def work() -> BinaryIO:
            opened.append(self._opened(name, start))
            if is_gone:
                opened[0].close()
            return opened[0]

        try:
            return await self._tried(work)
        except asyncio.CancelledError:
            is_gone = True
            for file in opened:
                file.close()
            raise

    async def stat(self, name: str, *, version: str = "") -> Stored:
        def looked_at() -> Stored:
            with self._opened(name) as file:
                return Stored(name, os.fstat(file.fileno()).st_size)

        return await self._tried(looked_at)

    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        def found() -> list[Stored]:
            places = (Path(where) / each for where, _, names in os.walk(self._directory) for each in names)
            named = ((place.relative_to(self._directory).as_posix(), place) for place in places)
            return sorted(
                (
                    Stored(name, place.stat().st_size)
                    for name, place in named
                    if name.startswith(prefix) and _is_name(name) and not place.is_symlink()
                ),
                key=lambda stored: stored.name,
            )

        for stored in await self._tried(found):
            yield stored

    async def keep(self, name: str, *, until: float | None = None, held: bool | None = None, version: str = "") -> None:
        """Nothing that a directory could enforce."""

    async def delete(self, name: str) -> None:
        place = self._place(name)
        await self._tried(lambda: place.unlink(missing_ok=True))

    async def close(self) -> None:
        """Nothing is held open."""

    def _place(self, name: str) -> Path:
        if not _is_name(name):
            raise StoreFailed(
                f"`{name}` cannot be the name of a piece of evidence", "this is a fault of hoopx: report it"
            )
        place = self._directory / name
        # A link that somebody has put there would lead out of the directory.
        if not place.parent.resolve().is_relative_to(self._directory.resolve()):
            raise StoreFailed(
                f"`{name}` leads out of `{self._directory}`", f"take away the link on the way to `{place}`"
            )
        return place

    def _opened(self, name: str, start: int = 0) -> BinaryIO:
        file = os.fdopen(os.open(self._place(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
        file.seek(start)
        return file

    async def _tried(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> StoreFailed:
        if isinstance(error, FileNotFoundError):
            name = Path(error.filename or "").name
            return NotStored(f"`{name}` is not among the evidence in `{self._directory}`", "was it moved away?")
        reason = (error.strerror or str(error)).lower()
        return StoreFailed(f"evidence in `{self._directory}` cannot be used: {reason}", "check its disk and its owner")


def _is_name(name: str) -> bool:
    return not any(part == "" or part.startswith(".") for part in name.split("/")) and "\0" not in name


def _write(place: Path, content: BinaryIO, digest: str, *, replace: bool) -> None:
    """Whole or not at all, and still there after a power cut."""
    ensure_private_directory(place.parent)
    if not replace and place.exists():
        with place.open("rb") as there:
            if file_digest(there, "sha256").hexdigest() != digest:
                raise FileExistsError(0, f"`{place.name}` is there already, with other content")
        return
    with NamedTemporaryFile(dir=place.parent, prefix=".", suffix=".new", delete=False) as file:
        try:
            while chunk := content.read(_CHUNK):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    Path(file.name).replace(place)
    _sync(place.parent)


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
