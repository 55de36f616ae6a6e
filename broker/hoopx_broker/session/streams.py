"""The streams that are open, found by their cancel keys."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator

from hoopx_broker.session.pump import Pump
from hoopx_broker.tunnel.post import ALONE, Others
from hoopx_broker.tunnel.way import of_key
from hoopx_broker.wire.postgres.beginning import KEY_BYTES, KEY_BYTES_3_0

CANCEL = b"c"  # asked of the worker that a key is of


class Streams:
    """A key that is not here does nothing, and finding out takes as long as finding one.

    Of several workers each finds by a key whose it is: a cancel request behind TLS may reach any of them.
    """

    def __init__(self, others: Others = ALONE) -> None:
        self._others = others
        # By the hash of what every version's key begins with: which version it is, the client says only later.
        self._by_key: dict[bytes, Pump] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Pump]:
        """Those that are open now; they may close meanwhile."""
        return iter(list(self._by_key.values()))

    def add(self, pump: Pump) -> None:
        self._by_key[_digest(pump.key)] = pump

    def remove(self, pump: Pump) -> None:
        self._by_key.pop(_digest(pump.key), None)

    def new_key(self) -> bytes:
        """One that is random but for whose it is."""
        while of_key(key := secrets.token_bytes(KEY_BYTES), self._others.workers) != self._others.number:
            pass
        return key

    async def cancel(self, key: bytes) -> None:
        """Stop what runs for the client that was given this very key; returns when the server knows."""
        whose = of_key(key, self._others.workers)
        if whose == self._others.number:
            await self.cancel_here(key)
        else:
            await self._others.ask(whose, CANCEL, key)

    async def cancel_here(self, key: bytes) -> None:
        pump = self._by_key.get(_digest(key))
        if pump is not None and hmac.compare_digest(pump.key, key):
            await pump.cancel_query()


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key[:KEY_BYTES_3_0]).digest()
