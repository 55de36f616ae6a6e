"""Somebody's attempt to open a session: what is known of it when it fails, for the event that tells so."""

from __future__ import annotations

from msgspec import Struct

from hoopx_broker.api.messages import Open
from hoopx_broker.identity.identity import Identity
from hoopx_broker.session.permits import Permission
from hoopx_broker.session.services import Services
from hoopx_broker.session.session_events import refused
from hoopx_broker.storage.errors import StateFailed
from hoopx_broker.terms.entries import Opened
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target


class Applicant(Struct, frozen=True):
    """Who asks, and from where. `token` is what they showed, for credential sources that want to see it themselves."""

    identity: Identity
    peer: str
    token: Secret | None = None

    @property
    def who(self) -> Principal:
        return self.identity.who


class Attempt:
    """`permission` and `opened` are there as soon as it has come so far."""

    def __init__(self, services: Services, ask: Open, applicant: Applicant, target: Target) -> None:
        self._services = services
        self._ask = ask
        self.applicant = applicant
        self.target = target
        self.permission: Permission | None = None
        self.opened: Opened | None = None

    async def failed(self, error: HoopxError) -> None:
        """It stays refused, whether or not that can be written down. Where the state is away nobody waits for it."""
        if isinstance(error, StateFailed):
            return
        event = refused(
            self._services.clock(),
            self.applicant.who,
            self.target.name,
            self._ask,
            error,
            peer=self.applicant.peer,
            policy=self._services.judge().version,
            permission=self.permission,
            opened=self.opened,
        )
        await self._services.chronicle.try_to_note(event)
