"""The seam to what can be done at a target with a lease's own login: cut what uses it, and see that it is refused."""

from __future__ import annotations

from typing import Protocol

from hoopx_broker.terms.leases import Credential
from hoopx_broker.terms.targets import Target


class Parting(Protocol):
    """One for each kind of target. Asked only about logins that are of one lease alone."""

    async def cut(self, credential: Credential, target: Target) -> None:
        """End everything that is logged in with it. Nothing to do where it is refused. Raises `BackendFailed`."""

    async def is_refused(self, credential: Credential, target: Target) -> bool:
        """Whether the target refuses this very login. Raises `BackendFailed` where nobody can tell."""
