"""What recordings of every version hold: numbered entries, in one order, of one session."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from hoopx_broker.recording.failures import BrokenEvidence, Place
from hoopx_broker.terms.entries import Ended, Entry, Opened, Seal
from hoopx_broker.terms.errors import BadInput

SUFFIX = ".hoopx"
# The wire lets one message of 256 MiB through, in one entry with what arrived around it. A reader holds one entry in
# memory at a time, on a laptop too.
MAX_BODY = 272 << 20
HASH_SIZE = 32
LENGTH_SIZE = 4

# The id becomes a file name and a line of the seal: nothing that could leave a directory or a line.
_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EDGES: frozenset[type[Entry] | None] = frozenset({None, Opened, Ended, Seal})


class Recorded(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An entry as it is written: its number from 1, microseconds since the first entry, and what happened."""

    seq: int
    t_us: int
    entry: Entry


def check_number(recorded: Recorded, number: int, t_us: int, place: Place | None) -> None:
    """Numbers have no gaps, and times never fall; `t_us` is that of the entry before."""
    if recorded.seq != number:
        raise BrokenEvidence(number, f"it is numbered {recorded.seq}", place)
    if recorded.t_us < t_us:
        raise BrokenEvidence(number, "its time is before the time of the entry before it", place)


def check_order(number: int, last: type[Entry] | None, kind: type[Entry], place: Place | None) -> None:
    """The order is: Opened, anything, Ended, Seal."""
    if kind not in _EDGES and last not in _EDGES:
        return
    if last is Seal:
        raise BrokenEvidence(number, "something follows the seal", place)
    if (kind is Opened) != (last is None):
        raise BrokenEvidence(
            number, "a recording begins with the opening of its session, and holds no second one", place
        )
    if (kind is Seal) != (last is Ended):
        raise BrokenEvidence(number, "the seal follows the end of the session, and nothing else does", place)


def is_session_id(text: str) -> bool:
    return _SESSION_ID.fullmatch(text) is not None


def path_of(directory: Path, session: str) -> Path:
    """Where the recording of a session lives; raises `BadInput` for what cannot be an id."""
    if not is_session_id(session):
        raise BadInput(f"{session!r} cannot be the id of a session", "copy it from `hoopx sessions ls`")
    return directory / (session + SUFFIX)
