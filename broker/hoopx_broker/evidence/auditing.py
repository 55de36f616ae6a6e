"""The whole audit: log, recordings and, where it is at hand, the state; offline too, on a copy of a store."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from hoopx_broker.evidence.audit import Finding, Findings, LogSeen, Tell, check_log
from hoopx_broker.evidence.audit_recordings import check_recordings
from hoopx_broker.evidence.audit_witnesses import Witnessed, check_witnesses
from hoopx_broker.evidence.log_files import LogFiles
from hoopx_broker.evidence.seen import Seen
from hoopx_broker.evidence.trusted import trusted_keys
from hoopx_broker.seams.store import EvidenceStore
from hoopx_broker.tlog.notes import Verifier


class Audited(Struct, frozen=True):
    """`findings` is empty where all is as it must be. `cosigned` is of the witnesses that were asked for."""

    origin: str
    leaves: int
    root: str
    recordings: int
    findings: tuple[Finding, ...]
    cosigned: tuple[Witnessed, ...] = ()


async def audit(
    store: EvidenceStore,
    keys: Sequence[Verifier],
    tell: Tell,
    *,
    witnesses: Sequence[Verifier] = (),
    seen: Seen | None = None,
    since: str | None = None,
    quick: bool = False,
) -> Audited:
    """Raises `StoreFailed` where the store cannot be read at all."""
    found = Findings()
    files = LogFiles(store)
    trusted = await trusted_keys(files, keys, found, seen)
    log = await check_log(files, trusted.signers, trusted.sealers, found, seen, since, tell)
    if log is None:
        found.add("checkpoint", "there is no log here that any of these keys signed")
        return Audited("", 0, "", 0, found.all())
    recordings = await check_recordings(store, trusted, log, found, seen, quick, tell)
    if seen is not None:
        _check_state(log, seen, found)
    cosigned = await check_witnesses(files, trusted.signers, witnesses, log, seen, found)
    head = log.checkpoint
    return Audited(head.origin, head.size, head.root.hex(), recordings, found.all(), cosigned)


def _check_state(log: LogSeen, seen: Seen, found: Findings) -> None:
    """The events in the state are the leaves, and the journal of requests ends where the log says that it does."""
    size = min(log.checkpoint.size, log.levels.size)
    if len(seen.leaves) < size:
        found.add("events", f"event {len(seen.leaves)} of the log is missing in the state")
    pairs = ((index, seen.leaves[index]) for index in range(min(size, len(seen.leaves))))
    for index, hash_ in pairs:
        if hash_ != log.levels.read(0, index):
            found.add("events", f"the event at leaf {index} was changed in the state")
    if seen.journal:
        found.add("journal", seen.journal)
    for event in log.requests:
        if (link := event.facts.get("chain")) is not None and link not in seen.links:
            found.add("journal", f"the log has the entry `{event.id}` of the journal of requests; the state lacks it")
