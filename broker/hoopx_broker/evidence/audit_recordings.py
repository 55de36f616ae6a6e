"""Hold the recordings of a store against the log: none changed, none missing, none that nobody knows of."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from hoopx_broker.evidence.audit import Findings, LogSeen, Recorded, Tell
from hoopx_broker.evidence.seen import Seen
from hoopx_broker.evidence.trusted import Trusted
from hoopx_broker.recording.failures import BrokenEvidence
from hoopx_broker.recording.format import SUFFIX
from hoopx_broker.recording.verify import Proof, prove
from hoopx_broker.seams.store import EvidenceStore, Stored, StoreFailed
from hoopx_broker.terms.audit import Event
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.tlog.notes import Verifier

_BUFFER = 1 << 20


async def check_recordings(
    store: EvidenceStore,
    trusted: Trusted,
    log: LogSeen,
    found: Findings,
    seen: Seen | None,
    quick: bool,
    tell: Tell,
) -> int:
    """Gives how many were looked at. With `quick`, of sealed ones only that they are there with all their bytes."""
    there = {each.name.removesuffix(SUFFIX): each async for each in store.list("s_") if _is_recording(each.name)}
    for session, recorded in sorted(log.sessions.items()):
        _check_there(session, recorded, there, found, seen)
    for number, (session, stored) in enumerate(there.items(), 1):
        await _check_one(store, trusted, log, found, session, stored, quick)
        if number % 100 == 0:
            tell(f"recordings: {number} of {len(there)}")
    return len(there)


def _is_recording(name: str) -> bool:
    return name.endswith(SUFFIX) and "/" not in name


def _check_there(
    session: str, recorded: Recorded, there: dict[str, Stored], found: Findings, seen: Seen | None
) -> None:
    if session in there or recorded.deleted is not None or (seen is not None and session in seen.elsewhere):
        return
    if recorded.sealed is not None:
        found.add("recording missing", f"the log has the seal of `{session}`, and its recording is not here")
    elif seen is None or session not in seen.open:
        found.add(
            "recording missing", f"session `{session}` was opened and never sealed, and its recording is not here"
        )


async def _check_one(
    store: EvidenceStore,
    trusted: Trusted,
    log: LogSeen,
    found: Findings,
    session: str,
    stored: Stored,
    quick: bool,
) -> None:
    recorded = log.sessions.get(session, Recorded())
    sealed = recorded.sealed
    if sealed is None and recorded.opened is not None:
        return  # it runs, or its seal came after this checkpoint
    if sealed is not None and quick:
        size = sealed.facts.get("bytes", stored.size)
        if size != stored.size:
            found.add("recording changed", f"`{stored.name}` has {stored.size} bytes; its seal is over {size}")
        return
    try:
        proof = await _proved(store, _keys_for(sealed, trusted), stored.name)
    except (BrokenEvidence, StoreFailed) as error:
        found.add("recording changed", f"`{stored.name}`: {error.message}")
        return
    except HoopxError as error:
        found.add("recording changed", f"`{stored.name}` cannot be read: {error.message}")
        return
    _check_proof(proof, sealed, log, found, session)


def _check_proof(proof: Proof, sealed: Event | None, log: LogSeen, found: Findings, session: str) -> None:
    if proof.session != session:
        found.add("recording swapped", f"`{session}{SUFFIX}` holds the recording of `{proof.session}`")
    elif sealed is None:
        found.add("recording unknown", f"`{session}{SUFFIX}` is not in the log; it may be older than the log")
    elif proof.root != sealed.facts.get("root"):
        found.add("recording changed", f"`{session}{SUFFIX}` is not the one whose seal is in the log: its root differs")


def _keys_for(sealed: Event | None, trusted: Trusted) -> Sequence[Verifier]:
    """The one that the log names. What the log does not know of, an older key does not vouch for."""
    if sealed is None:
        return trusted.signers
    return [key for key in trusted.sealers if key.key_id.hex() == sealed.facts.get("key")] or trusted.sealers


async def _proved(store: EvidenceStore, keys: Sequence[Verifier], name: str) -> Proof:
    """By the first key that fits; raises what the last one says."""
    error: HoopxError | None = None
    for key in keys:
        chunks = store.get(name)
        try:
            pulled = _Pulled(chunks, asyncio.get_running_loop())
            return await asyncio.to_thread(prove, io.BufferedReader(pulled, _BUFFER), str(key))
        except HoopxError as failed:
            error = failed
        finally:
            if isinstance(chunks, AsyncGenerator):  # what was not read to its end is not left to the collector
                await chunks.aclose()
    assert error is not None
    raise error


class _Pulled(io.RawIOBase):
    """What a store gives in chunks, as a file for a thread to read."""

    def __init__(self, chunks: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._chunks = chunks
        self._loop = loop
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size

    async def _next(self) -> bytes:
        return await anext(self._chunks, b"")
