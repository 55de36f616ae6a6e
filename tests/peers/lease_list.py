"""The leases of a keeper's state, as an operator would list them."""

from __future__ import annotations

from hoopx_broker.credentials.holdings import EVERY, Holdings, Wanted
from hoopx_broker.credentials.keeper import Keeper
from hoopx_broker.terms.leases import Lease, LeaseState


async def leases(
    keeper: Keeper, *, state: LeaseState | None = None, session: str = "", limit: int = EVERY
) -> tuple[Lease, ...]:
    """The newest first, those that are over included."""
    found = await Holdings(keeper._store).find(Wanted(state=state, session=session, ended=True, limit=limit))
    return tuple(each.lease for each in found)
