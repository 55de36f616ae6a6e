"""The stage for the log: a real state, a real directory as store, and a sequencer that is stepped by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from hoopx_broker.evidence.levels import Levels
from hoopx_broker.evidence.local import LocalStore
from hoopx_broker.evidence.log_files import LogFiles
from hoopx_broker.evidence.sequencer import Sequencer, Who
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.seams.store import EvidenceStore
from hoopx_broker.storage import log
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.events import happened, note
from hoopx_broker.storage.log import LogRow
from hoopx_broker.storage.store import Store
from hoopx_broker.tlog.checkpoints import Checkpoint, open_checkpoint
from hoopx_broker.tlog.notes import Verifier
from hoopx_broker.tlog.tiles import new_bundles, tiles, unpack_entries
from hoopx_broker.tlog.tree import HASH_SIZE, leaf_hash
from tests.peers.state import state_in
from tests.unit.recording_scene import KEY

T = TypeVar("T")
NOW = 1_700_000_000.0


class LogStage:
    """One broker on a state. Another one on the same is another stage."""

    def __init__(
        self, state: Store, store: EvidenceStore, directory: Path, key: EvidenceKey = KEY, broker: str = ""
    ) -> None:
        self.state = state
        self.store = store
        self.directory = directory
        self.broker = broker
        self.who = Who(key, lambda: self.broker, "broker.test", lambda: NOW)
        self.log_files = LogFiles(store)
        self.sequencer = Sequencer(state, self.log_files, self.who)

    async def notes(self, count: int, type_: str = "login.accepted") -> None:
        """As many events as that."""

        def work(connection: Connection) -> None:
            for number in range(count):
                note(connection, happened(NOW + number, type_, by="ann@example.com", way="browser"))

        await self.state.run(work)

    async def notes_seal(self, session: str, root: str = "00" * 32) -> None:
        await self.state.run(
            lambda connection: note(connection, happened(NOW, "session.sealed", session=session, root=root))
        )

    async def signs(self) -> LogRow:
        """Everything that waits, to the end."""
        while await self.sequencer.advance():
            pass
        return await self.row()

    async def row(self) -> LogRow:
        row = await self.state.run(log.read)
        assert row is not None
        return row

    def file(self, name: str) -> Path:
        return self.directory / "log" / name

    def files(self) -> dict[str, bytes]:
        """All that lies in the store, by name."""
        found = (path for path in (self.directory / "log").rglob("*") if path.is_file())
        return {str(path.relative_to(self.directory)): path.read_bytes() for path in sorted(found)}

    def checkpoint(self) -> Checkpoint:
        note = self.file("checkpoint").read_text()
        return open_checkpoint(note, [Verifier.parse(self.who.key.verifier)])[0]

    def check(self, checkpoint: Checkpoint) -> list[bytes]:
        """The store's log of that size, read as anybody would, is what the checkpoint says; gives its leaves."""
        leaves: list[bytes] = []
        for bundle in new_bundles(0, checkpoint.size):
            leaves += unpack_entries(self._widest(bundle.path))[: bundle.width]
        levels = Levels()
        levels.extend([leaf_hash(leaf) for leaf in leaves])
        assert levels.size == checkpoint.size
        assert levels.root(checkpoint.size) == checkpoint.root
        for tile in tiles(checkpoint.size):
            assert self._widest(tile.path)[: tile.width * HASH_SIZE] == levels.tile(tile), tile.path
        return leaves

    def _widest(self, path: str) -> bytes:
        """As clients do: a partial tile that is gone is the beginning of the full one."""
        exact = self.file(path)
        return (exact if exact.exists() else self.file(path.partition(".p/")[0])).read_bytes()


@asynccontextmanager
async def staged(folder: Path, key: EvidenceKey = KEY) -> AsyncIterator[LogStage]:
    """A broker as it starts on what is in `folder`."""
    state = await Store.open(state_in(folder))
    try:
        yield LogStage(state, LocalStore(folder / "recordings"), folder / "recordings", key)
    finally:
        await state.close()


def played(scene: Callable[[LogStage], Awaitable[T]], folder: Path, key: EvidenceKey = KEY) -> T:
    async def play() -> T:
        async with staged(folder, key) as stage:
            return await scene(stage)

    return asyncio.run(play())
