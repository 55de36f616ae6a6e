"""Where evidence is kept: one Protocol for the broker's own directory and for object stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from hoopx_broker.terms.errors import BackendFailed, BadInput

# Names are relative, with `/` between their parts, none of which begins with a dot: `s_….hoopx`, `log/checkpoint`,
# `log/tile/0/000`.


class Unfit(BadInput):
    """The store is not what the configuration asks for. The broker does not start with it."""


class StoreFailed(BackendFailed):
    """The store did not do it; the message says why, and which store it was. It may be tried again."""


class NotStored(StoreFailed):
    """There is nothing by that name."""


class StillKept(StoreFailed):
    """The store itself keeps it, as it was told to: nobody can delete it yet."""


class Stored(Struct, frozen=True):
    """One object. `sha256` is empty where the store does not know it without reading.

    Before `kept_until`, in seconds since the Unix epoch, the store itself refuses to delete it, and so it does while
    `held`. `version` names exactly these bytes where the store keeps versions.
    """

    name: str
    size: int
    sha256: str = ""
    kept_until: float = 0
    held: bool = False
    version: str = ""


class EvidenceStore(Protocol):
    """Made once by the broker, a plugin's with what follows its scheme and with its `Options`.

    Every method may be called at any time, also at once. All raise `StoreFailed`. Without a `version`, the newest is
    meant.
    """

    Options: type[Any]  # the Struct of what `evidence.store` in the configuration holds for it
    # Whether what is put there is somewhere else than the directory in which recordings are written.
    is_remote: bool
    where: str  # for people: `s3://bucket/prefix`

    @staticmethod
    def check_place(place: str) -> None:
        """Of a plugin: raises `ValueError`, which says what to write instead, for what is no place of its kind."""

    async def check(self) -> None:
        """Is it what its options say? Raises `Unfit`; `StoreFailed` where that cannot be told now."""

    async def now(self) -> float:
        """What time it is by the store's own clock, in seconds since the Unix epoch."""

    async def put_file(self, name: str, path: Path, *, kept_until: float = 0) -> Stored:
        """Copy a file that is not written any more. Returns when the store has confirmed all of its bytes.

        What was begun before goes on where it stood, and what is there already is not put there twice.
        """

    async def put(self, name: str, content: bytes, *, replace: bool = False) -> Stored:
        """A small object. Where it is there already, with other bytes, it is replaced only if asked to."""

    def get(self, name: str, start: int = 0, length: int | None = None, *, version: str = "") -> AsyncIterator[bytes]:
        """The bytes from `start`, in chunks."""

    async def stat(self, name: str, *, version: str = "") -> Stored:
        """What the store says of it."""

    def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        """All whose names begin with `prefix`, by name."""

    async def keep(self, name: str, *, until: float | None = None, held: bool | None = None, version: str = "") -> None:
        """Keep it at least until then, or under a hold, where the store itself can enforce that. Never shortens."""

    async def delete(self, name: str) -> None:
        """Gone when it returns, all versions of it; also if it was gone before. Raises `StillKept`."""

    async def close(self) -> None:
        """Let go of what is held open."""
