"""Checkpoints as c2sp.org/tlog-checkpoint has them: how large a log is and what its root is, as a text to be signed."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

from msgspec import Struct

from hoopx_broker.tlog.failures import BadNote
from hoopx_broker.tlog.notes import Verifier, signed_by, unbase64
from hoopx_broker.tlog.tree import HASH_SIZE, MAX_SIZE

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class Checkpoint(Struct, frozen=True):
    """The log called `origin` has `size` leaves and the root `root`. Extension lines mean nothing here."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """The text of the note; ends in a newline."""
        return "\n".join([self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions, ""])


def parse(text: str) -> Checkpoint:
    """The inverse of `Checkpoint.text`; raises `BadNote`."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise BadNote("a checkpoint has at least three lines: origin, size and root")
    origin, size, encoded, *extensions = lines[:-1]
    root = unbase64(encoded)
    if not _SIZE.fullmatch(size) or int(size) > MAX_SIZE or root is None or len(root) != HASH_SIZE:
        raise BadNote("the size or the root of the checkpoint is malformed")
    return Checkpoint(origin, int(size), root, tuple(extensions))


def open_checkpoint(
    note: str, keys: Sequence[Verifier], origin: str | None = None
) -> tuple[Checkpoint, list[Verifier]]:
    """The checkpoint of the log and which of `keys`, at least one, signed it; raises `BadNote`."""
    text, signers = signed_by(note, keys)
    checkpoint = parse(text)
    if origin is not None and checkpoint.origin != origin:
        raise BadNote(f"the checkpoint is of the log `{checkpoint.origin}`, not of `{origin}`")
    return checkpoint, signers
