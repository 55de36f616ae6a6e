"""Laws of the log: what RFC 6962 defines by recursion is what comes out, and nothing else proves anything."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoopx_broker.tlog.checkpoints import Checkpoint
from hoopx_broker.tlog.checkpoints import parse as parse_checkpoint
from hoopx_broker.tlog.failures import BadNote, BadProof, BadTile
from hoopx_broker.tlog.proof_file import ProofFile
from hoopx_broker.tlog.proof_file import parse as parse_proof
from hoopx_broker.tlog.proofs import Hashes, check_consistency, check_inclusion, consistency, inclusion
from hoopx_broker.tlog.tiles import (
    Tile,
    new_bundles,
    new_tiles,
    pack_entries,
    parse_path,
    tile_path,
    tile_reader,
    tiles,
    tiles_read,
    unpack_entries,
)
from hoopx_broker.tlog.tree import Read, grown, leaf_hash, nothing, root_hash

LEAVES = tuple(b"leaf %d" % n for n in range(600))  # enough for full tiles, a second level and partial tiles of both
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
SIZES = st.integers(0, 70) | st.integers(0, len(LEAVES)) | st.sampled_from([255, 256, 257, 511, 512, 513])


@cache
def mth(leaves: tuple[bytes, ...]) -> bytes:
    """MTH of section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = largest_power_of_two_below(len(leaves))
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: tuple[bytes, ...]) -> list[bytes]:
    """PATH of section 2.1.1, word for word."""
    if len(leaves) == 1:
        return []
    k = largest_power_of_two_below(len(leaves))
    return [*path(m, leaves[:k]), mth(leaves[k:])] if m < k else [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: tuple[bytes, ...], *, known: bool) -> list[bytes]:
    """SUBPROOF of section 2.1.2, word for word."""
    if m == len(leaves):
        return [] if known else [mth(leaves)]
    k = largest_power_of_two_below(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], known=known), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], known=False), mth(leaves[:k])]


def largest_power_of_two_below(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def log(size: int) -> Read:
    return grown(0, HASHES[:size], nothing)


@given(SIZES)
def test_the_root_is_that_of_the_definition(size: int) -> None:
    assert root_hash(size, log(size)) == mth(LEAVES[:size])


@given(st.data())
def test_every_leaf_is_proved_as_the_definition_has_it(data: st.DataObject) -> None:
    size = data.draw(SIZES.filter(bool))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion(index, size, log(size))
    assert list(proof) == path(index, LEAVES[:size])
    check_inclusion(HASHES[index], index, size, mth(LEAVES[:size]), proof)


@given(st.data())
def test_every_growth_is_proved_as_the_definition_has_it(data: st.DataObject) -> None:
    size = data.draw(SIZES)
    old = data.draw(st.integers(0, size))
    proof = consistency(old, size, log(size))
    assert list(proof) == (subproof(old, LEAVES[:size], known=True) if old else [])
    check_consistency(old, size, mth(LEAVES[:old]), mth(LEAVES[:size]), proof)


@given(st.data())
def test_no_other_leaf_index_size_root_or_proof_is_taken_for_one_that_is_in(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    index = data.draw(st.integers(0, size - 1))
    right = (HASHES[index], index, size, mth(LEAVES[:size]), list(inclusion(index, size, log(size))))
    leaf, at, large, root = (
        data.draw(st.sampled_from(HASHES[:size]) | st.binary(min_size=32, max_size=32) | st.just(right[0])),
        data.draw(st.integers(-1, size + 1) | st.just(index)),
        data.draw(st.integers(-1, 80) | st.just(size)),
        data.draw(st.integers(0, 70).map(lambda n: mth(LEAVES[:n])) | st.just(right[3])),
    )
    proof = data.draw(changed(right[4]))
    if (leaf, at, root, proof) == (right[0], right[1], right[3], right[4]) and large != size:
        # The shape of the way alone does not tell the size: two logs of one root have one size, and the root is signed.
        return
    wrong = (leaf, at, large, root, proof)
    if wrong == right:
        check_inclusion(*wrong)
    else:
        with pytest.raises(BadProof):
            check_inclusion(*wrong)


@given(st.data())
def test_no_forked_or_shortened_log_is_taken_for_one_that_grew(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    old = data.draw(st.integers(1, size))
    proof = list(consistency(old, size, log(size)))
    forked = list(LEAVES[:old])
    forked[data.draw(st.integers(0, old - 1))] = b"another"
    for wrong in (
        (old, size, mth(tuple(forked)), mth(LEAVES[:size]), proof),
        (old, size, mth(LEAVES[:old]), mth((*forked, *LEAVES[old:size])), proof),
        (size + 1, size, mth(LEAVES[: size + 1]), mth(LEAVES[:size]), proof),
    ):
        with pytest.raises(BadProof):
            check_consistency(*wrong)
    other = data.draw(changed(proof))
    if other != proof:
        with pytest.raises(BadProof):
            check_consistency(old, size, mth(LEAVES[:old]), mth(LEAVES[:size]), other)


@st.composite
def changed(draw: st.DrawFn, proof: list[bytes]) -> list[bytes]:
    """The proof itself, or one with a hash more, less, changed, cut or moved."""
    hashes = list(proof)
    at = draw(st.integers(0, len(hashes)))
    match draw(st.sampled_from(["same", "more", "less", "flip", "cut", "swap"])):
        case "more":
            hashes.insert(at, draw(st.sampled_from([*HASHES[:4], mth(())])))
        case "less":
            del hashes[at : at + 1]
        case "flip" if hashes:
            at = min(at, len(hashes) - 1)
            hashes[at] = hashes[at][:-1] + bytes([hashes[at][-1] ^ draw(st.integers(1, 255))])
        case "cut" if hashes:
            hashes[-1] = hashes[-1][:-1]
        case "swap":
            hashes[:2] = reversed(hashes[:2])
        case _:
            pass
    return hashes


@given(st.lists(SIZES, max_size=6).map(sorted))
def test_a_log_that_grows_by_any_steps_has_the_tiles_of_the_specification(sizes: list[int]) -> None:
    stored: dict[str, bytes] = {}

    def fetch(tile: Tile) -> bytes:
        return stored[tile.path]

    before = 0
    for size in sizes:
        read = grown(before, HASHES[before:size], tile_reader(before, fetch))
        stored |= {tile.path: content for tile, content in new_tiles(before, size, read)}
        before = size
        for tile in tiles(size):
            span = 256**tile.level
            starts = [(tile.n * 256 + i) * span for i in range(tile.width)]
            assert stored[tile.path] == b"".join(mth(LEAVES[start : start + span]) for start in starts)
            assert starts[-1] + span <= size
        assert root_hash(size, tile_reader(size, fetch)) == mth(LEAVES[:size])


@given(st.data())
def test_the_tiles_that_a_proof_needs_are_known_beforehand(data: st.DataObject) -> None:
    size = data.draw(SIZES.filter(bool))
    old = data.draw(st.integers(0, size - 1))
    all_tiles = dict(new_tiles(0, size, log(size)))
    works: list[Callable[[Read], Hashes]] = [partial(inclusion, old, size), partial(consistency, old, size)]
    for work in works:
        needed = {tile: all_tiles[tile] for tile in tiles_read(work, size)}
        assert work(tile_reader(size, needed.__getitem__)) == work(log(size))


@given(SIZES, SIZES)
def test_new_bundles_hold_every_new_entry(one: int, other: int) -> None:
    old, size = sorted((one, other))
    stored = {bundle.path: pack_entries(LEAVES[bundle.start : bundle.end]) for bundle in new_bundles(0, old)}
    stored |= {bundle.path: pack_entries(LEAVES[bundle.start : bundle.end]) for bundle in new_bundles(old, size)}
    whole = [bundle.path for bundle in new_bundles(0, size)]
    assert [entry for path in whole for entry in unpack_entries(stored[path])] == list(LEAVES[:size])


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_a_bundle_unpacks_to_what_was_packed(entries: list[bytes]) -> None:
    assert unpack_entries(pack_entries(entries)) == entries


@given(st.binary(max_size=300))
def test_garbage_is_a_bad_bundle_or_one_that_packs_the_same(garbage: bytes) -> None:
    with suppress(BadTile):
        assert pack_entries(unpack_entries(garbage)) == garbage


@given(st.integers(0, 63), st.integers(0, 1 << 55), st.integers(1, 256))
def test_a_path_names_one_tile(level: int, n: int, width: int) -> None:
    assert parse_path(tile_path(level, n, width)) == Tile(level, n, width)


PATHS = st.text(alphabet="tile/enrsx0123.p", max_size=30).map(lambda text: "tile/" + text)


@given(PATHS)
def test_no_other_text_is_taken_for_the_path_of_a_tile(text: str) -> None:
    with suppress(BadTile):
        assert parse_path(text).path == text


CHECKPOINTS = st.builds(
    Checkpoint,
    st.text(alphabet=st.characters(min_codepoint=33, exclude_categories=["Cs"]), min_size=1, max_size=20),
    st.integers(0, (1 << 63) - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(st.text(alphabet="abc", min_size=1, max_size=3), max_size=2).map(tuple),
)


@given(CHECKPOINTS)
def test_a_checkpoint_is_read_as_it_was_written(checkpoint: Checkpoint) -> None:
    assert parse_checkpoint(checkpoint.text()) == checkpoint


ROOT = base64.b64encode(bytes(32)).decode()


@given(
    st.lists(
        st.sampled_from(["", "o", "0", "00", "7", "-7", "+7", "٣", "7 ", ROOT, ROOT[:-1], "AA==", "x"]), max_size=5
    )
)
def test_what_would_be_written_otherwise_is_no_checkpoint(lines: list[str]) -> None:
    text = "\n".join(lines)
    with suppress(BadNote):
        assert parse_checkpoint(text).text() == text


PROOFS = st.builds(
    ProofFile,
    st.integers(0, (1 << 63) - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=4).map(tuple),
    CHECKPOINTS.map(lambda checkpoint: checkpoint.text() + "\n— x y\n"),
    st.none() | st.binary(max_size=9),
)


@given(PROOFS)
def test_a_proof_is_read_as_it_was_written(proof: ProofFile) -> None:
    assert parse_proof(proof.text()) == proof


@given(PROOFS, st.integers(0), st.characters(exclude_categories=["Cs"]))
def test_no_proof_is_read_from_two_texts(proof: ProofFile, at: int, char: str) -> None:
    text = proof.text()
    other = text[: at % len(text)] + char + text[at % len(text) + 1 :]
    with suppress(BadProof):
        assert parse_proof(other).text() == other
