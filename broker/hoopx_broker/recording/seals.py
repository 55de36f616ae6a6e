"""What a seal says: the text that the broker signs over a whole recording."""

from __future__ import annotations

from msgspec import Struct

from hoopx_broker.recording import blocks, version1
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.terms.entries import Seal

Chain = version1.Chain | blocks.Chain


class Sealed(Struct, frozen=True):
    """What a seal is about: `root` is the hash over all before it, hexadecimal; `bytes` is the size of the file."""

    root: str
    entries: int
    blocks: int
    bytes: int


def seal_text(session: str, chain: Chain, unfinished: bool) -> str:
    """A few lines that bind session, number of entries, hash, and whether the session came to its end in order."""
    first, blocks_line = (
        (blocks.HEADER, f"blocks {chain.blocks}\n") if isinstance(chain, blocks.Chain) else (version1.HEADER, "")
    )
    return (
        f"{first.decode()}"
        f"session {session}\n"
        f"entries {chain.count}\n"
        f"{blocks_line}"
        f"root {chain.root.hex()}\n"
        f"end {'unfinished' if unfinished else 'finished'}\n"
    )


def seal(session: str, chain: Chain, key: EvidenceKey, *, unfinished: bool) -> Seal:
    """The seal over everything in `chain`."""
    return Seal(note=key.sign(seal_text(session, chain, unfinished)), unfinished=unfinished)


def sealed(chain: Chain, size: int) -> Sealed:
    """The facts of a seal over `chain`, in a file of `size` bytes."""
    number = chain.blocks if isinstance(chain, blocks.Chain) else 0
    return Sealed(chain.root.hex(), chain.count, number, size)
