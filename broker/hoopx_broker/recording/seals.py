"""What a seal says: the text that the broker signs over a whole recording."""

from __future__ import annotations

from msgspec import Struct

from hoopx_broker.recording.format import Chain
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.terms.entries import Seal


class Sealed(Struct, frozen=True):
    """What a seal closes: the hash that it signs, hexadecimal, over so many entries; and the whole file."""

    root: str
    entries: int
    blocks: int
    bytes: int


def seal_text(session: str, chain: Chain, unfinished: bool) -> str:
    """Five lines that bind session, number of entries, hash, and whether the session came to its end in order."""
    return (
        "hoopx recording 1\n"
        f"session {session}\n"
        f"entries {chain.count}\n"
        f"root {chain.root.hex()}\n"
        f"end {'unfinished' if unfinished else 'finished'}\n"
    )


def seal(session: str, chain: Chain, key: EvidenceKey, *, unfinished: bool) -> Seal:
    """The seal over everything in `chain`."""
    return Seal(note=key.sign(seal_text(session, chain, unfinished)), unfinished=unfinished)
