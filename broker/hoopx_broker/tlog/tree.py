"""The Merkle tree of RFC 6962 and RFC 9162, section 2.1: hashes of leaves, of nodes and of whole ranges of leaves.

Everything here reads the tree through `Read`: `read(level, index)` is the hash of the full subtree over the leaves
`index << level` up to and without `(index + 1) << level`. Level 0 holds the hashes of the leaves themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

HASH_SIZE = 32
# The root of a log without leaves.
EMPTY = sha256(b"").digest()
# Go, and so most tools around logs, count leaves with 63 bits.
MAX_SIZE = (1 << 63) - 1

Read = Callable[[int, int], bytes]

_LEAF = b"\x00"
_NODE = b"\x01"


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf. The prefix keeps leaves from passing as nodes."""
    return sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the node over two others."""
    return sha256(_NODE + left + right).digest()


def root_hash(size: int, read: Read) -> bytes:
    """The root of the tree over the first `size` leaves."""
    return range_hash(0, size, read) if size else EMPTY


def range_hash(start: int, end: int, read: Read) -> bytes:
    """The hash over the leaves from `start` to before `end`, a range that the tree itself is made of."""
    if is_full(start, end):
        level = (end - start).bit_length() - 1
        return read(level, start >> level)
    middle = start + split(end - start)
    return node_hash(range_hash(start, middle, read), range_hash(middle, end, read))


def split(count: int) -> int:
    """How many of `count` leaves, at least two, are left of the root: the largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def is_full(start: int, end: int) -> bool:
    """Whether the range is one full subtree, whose hash never changes however the tree grows."""
    count = end - start
    return count & (count - 1) == 0 and start % count == 0


def grown(size: int, leaves: Sequence[bytes], read: Read) -> Read:
    """How to read a tree of `size` leaves, itself read through `read`, after more leaves came (given as hashes)."""
    made: dict[tuple[int, int], bytes] = {(0, size + i): leaf for i, leaf in enumerate(leaves)}

    def read_grown(level: int, index: int) -> bytes:
        if (index + 1) << level <= size:
            return read(level, index)
        if (level, index) not in made:
            made[level, index] = node_hash(read_grown(level - 1, 2 * index), read_grown(level - 1, 2 * index + 1))
        return made[level, index]

    return read_grown


def nothing(level: int, index: int) -> bytes:
    """How to read an empty tree: there is nothing to be read."""
    raise LookupError(f"an empty log has no hash {index} at level {level}")
