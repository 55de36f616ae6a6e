"""What every lease at Vault goes through: a login of its own, pinned before it is used, and its certain end."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Lease, Order
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_plugins.vault_connection import Json, Vault
from hoopx_plugins.vault_ending import ACCESSOR, LEASE, Handle, end_all, renew_lease
from hoopx_plugins.vault_failures import VaultRefused
from hoopx_plugins.vault_login import OwnLogin, VaultToken, log_in_for
from hoopx_plugins.vault_server import VaultServer
from hoopx_plugins.vault_threads import afterwards, in_thread

# A life this near to what was ordered is left as it is: changing it costs a request.
NEAR = 5

T = TypeVar("T")


class Visits:
    """The comings and goings of one issuer at its Vaults. `clock` gives seconds since the Unix epoch."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._own = OwnLogin()

    async def enter(self, server: VaultServer, order: Order, pin: Pin) -> Visit:
        """Log in for one lease and pin the token's accessor, so that all it makes can be revoked from then on."""
        who = source_of(order.target)

        def log_in() -> VaultToken:
            with Vault(server, who) as vault:
                return log_in_for(vault, order, max(1, int(order.expires_at - self.clock())))

        token = await in_thread(log_in, lambda token: self._end(server, who, {ACCESSOR: token.accessor}))
        visit = Visit(self, server, order, token, {ACCESSOR: token.accessor})
        await visit.all_or_none(pin(visit.handle))
        return visit

    async def end(self, server: VaultServer, lease: Lease, target: Target) -> None:
        """End what the handle names, and see it gone. With no handle nothing was made: the login came to nothing."""
        if lease.handle.get(ACCESSOR) or lease.handle.get(LEASE):
            await in_thread(lambda: self._end(server, source_of(target), lease.handle), _nothing)

    async def as_broker(self, server: VaultServer, target: Target, work: Callable[[Vault, Secret], T]) -> T:
        """Do `work` with the broker's own token."""

        def ask() -> T:
            with Vault(server, source_of(target)) as vault:
                return self._own.asking(vault, lambda token: work(vault, token))

        return await in_thread(ask, _nothing)

    def _end(self, server: VaultServer, who: str, handle: Handle) -> None:
        with Vault(server, who) as vault:
            self._own.asking(vault, lambda token: end_all(vault, token, handle))


class Visit:
    """One login at Vault, for one lease. `handle` is all that must be revoked again."""

    def __init__(self, visits: Visits, server: VaultServer, order: Order, token: VaultToken, handle: Handle) -> None:
        self._visits = visits
        self._server = server
        self._token = token
        self.order = order
        self.handle = handle
        self.who = source_of(order.target)

    async def make(
        self,
        pin: Pin,
        method: str,
        path: str,
        body: Json | None,
        doing: str,
        otherwise: Callable[[VaultRefused], Json | None] = lambda refused: None,
    ) -> Json:
        """Ask for the credential with this login; the lease that it comes with is pinned at once, if it has one.

        `otherwise` may give another body to ask with where the first is refused. What fails is undone.
        """

        def ask() -> Json:
            with Vault(self._server, self.who) as vault:
                self._token = _lasting(vault, self._token, self.left())
                secret = self._token.secret
                try:
                    return vault.ask(method, path, body, doing=doing, token=secret)
                except VaultRefused as refused:
                    if (other := otherwise(refused)) is None:
                        raise
                    return vault.ask(method, path, other, doing=doing, token=secret)

        return await self.all_or_none(self._made(pin, ask))

    async def look(self, work: Callable[[Vault, Secret], T]) -> T:
        """What `work` reads with this login, which is then given back."""

        def ask() -> T:
            with Vault(self._server, self.who) as vault:
                return work(vault, self._token.secret)

        read = await self.all_or_none(in_thread(ask, _nothing))
        await self.give_back()
        return read

    async def _made(self, pin: Pin, ask: Callable[[], Json]) -> Json:
        answer = await in_thread(ask, lambda made: self._end(self.handle | _lease_in(made)))
        if lease := _lease_in(answer):
            self.handle |= lease
            await pin(self.handle)
        return answer

    async def lasting(self, seconds: int, *, is_renewable: bool) -> float:
        """The lease's end, brought near to what was ordered, as far as Vault takes it there; none lasts longer here."""
        ends = self._visits.clock() + seconds
        if is_renewable and abs(seconds - self.left()) > NEAR:
            lease, token = self.handle[LEASE], self._token.secret
            ends = self._visits.clock() + await in_thread(lambda: self._renewed(lease, token, seconds), _nothing)
        if self._token.seconds:
            ends = min(ends, self._visits.clock() + self._token.seconds)
        return min(ends, self.order.expires_at)

    def left(self) -> int:
        """Seconds until the order's end, at least one."""
        return max(1, int(self.order.expires_at - self._visits.clock()))

    async def give_back(self) -> None:
        """End the login: nothing that it made hangs on it."""
        await in_thread(lambda: self._end(self.handle), _nothing)

    async def all_or_none(self, work: Awaitable[T]) -> T:
        """What comes of `work`; where it fails, what there is by then is ended."""
        try:
            return await work
        except Exception:
            with suppress(BackendFailed):  # where that fails too, the keeper revokes by what was pinned
                await in_thread(lambda: self._end(self.handle), _nothing)
            raise
        except BaseException:
            afterwards(lambda: self._end(self.handle))
            raise

    def _renewed(self, lease: str, token: Secret, seconds: int) -> int:
        """Its life in seconds; as it was, where the login may not change it."""
        try:
            with Vault(self._server, self.who) as vault:
                return renew_lease(vault, token, lease, self.left())
        except VaultRefused:
            return seconds

    def _end(self, handle: Handle) -> None:
        self._visits._end(self._server, self.who, handle)


def source_of(target: Target) -> str:
    """How errors begin."""
    return f"the source `{target.source}` of target `{target.name}`"


def _lasting(vault: Vault, token: VaultToken, seconds: int) -> VaultToken:
    """The login's life brought near to the order's: what it makes ends with it. Kept as it is where that is refused."""
    if not token.renewable or not token.seconds or abs(token.seconds - seconds) <= NEAR:
        return token
    body = {"increment": f"{seconds}s"}
    try:
        answer = vault.ask("post", "auth/token/renew-self", body, doing="renew its login", token=token.secret)
    except VaultRefused as refused:
        if refused.status not in (400, 403):
            raise
        return token
    life = int((answer.get("auth") or {}).get("lease_duration") or token.seconds)
    return VaultToken(token.secret, token.accessor, life, token.renewable)


def _lease_in(answer: Json) -> Handle:
    lease = answer.get("lease_id")
    return {LEASE: str(lease)} if lease else {}


def _nothing(_: object) -> None:
    """There is nothing to undo."""
