"""Who comes in: each login is noted once, when a token of it is used here for the first time."""

from __future__ import annotations

from collections import OrderedDict

from hoopx_broker.evidence.chronicle import Chronicle
from hoopx_broker.identity.identity import Identity
from hoopx_broker.identity.login_events import How, accepted, login_name, note_once

MAX_KNOWN = 20_000  # logins that need not be looked up again: some megabytes


class Arrivals:
    """Only who was identified is noted: strangers, and tokens that do not hold, leave no events."""

    def __init__(self, chronicle: Chronicle) -> None:
        self._chronicle = chronicle
        self._known: OrderedDict[str, None] = OrderedDict()

    async def see(self, identity: Identity, how: How, mark: str = "") -> None:
        """Somebody was identified; they go on when that is written down. Raises `StateFailed`."""
        name = login_name(identity, mark)
        if name in self._known:
            self._known.move_to_end(name)
            return
        event, began_at = accepted(identity, self._chronicle.clock(), how, mark), identity.login.began_at
        await self._chronicle.do(lambda connection: note_once(connection, event, began_at))
        self._known[name] = None
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
