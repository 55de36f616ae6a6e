"""Check what witnesses cosigned: that the log in the store goes on from it, and that they did not stop long ago."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from hoopx_broker.evidence.audit import Findings, LogSeen
from hoopx_broker.evidence.log_files import LogBroken, LogFiles
from hoopx_broker.evidence.seen import Seen
from hoopx_broker.tlog.checkpoints import Checkpoint, open_checkpoint
from hoopx_broker.tlog.cosignatures import cosignatures
from hoopx_broker.tlog.failures import BadNote
from hoopx_broker.tlog.notes import Verifier

# A witness is asked again for ever, after five minutes at most: whoever was not asked for an hour was left out.
MOST_BEHIND = 3600.0


class Witnessed(Struct, frozen=True):
    """`witness` saw `size` leaves of this log at `at`, seconds after 1970."""

    witness: str
    size: int
    at: int


async def check_witnesses(
    files: LogFiles,
    keys: Sequence[Verifier],
    witnesses: Sequence[Verifier],
    log: LogSeen,
    seen: Seen | None,
    found: Findings,
) -> tuple[Witnessed, ...]:
    """Each must have cosigned a checkpoint that one of `keys` signed: the newest that it did is what counts."""
    if not witnesses:
        return ()
    newest: dict[Verifier, tuple[Checkpoint, int]] = {}
    for note in [*await _stored(files, found), *(seen.cosigned if seen is not None else ())]:
        for head, witness, at in _opened(note, keys, witnesses, found):
            if witness not in newest or head.size > newest[witness][0].size:
                newest[witness] = head, at
    return tuple(_checked(log, witness, newest.get(witness), found) for witness in witnesses)


async def _stored(files: LogFiles, found: Findings) -> list[str]:
    try:
        notes = [await files.checkpoint(), await files.cosigned()]
    except LogBroken as error:
        found.add("cosignature", error.message)
        return []
    return [note for note in notes if note is not None]


def _opened(
    note: str, keys: Sequence[Verifier], witnesses: Sequence[Verifier], found: Findings
) -> Iterator[tuple[Checkpoint, Verifier, int]]:
    """Nothing where an older key signed it: whoever pinned a newer one does not take that."""
    try:
        head = open_checkpoint(note, keys)[0]
    except BadNote:
        return  # that it does not hold is told where checkpoints are looked at
    try:
        for one in cosignatures(note, witnesses):
            yield head, one.witness, one.at
    except BadNote as error:
        found.add("cosignature", error.message)


def _checked(log: LogSeen, witness: Verifier, cosigned: tuple[Checkpoint, int] | None, found: Findings) -> Witnessed:
    if cosigned is None:
        found.add("cosignature", f"`{witness.name}` has cosigned no checkpoint of this log")
        return Witnessed(witness.name, 0, 0)
    head, at = cosigned
    if head.origin != log.checkpoint.origin:
        found.add("cosignature", f"`{witness.name}` cosigned the log `{head.origin}`, not this one")
    elif head.size > log.levels.size:
        found.add(
            "cosignature",
            f"`{witness.name}` has seen {head.size} leaves, and there are {log.levels.size}: the end was cut off",
        )
    elif log.levels.root(head.size) != head.root:
        found.add("cosignature", f"the log does not go on from the {head.size} leaves that `{witness.name}` has seen")
    elif head.size < log.checkpoint.size and log.newest_at - at > MOST_BEHIND:
        found.add(
            "cosignature",
            f"`{witness.name}` has seen {head.size} of {log.checkpoint.size} leaves, and none of the last hour",
        )
    return Witnessed(witness.name, head.size, at)
