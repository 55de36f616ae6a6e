"""Put the proof of the log before a recording that goes out."""

from __future__ import annotations

from collections.abc import AsyncIterator

from hoopx_broker.api.messages import SessionView
from hoopx_broker.evidence.log import Log
from hoopx_broker.recording.bundle import head
from hoopx_broker.terms.errors import BackendFailed, Unknown
from hoopx_broker.tlog.proof_file import ProofFile


async def proof_part(log: Log, view: SessionView) -> tuple[bytes, str]:
    """What stands before the recording of a session; or nothing, and why the log does not prove it."""
    if view.state == "open":
        return b"", "the session is not over; its seal gets into the log when it is"
    try:
        proof = await log.proof(view.id)
    except (Unknown, BackendFailed) as error:
        return b"", error.message
    part = head(proof.leaf, ProofFile(proof.index, proof.inclusion, proof.checkpoint), proof.rotations)
    return part, ""


async def after(first: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in chunks:
        yield chunk
