"""The head of a recording of version 2: whose it is, and for whom it is encrypted."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from hoopx_broker.recording.blocks import Block
from hoopx_broker.recording.codecs import PLAIN
from hoopx_broker.recording.failures import BrokenEvidence
from hoopx_broker.recording.locks import MAX_RECIPIENTS, MAX_WRAPPED, Lock, is_recipient
from hoopx_broker.recording.order import is_session_id

_MAX_HEAD = 32 << 10  # the wrapped key and a line for each recipient


class Head(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The first block, in the clear. With `recipients`, `key` is an age file with the key of the blocks."""

    session: str
    recipients: tuple[str, ...] = ()
    key: bytes = b""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Head).decode


def written(session: str, lock: Lock | None) -> bytes:
    return _encode(Head(session, lock.recipients, lock.wrapped) if lock else Head(session))


def read(block: Block) -> Head:
    """Raises `BrokenEvidence` for anything but the one form that a head has."""
    try:
        head = _decode(block.payload) if len(block.payload) <= _MAX_HEAD and block.codec == PLAIN else None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BrokenEvidence(0, f"the head cannot be read: {error}", block.place) from error
    if head is None or _encode(head) != block.payload or not _is_sound(head):
        raise BrokenEvidence(0, "the head is not in its one permitted form", block.place)
    return head


def _is_sound(head: Head) -> bool:
    few = len(head.recipients) <= MAX_RECIPIENTS and len(head.key) <= MAX_WRAPPED
    both = bool(head.recipients) == bool(head.key)
    return few and both and is_session_id(head.session) and all(map(is_recipient, head.recipients))
