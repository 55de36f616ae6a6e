"""Turn events into leaves of the log: places, tiles, a signed checkpoint. Each step may be done again after a crash.

The order is what makes it safe: places are given in the state, tiles follow from them and are put into the store, then
the checkpoint is signed and noted in the state in one transaction, and only then anybody gets to see it. So whatever
was ever shown is the one that the state knows, and the next one goes on from it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import structlog
from msgspec import Struct

from hoopx_broker.evidence.levels import Levels
from hoopx_broker.evidence.log_files import LogBroken, LogFiles
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.seams.store import NotStored, StoreFailed
from hoopx_broker.storage import log
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.events import happened, note
from hoopx_broker.storage.log import LogRow, NotOurTurn
from hoopx_broker.storage.store import Store
from hoopx_broker.tlog.checkpoints import Checkpoint, open_checkpoint, parse
from hoopx_broker.tlog.failures import BadNote, BadTile
from hoopx_broker.tlog.notes import Verifier, split_note
from hoopx_broker.tlog.rotation import chain_of_keys, notes_to, open_rotation
from hoopx_broker.tlog.tiles import (
    WIDTH,
    Bundle,
    Tile,
    check_bundle,
    new_bundles,
    new_places,
    new_tiles,
    pack_entries,
    tile_reader,
    tiles_read,
    unpack_tile,
)
from hoopx_broker.tlog.tree import Read, grown, leaf_hash, root_hash

MOST = 1_024  # events in one transaction, and leaves behind one checkpoint: people wait for both

T = TypeVar("T")

_log = structlog.get_logger()


class Who(Struct, frozen=True):
    """Who signs: the evidence key, the broker's id as it is now, and the host by which a new log is called."""

    key: EvidenceKey
    broker: Callable[[], str]
    host: str
    clock: Callable[[], float]
    rotations: tuple[str, ...] = ()  # the notes by which the key came after those before it

    def heir_notes(self, row: LogRow) -> tuple[str, ...] | None:
        """Those that lead from the key of the log to this one: none where it is the same, None where none do."""
        own, last = Verifier.parse(self.key.verifier), Verifier.parse(row.key)
        if own == last:
            return ()
        notes = notes_to(own, self.rotations, row.origin)
        keys = chain_of_keys(own, notes, row.origin)
        return notes[keys.index(last) :] if last in keys else None


class Line(Struct, frozen=True):
    """The rotation notes of the log: those that the state has, and those that its next checkpoint adds."""

    before: tuple[str, ...] = ()
    new: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return self.before + self.new


class Sequencer:
    """`advance` is called by one task. `idle` says why this broker signs nothing; empty while it does."""

    def __init__(self, state: Store, files: LogFiles, who: Who) -> None:
        self._state = state
        self._files = files
        self._who = who
        self._edge: dict[Tile, bytes] = {}  # the tiles at the right edge, as they were last written or read
        self._line = Line()
        self._taken_up: str | None = None  # by the broker's id: the store was compared with the state
        self.idle = ""

    async def advance(self) -> bool:
        """Sign for some of what waits; False where there is nothing to do, or it is another broker's to do.

        Raises `StateFailed` and `StoreFailed`, which pass, and `LogBroken`, which does not by itself.
        """
        broker = self._who.broker()
        turn = await self._state.run(lambda connection: self._turn(connection, broker))
        if turn is None:
            self._taken_up = None
            return False
        row, self._line = turn
        if self._taken_up != broker:
            await self._take_up(row)
            self._taken_up = broker
        try:
            await self._state.run(lambda connection: log.assign(connection, broker, MOST))
            return await self._sign(row, broker)
        except NotOurTurn:
            self._taken_up = None
            return True

    # Whose turn it is.

    def _turn(self, connection: Connection, broker: str) -> tuple[LogRow, Line] | None:
        row = log.read(connection) or self._begin(connection)
        before = log.rotations(connection)
        new = self._who.heir_notes(row)
        if new is None:
            self._say(self._not_ours(row, before))
            return None
        line = Line(before, new)
        self._check_line(row, line)
        if not log.take_turn(connection, broker):
            self._say("another broker signs the log")
            return None
        self._say("")
        return row, line

    def _not_ours(self, row: LogRow, notes: tuple[str, ...]) -> str:
        own = Verifier.parse(self._who.key.verifier)
        if any(open_rotation(note).old == own for note in notes):
            return f"the log goes on with the key `{row.key}`, which came after this broker's"
        return f"the log is signed with the key `{row.key}`, which this broker does not have"

    def _check_line(self, row: LogRow, line: Line) -> None:
        try:
            if chain_of_keys(Verifier.parse(row.key), line.all, row.origin)[-1] != Verifier.parse(
                self._who.key.verifier
            ):
                raise BadNote("they do not lead to the key that signs")
        except BadNote as error:
            raise LogBroken(f"the rotation notes in the state do not hold: {error.message}", _RESTORE) from None

    def _begin(self, connection: Connection) -> LogRow:
        row = log.begin(connection, f"{self._who.host}/hoopx/{secrets.token_hex(4)}", self._who.key.verifier)
        key = Verifier.parse(row.key).key_id.hex()
        note(connection, happened(self._who.clock(), "log.started", origin=row.origin, key=key))
        return row

    def _say(self, why: str) -> None:
        if why != self.idle and why:
            _log.info(
                "log.not_signed_here",
                why=why,
                hint="brokers on one state share `evidence.key` (docs/state.md)",
            )
        self.idle = why

    # What was there before.

    async def _take_up(self, row: LogRow) -> None:
        """Before anything is added: does the store have what the state knows to be signed, and nothing else?"""
        self._edge = {}
        await self._compare(row)
        places = [*new_places(0, row.size)]
        bundles = [*new_bundles(0, row.size)]
        there = await self._files.paths()
        lacking = [place for place in places if place.path not in there]
        lost = [bundle for bundle in bundles if bundle.path not in there]
        if lacking or lost:
            _log.warning("log.filled", tiles=len(lacking), bundles=len(lost), why="the store lacked them")
            await self._fill(row, lacking, lost)
        await self._files.put_rotations(self._line.all)
        if row.checkpoint:
            await self._files.put_checkpoint(row.checkpoint)

    async def _compare(self, row: LogRow) -> None:
        """The store's checkpoint may be an older one of ours; anything else is for people to look at."""
        stored = await self._files.checkpoint()
        if stored is None or stored == row.checkpoint:
            return
        try:
            found = parse(split_note(stored)[0])
        except BadNote as error:
            raise LogBroken(f"the checkpoint in the store cannot be read: {error.message}", _MOVE) from None
        if found.origin != row.origin:
            raise LogBroken(f"the store holds another log, `{found.origin}`; this state's is `{row.origin}`", _MOVE)
        if found.size > row.size:
            raise LogBroken(
                f"the checkpoint in the store is over {found.size} leaves, and the state knows of {row.size} only",
                "an older state was put back: what the log holds beyond that is lost to it. Restore the newest state; "
                "where there is none, begin a new log in an empty place (docs/evidence.md)",
            )
        if found.root != root_hash(found.size, await self._read_signed(row, found.size)):
            raise LogBroken(
                f"the checkpoint in the store, over {found.size} leaves, is not of what this state has signed",
                "one of both was changed: see what `hoopx audit verify` says of each",
            )

    async def _read_signed(self, row: LogRow, size: int) -> Read:
        """How to read the first `size` leaves: by the tiles where those give the signed root, else by the events."""

        def needed(read: Read) -> None:
            root_hash(row.size, read)
            root_hash(size, read)

        try:
            read = await self._reader(needed, row.size)
            if root_hash(row.size, read) == self._root(row):
                return read
        except (NotStored, BadTile):
            pass
        return (await self._by_events(row)).read

    async def _fill(self, row: LogRow, lacking: list[Tile], lost: list[Bundle]) -> None:
        levels = await self._by_events(row)
        for some in _cut(lost):
            contents = {bundle.path: pack_entries(await self._leaves(bundle.start, bundle.end)) for bundle in some}
            await self._files.put(contents)
        for tiles in _cut(lacking):
            await self._files.put({tile.path: levels.tile(tile) for tile in tiles})

    async def _by_events(self, row: LogRow) -> Levels:
        """Every hash, from the events in the state; raises `LogBroken` where they are not what was signed."""
        levels = Levels()
        while levels.size < row.size:
            leaves = await self._leaves(levels.size, min(levels.size + MOST, row.size))
            levels.extend([leaf_hash(leaf) for leaf in leaves])
        if row.size and await asyncio.to_thread(levels.root, row.size) != self._root(row):
            raise LogBroken(
                f"the events in the state are not the {row.size} leaves that were signed",
                "somebody changed the state, or an older one was put back: see what `hoopx audit verify` says",
            )
        return levels

    async def _leaves(self, start: int, end: int) -> list[bytes]:
        leaves = await self._state.run(lambda connection: log.leaves(connection, start, end))
        if len(leaves) != end - start:
            raise LogBroken(
                f"event {start + len(leaves)} of the log is missing in the state",
                _RESTORE,
            )
        return leaves

    # What comes new.

    async def _sign(self, row: LogRow, broker: str) -> bool:
        """Tiles first, then the checkpoint over them, then the word to everybody."""
        size = min(await self._state.run(log.count), row.size + MOST)
        if size <= row.size and not self._line.new:
            return False
        start = row.size // WIDTH * WIDTH  # a bundle is always written from its beginning
        leaves = await self._leaves(start, size)
        new = [leaf_hash(leaf) for leaf in leaves[row.size - start :]]
        read = await self._checked_edge(row, leaves[: row.size - start], new, size)
        tiles = dict(new_tiles(row.size, size, read))
        bundles = {
            bundle.path: pack_entries(leaves[bundle.start - start : bundle.end - start])
            for bundle in new_bundles(row.size, size)
        }
        await self._files.put(bundles | {tile.path: content for tile, content in tiles.items()})
        text = Checkpoint(row.origin, size, root_hash(size, read)).text()
        signed = await self._state.run(lambda connection: self._note_signed(connection, broker, row, size, text))
        self._edge = {tile: content for tile, content in (self._edge | tiles).items() if _is_last(tile, size)}
        await self._files.put_checkpoint(signed)
        await self._tidy(row.size, [*tiles, *new_bundles(row.size, size)])
        return True

    def _note_signed(self, connection: Connection, broker: str, row: LogRow, size: int, text: str) -> str:
        """With the first checkpoint of a new key, the log is handed over to it."""
        signed = log.sign(connection, broker, row, size, lambda: self._who.key.sign(text))
        if self._line.new:
            log.hand_over(connection, self._who.key.verifier, self._line.new)
        for rotation in map(open_rotation, self._line.new):
            keys = {"from": rotation.old.key_id.hex(), "to": rotation.new.key_id.hex()}
            note(connection, happened(self._who.clock(), "key.rotated", **keys, rotated_at=rotation.at))
        return signed

    async def _checked_edge(self, row: LogRow, before: list[bytes], new: list[bytes], size: int) -> Read:
        """How to read the tree with what is new: only where the one it grows out of is the one that was signed."""

        def needed(read: Read) -> None:
            root_hash(row.size, read)
            for _ in new_tiles(row.size, size, grown(row.size, new, read)):
                pass

        try:
            read = await self._reader(needed, row.size)
            is_ours = not row.size or root_hash(row.size, read) == self._root(row)
        except (NotStored, BadTile):
            is_ours = False
        if not is_ours:
            await self._look_again(row)
            read = await self._reader(needed, row.size)
        self._check_events(row, before, read)
        return grown(row.size, new, read)

    async def _look_again(self, row: LogRow) -> None:
        """The tiles do not give the root that was signed. What is missing is written again; what was changed is not."""
        self._edge = {}
        await self._take_up(row)
        read = await self._reader(lambda read: root_hash(row.size, read), row.size)
        if root_hash(row.size, read) != self._root(row):
            raise LogBroken(
                f"the tiles in the store are not those of the {row.size} leaves that were signed",
                "`hoopx audit verify` names those that were changed; where they are moved away, they are written again",
            )

    def _check_events(self, row: LogRow, before: list[bytes], read: Read) -> None:
        """The signed ones that go into a bundle once more."""
        start = row.size - len(before)
        try:
            check_bundle(before, [read(0, start + at) for at in range(len(before))])
        except BadTile as error:
            raise LogBroken(
                f"the events from {start} to {row.size} in the state are not what was signed: {error.message}",
                _RESTORE,
            ) from None

    async def _reader(self, work: Callable[[Read], object], size: int) -> Read:
        """How to read what `work` reads of the log as it was signed: out of memory, else out of the store."""
        wanted = tiles_read(work, size)
        self._edge |= await self._files.tiles([tile for tile in wanted if tile not in self._edge])
        for tile in wanted:
            unpack_tile(self._edge[tile], tile.width)
        return tile_reader(size, self._edge.__getitem__)

    def _root(self, row: LogRow) -> bytes:
        """The root that was signed last: by the key of the log, whose turn this broker's is or follows."""
        try:
            checkpoint, _ = open_checkpoint(row.checkpoint, [Verifier.parse(row.key)], row.origin)
        except BadNote as error:
            raise LogBroken(f"the checkpoint in the state does not hold: {error.message}", _RESTORE) from None
        if checkpoint.size != row.size:
            raise LogBroken(
                f"the checkpoint in the state is over {checkpoint.size} leaves, and said to be over {row.size}",
                _RESTORE,
            )
        return checkpoint.root

    async def _tidy(self, before: int, places: list[Tile | Bundle]) -> None:
        """Partial tiles are in nobody's way: a store that does not let go of them keeps them."""
        for place in places:
            if place.width == WIDTH:
                try:
                    await self._files.forget_partial(place.path)
                except StoreFailed as error:
                    _log.debug("log.partial_kept", path=place.path, why=error.message)


def _is_last(tile: Tile, size: int) -> bool:
    """Is it the tile at its level to which a log of `size` leaves adds?"""
    hashes = size >> 8 * tile.level
    return tile.n * WIDTH + tile.width == hashes


def _cut(places: Sequence[T]) -> Iterator[Sequence[T]]:
    """A few at a time: a bundle may hold megabytes."""
    for start in range(0, len(places), 16):
        yield places[start : start + 16]


_RESTORE = "somebody changed the state: restore it from a backup, and see what `hoopx audit verify` says"
_MOVE = "move away what lies under `log/` in the store, if it is not this broker's: it is written again from the state"
