"""What happens to sessions beside their rows, as events: refused, killed, looked at."""

from __future__ import annotations

from typing import Literal

from hoopx_broker.api.messages import Open, SessionView
from hoopx_broker.session.permits import MAX_REASON, Permission, SessionDenied
from hoopx_broker.storage import events
from hoopx_broker.terms.audit import Event
from hoopx_broker.terms.entries import Opened
from hoopx_broker.terms.errors import Denied, HoopxError, Refused, StillPending
from hoopx_broker.terms.people import Principal, spoken

How = Literal["recording", "show", "tail", "replay", "export", "verify"]

MAX_WHY = 2_000  # characters of an error, which may quote a server


def refused(
    at: float,
    who: Principal,
    target: str,
    ask: Open,
    error: HoopxError,
    *,
    peer: str,
    policy: str,
    permission: Permission | None,
    opened: Opened | None,
) -> Event:
    """No session came of it. Where the ruling is `allow`, something else failed; `why` says what."""
    rules = permission.rules if permission is not None else (error.rule,) if isinstance(error, SessionDenied) else ()
    request = permission.request.id if permission is not None and permission.request is not None else ask.request
    return events.happened(
        at,
        "session.refused",
        **events.by(who),
        target=target,
        session=opened.session if opened is not None else "",
        request=request or "",
        ruling=_ruling(error, permission),
        rules=rules,
        policy=policy,
        why=error.message[:MAX_WHY],
        reason=ask.reason if len(ask.reason) <= MAX_REASON else "",
        ticket=ask.ticket if len(ask.ticket) <= MAX_REASON else "",
        peer=peer,
        glass=ask.break_glass,
    )


def _ruling(error: HoopxError, permission: Permission | None) -> str:
    match error:
        case SessionDenied():
            return "deny"
        case StillPending() | Refused():
            return "ask"  # nobody answered, or somebody said no
        case Denied():
            return "deny"
        case _:
            return "allow" if permission is not None else ""


def killed(at: float, who: Principal, view: SessionView) -> Event:
    owner = spoken(view.user, view.on_behalf_of)
    return events.happened(at, "session.killed", **events.by(who), target=view.target, session=view.id, owner=owner)


def viewed(at: float, who: Principal, view: SessionView, how: How) -> Event:
    """Before anything of it is shown."""
    owner = spoken(view.user, view.on_behalf_of)
    about = {"target": view.target, "session": view.id}
    return events.happened(at, "session.viewed", **events.by(who), **about, owner=owner, how=how)
