"""A recording as it grows: whole and at once, for readers that are slow, and for nobody who went away."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import cast

import pytest

from hoopx_broker.daemon import tailing


class Watched:
    """A file, whether its session is over, and whether anybody still listens."""

    def __init__(self, path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tailing, "LOOK_SECONDS", 0)
        self.path, self.over, self.gone = path, False, False
        path.write_bytes(content)

    def pieces(self) -> AsyncGenerator[bytes, None]:
        async def is_over() -> bool:
            return self.over

        async def is_gone() -> bool:
            return self.gone

        return cast("AsyncGenerator[bytes, None]", tailing.growing(self.path, is_over, is_gone))

    def add(self, content: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(content)

    def is_open(self) -> bool:
        return any(link.is_symlink() and link.readlink() == self.path for link in Path("/proc/self/fd").iterdir())


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(tmp_path / "recording", b"one", monkeypatch)


def framed(piece: bytes) -> bytes:
    return len(piece).to_bytes(4, "big") + piece


def test_what_is_there_comes_first_then_each_addition_to_the_last_byte(watched: Watched) -> None:
    async def scene() -> None:
        pieces = watched.pieces()
        assert [await anext(pieces), await anext(pieces)] == [framed(b"one"), framed(b"")]
        watched.add(b"two")
        assert await anext(pieces) == framed(b"two")
        watched.add(b"the end")
        watched.over = True
        assert [each async for each in pieces] == [framed(b"the end")]

    asyncio.run(scene())


def test_a_slow_reader_is_waited_for(watched: Watched) -> None:
    watched.add(bytes(1_000_000))

    async def scene() -> None:
        pieces, sizes = watched.pieces(), list[int]()
        watched.over = True
        async for piece in pieces:
            sizes.append(len(piece) - 4)
        assert sum(sizes) == 1_000_003
        assert max(sizes) <= 64 * 1024, "so much is in memory for each"

    asyncio.run(scene())


def test_for_a_viewer_that_went_away_nothing_is_read_and_nothing_stays_open(watched: Watched) -> None:
    async def scene() -> None:
        pieces = watched.pieces()
        await anext(pieces)
        assert watched.is_open()
        watched.gone = True
        rest = [each async for each in pieces]
        assert rest in ([], [framed(b"")])
        assert not watched.is_open()
        cut = watched.pieces()
        watched.gone = False
        await anext(cut)
        await cut.aclose()  # as the server does in the middle of a piece
        assert not watched.is_open()

    asyncio.run(scene())


def test_a_recording_that_was_cut_back_ends_for_its_viewers(watched: Watched) -> None:
    async def scene() -> None:
        pieces = watched.pieces()
        await anext(pieces)
        os.truncate(watched.path, 1)
        assert [each async for each in pieces] == [framed(b"")]

    asyncio.run(scene())


def test_one_that_is_over_comes_in_the_same_form(watched: Watched) -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"x" * 100_000

    async def scene() -> list[bytes]:
        return [each async for each in tailing.whole(chunks())]

    pieces = asyncio.run(scene())
    assert pieces[-1] == framed(b"")
    assert b"".join(piece[4:] for piece in pieces) == b"x" * 100_000
