"""Which keys count in an audit: from those that somebody pinned, forward along the rotation notes of the store."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from hoopx_broker.evidence.findings import Findings
from hoopx_broker.evidence.log_files import LogBroken, LogFiles
from hoopx_broker.evidence.seen import Seen
from hoopx_broker.tlog.failures import BadNote
from hoopx_broker.tlog.notes import Verifier
from hoopx_broker.tlog.rotation import chain_of_keys, open_rotation


class Trusted(Struct, frozen=True):
    """`signers` count for whatever they signed. `sealers` count for seals alone, and those that the log itself has.

    `writers` seal what the log may have soon: the signers, and the brokers on the state that have keys of their own.
    `chain` is the whole line of the log's keys, from the oldest; empty where it had but one.
    """

    signers: tuple[Verifier, ...]
    sealers: tuple[Verifier, ...]
    writers: tuple[Verifier, ...]
    chain: tuple[Verifier, ...] = ()

    def beginners(self, key_id: str) -> tuple[Verifier, ...]:
        """Of the signers, those that were there when the log was begun with that key."""
        ids = [key.key_id.hex() for key in self.chain]
        late = self.chain[ids.index(key_id) + 1 :] if key_id in ids else ()
        return tuple(key for key in self.signers if key not in late)


async def trusted_keys(files: LogFiles, pinned: Sequence[Verifier], found: Findings, seen: Seen | None) -> Trusted:
    """Notes that do not hold make no key count."""
    others = tuple(map(Verifier.parse, seen.verifiers)) if seen is not None else ()
    plain = Trusted(tuple(pinned), (*pinned, *others), (*pinned, *others))
    try:
        notes = await files.rotations()
        if seen is not None and notes[: len(seen.rotations)] != seen.rotations:
            found.add("rotation notes", "the store does not have those that the state has")
        if not notes:
            return plain
        chain = _chain(pinned, notes)
    except (BadNote, LogBroken) as error:
        found.add("rotation notes", f"those in `log/keys/` do not hold: {error.message}")
        return plain
    first = min(chain.index(key) for key in pinned if key in chain)
    signers = (*pinned, *chain[first:])
    own = tuple(key for key in others if key not in chain)
    return Trusted(signers, (*pinned, *chain, *others), (*signers, *own), tuple(chain))


def _chain(pinned: Sequence[Verifier], notes: Sequence[str]) -> list[Verifier]:
    rotations = [open_rotation(note) for note in notes]
    told = {key for rotation in rotations for key in (rotation.old, rotation.new)}
    known = next((key for key in pinned if key in told), pinned[0])
    return chain_of_keys(known, notes, rotations[0].origin)
