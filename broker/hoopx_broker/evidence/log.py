"""The log of everything that happened: who waits for a proof gets one, and one task keeps it growing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import structlog
from msgspec import Struct

from hoopx_broker.evidence.cosigned import best_note, newest_note
from hoopx_broker.evidence.levels import Levels
from hoopx_broker.evidence.log_files import LogBroken, LogFiles
from hoopx_broker.evidence.sequencer import MOST, Sequencer, Who
from hoopx_broker.seams.store import EvidenceStore, NotStored, StoreFailed
from hoopx_broker.storage import brokers, cosigned, log
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.cosigned import CosignedRow
from hoopx_broker.storage.errors import StateFailed
from hoopx_broker.storage.events import NOTED
from hoopx_broker.storage.log import LogRow
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import BackendFailed, HoopxError, Unknown
from hoopx_broker.tlog.checkpoints import parse
from hoopx_broker.tlog.failures import BadProof, BadTile
from hoopx_broker.tlog.notes import split_note
from hoopx_broker.tlog.proofs import check_inclusion, inclusion
from hoopx_broker.tlog.tiles import WIDTH, Bundle, Tile, pack_entries, tile_reader, tiles_read
from hoopx_broker.tlog.tree import Read, leaf_hash

GATHER_SECONDS = 0.1  # events that come together share a checkpoint
WAIT_SECONDS = 5.0  # that somebody waits for a proof
RETRY_SECONDS = 2.0  # after the store or the state failed
BROKEN_SECONDS = 30.0  # after something was found that does not pass by itself

SEALED = "session.sealed"

T = TypeVar("T")

_log = structlog.get_logger()


class LeafProof(Struct, frozen=True):
    """`leaf` stands at `index` in the log that the signed note `checkpoint` is of.

    `rotations` are the notes by which the key that signed it came after those before it.
    """

    leaf: bytes
    index: int
    inclusion: tuple[bytes, ...]
    checkpoint: str
    rotations: tuple[str, ...] = ()


class Health(Struct, frozen=True):
    """`waiting` counts events nothing is signed over. `broken` says why that stays so; `idle` who else signs."""

    size: int
    waiting: int
    broken: str
    idle: str


class Log:
    """Made once by the broker; `run` goes on until it is cancelled."""

    def __init__(self, state: Store, store: EvidenceStore, who: Who) -> None:
        self._state = state
        self._files = LogFiles(store)
        self._who = who
        self._sequencer = Sequencer(state, self._files, who)
        self._levels = Levels()
        self._told = asyncio.Event()
        self._hurry = asyncio.Event()
        self._broken = ""
        self._is_cosigned = True  # the store may lack cosignatures that the state has
        self.grew: Callable[[], None] = lambda: None  # who asks witnesses hears that there is something to ask for

    async def run(self) -> None:
        """Sign for what is noted, soon after it is noted."""
        leave = [self._state.subscribe(topic, self._hear) for topic in (NOTED, brokers.TOPIC)]
        self._told.set()
        try:
            while True:
                await self._told.wait()
                await self._gather()
                self._told.clear()
                self._hurry.clear()
                await self._catch_up()
        finally:
            for each in leave:
                each()

    async def proof(self, session: str) -> LeafProof:
        """That the log holds the seal of this session. Waits for it to get in.

        Raises `Unknown` where there is no seal, `BackendFailed` where it does not get in.
        """
        grew = asyncio.Event()
        leave = self._state.subscribe(log.GREW, lambda _: grew.set())
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while True:
                    grew.clear()
                    row, rotations, notes, found = await self._state.run(
                        lambda connection: (
                            log.read(connection),
                            log.rotations(connection),
                            cosigned.listed(connection),
                            log.leaf_of(connection, session, SEALED),
                        )
                    )
                    if found is None:
                        raise Unknown(f"the seal of session `{session}` is not in the log", _NO_SEAL)
                    index, leaf = found
                    if row is not None and index is not None and index < row.size:
                        return await self._prove(row, rotations, best_note(row, notes, index), index, leaf)
                    self._hurry.set()
                    self._told.set()
                    await grew.wait()
        except TimeoutError:
            raise BackendFailed(*self._why_not(session)) from None
        finally:
            leave()

    async def checkpoint(self) -> str:
        """The newest one, with the cosignatures that it has by now. Raises `Unknown` until there is one."""
        row, notes = await self._state.run(_signed)
        if row is None or not row.checkpoint:
            raise Unknown("there is no checkpoint of the log yet", "ask again in a moment")
        return newest_note(row, notes)

    def show_cosigned(self) -> None:
        """Witnesses have cosigned: the store gets to have that too, by the one task that writes checkpoints there."""
        self._is_cosigned = True
        self._told.set()

    async def content(self, place: Tile | Bundle) -> bytes:
        """A tile or a bundle of entries, of what is signed. Raises `Unknown`."""
        row = await self._state.run(log.read)
        if row is None or not _is_within(place, row.size):
            raise Unknown(f"the log has no `{place.path}`", "`/log/checkpoint` says how large it is")
        if isinstance(place, Tile):
            return await self._tile(place)
        try:
            return await self._files.bundle(place)
        except NotStored:
            return pack_entries(await self._leaves(place.start, place.end))

    async def read(self, work: Callable[[Read], T], size: int) -> T:
        """What `work` makes of the hashes of the log of `size` leaves. They are not proved: check what comes out."""
        wanted = tiles_read(work, size)
        tiles = {tile: await self._tile(tile) for tile in wanted}
        return work(tile_reader(size, tiles.__getitem__))

    async def health(self) -> Health:
        def work(connection: Connection) -> tuple[LogRow | None, int]:
            return log.read(connection), log.waiting(connection)

        row, waiting = await self._state.run(work)
        return Health(row.size if row else 0, waiting, self._broken, self._sequencer.idle)

    def _hear(self, _: str | None) -> None:
        self._told.set()

    async def _gather(self) -> None:
        try:
            async with asyncio.timeout(GATHER_SECONDS):
                await self._hurry.wait()
        except TimeoutError:
            pass

    async def _catch_up(self) -> None:
        try:
            while await self._sequencer.advance():
                self._broken = ""
                self.grew()
            self._broken = ""
            if self._is_cosigned:
                await self._put_cosigned()
        except LogBroken as error:
            await self._stop(error)
        except (StateFailed, StoreFailed) as error:
            _log.warning("log.not_signed", why=error.message, hint=error.hint)
            await self._again(RETRY_SECONDS)

    async def _put_cosigned(self) -> None:
        self._is_cosigned = False
        try:
            await self._put_signed(*await self._state.run(_signed))
        except HoopxError:
            self._is_cosigned = True
            raise

    async def _put_signed(self, row: LogRow | None, notes: tuple[CosignedRow, ...]) -> None:
        if row is not None and row.sequencer == self._who.broker() and any(each.key == row.key for each in notes):
            await self._files.put_checkpoint(newest_note(row, notes))
            await self._files.put_cosigned(best_note(row, notes))

    async def _stop(self, error: LogBroken) -> None:
        """Loudly, and once for each reason. Events wait meanwhile; somebody may mend what is wrong under us."""
        if error.message != self._broken:
            _log.error("log.broken", why=error.message, hint=error.hint)
        self._broken = error.message
        await self._again(BROKEN_SECONDS)

    async def _again(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._told.set()

    async def _prove(self, row: LogRow, rotations: tuple[str, ...], note: str, index: int, leaf: bytes) -> LeafProof:
        checkpoint = parse(split_note(note)[0])
        try:
            proof = await self.read(lambda read: inclusion(index, checkpoint.size, read), checkpoint.size)
            check_inclusion(leaf_hash(leaf), index, checkpoint.size, checkpoint.root, proof)
        except (BadProof, BadTile) as error:
            raise LogBroken(f"the log does not prove its leaf {index}: {error.message}", _VERIFY) from None
        return LeafProof(leaf, index, proof, note, rotations)

    async def _tile(self, tile: Tile) -> bytes:
        """Where the store lacks it, as on the disk of a broker that does not sign, it follows from the events."""
        try:
            return await self._files.tile(tile)
        except NotStored:
            end = tile.n * WIDTH + tile.width << 8 * tile.level
            while self._levels.size < end:
                start = self._levels.size
                leaves = await self._leaves(start, min(start + MOST, end))
                if self._levels.size == start:  # nobody else has added them meanwhile
                    self._levels.extend([leaf_hash(leaf) for leaf in leaves])
            return self._levels.tile(tile)

    async def _leaves(self, start: int, end: int) -> list[bytes]:
        leaves = await self._state.run(lambda connection: log.leaves(connection, start, end))
        if len(leaves) != end - start:
            raise LogBroken(f"event {start + len(leaves)} of the log is missing in the state", _VERIFY)
        return leaves

    def _why_not(self, session: str) -> tuple[str, str]:
        what = f"the seal of session `{session}` did not get into the log within {WAIT_SECONDS:.0f} s"
        if self._broken:
            return f"{what}: {self._broken}", _VERIFY
        return what, "ask again; `/healthz` tells how many events wait"


def _signed(connection: Connection) -> tuple[LogRow | None, tuple[CosignedRow, ...]]:
    return log.read(connection), cosigned.listed(connection)


def _is_within(place: Tile | Bundle, size: int) -> bool:
    height = 8 * place.level if isinstance(place, Tile) else 0
    return place.n * WIDTH + place.width <= size >> height


_NO_SEAL = "it is put in when the session has ended; sessions of a time before there was a log have none"
_VERIFY = "somebody changed the state or the store: see what `hoopx audit verify` says"
