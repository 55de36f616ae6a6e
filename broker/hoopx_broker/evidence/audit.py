"""Check the log that a store holds: every leaf, every tile, the signed root, and what the state says of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hoopx_broker.evidence.findings import Findings, Tell
from hoopx_broker.evidence.learned import LogSeen
from hoopx_broker.evidence.levels import Levels
from hoopx_broker.evidence.log_files import LogBroken, LogFiles
from hoopx_broker.evidence.seen import Seen
from hoopx_broker.seams.store import NotStored
from hoopx_broker.terms.audit import Event
from hoopx_broker.tlog.checkpoints import Checkpoint, open_checkpoint
from hoopx_broker.tlog.failures import BadNote, BadTile
from hoopx_broker.tlog.notes import Verifier
from hoopx_broker.tlog.tiles import WIDTH, Bundle, new_bundles, new_places, unpack_entries, unpack_tile
from hoopx_broker.tlog.tree import leaf_hash

Note = str | LogBroken | None


async def stored_note(files: LogFiles) -> Note:
    """The store's checkpoint as it is. It is to be read before the state, which knows of each before the store."""
    try:
        return await files.checkpoint()
    except LogBroken as error:
        return error


def opened_note(note: Note, keys: Sequence[Verifier], found: Findings) -> Checkpoint | None:
    try:
        if isinstance(note, LogBroken):
            raise note
        return open_checkpoint(note, keys)[0] if note is not None else None
    except (BadNote, LogBroken) as error:
        found.add("checkpoint", f"`log/checkpoint` does not hold: {error.message}")
        return None


async def check_log(
    files: LogFiles,
    stored: Checkpoint | None,
    keys: Sequence[Verifier],
    found: Findings,
    seen: Seen | None,
    tell: Tell,
) -> LogSeen | None:
    """Every leaf, every tile, the signed root; None where there is no log to look at."""
    head = _head(stored, keys, found, seen)
    if head is None:
        return None
    log = LogSeen(head, Levels(), is_behind=stored is not None and stored.size < head.size)
    for bundle in new_bundles(0, head.size):
        await _check_bundle(files, bundle, log, found)
        if bundle.n % 64 == 63:
            tell(f"log: {bundle.end} of {head.size} leaves")
    if not log.is_whole:
        return log
    await _check_tiles(files, log, found)
    if not log.holds:
        found.add("root", f"the {head.size} leaves do not give the root that the checkpoint signs")
    return log


def _head(stored: Checkpoint | None, keys: Sequence[Verifier], found: Findings, seen: Seen | None) -> Checkpoint | None:
    """The newest checkpoint: the state's where that is at hand, of which the store's must be an older one."""
    row = seen.row if seen else None
    if row is None or not row.checkpoint:
        if stored is None and (seen is None or seen.row is not None):
            found.add("checkpoint", "there is no `log/checkpoint` that holds: no log is here, or it was taken away")
        return stored
    try:
        known = open_checkpoint(row.checkpoint, keys, row.origin)[0]
    except BadNote as error:
        found.add("checkpoint in the state", error.message)
        return stored
    if stored is None:
        found.add("checkpoint", "the store has no checkpoint, and the state knows of one")
    elif stored.origin != known.origin:
        found.add("checkpoint", f"the store holds the log `{stored.origin}`, the state knows of `{known.origin}`")
    elif stored.size > known.size:
        found.add(
            "checkpoint",
            f"the store's checkpoint is over {stored.size} leaves, and the state knows of {known.size} only: "
            "an older state was put back",
        )
        return stored
    elif stored.size == known.size and stored.root != known.root:
        found.add("checkpoint", f"store and state have two different logs of size {known.size}")
    return known


async def _check_bundle(files: LogFiles, bundle: Bundle, log: LogSeen, found: Findings) -> None:
    try:
        leaves = unpack_entries(await files.bundle(bundle))
        if len(leaves) != bundle.width:
            raise BadTile(f"it holds {len(leaves)} entries, not {bundle.width}")
    except NotStored:
        found.add("bundle", f"`log/{bundle.path}` is missing: the leaves from {bundle.start} to {bundle.end}")
        return
    except BadTile as error:
        found.add("bundle", f"`log/{bundle.path}` is damaged: {error.message}")
        return
    if log.levels.size == bundle.start:  # behind one that is missing, nothing is at its place
        log.levels.extend([leaf_hash(leaf) for leaf in leaves])
    for index, leaf in enumerate(leaves, bundle.start):
        try:
            log.learn(index, msgspec.json.decode(leaf, type=Event), found)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            found.add("unreadable leaf", f"leaf {index} of the log is no event")


async def _check_tiles(files: LogFiles, log: LogSeen, found: Findings) -> None:
    """Where a bundle and its tile differ, the signed root tells which of both was changed."""
    size = log.checkpoint.size
    holds = log.levels.root(size) == log.checkpoint.root
    for tile in new_places(0, size):
        try:
            content = unpack_tile(await files.tile(tile), tile.width)
        except NotStored:
            found.add("tile", f"`log/{tile.path}` is missing")
            continue
        except BadTile as error:
            found.add("tile", f"`log/{tile.path}` is damaged: {error.message}")
            continue
        meant = unpack_tile(log.levels.tile(tile), tile.width)
        wrong = next((at for at in range(tile.width) if content[at] != meant[at]), None)
        if wrong is None:
            continue
        if holds or tile.level:
            found.add("tile", f"`log/{tile.path}` was changed: its hash {wrong} is not that of what lies below it")
        else:
            index = tile.n * WIDTH + wrong
            found.add("leaf", f"leaf {index} of the log was changed: its tile has another hash (or both were changed)")


def check_since(log: LogSeen, keys: Sequence[Verifier], since: str, found: Findings) -> None:
    """A checkpoint that somebody kept elsewhere: the log of today must go on from it.

    It may be signed by an older key: it was not the store that kept it.
    """
    try:
        kept = open_checkpoint(since, keys)[0]
    except BadNote as error:
        found.add("since", f"the checkpoint that was kept does not hold: {error.message}")
        return
    now = log.checkpoint
    if kept.origin != now.origin:
        found.add("since", f"the checkpoint that was kept is of the log `{kept.origin}`; this one is `{now.origin}`")
    elif kept.size > now.size:
        found.add("since", f"the log had {kept.size} leaves and has {now.size} now: its end was cut off")
    elif log.levels.root(kept.size) != kept.root:
        found.add("since", f"the log does not go on from the checkpoint over {kept.size} leaves: it was rewritten")


async def check_behind(files: LogFiles, keys: Sequence[Verifier], log: LogSeen, found: Findings) -> None:
    """A broker that runs puts its checkpoint into the store soon after it is in the state."""
    now = opened_note(await stored_note(files), keys, found) if log.is_behind else None
    if log.is_behind and (now is None or now.size < log.checkpoint.size):
        size = now.size if now is not None else 0
        found.add(
            "checkpoint",
            f"the store's checkpoint is over {size} leaves, and the state has signed {log.checkpoint.size}: "
            "an older one was put back, or the broker did not get to it yet",
        )


def check_state(log: LogSeen, seen: Seen, found: Findings) -> None:
    """The events in the state are the leaves, filed as what they are; and the journal of requests is the log's."""
    for index in range(min(log.checkpoint.size, log.levels.size)):
        hash_ = seen.leaf(index)
        if hash_ is None:
            found.add("events missing", f"event {index} of the log is missing in the state")
        elif hash_ != log.levels.read(0, index):
            found.add("events", f"the event at leaf {index} was changed in the state")
    if seen.columns:
        found.add("events", seen.columns)
    if seen.journal:
        found.add("journal", seen.journal)
    _check_journal(log, seen, found)


def _check_journal(log: LogSeen, seen: Seen, found: Findings) -> None:
    """Each entry that the log has is there under its number; each since the log began is in the log, or will be."""
    here = {link.chain: number for number, link in seen.links.items()}
    for chain, number in log.links.items():
        if chain not in here:
            found.add("journal", f"the log has entry {number} of the journal of requests; the state lacks it")
        elif here[chain] != number:
            found.add("journal", f"entry {here[chain]} of the journal of requests is entry {number} in the log")
    for number, link in sorted(seen.links.items()):
        is_older = log.started_at is None or link.at < log.started_at
        if link.chain not in log.links and link.chain not in seen.waiting and not is_older:
            found.add("journal", f"entry {number} of the journal of requests is not in the log")
