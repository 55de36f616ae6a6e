"""Tiles and entry bundles as c2sp.org/tlog-tiles has them: names, contents, and which come new when a log grows.

A tile holds up to 256 hashes that stand side by side at one height of the tree. Tiles are immutable: a log that grows
gets new tiles, and a partial one is never changed but followed by a wider one under another name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from msgspec import Struct

from hoopx_broker.tlog.failures import BadTile
from hoopx_broker.tlog.tree import HASH_SIZE, Read, leaf_hash, node_hash

WIDTH = 256
MAX_ENTRY = 65_535  # the length of an entry is written with two bytes

_HEIGHT = 8  # levels of the tree between the hashes of a tile and those of the tile above
_LENGTH = 2
_PATH = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_MAX_LEVEL = 63
_KEPT_TILES = 64  # a proof goes through one tile of each level: at most eight, and as many for the other way


class Tile(Struct, frozen=True, order=True):
    """The `n`-th tile of a `level` of tiles, with `width` hashes; 256 of them make it full."""

    level: int
    n: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        return tile_path(self.level, self.n, self.width)


class Bundle(Struct, frozen=True, order=True):
    """The entries from `start` to before `end`, under the tile `n` of level 0."""

    n: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        return entries_path(self.n, self.width)

    @property
    def start(self) -> int:
        return self.n * WIDTH

    @property
    def end(self) -> int:
        return self.start + self.width


def tile_path(level: int, n: int, width: int = WIDTH) -> str:
    """Below the prefix of the log: `tile/<L>/<N>[.p/<W>]`."""
    return f"tile/{level}/{_numbered(n, width)}"


def entries_path(n: int, width: int = WIDTH) -> str:
    """Below the prefix of the log: `tile/entries/<N>[.p/<W>]`."""
    return f"tile/entries/{_numbered(n, width)}"


def parse_path(path: str) -> Tile | Bundle:
    """The inverse of both; raises `BadTile` for what neither would ever give."""
    match = _PATH.fullmatch(path) if len(path) < 100 and path.isascii() else None
    if match is None:
        raise BadTile(f"`{path[:100]}` is not the path of a tile")
    level, number, width = match.groups()
    n, wide = int(number.replace("x", "").replace("/", "")), int(width or WIDTH)
    place: Tile | Bundle = Bundle(n, wide) if level == "entries" else Tile(int(level), n, wide)
    if place.path != path or (isinstance(place, Tile) and place.level > _MAX_LEVEL):
        raise BadTile(f"`{path}` is not the path of a tile")
    return place


def pack_entries(entries: Iterable[bytes]) -> bytes:
    """The content of a bundle: each entry behind its length. Raises `BadTile` for one that is too long."""
    packed = bytearray()
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise BadTile(f"an entry of {len(entry)} bytes; a log holds {MAX_ENTRY}")
        packed += len(entry).to_bytes(_LENGTH, "big") + entry
    return bytes(packed)


def unpack_entries(content: bytes) -> list[bytes]:
    """The inverse of `pack_entries`; raises `BadTile`."""
    entries: list[bytes] = []
    at = 0
    while at < len(content):
        start = at + _LENGTH
        at = start + int.from_bytes(content[at:start], "big")
        if start > len(content) or at > len(content):
            raise BadTile(f"the bundle ends inside its entry {len(entries)}")
        entries.append(content[start:at])
    if len(entries) > WIDTH:
        raise BadTile(f"a bundle holds {WIDTH} entries; this one has {len(entries)}")
    return entries


def unpack_tile(content: bytes, width: int) -> list[bytes]:
    """The hashes of a tile; raises `BadTile` if they are not `width` many."""
    if len(content) != width * HASH_SIZE:
        raise BadTile(f"a tile of width {width} has {width * HASH_SIZE} bytes; this one has {len(content)}")
    return [content[at : at + HASH_SIZE] for at in range(0, len(content), HASH_SIZE)]


def tiles(size: int) -> Iterator[Tile]:
    """All tiles of a log of `size` leaves."""
    return new_places(0, size)


def new_places(old: int, size: int) -> Iterator[Tile]:
    """The tiles that a log of `size` leaves has and one of `old` leaves had not, lowest level first."""
    for level in range(_MAX_LEVEL + 1):
        before, now = old >> _HEIGHT * level, size >> _HEIGHT * level
        if now == 0:
            return
        if before != now:
            yield from (Tile(level, n, width) for n, width in _spans(before, now))


def new_tiles(old: int, size: int, read: Read) -> Iterator[tuple[Tile, bytes]]:
    """The same with their contents."""
    for tile in new_places(old, size):
        first = tile.n * WIDTH
        level = tile.level * _HEIGHT
        yield tile, b"".join(read(level, index) for index in range(first, first + tile.width))


def new_bundles(old: int, size: int) -> Iterator[Bundle]:
    """The entry bundles that a log of `size` leaves has and one of `old` leaves had not."""
    return (Bundle(n, width) for n, width in _spans(old, size)) if old != size else iter(())


def tile_of(level: int, index: int, size: int) -> Tile:
    """The tile of a log of `size` leaves out of which `read(level, index)` is to be had, as wide as it is there."""
    if (index + 1) << level > size:
        raise BadTile(f"a log of size {size} has no full subtree {index} at level {level}")
    tile_level, inside = divmod(level, _HEIGHT)
    n = (index << inside) // WIDTH
    return Tile(tile_level, n, min(WIDTH, (size >> tile_level * _HEIGHT) - n * WIDTH))


def tiles_read(work: Callable[[Read], object], size: int) -> list[Tile]:
    """Which tiles `work` needs, if what it does depends on no hash: so that they can be fetched beforehand."""
    needed: dict[Tile, None] = {}

    def read(level: int, index: int) -> bytes:
        needed[tile_of(level, index, size)] = None
        return bytes(HASH_SIZE)

    work(read)
    return list(needed)


def tile_reader(size: int, fetch: Callable[[Tile], bytes]) -> Read:
    """How to read a log of `size` leaves out of its tiles. What is fetched is not proved: check the root."""

    @lru_cache(_KEPT_TILES)
    def fetched(tile: Tile) -> list[bytes]:
        return unpack_tile(fetch(tile), tile.width)

    def read(level: int, index: int) -> bytes:
        tile = tile_of(level, index, size)
        first = (index << level % _HEIGHT) - tile.n * WIDTH
        return subtree_hash(fetched(tile)[first : first + (1 << level % _HEIGHT)])

    return read


def subtree_hash(hashes: list[bytes]) -> bytes:
    """The hash over hashes that stand side by side; a power of two many."""
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


def check_bundle(entries: Iterable[bytes], hashes: list[bytes]) -> None:
    """Raises `BadTile`, with the place within the bundle, unless the entries are those whose hashes the tile has."""
    found = [leaf_hash(entry) for entry in entries]
    if len(found) != len(hashes):
        raise BadTile(f"the bundle has {len(found)} entries, its tile {len(hashes)}")
    wrong = next((at for at, pair in enumerate(zip(found, hashes, strict=True)) if pair[0] != pair[1]), None)
    if wrong is not None:
        raise BadTile(f"entry {wrong} of the bundle is not the one whose hash the tile has")


def _spans(before: int, now: int) -> Iterator[tuple[int, int]]:
    """Numbers and widths of the tiles that are new when there are `now` hashes at a level, and were `before`."""
    full, rest = divmod(now, WIDTH)
    yield from ((n, WIDTH) for n in range(before // WIDTH, full))
    if rest:
        yield full, rest


def _numbered(n: int, width: int) -> str:
    if n < 0 or not 1 <= width <= WIDTH:
        raise BadTile(f"there is no tile {n} of width {width}")
    digits = str(n)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return path if width == WIDTH else f"{path}.p/{width}"
