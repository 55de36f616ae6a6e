"""Read recordings of any version: one strict reader, and where recordings live.

`docs/recording-format.md` is the specification.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from hoopx_broker.recording import blocks, version1, version2
from hoopx_broker.recording.failures import BrokenEvidence
from hoopx_broker.recording.locks import AgeIdentity
from hoopx_broker.recording.order import SUFFIX, Recorded, is_session_id, path_of
from hoopx_broker.terms.entries import Entry

__all__ = ["SUFFIX", "Reader", "Recorded", "is_session_id", "path_of"]

_FIRST_LINE_SIZE = len(blocks.HEADER)


class Reader:
    """Reads a recording once, forward, one entry or block at a time; raises `BrokenEvidence` at the first bad one.

    `chain` and `offset` tell how far it holds, `before_seal` what the seal is about. A missing seal is not this
    reader's business, since a session may still be running; everything else is: lengths, chain, numbers, times,
    order, the form of the seal.
    An encrypted recording is read with `identity`; without it, `Locked` is raised where its entries begin.
    `stream` must give all bytes asked for unless it is at its end, as a buffered file does. Iterating again over one
    that can be sought goes on after the last whole entry or block, for files that still grow.
    """

    def __init__(self, stream: BinaryIO, identity: AgeIdentity | None = None) -> None:
        self._stream = stream
        self._identity = identity
        self._reading: version1.Reading | version2.Reading | None = None

    def __iter__(self) -> Iterator[Recorded]:
        if self._reading is None:
            self._reading = self._begin()
        else:
            self._stream.seek(self._reading.offset)
        yield from self._reading

    def paused(self) -> Reader:
        """A reader that goes on from the last entry, over the same stream, as often as it is paused again itself.

        Only one reader reads at a time. It begins with the whole block of that entry where there are blocks.
        """
        kept = Reader(self._stream, self._identity)
        kept._reading = self._reading.paused() if self._reading else None
        return kept

    def _begin(self) -> version1.Reading | version2.Reading:
        match self._stream.read(_FIRST_LINE_SIZE):
            case version1.HEADER:
                return version1.Reading(self._stream)
            case blocks.HEADER:
                return version2.Reading(self._stream, self._identity)
            case _:
                raise BrokenEvidence(0, "not a recording: it does not begin with the line `hoopx recording 2` (or 1)")

    @property
    def version(self) -> int:
        """Of the format; 0 before anything was read."""
        return self._reading.version if self._reading else 0

    @property
    def session(self) -> str:
        return self._reading.session if self._reading else ""

    @property
    def chain(self) -> version1.Chain | blocks.Chain:
        return self._reading.chain if self._reading else blocks.Chain()

    @property
    def offset(self) -> int:
        return self._reading.offset if self._reading else 0

    @property
    def before_seal(self) -> version1.Chain | blocks.Chain | None:
        return self._reading.before_seal if self._reading else None

    @property
    def last(self) -> type[Entry] | None:
        """What kind of entry was read last."""
        return self._reading.last if self._reading else None
