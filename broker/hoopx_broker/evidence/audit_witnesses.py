"""Check what witnesses cosigned: that the log in the store goes on from it, and that they did not stop long ago."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from hoopx_broker.evidence.findings import Findings
from hoopx_broker.evidence.learned import LogSeen
from hoopx_broker.evidence.log_files import LogBroken, LogFiles
from hoopx_broker.evidence.trusted import Trusted
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


class Witnesses(Struct, frozen=True):
    """`demanded` must have cosigned; what `known` ones have must hold, if they have."""

    demanded: tuple[Verifier, ...] = ()
    known: tuple[Verifier, ...] = ()


NOBODY = Witnesses()


class Shown(Struct, frozen=True):
    """Notes that may be cosigned: the store's checkpoint, its `log/cosigned`, and what the state keeps."""

    checkpoint: str | None
    cosigned: str | None
    kept: tuple[str, ...]

    def all(self) -> list[str]:
        return [note for note in (self.checkpoint, self.cosigned, *self.kept) if note is not None]


def check_witnesses(
    shown: Shown, trusted: Trusted, wanted: Witnesses, log: LogSeen, found: Findings
) -> tuple[Witnessed, ...]:
    """The newest checkpoint of each counts, where a key signed it that may sign today."""
    newest: dict[Verifier, tuple[Checkpoint, int]] = {}
    _check_stored(shown.cosigned, trusted, log, found)
    for note in shown.all():
        for head, witness, at in _opened(note, trusted.signers, (*wanted.demanded, *wanted.known), found):
            if witness not in newest or head.size > newest[witness][0].size:
                newest[witness] = head, at
    return tuple(_checked(log, witness, newest.get(witness), found) for witness in wanted.demanded)


def _check_stored(cosigned: str | None, trusted: Trusted, log: LogSeen, found: Findings) -> None:
    """Also without any witness: what stands there is of this log, under the key of its time."""
    try:
        head = open_checkpoint(cosigned, trusted.sealers)[0] if cosigned is not None else log.checkpoint
        if log.holds and head.size <= log.levels.size and log.levels.root(head.size) != head.root:
            raise BadNote(f"the log does not go on from its {head.size} leaves")
    except BadNote as error:
        found.add("cosignature", f"`log/cosigned` does not hold: {error.message}")


async def stored_cosigned(files: LogFiles, found: Findings) -> str | None:
    """What the store has, to be read before the state is looked at."""
    try:
        return await files.cosigned()
    except LogBroken as error:
        found.add("cosignature", f"`log/cosigned` does not hold: {error.message}")
        return None


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
