"""What happens to sessions, as events: facts that are known here, and never what was said or seen inside."""

from __future__ import annotations

from hoopx_broker.storage.events import by, happened
from hoopx_broker.terms.audit import Event
from hoopx_broker.terms.entries import Opened


def opened(session: Opened) -> Event:
    """It begins, by this ruling. Where it then fails, `session.refused` says why."""
    return happened(
        session.opened_at,
        "session.opened",
        **by(session.principal),
        target=session.target,
        session=session.session,
        request=session.request or "",
        lease=session.lease,
        ruling="allow",
        rules=session.rules,
        policy=session.policy,
        reason=session.reason,
        ticket=session.ticket,
        kind=session.kind,
        database=session.database,
        peer=session.peer,
        issuer=session.principal.issuer,
        subject=session.principal.subject,
        approved_by=session.approved_by,
        glass=session.glass,
        shadow=session.shadow,
        until=session.expires_at,
    )


def sealed(
    at: float,
    session: str,
    target: str,
    why: str,
    *,
    root: str,
    entries: int,
    blocks: int,
    bytes_: int,
    unfinished: bool,
    format_: int,
    key: str,
) -> Event:
    """Its recording is sealed. An export proves that this is in the log; there is exactly one for each recording.

    `root` is the hash that the seal signs, hexadecimal, `key` the id of the key that signed.
    """
    return happened(
        at,
        "session.sealed",
        target=target,
        session=session,
        why=why,
        root=root,
        entries=entries,
        blocks=blocks,
        bytes=bytes_,
        unfinished=unfinished,
        format=format_,
        key=key,
    )


def broken(at: float, session: str, target: str, why: str) -> Event:
    """Its recording cannot be sealed: it is not there, or not what a broker wrote."""
    return happened(at, "recording.broken", target=target, session=session, why=why)
