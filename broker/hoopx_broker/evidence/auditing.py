"""The whole audit: log, recordings and, where it is at hand, the state; offline too, on a copy of a store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from hoopx_broker.evidence.audit import check_behind, check_log, check_since, check_state, opened_note, stored_note
from hoopx_broker.evidence.audit_recordings import Inquest
from hoopx_broker.evidence.audit_witnesses import NOBODY, Shown, Witnessed, Witnesses, check_witnesses, stored_cosigned
from hoopx_broker.evidence.examination import Bench, Counts, Suspect
from hoopx_broker.evidence.findings import Finding, Findings, Tell
from hoopx_broker.evidence.learned import LogSeen
from hoopx_broker.evidence.log_files import LogFiles
from hoopx_broker.evidence.proving import Progress
from hoopx_broker.evidence.seen import Look, Seen
from hoopx_broker.evidence.shelves import Shelves
from hoopx_broker.evidence.trusted import Trusted, trusted_keys
from hoopx_broker.seams.store import EvidenceStore
from hoopx_broker.tlog.notes import Verifier


class Audited(Struct, frozen=True):
    """`findings` is empty where all is as it must be. With `quick`, sealed recordings were not read between their ends.

    `recordings` are those that are there, `counts` what is known of them. `remarks` are no faults.
    `cosigned` is of the witnesses that were asked for.
    """

    origin: str
    leaves: int
    root: str
    recordings: int
    quick: bool
    counts: Counts
    findings: tuple[Finding, ...]
    remarks: tuple[Finding, ...]
    cosigned: tuple[Witnessed, ...] = ()


class Wanted(Struct, frozen=True):
    """`look` reads the state, `spool` has what is still to go to the store.

    `since` is a checkpoint that was kept elsewhere.
    """

    witnesses: Witnesses = NOBODY
    look: Look | None = None
    spool: EvidenceStore | None = None
    since: str | None = None
    quick: bool = False
    now: Callable[[], float] = time.time


_ALL = Wanted()


async def audit(store: EvidenceStore, keys: Sequence[Verifier], tell: Tell, wanted: Wanted = _ALL) -> Audited:
    """Raises `StoreFailed` where the store cannot be read at all. A broker may be at work meanwhile."""
    found, files = Findings(), LogFiles(store)
    # What the store shows of the log is in the state before: in this order, the one is never ahead of the other.
    cosigned = await stored_cosigned(files, found)
    note, seen = await stored_note(files), await _seen(wanted)
    trusted = await trusted_keys(files, keys, found, seen)
    log = await check_log(files, opened_note(note, trusted.signers, found), trusted.signers, found, seen, tell)
    if log is None:
        found.add("checkpoint", "there is no log here that any of these keys signed")
        return Audited("", 0, "", 0, wanted.quick, Counts(), found.all(), found.remarks())
    if wanted.since is not None and log.is_whole:
        check_since(log, trusted.sealers, wanted.since, found)
    if seen is not None:
        check_state(log, seen, found)
    # A checkpoint that cannot be read is told of already.
    readable = note if isinstance(note, str) else None
    shown = Shown(readable, cosigned, seen.cosigned if seen is not None else ())
    witnessed = check_witnesses(shown, trusted, wanted.witnesses, log, found)
    counts, shelves = Counts(), Shelves(store, wanted.spool)
    inquest = Inquest(Bench(shelves, trusted, counts, found, Progress(tell), wanted.now, wanted.quick))
    suspects, recordings = await inquest.all(log, seen)
    if suspects and seen is not None:
        suspects = await _by_a_later_look(suspects, inquest, files, log, trusted, wanted)
    for suspect in suspects:
        found.add(suspect.kind, suspect.what)
    await check_behind(files, trusted.signers, log, found)
    head = log.checkpoint
    return Audited(
        head.origin,
        head.size,
        head.root.hex(),
        recordings,
        wanted.quick,
        counts,
        found.all(),
        found.remarks(),
        witnessed,
    )


async def _by_a_later_look(
    suspects: list[Suspect], inquest: Inquest, files: LogFiles, log: LogSeen, trusted: Trusted, wanted: Wanted
) -> list[Suspect]:
    """While recordings were read, sessions began and ended, and some were deleted: the log of now may tell so."""
    note, seen = await stored_note(files), await _seen(wanted)
    if seen is None or seen.row is None or seen.row.size <= log.checkpoint.size:
        return suspects
    found = Findings()
    later = await check_log(
        files, opened_note(note, trusted.signers, found), trusted.signers, found, seen, lambda _: None
    )
    if later is None or found.all() or not _goes_on(later, log):
        return suspects
    return await inquest.again(suspects, later, seen)


def _goes_on(later: LogSeen, log: LogSeen) -> bool:
    before = log.checkpoint
    return later.levels.size >= before.size and later.levels.root(before.size) == before.root


async def _seen(wanted: Wanted) -> Seen | None:
    return await asyncio.to_thread(wanted.look) if wanted.look is not None else None
