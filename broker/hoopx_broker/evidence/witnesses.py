"""Have witnesses cosign the log as it grows: in rounds, for ever, and in nobody's way.

In a round all witnesses that are due are shown the same checkpoint, the newest, so that it gets the cosignatures of
all. Who fails is asked again later and later, and whatever one of them does keeps no other from being asked. Only the
broker that signs the log asks, and nothing waits for an answer: what is not cosigned is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog
from msgspec import Struct

from hoopx_broker.evidence.log import Log
from hoopx_broker.evidence.witness import Disputed, Gave, Knows, NotCosigned, Witness
from hoopx_broker.storage import cosigned, log
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.cosigned import CosignedRow
from hoopx_broker.storage.events import happened, note
from hoopx_broker.storage.log import LogRow, NotOurTurn
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.tlog.checkpoints import parse
from hoopx_broker.tlog.failures import BadProof
from hoopx_broker.tlog.notes import Verifier, split_note
from hoopx_broker.tlog.proofs import Hashes, check_consistency, consistency
from hoopx_broker.tlog.tree import Read, root_hash

PACE_SECONDS = 1.0  # between rounds: a busy log has several checkpoints in that time, and one stands for all
LOOK_SECONDS = 30.0  # whether the log is this broker's by now
FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 300.0

NOTE_SECONDS = 3600.0  # between events of one kind about one witness: what it answers must not fill the log

_TURNS = 3  # that a witness has to say how much it has seen: it changes while we ask only if others ask too

_log = structlog.get_logger()


class Around(Struct, frozen=True):
    """What witnesses need of the broker around them."""

    broker: Callable[[], str]
    clock: Callable[[], float]
    steady: Callable[[], float]
    random: Callable[[], float]
    report: Callable[[str, BaseException], None]  # what nobody expected


class Cosigning(Struct, frozen=True):
    """How many witnesses lack at the newest checkpoint, and how old the oldest event is that one has not seen.

    `disputed` says why a witness takes the log for another one than it knows.
    """

    missing: int = 0
    seconds: float = 0.0
    disputed: str = ""


class _Asked:
    """A witness, and how it went with it so far."""

    def __init__(self, witness: Witness) -> None:
        self.witness = witness
        self.key = witness.key
        self.due = 0.0
        self.failures = 0
        self.disputed = ""
        self.size: int | None = None  # that it says it has seen of the log; None until it said so
        self.noted: dict[str, float] = {}  # events about it, and when


class Witnesses:
    """`run` goes on until it is cancelled; `hear` tells it that the log grew."""

    def __init__(self, state: Store, log: Log, witnesses: Sequence[Witness], around: Around) -> None:
        self._state = state
        self._chronicle = log
        self._around = around
        self._asked = [_Asked(witness) for witness in witnesses]
        self._keys = tuple(witness.key for witness in witnesses)
        self._grew = asyncio.Event()

    def hear(self) -> None:
        self._grew.set()

    async def run(self) -> None:
        while self._asked:
            self._grew.clear()
            pause = await self._round()
            await asyncio.sleep(PACE_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._grew.wait()

    async def health(self) -> Cosigning:
        """As the state has it: the same at each broker, but for `disputed`, which only the one that asks can know."""
        if not self._asked:
            return Cosigning()
        missing, since = await self._state.run(self._behind)
        seconds = max(0.0, self._around.clock() - since) if missing and since is not None else 0.0
        disputed = "; ".join(each.disputed for each in self._asked if each.disputed)
        return Cosigning(missing, round(seconds, 1), disputed)

    def _behind(self, connection: Connection) -> tuple[int, float | None]:
        """How many have not cosigned the newest checkpoint, and when the first event was that one of them lacks."""
        row, rows = log.read(connection), cosigned.listed(connection)
        if row is None or not row.checkpoint:
            return 0, None
        lacking = [key for key in self._keys if not _has_newest(row, rows, key)]
        first = min((min(_seen_by(rows, key), row.size - 1) for key in lacking), default=0)
        return len(lacking), cosigned.noted_at(connection, first) if lacking else None

    # A round.

    async def _round(self) -> float:
        """Gives the seconds until somebody is due."""
        try:
            row, rows = await self._state.run(lambda connection: (log.read(connection), cosigned.listed(connection)))
        except HoopxError as error:
            _log.warning("witness.not_asked", why=error.message, hint=error.hint)
            return FIRST_RETRY_SECONDS
        if row is None or not row.checkpoint or row.sequencer != self._around.broker():
            return LOOK_SECONDS
        lacking = [each for each in self._asked if not _has_newest(row, rows, each.key)]
        due = [each for each in lacking if each.due <= self._around.steady()]
        done = await asyncio.gather(*(self._ask(each, row, _seen_by(rows, each.key)) for each in due))
        if any(done):
            self._chronicle.show_cosigned()
        waiting = [each.due - self._around.steady() for each in lacking if each.failures]
        return max(0.0, min([LOOK_SECONDS, *waiting]))

    async def _ask(self, asked: _Asked, row: LogRow, seen: int) -> bool:
        """Did it cosign?"""
        try:
            gave = await self._cosignature(asked, row, seen)
            await self._keep(row, gave)
        except NotOurTurn:
            return False
        except Disputed as error:
            await self._dispute(asked, row, error)
        except HoopxError as error:
            self._fail(asked, error.message, error.hint)
        except Exception as error:  # whatever a hostile one answers must not keep the others from being asked
            self._around.report("witness", error)
            self._fail(asked, f"asking `{asked.key.name}` failed: {type(error).__name__}", "this is a bug of hoopx")
        else:
            self._settle(asked, row, gave)
            return True
        return False

    async def _cosignature(self, asked: _Asked, row: LogRow, seen: int) -> Gave:
        """With a proof from what the witness has seen: as we remember it, then as it says."""
        old = seen if asked.size is None else max(seen, min(asked.size, row.size))
        for _ in range(_TURNS):
            match await asked.witness.ask(old, await self._proof(old, row), row.checkpoint):
                case Gave() as gave:
                    return gave
                case Knows(size):
                    await self._check_size(asked, row, size, old, seen)
                    old = asked.size = size
        raise NotCosigned(f"the witness `{asked.key.name}` says another size of the log each time", _ASK_OPERATOR)

    async def _check_size(self, asked: _Asked, row: LogRow, size: int, old: int, seen: int) -> None:
        """What it has seen, where that is not what we thought."""
        name = f"the witness `{asked.key.name}`"
        if size == old < row.size:
            raise NotCosigned(f"{name} wants a proof from {size} leaves, and does not take one", _ASK_OPERATOR)
        if size == old:
            raise Disputed(f"{name} has seen another log of {size} leaves by the name `{row.origin}`")
        if size > row.size:
            await self._check_ours(row)
            raise Disputed(f"{name} has seen {size} leaves of the log `{row.origin}`, and this state has {row.size}")
        if size < seen and size != asked.size:
            why = f"{name} cosigned {seen} leaves, and now knows of {size} only"
            _log.warning("witness.went_back", witness=asked.key.name, why=why, hint=_ASK_OPERATOR)
            await self._note("witness.went_back", asked, known=size, cosigned=seen, why=why)

    async def _check_ours(self, row: LogRow) -> None:
        """Another broker may have gone on with the log since. Raises `NotOurTurn`."""
        now = await self._state.run(log.read)
        if now is None or now.sequencer != self._around.broker() or now.size != row.size:
            self._grew.set()
            raise NotOurTurn("the log went on meanwhile", "it is asked again")

    async def _proof(self, old: int, row: LogRow) -> Hashes:
        """Checked before it is sent: what a witness does not believe is then no slip of ours. Raises `BadProof`."""
        head = parse(split_note(row.checkpoint)[0])
        if old in (0, head.size):
            return ()

        def work(read: Read) -> tuple[bytes, Hashes]:
            return root_hash(old, read), consistency(old, head.size, read)

        root, proof = await self._chronicle.read(work, head.size)
        try:
            check_consistency(old, head.size, root, head.root, proof)
        except BadProof as error:
            raise BadProof(f"the tiles in the store do not prove the checkpoint: {error.message}", _VERIFY) from None
        return proof

    async def _keep(self, row: LogRow, gave: Gave) -> None:
        broker = self._around.broker()
        await self._state.run(lambda connection: cosigned.add(connection, broker, row, gave.line, self._keys))

    # How it went.

    def _settle(self, asked: _Asked, row: LogRow, gave: Gave) -> None:
        if asked.failures:
            _log.info("witness.cosigned", witness=asked.key.name, size=row.size, after=asked.failures)
        asked.failures, asked.due, asked.disputed, asked.size = 0, 0.0, "", row.size
        _log.debug("witness.cosigned", witness=asked.key.name, size=row.size, at=gave.cosigned.at)

    def _fail(self, asked: _Asked, why: str, hint: str) -> None:
        again = self._put_off(asked)
        known = {"witness": asked.key.name, "tries": asked.failures, "again": round(again)}
        _log.warning("witness.not_cosigned", why=why, hint=hint, **known)

    def _put_off(self, asked: _Asked) -> float:
        """Later each time, and never for good."""
        asked.failures += 1
        wait = min(LAST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(asked.failures - 1, 16))
        wait *= 1 + self._around.random() / 4  # brokers that were stopped at once do not ask at once
        asked.due = self._around.steady() + wait
        return wait

    async def _dispute(self, asked: _Asked, row: LogRow, error: Disputed) -> None:
        """The one thing that witnesses are for. An event once, a line of the log each time, and always in sight."""
        is_new = not asked.disputed
        self._put_off(asked)
        asked.disputed = error.message
        _log.error("witness.disputed", witness=asked.key.name, why=error.message, hint=_DISPUTED, tries=asked.failures)
        if is_new:
            root = parse(split_note(row.checkpoint)[0]).root.hex()
            await self._note("witness.disputed", asked, size=row.size, root=root, why=error.message)

    async def _note(self, type_: str, asked: _Asked, **facts: str | int) -> None:
        now = self._around.steady()
        if now - asked.noted.get(type_, now - NOTE_SECONDS) < NOTE_SECONDS:
            return
        key = asked.key.key_id.hex()
        event = happened(self._around.clock(), type_, witness=asked.key.name, key=key, **facts)
        try:
            await self._state.run(lambda connection: note(connection, event))
        except HoopxError as error:
            _log.error("event.not_noted", type=type_, why=error.message)
            asked.disputed = ""  # so that it is new, and noted, at the next try
        else:
            asked.noted[type_] = now


def _has_newest(row: LogRow, rows: Sequence[CosignedRow], witness: Verifier) -> bool:
    return any((each.size, each.key) == (row.size, row.key) and each.has(witness) for each in rows)


def _seen_by(rows: Sequence[CosignedRow], witness: Verifier) -> int:
    """How many leaves it has cosigned for sure."""
    return max((each.size for each in rows if each.has(witness)), default=0)


_ASK_OPERATOR = "ask its operator: a witness that forgets, or signs for two, proves nothing"
_VERIFY = "see what `hoopx audit verify` says"
_DISPUTED = (
    "either an older state was put back, or somebody signs another log with this key (a copied broker, a thief): "
    "keep the store and the state as they are, and see docs/evidence.md"
)
