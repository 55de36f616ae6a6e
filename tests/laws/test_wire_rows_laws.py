"""Laws of masked rows: nothing hidden stays, nothing else changes, garbage is refused."""

from __future__ import annotations

from contextlib import suppress
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from hoopx_broker.masking.shapes import NOTHING, Mask, mask_for
from hoopx_broker.terms.masks import Shape, ShapeKind
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres.rows import hide
from tests.unit.wire_stage import row

cells = st.none() | st.binary(max_size=12)
masks = st.sampled_from(
    [
        None,
        NOTHING,
        Mask(b"*****"),
        Mask(b""),
        Mask(b"0", nulls=True),
        Mask(None, nulls=True),
        Mask(b"*", lambda cell: cell[:1] * 2),
        Mask(b"*", lambda cell: None),
        Mask(b"*", lambda cell: bytes([cell[0] - 1]), nulls=True),  # fails on some
    ]
)


@st.composite
def results(draw: st.DrawFn) -> tuple[list[list[bytes | None]], list[Mask | None]]:
    width = draw(st.integers(0, 6))
    rows = draw(st.lists(st.lists(cells, min_size=width, max_size=width), max_size=6))
    return rows, draw(st.lists(masks, min_size=width, max_size=width))


def seen(cell: bytes | None, mask: Mask | None) -> bytes | None:
    if mask is None:
        return cell
    if cell is None:
        return mask.value if mask.nulls else None
    return mask.instead_of(cell)


@given(results())
def test_each_cell_is_its_mask_or_itself(result: tuple[list[list[bytes | None]], list[Mask | None]]) -> None:
    rows, masks = result
    expected = [row(*map(seen, cells, masks)) for cells in rows]
    assert hide(b"".join(row(*cells) for cells in rows), masks) == b"".join(expected)


@given(results())
def test_without_masks_nothing_changes(result: tuple[list[list[bytes | None]], list[Mask | None]]) -> None:
    rows, masks = result
    data = b"".join(row(*cells) for cells in rows)
    assert hide(data, [None] * len(masks)) == data


@given(st.integers(0, 3), st.integers(0, 3), st.text("ab", min_size=6, max_size=9))
def test_a_hidden_value_leaves_no_byte(before: int, after: int, secret: str) -> None:
    data = row(*["x"] * before, secret, *["y"] * after)
    for kind in get_args(ShapeKind):
        mask = mask_for(25, 0, Shape(kind, text="z", last=2), key=b"k" * 16)
        assert secret.encode() not in hide(data, [*[None] * before, mask, *[None] * after])


@given(st.binary(max_size=60), st.lists(masks, max_size=5))
def test_garbage_is_a_broken_peer(data: bytes, masks: list[Mask | None]) -> None:
    with suppress(BrokenPeer):
        hide(data, masks)


@given(results(), st.integers(0, 200), st.integers(0, 255))
def test_a_row_that_lies_is_a_broken_peer_or_keeps_its_length(
    result: tuple[list[list[bytes | None]], list[Mask | None]], place: int, value: int
) -> None:
    rows, masks = result
    data = bytearray(b"".join(row(*cells) for cells in rows))
    if data:
        data[place % len(data)] = value
    with suppress(BrokenPeer):
        hidden = hide(bytes(data), [None] * len(masks))
        assert len(hidden) == len(data)
