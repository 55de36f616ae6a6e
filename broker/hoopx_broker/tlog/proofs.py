"""Proofs of RFC 9162, section 2.1: that a leaf is in a log, and that a log has only grown; made and checked."""

from __future__ import annotations

from collections.abc import Sequence

from hoopx_broker.tlog.failures import BadProof
from hoopx_broker.tlog.tree import EMPTY, HASH_SIZE, MAX_SIZE, Read, node_hash, range_hash, split

# A tree of 2**63 leaves has 63 levels, and a proof of consistency one hash more.
MAX_PROOF = 64

Hashes = tuple[bytes, ...]


def inclusion(index: int, size: int, read: Read) -> Hashes:
    """The hashes beside the way from leaf `index` up to the root of the tree over `size` leaves, lowest first."""
    if not 0 <= index < size <= MAX_SIZE:
        raise BadProof(f"there is no leaf {index} in a log of size {size}")
    return tuple(reversed(_beside(index, size, read)))


def consistency(old: int, size: int, read: Read) -> Hashes:
    """The hashes that show that the log of `old` leaves is the beginning of the log of `size` leaves."""
    if not 0 <= old <= size <= MAX_SIZE:
        raise BadProof(f"a log of size {size} is not a later one than a log of size {old}")
    if old in (0, size):
        return ()
    return tuple(reversed(_between(old, size, read)))


def check_inclusion(leaf_hash: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Raises `BadProof` unless the leaf stands at `index` in the log of `size` leaves whose root is `root`."""
    if not 0 <= index < size <= MAX_SIZE:
        raise BadProof(f"there is no leaf {index} in a log of size {size}")
    _check_form(leaf_hash, root, *proof)
    node, at, last = leaf_hash, index, size - 1
    for beside in proof:
        if last == 0:
            raise BadProof("the proof of inclusion has more hashes than the log has levels")
        if at & 1 or at == last:
            node = node_hash(beside, node)
            at, last = _above_left(at, last)
        else:
            node = node_hash(node, beside)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise BadProof("the proof of inclusion has fewer hashes than the log has levels")
    if node != root:
        raise BadProof(f"the leaf is not at index {index} of the log of size {size}: the root does not come out")


def check_consistency(old: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]) -> None:
    """Raises `BadProof` unless the log of `old` leaves and root `old_root` is the beginning of the other one."""
    if not 0 <= old <= size <= MAX_SIZE:
        raise BadProof(f"a log of size {size} is not a later one than a log of size {old}")
    _check_form(old_root, root, *proof)
    if old in (0, size):
        _check_trivial(old, size, old_root, root, proof)
        return
    if _grown_from(old, size, old_root, proof) != (old_root, root):
        raise BadProof(f"the log of size {size} does not go on from the log of size {old}: it was changed")


def _beside(index: int, size: int, read: Read) -> list[bytes]:
    """PATH of the RFC, from the top down."""
    found: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + split(end - start)
        if index < middle:
            found.append(range_hash(middle, end, read))
            end = middle
        else:
            found.append(range_hash(start, middle, read))
            start = middle
    return found


def _between(old: int, size: int, read: Read) -> list[bytes]:
    """PROOF of the RFC, from the top down, for `old` neither 0 nor `size`."""
    found: list[bytes] = []
    start, end = 0, size
    while old < end:
        middle = start + split(end - start)
        if old <= middle:
            found.append(range_hash(middle, end, read))
            end = middle
        else:
            found.append(range_hash(start, middle, read))
            start = middle
    # Who checks knows the old root, and so needs no hash where the old log is one subtree of the new one.
    return found if start == 0 else [*found, range_hash(start, end, read)]


def _grown_from(old: int, size: int, old_root: bytes, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The old and the new root as they come out of the proof (section 2.1.4.2)."""
    hashes = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    if not hashes:
        raise BadProof("the proof of consistency is empty")
    before = after = hashes[0]
    for beside in hashes[1:]:
        if last == 0:
            raise BadProof("the proof of consistency has more hashes than the log has levels")
        if at & 1 or at == last:
            before, after = node_hash(beside, before), node_hash(beside, after)
            at, last = _above_left(at, last)
        else:
            after = node_hash(after, beside)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise BadProof("the proof of consistency has fewer hashes than the log has levels")
    return before, after


def _above_left(at: int, last: int) -> tuple[int, int]:
    """At the right edge, past the levels that have no node beside this one."""
    while at and not at & 1:
        at, last = at >> 1, last >> 1
    return at, last


def _check_trivial(old: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]) -> None:
    if proof:
        raise BadProof("a log goes on from the empty one, and from itself, without proof: this one has hashes")
    if (old == 0 and old_root != EMPTY) or (size == 0 and root != EMPTY):
        raise BadProof("a log of size 0 has a root of its own, and this is another")
    if old == size and old_root != root:
        raise BadProof(f"there are two different logs of size {size}: the log was forked")


def _check_form(*hashes: bytes) -> None:
    if len(hashes) > MAX_PROOF + 2 or any(len(each) != HASH_SIZE for each in hashes):
        raise BadProof(f"a proof has at most {MAX_PROOF} hashes of {HASH_SIZE} bytes each")
