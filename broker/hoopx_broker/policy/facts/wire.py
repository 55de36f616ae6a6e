"""How facts travel between the broker and its reading child: msgpack in frames of four bytes' length, big-endian."""

from __future__ import annotations

import msgspec

from hoopx_broker.terms.facts import StatementFacts, Unreadable

Reading = tuple[StatementFacts, ...] | Unreadable

# The longest frame either side takes: facts repeat no more than the names of a statement, which has 1 MB at most.
MAX_FRAME = 16_000_000
HEADER = 4
# Set in the length of a question: write the statement again, instead of telling its facts.
REWRITE = 1 << 31
# Set there: write it without its values.
NORMAL = 1 << 30

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Reading)


def encode(reading: Reading) -> bytes:
    return _encoder.encode(reading)


def decode(frame: bytes) -> Reading:
    """The reading in a frame without its length; a frame that is none is an unreadable statement, never an error."""
    try:
        reading: Reading = _decoder.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Unreadable("the reader of statements answered nonsense")
    return reading


def framed(payload: bytes, flag: int = 0) -> bytes:
    return (len(payload) | flag).to_bytes(HEADER, "big") + payload


def length(header: bytes | bytearray) -> int:
    return int.from_bytes(header, "big")
