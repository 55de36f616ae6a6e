"""A log as it follows from its leaves: every hash that its tiles hold, with no tile at hand."""

from __future__ import annotations

from collections.abc import Iterable

from hoopx_broker.tlog.tiles import WIDTH, Tile, subtree_hash
from hoopx_broker.tlog.tree import HASH_SIZE, root_hash

_HEIGHT = 8  # levels of the tree between the hashes of a tile and those of the tile above


class Levels:
    """One line of hashes for each level of tiles: 32 bytes a leaf, and a 255th of that for all levels above."""

    def __init__(self) -> None:
        self._lines = [bytearray()]

    @property
    def size(self) -> int:
        return len(self._lines[0]) // HASH_SIZE

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        """More leaves, by their hashes."""
        for hash_ in leaf_hashes:
            self._lines[0] += hash_
        self._raise(0)

    def read(self, level: int, index: int) -> bytes:
        """The hash of a full subtree, as `tlog.tree.Read` has it."""
        height, inside = divmod(level, _HEIGHT)
        return subtree_hash(self._hashes(height, index << inside, (index + 1) << inside))

    def root(self, size: int) -> bytes:
        """The root over the first `size` leaves."""
        return root_hash(size, self.read)

    def tile(self, tile: Tile) -> bytes:
        """What the tile holds; all its hashes must be there."""
        first = tile.n * WIDTH * HASH_SIZE
        content = bytes(self._lines[tile.level][first : first + tile.width * HASH_SIZE])
        assert len(content) == tile.width * HASH_SIZE, tile
        return content

    def _raise(self, height: int) -> None:
        line = self._lines[height]
        if len(line) < WIDTH * HASH_SIZE:
            return
        if len(self._lines) == height + 1:
            self._lines.append(bytearray())
        above = self._lines[height + 1]
        for n in range(len(above) // HASH_SIZE, len(line) // (WIDTH * HASH_SIZE)):
            above += subtree_hash(self._hashes(height, n * WIDTH, (n + 1) * WIDTH))
        self._raise(height + 1)

    def _hashes(self, height: int, start: int, end: int) -> list[bytes]:
        line = self._lines[height]
        return [bytes(line[at : at + HASH_SIZE]) for at in range(start * HASH_SIZE, end * HASH_SIZE, HASH_SIZE)]
