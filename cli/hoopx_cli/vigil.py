"""Stand by open sessions: a live line that fits the terminal, warnings before the end, and what is said at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from hoopx_broker.api.messages import Counts, Ended
from hoopx_broker.terms.errors import Unreachable
from hoopx_cli.durations import spoken
from hoopx_cli.inert import width
from hoopx_cli.output import Output
from hoopx_cli.session import Session

# The line counts minutes; a second is soon enough for a new connection to show.
STATUS_SECONDS = 1
# Time enough to find somebody who agrees to more of it, and to end what one is about.
WARN_AT = (300, 60)


class Kept(Protocol):
    """A session that somebody stands by."""

    @property
    def session(self) -> Session: ...

    def told(self) -> str:
        """How it is used, for the live line."""

    async def close(self) -> None:
        """End it, and whatever serves it here."""


class Piece(Struct, frozen=True):
    """A part of the live line. The one of the highest rank is left out first; those of rank 0 stay."""

    rank: int
    text: str
    short: str = ""


class Warnings:
    """Tells of each session's end ahead, once for each of `WARN_AT`; anew where it was given more time."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._told: dict[str, int] = {}

    def look(self, session: Session, now: float) -> None:
        opened, left = session.opened, session.expires_at - now
        due = sum(left < each for each in WARN_AT)
        if due > self._told.get(opened.session, 0):
            hint = f"hoopx request {opened.target} --extend {opened.session} --for 30m"
            self._out.say(f"{opened.target}: {spoken(left)} left; to ask for more: {hint}")
        self._told[opened.session] = due


async def watch(out: Output, kept: Sequence[Kept]) -> int:
    """Until the last of them has ended. Raises `Unreachable` where the broker was lost."""
    warnings, lost = Warnings(out), False
    live = {asyncio.ensure_future(one.session.over()): one for one in kept}
    while live:
        now = time.time()
        for one in live.values():
            warnings.look(one.session, now)
        out.status(line_of(list(live.values()), now, out.status_room))
        done, _ = await asyncio.wait(live, timeout=STATUS_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for over in done:
            one = live.pop(over)
            lost |= _tell_end(out, one, await over, is_only=len(kept) == 1)
            await one.close()
    out.status("")
    if lost:
        raise Unreachable("the broker was lost; it ends the session by itself", "connect again when it is back")
    return 0


async def warn_of_end(out: Output, kept: Sequence[Kept]) -> None:
    """The warnings alone, where the terminal is a child's. Runs until it is cancelled."""
    warnings = Warnings(out)
    while True:
        for one in kept:
            warnings.look(one.session, time.time())
        await asyncio.sleep(STATUS_SECONDS)


def line_of(kept: Sequence[Kept], now: float, room: int | None) -> str:
    """As much of it as fits into `room` columns."""
    return fitting(list(_pieces(kept, now)), room)


def fitting(pieces: Sequence[Piece], room: int | None) -> str:
    full = _joined(piece.text for piece in pieces)
    if room is None or width(full) <= room:
        return full
    left = sorted(pieces, key=lambda piece: piece.rank)
    shown = [piece for piece in pieces if piece is not left[-1]]
    while True:
        line = _joined(piece.short or piece.text for piece in shown)
        left = sorted(shown, key=lambda piece: piece.rank)
        if width(line) <= room or not left or not left[-1].rank:
            return line
        shown = [piece for piece in shown if piece is not left[-1]]


def _pieces(kept: Sequence[Kept], now: float) -> Iterable[Piece]:
    sessions = [one.session for one in kept]
    first = min(sessions, key=lambda session: session.expires_at)
    if any(session.is_glass for session in sessions):
        yield Piece(0, "GLASS BROKEN")
    names = ", ".join(session.opened.target for session in sessions)
    yield Piece(0, names, names if len(kept) == 1 else f"{len(kept)} sessions")
    if any(session.is_lost for session in sessions):
        yield Piece(0, "looking for the broker", "broker lost")
    yield Piece(5, ", ".join(one.told() for one in kept))
    yield from _counted(_sum(session.counts for session in sessions))
    left = spoken(first.expires_at - now)
    yield Piece(0, f"{left} left" + (f" with {first.opened.target}" if len(kept) > 1 else ""), left)
    yield Piece(6, "Ctrl-C ends")


def _counted(counts: Counts) -> Iterable[Piece]:
    one = "statement" if counts.statements == 1 else "statements"
    named = ((3, counts.statements, one), (1, counts.denied, "denied"), (4, counts.masked, "masked"))
    yield from (Piece(rank, f"{number} {name}") for rank, number, name in named if number)
    if counts.waiting:
        yield Piece(0, f"{counts.waiting} waiting")


def _sum(each: Iterable[Counts]) -> Counts:
    rows = [(one.statements, one.denied, one.masked, one.waiting) for one in each]
    return Counts(*(sum(column) for column in zip(*rows, strict=True)))


def _joined(texts: Iterable[str]) -> str:
    return " · ".join(text for text in texts if text)


def _tell_end(out: Output, one: Kept, ended: Ended | None, *, is_only: bool) -> bool:
    """Whether the broker was lost."""
    target = one.session.opened.target
    if ended is not None:
        out.insist(f"the session{'' if is_only else f' with `{target}`'} ended: {ended.reason}")
    elif not is_only:
        out.insist(f"the session with `{target}` ended: the broker was lost")
    return ended is None
