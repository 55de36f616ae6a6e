"""What `hoopx policy explain` is to explain: who does what, where and when, from options or from a recording."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.terms.entries import Opened
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.people import Principal, PrincipalKind
from hoopx_broker.terms.targets import ColumnName, Target, UpstreamTls

if TYPE_CHECKING:
    from hoopx_cli.recorded import Found


class Scene(Struct, frozen=True):
    """Without `text` it is the opening of a session."""

    who: Principal
    target: Target
    circumstances: Circumstances
    text: str | None = None


def of_recording(opened: Opened, found: Found | None, target: Target, given: Circumstances, at: int | None) -> Scene:
    """Who, why and when are in the recording; labels and classes of the target, and who has agreed, are `given`."""
    when = at if at is not None else whole_minute(found.at if found else opened.opened_at)
    circumstances = structs.replace(given, now=when, reason=opened.reason, ticket=opened.ticket)
    place = structs.replace(target, name=opened.target, database=opened.database)
    if found is None:
        length = int(opened.expires_at - opened.opened_at)
        return Scene(opened.principal, place, structs.replace(circumstances, duration=length))
    values = structs.replace(circumstances, parameters=found.parameters, pending=found.pending)
    return Scene(opened.principal, place, values, found.text)


def whole_minute(seconds: float) -> int:
    """Rules look at whole minutes, so that the same question has the same answer for a while."""
    return int(seconds) // 60 * 60


def time_of(text: str) -> int | None:
    """A time as people write it with its offset, in seconds; None for the empty text. Raises `BadInput`."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
        return whole_minute(moment.timestamp())
    except (ValueError, OverflowError):
        hint = "for instance --at 2026-07-01T22:00:00+02:00"
        raise BadInput(f"`{text}` is no time with its offset", hint) from None


def now() -> int:
    return whole_minute(time.time())


def target_of(name: str, labels: list[str], classify: list[str]) -> Target:
    """A target of this name that nobody could connect to."""
    classes = {_column(column): kind for column, kind in _pairs(classify, "--classify").items()}
    return Target(name, "postgres", "", 0, "", UpstreamTls(), "static", _pairs(labels, "--label"), classes)


def principal_of(user: str, kind: str, groups: str, behalf: str = "", theirs: str = "") -> Principal:
    """`theirs` are the groups of the human on whose `behalf` an agent acts. Raises `BadInput`."""
    if not behalf:
        if theirs:
            raise BadInput("--their-groups are those of --on-behalf-of", "say whom the agent acts for")
        return Principal(user, _kind(kind), tuple(split(groups)), subject=user)
    acting: PrincipalKind = "agent" if kind == "human" else _kind(kind)
    return Principal(user, acting, tuple(split(groups)), "", user, behalf, tuple(split(theirs)))


def split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    pairs = dict(text.partition("=")[::2] for text in texts)
    if not all(name and value for name, value in pairs.items()):
        raise BadInput(f"{option} takes NAME=VALUE", "for instance --label env=prod")
    return pairs


def _kind(text: str) -> PrincipalKind:
    match text:
        case "human" | "job" | "agent":
            return text
        case _:
            raise BadInput(f"`{text}` is no kind of user", "it is human, job or agent")


def _column(name: str) -> ColumnName:
    parts = name.split(".")
    if len(parts) != 3 or not all(parts):
        raise BadInput(f"`{name}` is not schema.table.column", "for instance --classify public.customers.email=email")
    return ColumnName(*parts)
