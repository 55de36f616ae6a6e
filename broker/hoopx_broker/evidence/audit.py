"""Check all evidence that a store holds: that nothing was changed, and that nothing is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

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

Tell = Callable[[str], None]


class Finding(Struct, frozen=True):
    """Something that is not as it must be: of each kind, the first is told, and how many more there are."""

    kind: str
    what: str
    more: int = 0


class Findings:
    """The first of each kind, in the order in which they came."""

    def __init__(self) -> None:
        self._found: dict[str, Finding] = {}

    def add(self, kind: str, what: str) -> None:
        first = self._found.get(kind)
        self._found[kind] = Finding(kind, what) if first is None else Finding(kind, first.what, first.more + 1)

    def all(self) -> tuple[Finding, ...]:
        return tuple(self._found.values())


class Recorded(Struct):
    """What the log says of one session."""

    opened: Event | None = None
    sealed: Event | None = None
    deleted: Event | None = None


class LogSeen(Struct):
    """The log as its bundles have it: `hashes` of all leaves, what they say of sessions, and when it was begun."""

    checkpoint: Checkpoint
    levels: Levels
    sessions: dict[str, Recorded]
    started_at: float
    requests: list[Event]  # the last of all events about requests, if there is one
    newest_at: float = 0.0  # when the last event happened


async def check_log(
    files: LogFiles,
    keys: Sequence[Verifier],
    older: Sequence[Verifier],
    found: Findings,
    seen: Seen | None,
    since: str | None,
    tell: Tell,
) -> LogSeen | None:
    """Every leaf, every tile, the signed root; None where there is no log to look at.

    A checkpoint that somebody kept may be signed by an `older` key: it was not the store that kept it.
    """
    head = await _head(files, keys, found, seen)
    if head is None:
        return None
    log = LogSeen(head, Levels(), {}, 0.0, [])
    for bundle in new_bundles(0, head.size):
        await _check_bundle(files, bundle, log, found)
        if bundle.n % 64 == 63:
            tell(f"log: {bundle.end} of {head.size} leaves")
    if log.levels.size != head.size:
        return log
    await _check_tiles(files, log, found)
    if log.levels.root(head.size) != head.root:
        found.add("root", f"the {head.size} leaves do not give the root that the checkpoint signs")
    _check_since(log, older, since, found)
    return log


async def _head(files: LogFiles, keys: Sequence[Verifier], found: Findings, seen: Seen | None) -> Checkpoint | None:
    """The newest checkpoint: the state's where that is at hand, and then the store must have it or a later one."""
    stored = await _stored(files, keys, found)
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
    elif stored.size < known.size:
        found.add(
            "checkpoint",
            f"the store's checkpoint is over {stored.size} leaves, and the state has signed {known.size}: "
            "an older one was put back, or the broker did not get to it yet",
        )
    elif stored.size == known.size and stored.root != known.root:
        found.add("checkpoint", f"store and state have two different logs of size {known.size}")
    return known


async def _stored(files: LogFiles, keys: Sequence[Verifier], found: Findings) -> Checkpoint | None:
    try:
        note = await files.checkpoint()
        return open_checkpoint(note, keys)[0] if note is not None else None
    except (BadNote, LogBroken) as error:
        found.add("checkpoint", f"`log/checkpoint` does not hold: {error.message}")
        return None


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
    log.levels.extend([leaf_hash(leaf) for leaf in leaves])
    for index, leaf in enumerate(leaves, bundle.start):
        try:
            _learn(log, msgspec.json.decode(leaf, type=Event))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            found.add("unreadable leaf", f"leaf {index} of the log is no event")


def _learn(log: LogSeen, event: Event) -> None:
    log.newest_at = event.at
    if event.type == "log.started":
        log.started_at = event.at
    if event.type.startswith("request."):
        log.requests[:] = [event]
    if event.type in ("session.opened", "session.sealed", "recording.deleted"):
        name = event.type.partition(".")[2]
        setattr(log.sessions.setdefault(event.session, Recorded()), name, event)


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


def _check_since(log: LogSeen, keys: Sequence[Verifier], since: str | None, found: Findings) -> None:
    """A checkpoint that somebody kept elsewhere: the log of today must go on from it."""
    if since is None:
        return
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
