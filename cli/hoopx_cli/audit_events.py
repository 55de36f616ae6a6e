"""`hoopx audit events`: what happened at the broker, and as it comes."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Annotated

from hoopx_broker.api.messages import EventsListed, EventView
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.people import spoken
from hoopx_cli.audit import audit
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form, moment
from hoopx_cli.places import Option

ROOMY = 100  # columns of a terminal
_TO_THE_SECOND = len("2026-01-31 09:30:00")
_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@audit.command()
def events(
    kit: Kit,
    user: Annotated[str, Option(metavar="USER", help="Of this user, their agents and sessions.")] = "",
    target: Annotated[str, Option(metavar="TARGET", help="Only those about this target.")] = "",
    kind: Annotated[str, Option("--type", metavar="TYPE", help="Only those of this type.")] = "",
    session: Annotated[str, Option(metavar="SESSION", help="Only those about this session.")] = "",
    since: Annotated[str, Option(metavar="TIME", help="From then on: 2h, 7d, or 2026-12-24T10:00.")] = "",
    until: Annotated[str, Option(metavar="TIME", help="Before then.")] = "",
    limit: Annotated[int, Option(metavar="N", least=1, most=1_000, help="At most so many.")] = 50,
    follow: Annotated[bool, Option("-f", "--follow", help="Go on, and print what happens.")] = False,
) -> None:
    """Example: hoopx audit events --since 1h

    List what happened at the broker, the newest last: who logged in, opened, approved, changed and looked at what. Each
    says its place in the log that proves it, or that it waits to be put there.
    """
    wanted = {"user": user, "target": target, "type": kind, "session": session}
    wanted |= {"since": _when(since), "until": _when(until)}
    listed = kit.api.events(**wanted, limit=str(limit))
    if not follow:
        _print(kit, listed)
        return
    seen: dict[str, None] = {}
    while True:
        fresh = tuple(each for each in listed.events if each.event.id not in seen)
        seen = dict.fromkeys(each.event.id for each in listed.events)
        for each in fresh:
            kit.out.json(_flat(each)) if kit.out.form is Form.JSON else kit.out.text("  ".join(_row(each)))
        listed = kit.api.events(**wanted, after=str(listed.settled), known=str(listed.known), wait="25")


def _print(kit: Kit, listed: EventsListed) -> None:
    if kit.out.form is Form.JSON:
        for each in listed.events:
            kit.out.json(_flat(each))
    elif not listed.events:
        kit.out.say("no events to show")
    else:
        room = kit.out.columns
        rows = [_row(each, is_narrow=room is not None and room < ROOMY) for each in listed.events]
        kit.out.table(("leaf", "when", "type", "by", "target", "session", "facts"), rows)


def _flat(view: EventView) -> dict[str, object]:
    event = view.event
    fields = {name: getattr(event, name) for name in event.__struct_fields__ if getattr(event, name) not in ("", {})}
    return {"leaf": view.leaf} | fields


def _row(view: EventView, *, is_narrow: bool = False) -> tuple[str, ...]:
    """In narrow terminals its time is told without the offset."""
    event = view.event
    facts = " ".join(f"{name}={_told(value)}" for name, value in sorted(event.facts.items()))
    by = spoken(event.by, event.on_behalf_of)
    leaf = "waits" if view.leaf is None else str(view.leaf)
    when = moment(event.at)[: _TO_THE_SECOND if is_narrow else None]
    return leaf, when, event.type, by, event.target, event.session, facts


def _told(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _when(text: str) -> str:
    """Seconds since the Unix epoch. Raises `BadInput`."""
    if not text:
        return ""
    if (ago := _AGO.fullmatch(text)) is not None:
        return str(time.time() - int(ago[1]) * _SECONDS[ago[2]])
    try:
        return str(datetime.fromisoformat(text).timestamp())
    except ValueError:
        raise BadInput(f"`{text}` is no time", "write for example 2h, 7d or 2026-12-24T10:00") from None
