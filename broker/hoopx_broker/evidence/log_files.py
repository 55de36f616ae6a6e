"""Where the log lies in the store: tiles, entry bundles and the newest checkpoint, below `log/`."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from hoopx_broker.seams.store import EvidenceStore, NotStored, StoreFailed
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.tlog.rotation import MAX_ROTATIONS
from hoopx_broker.tlog.tiles import WIDTH, Bundle, Tile, entries_path, pack_entries, tile_path, unpack_entries
from hoopx_broker.tlog.tree import HASH_SIZE

PREFIX = "log/"
KEYS = "log/keys/"
CHECKPOINT = "log/checkpoint"
COSIGNED = "log/cosigned"

_MAX_ROTATION = 64 * 1024  # two keys, a name and two signatures
# A bundle holds 256 entries of at most 65535 bytes, each behind its length; a checkpoint some signatures.
_MAX_OBJECT = WIDTH * (65_535 + 2)
_AT_ONCE = 8  # puts and gets; an object store answers each in tens of milliseconds

T = TypeVar("T")


class LogBroken(BackendFailed):
    """The log is not what was signed: nothing more is signed until somebody has looked."""


class LogFiles:
    """What was put there is never changed, but for the checkpoints. All raise `StoreFailed`."""

    def __init__(self, store: EvidenceStore) -> None:
        self._store = store

    async def tile(self, tile: Tile) -> bytes:
        """Raises `NotStored`. Of a partial one that a full one has replaced, the beginning of that."""
        content, is_wider = await self._widest(tile.path, tile_path(tile.level, tile.n), tile.width)
        return content[: tile.width * HASH_SIZE] if is_wider else content

    async def bundle(self, bundle: Bundle) -> bytes:
        """As `tile`."""
        content, is_wider = await self._widest(bundle.path, entries_path(bundle.n), bundle.width)
        return pack_entries(unpack_entries(content)[: bundle.width]) if is_wider else content

    async def tiles(self, wanted: Iterable[Tile]) -> dict[Tile, bytes]:
        """As `tile`, several at once."""
        return dict(await at_once([self._named(tile) for tile in wanted]))

    async def put(self, contents: Mapping[str, bytes]) -> None:
        """By their paths. Raises `LogBroken` where something else is there by that name."""
        await at_once([self._put(PREFIX + path, content) for path, content in contents.items()])

    async def checkpoint(self) -> str | None:
        """The one that is there; None where there is none."""
        return await self._note(CHECKPOINT)

    async def cosigned(self) -> str | None:
        """The one that most witnesses have cosigned; None where there is none."""
        return await self._note(COSIGNED)

    async def put_checkpoint(self, note: str) -> None:
        await self._store.put(CHECKPOINT, note.encode(), replace=True)

    async def put_cosigned(self, note: str) -> None:
        await self._store.put(COSIGNED, note.encode(), replace=True)

    async def put_rotations(self, notes: Sequence[str]) -> None:
        """The whole line of keys, for whoever has the store alone. Raises as `put`."""
        await at_once([self._put(f"{KEYS}{number:04}", note.encode()) for number, note in enumerate(notes, 1)])

    async def rotations(self) -> tuple[str, ...]:
        """What was put there, the oldest first; raises `LogBroken` where that is no text, or has a gap."""
        names = sorted([stored.name async for stored in self._store.list(KEYS)])
        if len(names) > MAX_ROTATIONS or names != [f"{KEYS}{number:04}" for number in range(1, len(names) + 1)]:
            raise LogBroken(f"`{KEYS}` in the store lacks rotation notes, or holds something else", _LOOK)
        try:
            return tuple([(await self._get(name, _MAX_ROTATION)).decode() for name in names])
        except UnicodeDecodeError:
            raise LogBroken(f"a rotation note in `{KEYS}` of the store is no text", _LOOK) from None

    async def paths(self) -> frozenset[str]:
        """Of all tiles and bundles that are there."""
        return frozenset([stored.name.removeprefix(PREFIX) async for stored in self._store.list(PREFIX + "tile/")])

    async def forget_partial(self, path: str) -> None:
        """A full tile is there: what was there of it before is asked for by nobody who does not find the full one."""
        for stored in [stored async for stored in self._store.list(f"{PREFIX}{path}.p/")]:
            await self._store.delete(stored.name)

    async def _note(self, name: str) -> str | None:
        try:
            return (await self._get(name)).decode()
        except NotStored:
            return None
        except UnicodeDecodeError:
            raise LogBroken(f"`{name}` in the store is no text", _LOOK) from None

    async def _named(self, tile: Tile) -> tuple[Tile, bytes]:
        return tile, await self.tile(tile)

    async def _widest(self, path: str, full: str, width: int) -> tuple[bytes, bool]:
        """What is there by that name, whole, whatever was added to it; or the full one, which holds more."""
        try:
            return await self._get(PREFIX + path), False
        except NotStored:
            if width == WIDTH:
                raise
            return await self._get(PREFIX + full), True

    async def _get(self, name: str, most: int = _MAX_OBJECT) -> bytes:
        return b"".join([chunk async for chunk in self._store.get(name, 0, most)])

    async def _put(self, name: str, content: bytes) -> None:
        try:
            await self._store.put(name, content)
        except StoreFailed:
            if await self._is_other(name, content):
                raise LogBroken(
                    f"`{name}` in the store is not what was written there",
                    f"{_LOOK}; where it is moved away, it is written again from the state",
                ) from None
            raise

    async def _is_other(self, name: str, content: bytes) -> bool:
        try:
            return await self._get(name) != content
        except StoreFailed:
            return False


_LOOK = "somebody changed it, or it is of another log: see what `hoopx audit verify` says"


async def at_once(works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """All of them, a few at the same time; what fails first is raised when none runs any more."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(work: Coroutine[Any, Any, T]) -> T:
        async with gate:
            return await work

    done = await asyncio.gather(*(one(work) for work in works), return_exceptions=True)
    for each in done:
        if isinstance(each, BaseException):
            raise each
    return [each for each in done if not isinstance(each, BaseException)]
