"""The stage for witnesses: a broker's log that runs, and asks those that it is given."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoopx_broker.evidence.log import Log
from hoopx_broker.evidence.witness import Witness
from hoopx_broker.evidence.witnesses import Around, Witnesses
from hoopx_broker.storage.cosigned import CosignedRow, listed
from hoopx_broker.tlog.checkpoints import Checkpoint
from hoopx_broker.tlog.cosignatures import parse_witness
from hoopx_broker.tlog.notes import Signer, sign_by
from hoopx_broker.tlog.proofs import Hashes, consistency
from hoopx_broker.tlog.tree import grown, leaf_hash, nothing, root_hash
from tests.unit.log_stage import LogStage

T = TypeVar("T")


class Asked(Protocol):
    """What a witness of the tests can be told: the double and the real one alike."""

    url: str
    key: str

    def trust(self, origin: str, vkey: str) -> None: ...

    def distrust(self, origin: str, vkey: str) -> None: ...

    def size(self, origin: str) -> int: ...


class PlayedLog:
    """A log of as many leaves as one likes, for witnesses alone. One with other `words` is another log."""

    def __init__(self, origin: str, words: str = "leaf", seed: int = 1) -> None:
        self.origin = origin
        self.signer = Signer(origin, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))
        self.key = str(self.signer.verifier)
        self._read = grown(0, [leaf_hash(f"{words} {n}".encode()) for n in range(400)], nothing)

    def checkpoint(self, size: int, *more: Signer) -> str:
        text = Checkpoint(self.origin, size, root_hash(size, self._read)).text()
        return sign_by(text, [self.signer, *more])

    def proof(self, old: int, size: int) -> Hashes:
        return consistency(old, size, self._read) if old else ()


def client(asked: Asked, **more: str) -> Witness:
    return Witness(parse_witness(more.get("key", asked.key)), more.get("url", asked.url), None, time.time)


class Asking:
    """A broker that runs, as far as its log goes."""

    def __init__(self, stage: LogStage, log: Log, witnesses: Witnesses, reported: list[BaseException]) -> None:
        self.stage = stage
        self.log = log
        self.witnesses = witnesses
        self.reported = reported

    async def until_cosigned(self, missing: int = 0) -> None:
        """By all but so many, everything that was noted."""
        async with asyncio.timeout(60):
            while (await self.log.health()).waiting or (await self.witnesses.health()).missing != missing:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def until(self, look: Callable[[], Awaitable[T]]) -> T:
        """What `look` gives, once that is something."""
        async with asyncio.timeout(60):
            while not (found := await look()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return found

    async def until_disputed(self) -> str:
        async def look() -> str:
            return (await self.witnesses.health()).disputed

        return await self.until(look)

    async def kept(self) -> tuple[CosignedRow, ...]:
        return await self.stage.state.run(listed)


@asynccontextmanager
async def asking(stage: LogStage, witnesses: Sequence[Witness]) -> AsyncIterator[Asking]:
    reported: list[BaseException] = []
    log = Log(stage.state, stage.store, stage.who)
    around = Around(
        stage.who.broker, stage.who.clock, time.monotonic, lambda: 0.0, lambda _, error: reported.append(error)
    )
    asks = Witnesses(stage.state, log, witnesses, around)
    log.grew = asks.hear
    async with AsyncExitStack() as stack:
        for witness in witnesses:
            stack.push_async_callback(witness.close)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(log.run()), group.create_task(asks.run())]
            try:
                yield Asking(stage, log, asks, reported)
            finally:
                for task in tasks:
                    task.cancel()
