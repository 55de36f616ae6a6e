"""Legal holds: who wants a recording kept beyond its time. Each is an event, and so is its release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hoopx_broker.api.messages import HoldView
from hoopx_broker.evidence import shelf
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.events import happened, note
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import BadInput, Unknown
from hoopx_broker.terms.ids import new_hold_id
from hoopx_broker.terms.people import Principal

MAX_REASON = 2_000
MAX_LIST = 1_000

_COLUMNS = (
    "holds.id, holds.session, sessions.target, holds.reason, held_by, held_at, released_by, released_at, release_reason"
)


class Holds:
    """Whether somebody may do it is asked of policy before."""

    def __init__(self, state: Store, clock: Callable[[], float]) -> None:
        self._state = state
        self._clock = clock

    async def hold(self, session: str, reason: str, who: Principal) -> HoldView:
        """From now on nothing deletes it. Raises `Unknown`; `BadInput` where its deletion has begun."""
        hold, now = new_hold_id(), self._clock()
        text = _checked(reason)

        def work(connection: Connection) -> HoldView:
            target = target_of(connection, session)
            one = shelf.find(connection, session)
            if one is not None and one.state in ("deleting", "deleted"):
                raise BadInput(f"the recording of `{session}` is deleted", "there is nothing left to hold")
            connection.execute(
                "INSERT INTO holds (id, session, reason, held_by, held_at) VALUES (?, ?, ?, ?, ?)",
                (hold, session, text, who.user, now),
            )
            note(connection, _event(now, "recording.held", session, target, who, hold, text))
            connection.tell(shelf.TOPIC)
            return _one(connection, hold)

        return await self._state.run(work)

    async def release(self, hold: str, reason: str, who: Principal) -> HoldView:
        """Others may go on holding it. Raises `Unknown`; one that was released already stays as it is."""
        now, text = self._clock(), _checked(reason)

        def work(connection: Connection) -> HoldView:
            view = _one(connection, hold)
            if view.released_at:
                return view
            connection.execute(
                "UPDATE holds SET released_by = ?, released_at = ?, release_reason = ? WHERE id = ?",
                (who.user, now, text, hold),
            )
            note(connection, _event(now, "recording.released", view.session, view.target, who, hold, text))
            connection.tell(shelf.TOPIC)
            return _one(connection, hold)

        return await self._state.run(work)

    async def get(self, hold: str) -> HoldView:
        """Raises `Unknown`."""
        return await self._state.run(lambda connection: _one(connection, hold))

    async def target_of(self, session: str) -> str:
        """Raises `Unknown`."""
        return await self._state.run(lambda connection: target_of(connection, session))

    async def list(self, *, session: str = "", released: bool = False) -> tuple[HoldView, ...]:
        """Those in force, with `released` the others too; the newest first."""
        where = ["TRUE", *(["released_at = 0"] if not released else []), *(["session = :session"] if session else [])]
        return await self._state.run(
            lambda connection: _all(
                connection,
                f"{' AND '.join(where)} ORDER BY held_at DESC, holds.id LIMIT :limit",
                {"limit": MAX_LIST, **({"session": session} if session else {})},
            )
        )


def in_force(connection: Connection, session: str) -> tuple[HoldView, ...]:
    return _all(connection, "holds.session = :session AND released_at = 0 ORDER BY held_at", {"session": session})


def target_of(connection: Connection, session: str) -> str:
    row = connection.execute("SELECT target FROM sessions WHERE id = ?", (session,)).fetchone()
    if row is None:
        raise Unknown(f"there is no session `{session}`", "`hoopx sessions ls` lists them")
    return str(row[0])


def _one(connection: Connection, hold: str) -> HoldView:
    found = _all(connection, "holds.id = :hold", {"hold": hold})
    if not found:
        raise Unknown(f"there is no hold `{hold}`", "`hoopx audit holds` lists them")
    return found[0]


def _all(connection: Connection, where: str, values: dict[str, Any]) -> tuple[HoldView, ...]:
    query = f"SELECT {_COLUMNS} FROM holds JOIN sessions ON sessions.id = holds.session WHERE {where}"
    return tuple(HoldView(*row) for row in connection.execute(query, values).fetchall())


def _event(at: float, type_: str, session: str, target: str, who: Principal, hold: str, reason: str) -> Any:
    about = {"by": who.user, "on_behalf_of": who.on_behalf_of or "", "session": session, "target": target}
    return happened(at, type_, **about, hold=hold, reason=reason)


def _checked(reason: str) -> str:
    text = reason.strip()
    if not text or len(text) > MAX_REASON:
        raise BadInput(
            "say why, in at most 2000 characters", "it stands in the log of what happened: --reason 'case 17'"
        )
    return text
