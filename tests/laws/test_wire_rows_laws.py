"""Laws of masked rows: nothing hidden stays, nothing else changes, garbage is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from hoopx_broker.masking.shapes import NOTHING, Mask, mask_for
from hoopx_broker.terms.masks import Shape, ShapeKind
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres import native
from hoopx_broker.wire.postgres.frames import message, run_in_python
from hoopx_broker.wire.postgres.rows import hide_in_python
from tests.unit.wire_stage import row

Hide = Callable[[bytes, Sequence[Mask | None]], bytes]


class Loops(Struct, frozen=True):
    hide: Hide
    run: Callable[[bytes, int, int], tuple[int, int]]


@pytest.fixture(scope="module", params=["in python", "native"])
def loops(request: pytest.FixtureRequest) -> Loops:
    """Every form of them keeps the same laws; `test_wire_compiled.py` holds the compiled one to them."""
    return Loops(hide_in_python, run_in_python) if request.param == "in python" else Loops(native.hide, native.run)


@pytest.fixture(scope="module")
def hide(loops: Loops) -> Hide:
    return loops.hide


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
def test_each_cell_is_its_mask_or_itself(
    hide: Hide, result: tuple[list[list[bytes | None]], list[Mask | None]]
) -> None:
    rows, masks = result
    expected = [row(*map(seen, cells, masks)) for cells in rows]
    assert hide(b"".join(row(*cells) for cells in rows), masks) == b"".join(expected)


@given(results())
def test_without_masks_nothing_changes(hide: Hide, result: tuple[list[list[bytes | None]], list[Mask | None]]) -> None:
    rows, masks = result
    data = b"".join(row(*cells) for cells in rows)
    assert hide(data, [None] * len(masks)) == data


@given(st.integers(0, 3), st.integers(0, 3), st.text("ab", min_size=6, max_size=9))
def test_a_hidden_value_leaves_no_byte(hide: Hide, before: int, after: int, secret: str) -> None:
    data = row(*["x"] * before, secret, *["y"] * after)
    for kind in get_args(ShapeKind):
        mask = mask_for(25, 0, Shape(kind, text="z", last=2), key=b"k" * 16)
        assert secret.encode() not in hide(data, [*[None] * before, mask, *[None] * after])


@given(st.binary(max_size=60), st.lists(masks, max_size=5))
def test_garbage_is_a_broken_peer(hide: Hide, data: bytes, masks: list[Mask | None]) -> None:
    with suppress(BrokenPeer):
        hide(data, masks)


@given(results(), st.integers(0, 200), st.integers(0, 255))
def test_a_row_that_lies_is_a_broken_peer_or_keeps_its_length(
    hide: Hide, result: tuple[list[list[bytes | None]], list[Mask | None]], place: int, value: int
) -> None:
    rows, masks = result
    data = bytearray(b"".join(row(*cells) for cells in rows))
    if data:
        data[place % len(data)] = value
    with suppress(BrokenPeer):
        hidden = hide(bytes(data), [None] * len(masks))
        assert len(hidden) == len(data)


@given(st.lists(st.binary(max_size=5), max_size=8), st.binary(max_size=12))
def test_a_run_is_as_long_as_whole_messages_of_its_kind_go_on(loops: Loops, bodies: list[bytes], rest: bytes) -> None:
    run = b"".join(message(ord("D"), body) for body in (b"first", *bodies))
    first = len(message(ord("D"), b"first"))
    stop, count = loops.run(run + rest, ord("D"), first)
    assert (stop, count) == run_in_python(run + rest, ord("D"), first)
    assert stop >= len(run)
    assert count >= 1 + len(bodies)
