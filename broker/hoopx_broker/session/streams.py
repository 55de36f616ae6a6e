"""The streams that are open, found by their cancel keys."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

from hoopx_broker.session.pump import Pump
from hoopx_broker.wire.postgres.beginning import KEY_BYTES_3_0


class Streams:
    """A key that is not here does nothing, and finding out takes as long as finding one."""

    def __init__(self) -> None:
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

    async def cancel(self, key: bytes) -> None:
        """Stop what runs for the client that was given this very key."""
        pump = self._by_key.get(_digest(key))
        if pump is not None and hmac.compare_digest(pump.key, key):
            await pump.cancel_query()


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key[:KEY_BYTES_3_0]).digest()
