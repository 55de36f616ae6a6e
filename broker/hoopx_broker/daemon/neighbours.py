"""The other brokers on the same state: what those left that are gone, and what those ask for that live."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from uuid import uuid4

import structlog
from msgspec import Struct

from hoopx_broker.api.messages import SessionView
from hoopx_broker.daemon.workers import no_worker_is_left
from hoopx_broker.session.adoption import adopt, seal_left
from hoopx_broker.session.live import Sessions
from hoopx_broker.session.services import Services
from hoopx_broker.storage import sessions as stored
from hoopx_broker.storage.brokers import TOPIC, Presence
from hoopx_broker.storage.errors import StateFailed, StateUnusable
from hoopx_broker.storage.hold import Hold
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import Unreachable
from hoopx_broker.terms.ids import SessionId

LOOK_SECONDS = 2.0  # for brokers that are gone
ASKED_SECONDS = 1.0  # for a session that is to end, and is not open yet
END_SECONDS = 15.0  # that somebody waits for another broker to end a session

_log = structlog.get_logger()


class Home(Struct, frozen=True):
    """The directory of a broker's own keys, and by it its disk. `hold` is None where another process uses it too."""

    id: str
    hold: Hold | None
    is_alone: bool

    @classmethod
    def take(cls, keys: Path, is_alone: bool | None = None) -> Home:
        """Raises `StateUnusable`. A broker that starts where another one stood knows that that one is gone.

        `is_alone` is what is known already of other processes: where it is False they are a broker's together.
        """
        name = keys / "home"
        try:
            keys.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not name.exists():
                fresh = keys / f"home.{os.getpid()}"
                fresh.write_text(uuid4().hex)
                os.link(fresh, name) if not name.exists() else None
                fresh.unlink()
            hold = _held(name)
            if is_alone is None:
                is_alone = no_worker_is_left(keys)
            return cls(name.read_text().strip(), hold, is_alone and hold is not None)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise StateUnusable(f"`{name}` cannot be used: {why}", "check the owner of its directory") from error


def _held(name: Path) -> Hold | None:
    try:
        return Hold(name)
    except StateUnusable:
        return None


async def end_all(sessions: Sessions, why: str) -> None:
    """This broker may be taken for gone: nothing of it may go on."""
    ending = [session.end_soon(f"the broker was cut off: {why}") for session in sessions.all()]
    if ending:
        await asyncio.wait(ending, timeout=END_SECONDS)


class Neighbours:
    """`home` is where this broker's recordings are. Of several workers at one home, one seals what was left there."""

    def __init__(
        self,
        services: Services,
        sessions: Sessions,
        presence: Presence,
        store: Store,
        home: str,
        *,
        seals: bool = True,
        adopts: bool = True,
    ) -> None:
        self._services = services
        self._sessions = sessions
        self._presence = presence
        self.home = home
        self._store = store
        self._seals = seals
        self._adopts = adopts

    @property
    def broker(self) -> str:
        """The id of this one."""
        return self._presence.id

    async def start(self) -> None:
        """First what was left behind, then everything that comes."""
        await self._presence.look()
        await self.clear_up()
        self._store.follow(TOPIC, self.clear_up)
        self._store.follow(stored.END_ASKED, self.end_what_is_asked)
        self._services.crew.start(self._watch(), "neighbours")
        if self._adopts:
            self._services.crew.start(adopt(self._services, self.home), "recordings")

    async def clear_up(self) -> None:
        """What brokers left behind that are gone: its leases end now, recordings here are sealed as unfinished."""
        left = await self._services.keeper.recover()
        for session in await self._services.stored.mark_unfinished():
            _log.warning("session.left_behind", session=session.id, target=session.target)
        for lease in left:
            _log.warning("lease.left_behind", lease=lease.id, target=lease.target)
        unsealed = await self._services.stored.unsealed(self.home) if self._seals else ()
        for session_id, target in unsealed:
            await seal_left(self._services, session_id, target)

    async def end_what_is_asked(self) -> None:
        """Others ask by the state. One whose opening is not through yet is looked for until it is."""
        while asked := await self._services.stored.asked_to_end():
            for session, why in asked:
                live = self._sessions.by_id(session)
                if live is not None:
                    live.end_soon(why)
            await asyncio.sleep(ASKED_SECONDS)

    async def end_elsewhere(self, session: SessionId, why: str) -> SessionView:
        """Have the broker that has it end it, and wait until it has. Raises `Unreachable` where it does not answer."""
        await self._services.stored.ask_end(session, why)
        view = await self._services.stored.ended(session, END_SECONDS)
        if view.state == "open":
            broker = await self._services.stored.whereabouts(session)
            where = f"`{broker.url}`" if broker else "another broker"
            raise Unreachable(
                f"session `{session}` is at {where}, which has not ended it yet",
                "it ends there, or is taken from there once that broker is found to be gone; look again in a moment",
            )
        return view

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                for broker in await self._presence.look():
                    _log.warning("broker.gone", broker=broker)
            except StateFailed as error:
                _log.warning("broker.not_looked_for", why=error.message)
