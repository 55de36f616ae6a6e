"""Proofs that were used at any of the brokers, or workers, on one state: each serves once among all of them."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.identity.proofs import WINDOW, Proof
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store

# Proofs may be so much older or younger than now, at each of two brokers whose clocks are a few seconds apart.
KEEP_SECONDS = 2 * WINDOW + 30
FORGET_SECONDS = 30.0

_SPEND = "INSERT INTO identity_proofs (digest, used_at) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING"


class SpentEverywhere:
    """Beside what each process remembers, which bounds how many there can be."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._forgot_at = 0.0

    async def spend(self, proof: Proof) -> None:
        """Raises `NotAccepted` for the second use, and `StateFailed`."""
        now = self._clock()
        forgets = now - self._forgot_at >= FORGET_SECONDS
        if forgets:
            self._forgot_at = now
        digest = sha256(f"{proof.thumbprint}\n{proof.id}".encode()).hexdigest()

        def work(connection: Connection) -> bool:
            if forgets:
                connection.execute("DELETE FROM identity_proofs WHERE used_at < ?", (now - KEEP_SECONDS,))
            return connection.execute(_SPEND, (digest, now)).rowcount == 1

        if not await self._store.run(work):
            raise NotAccepted("its proof was used before")
