"""Press the content of a block, and get it back: plain, zstd, or zstd with the dictionary of the format.

Nothing is kept between blocks, so that each can be read by itself and a torn one takes nothing with it.
"""

from __future__ import annotations

import threading
from functools import cache
from hashlib import sha256
from pathlib import Path

import zstandard

PLAIN = 0
ZSTD = 1
ZSTD_WITH_DICTIONARY = 2
ENCRYPTED = 0x80

# The dictionary is part of version 2: it never changes, and what was pressed with it is not read without it.
DICTIONARY_SHA256 = "aa8de3232bf76469dd70cdf293af3ae66a5b624d3d18bda183bc81103029d2c0"
# Below, zstd would take as long as all else that is done for the block, and save some dozens of bytes: short
# statements, parameters, answers of one row. Above `_LARGE`, a dictionary of some kilobytes helps no more.
_SMALL = 256
_LARGE = 8 << 10


class UnreadableBlock(ValueError):
    """A payload that is not what its codec says, or more than it may hold."""


@cache
def dictionary() -> bytes:
    """Typical entries, as raw content."""
    content = (Path(__file__).parent / "dictionary-2.bin").read_bytes()
    if sha256(content).hexdigest() != DICTIONARY_SHA256:
        raise RuntimeError("the dictionary of recordings is not the one of version 2: install hoopx again")
    return content


def _shared() -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(dictionary(), dict_type=zstandard.DICT_TYPE_RAWCONTENT)


class _Presses(threading.local):
    """A compressor has a megabyte of state, and serves one thread at a time: all recordings of a thread share them."""

    def __init__(self) -> None:
        known = _shared()
        known.precompute_compress(level=1)
        self.large = zstandard.ZstdCompressor(level=1, write_checksum=False).compress
        self.small = zstandard.ZstdCompressor(
            level=1, dict_data=known, write_checksum=False, write_dict_id=False
        ).compress


class _Unpresses(threading.local):
    def __init__(self) -> None:
        self.large = zstandard.ZstdDecompressor()
        self.small = zstandard.ZstdDecompressor(dict_data=_shared())


_presses = _Presses()
_unpresses = _Unpresses()


def press(content: bytes) -> tuple[int, bytes]:
    """The codec that makes least of `content` for its cost, and what it makes."""
    size = len(content)
    if size < _SMALL:
        return PLAIN, content
    codec, pressed = (
        (ZSTD_WITH_DICTIONARY, _presses.small(content)) if size <= _LARGE else (ZSTD, _presses.large(content))
    )
    return (codec, pressed) if len(pressed) < size else (PLAIN, content)


def unpress(codec: int, payload: bytes, bound: int) -> bytes:
    """The content, of at most `bound` bytes; raises `UnreadableBlock`. One frame that tells its size, and no more."""
    if codec == PLAIN:
        return payload
    try:
        told = zstandard.get_frame_parameters(payload)
        if not 0 < told.content_size <= bound:
            raise UnreadableBlock(f"it would be {told.content_size} bytes; the bound is {bound}")
        if told.has_checksum or told.dict_id:
            raise UnreadableBlock("its frame has a checksum or names a dictionary")
        press = _unpresses.large if codec == ZSTD else _unpresses.small
        content = press.decompress(payload, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise UnreadableBlock(f"{error}") from error
    if len(content) != told.content_size:
        raise UnreadableBlock("its frame tells another size than it has")
    return content
