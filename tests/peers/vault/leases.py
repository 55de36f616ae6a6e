"""Leases of the double: made, looked up, renewed, revoked at once or behind one's back, and never forgotten."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.peers.vault.answers import SYSTEM_MAX_TTL, Answer, Json, Refused, capped
from tests.peers.vault.clock import now
from tests.peers.vault.engine import Call, Engine
from tests.peers.vault.state import Lease, Mount, word

if TYPE_CHECKING:
    from tests.peers.vault.core import Core
TICK = 0.05  # seconds between two looks at what has ended
RETRY = 10.0  # seconds before a revocation that failed is tried again; doubled each time, as Vault does
ATTEMPTS = 6  # then the lease is irrevocable: only force helps


class Leases:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._leases = core.state.leases
        self._busy: set[str] = set()
        self._stop = threading.Event()
        self._workers = ThreadPoolExecutor(8)
        self._reaper = threading.Thread(target=self._reap, daemon=True)

    def start(self) -> None:
        self._reaper.start()

    def stop(self) -> None:
        self._stop.set()
        self._reaper.join()
        self._workers.shutdown(wait=True)

    def make(
        self,
        call: Call,
        data: Json,
        inner: Json,
        ttl: int,
        max_ttl: int,
        *,
        renewable: bool,
        warnings: list[str] | None = None,
    ) -> Answer:
        """A lease for what an engine has made, and the answer that tells of both."""
        told = list(warnings or [])
        most = min(max_ttl or SYSTEM_MAX_TTL, call.mount.max_ttl or SYSTEM_MAX_TTL)
        ttl = capped(ttl or call.mount.default_ttl or SYSTEM_MAX_TTL, most, told)
        at = now()
        path = f"{call.request.namespace}{call.mounted}{call.path}"
        lease = Lease(
            id=f"{path}/{word(24)}",
            path=path,
            namespace=call.request.namespace,
            mount=call.mounted,
            token=call.owner.id,
            issued=at,
            ends=at + ttl,
            renewable=renewable,
            ttl=ttl,
            max_ttl=most,
            inner=inner,
        )
        self._leases[lease.id] = lease
        return Answer(data=data, lease_id=lease.id, renewable=renewable, lease_duration=ttl, warnings=told or None)

    def get(self, lease_id: str) -> Lease | None:
        return self._leases.get(lease_id)

    def under(self, prefix: str) -> list[Lease]:
        return [lease for lease in list(self._leases.values()) if lease.id.startswith(prefix)]

    def of(self, token: str) -> list[Lease]:
        return [lease for lease in list(self._leases.values()) if lease.token == token]

    def renew(self, lease_id: str, increment: int) -> Answer:
        lease, at = self.get(lease_id), now()
        if lease is None:
            raise Refused(400, "lease not found")
        if not lease.renewable:
            raise Refused(400, "lease is not renewable")
        left = int(lease.issued + lease.max_ttl - at + 0.999)
        if left <= 0 or lease.ends < at:
            raise Refused(400, "lease expired")
        warnings: list[str] = []
        ttl = increment or lease.ttl
        if ttl > left:
            capped(ttl, lease.max_ttl if ttl > lease.max_ttl else left, warnings)
            ttl = left
        self._engine(lease).renew(self._mount(lease), lease, at + ttl)
        lease.ends, lease.renewed = at + ttl, at
        return Answer(lease_id=lease.id, renewable=True, lease_duration=ttl, warnings=warnings or None)

    def revoke(self, lease_id: str, *, force: bool = False) -> None:
        """At once; where the engine cannot, the lease stays and the error says so."""
        lease = self.get(lease_id)
        if lease is None:
            return
        try:
            self._engine(lease).revoke(self._mount(lease), lease)
        except Refused as refused:
            if not force:
                text = f"failed to revoke entry: resp: (*logical.Response)(nil) err: {refused.errors[0]}"
                raise Refused(400, text) from refused
        self._leases.pop(lease_id, None)

    def end_soon(self, lease: Lease) -> None:
        """Behind the asker's back: what the end of a token does to its leases."""
        lease.ends, lease.renewable, lease.retry_at = now(), False, 0.0

    def _engine(self, lease: Lease) -> Engine:
        return self._core.engines[self._mount(lease).type]

    def _mount(self, lease: Lease) -> Mount:
        return self._core.state.namespaces[lease.namespace].mounts[lease.mount]

    def _reap(self) -> None:
        while not self._stop.wait(TICK):
            if self._core.state.sealed:
                continue
            at = now()
            self._core.tokens.end_the_ended(at)
            for lease in list(self._leases.values()):
                if (
                    lease.ends <= at
                    and lease.retry_at <= at
                    and lease.attempts < ATTEMPTS
                    and lease.id not in self._busy
                ):
                    self._busy.add(lease.id)
                    self._workers.submit(self._revoke_one, lease)

    def _revoke_one(self, lease: Lease) -> None:
        try:
            self.revoke(lease.id)
            self._core.save()
        except Refused:
            lease.retry_at = now() + RETRY * 2**lease.attempts
            lease.attempts += 1
        finally:
            self._busy.discard(lease.id)
