"""Keep less of rows and COPY data than the client saw, where policy says so: their digest, or how much it was."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from msgspec.structs import replace

from hoopx_broker.terms.entries import CopyData, Detail, Entry, Rows


def reduced(entries: Sequence[Entry], detail: Detail) -> Sequence[Entry]:
    """What is recorded of these. A digest is over the bytes as the client saw them, masks included."""
    if detail == "full":
        return entries
    return [_less(each, detail) if isinstance(each, Rows | CopyData) else each for each in entries]


def _less(entry: Rows | CopyData, detail: Detail) -> Rows | CopyData:
    digest = sha256(entry.data).digest() if detail == "digest" else b""
    return replace(entry, data=b"", length=len(entry.data), sha256=digest)
