"""Search sessions for somebody: what they may not see is left out before anything is looked for."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Mapping
from functools import partial
from typing import BinaryIO

import msgspec
from msgspec import Struct

from hoopx_broker.api.messages import SessionsFound
from hoopx_broker.daemon.requests import number
from hoopx_broker.evidence.index import Index
from hoopx_broker.evidence.marks import mark, marks_of, words
from hoopx_broker.evidence.readings import Readings
from hoopx_broker.recording.failures import Locked, TornEnd
from hoopx_broker.recording.format import Reader, is_session_id
from hoopx_broker.session.services import Services, may_view
from hoopx_broker.storage.finding import FIRST, Finding, Found, Owned, Place, Wanted
from hoopx_broker.storage.marks import Mark
from hoopx_broker.storage.sessions import STATES
from hoopx_broker.terms.errors import BadInput, HoopxError, Unknown
from hoopx_broker.terms.people import Owner, Principal

MAX_LISTED = 500
# Recordings are read where the state does not know enough. A page is then as short as what was read in this time.
READ_SECONDS = 8.0
# One recording that takes longer is not searched, and that is said: the caller would not wait for it.
LONGEST_READ_SECONDS = 25.0
MAX_WORDS = 20
_MAX_REMEMBERED = 50_000
# Rulings between which others get their turn.
_JUDGED_AT_ONCE = 100


class _Asked(Struct, frozen=True):
    """What a query asks for."""

    wanted: Wanted
    before: Place
    limit: int


class Search:
    """Answers `GET /v1/sessions`."""

    def __init__(self, services: Services, finding: Finding, index: Index, readings: Readings) -> None:
        self._services = services
        self._readings = readings
        self._finding = finding
        self._index = index
        self._seen: dict[tuple[str, Principal, str, Owner], bool] = {}

    async def listed(self, who: Principal, query: Mapping[str, str]) -> SessionsFound:
        """Raises `BadInput`."""
        asked = _asked(query)
        if asked.wanted.marks:
            await self._index.flush()
        owned = await self._finding.owners(query.get("user", ""), query.get("target", ""))
        visible = tuple([one.number for one in owned if await self._may_view(who, one)])
        everybody = len(visible) == len(owned) and not (query.get("user") or query.get("target"))
        wanted = msgspec.structs.replace(asked.wanted, owners=visible, everybody=everybody)
        return await self._search(msgspec.structs.replace(asked, wanted=wanted))

    async def _may_view(self, who: Principal, one: Owned) -> bool:
        key = (self._services.judge().version, who, one.target, one.owner)
        if (known := self._seen.get(key)) is not None:
            return known
        if len(self._seen) >= _MAX_REMEMBERED:
            self._seen.clear()
        if len(self._seen) % _JUDGED_AT_ONCE == 0:
            await asyncio.sleep(0)
        ruled = self._seen[key] = may_view(self._services, who, one.target, one.owner)
        return ruled

    async def _search(self, asked: _Asked) -> SessionsFound:
        reading = _Reading(self._readings, asked.wanted.marks)
        if asked.before == FIRST and any(each.kind == "word" for each in asked.wanted.marks):
            reading.miss("encrypted", await self._finding.count_wordless(asked.wanted))
        found: list[str] = []
        before, is_over = asked.before, False
        while len(found) < asked.limit and not is_over and not reading.is_enough:
            page = await self._finding.page(asked.wanted, before, asked.limit)
            is_over = len(page) < asked.limit
            for each in page:
                if len(found) == asked.limit or reading.is_enough:
                    is_over = False
                    break
                before = each.place
                if each.sure or await reading.holds(each):
                    found.append(each.place.id)
        next_ = "" if is_over else _written(before)
        return SessionsFound(await self._finding.views(found), next_, reading.missed)


class _Reading:
    """Looks into recordings for marks, for as long as one call may take."""

    def __init__(self, readings: Readings, marks: tuple[Mark, ...]) -> None:
        self._readings = readings
        self._marks = frozenset(marks)
        self._since = time.monotonic()
        self.missed: dict[str, int] = {}

    @property
    def is_enough(self) -> bool:
        return time.monotonic() - self._since > READ_SECONDS

    def miss(self, why: str, number: int = 1) -> None:
        if number:
            self.missed[why] = self.missed.get(why, 0) + number

    async def holds(self, found: Found) -> bool:
        """Whether all marks are in the recording; one that cannot be read is missed."""
        try:
            return await self._readings.read(found.place.id, partial(_holds, wanted=self._marks))
        except Unknown:
            self.miss("elsewhere")
        except TimeoutError:
            self.miss("slow")
        except Locked:
            self.miss("encrypted")
        except HoopxError:
            self.miss("unreadable")
        return False


def _holds(file: BinaryIO, wanted: frozenset[Mark]) -> bool:
    missing, until = set(wanted), time.monotonic() + LONGEST_READ_SECONDS
    try:
        for recorded in Reader(file):
            missing.difference_update(marks_of(recorded.entry, keeps_words=True))
            if not missing:
                return True
            if time.monotonic() > until:
                raise TimeoutError
    except TornEnd:  # it is still being written, or will be sealed soon
        return False
    return False


# What is asked.


def _asked(query: Mapping[str, str]) -> _Asked:
    if any("\0" in value for value in query.values()):
        raise BadInput("a zero byte is in nothing that can be looked for", "leave it out")
    state = query.get("state", "")
    if state and state not in STATES:
        raise BadInput(f"`{state}` is no state of a session", f"use one of {', '.join(STATES)}")
    wanted = Wanted(
        owners=(), marks=_marks(query), state=state, since=_time(query, "since", 0), until=_time(query, "until", 1e300)
    )
    limit = number(query, "limit", MAX_LISTED) or 50
    return _Asked(wanted, _read(query.get("after", "")), limit)


def _marks(query: Mapping[str, str]) -> tuple[Mark, ...]:
    names = {"table": "table", "effect": "effect", "rule": "rule", "ticket": "ticket", "request": "request"}
    found = [mark(kind, query[name]) for name, kind in names.items() if query.get(name)]  # type: ignore[arg-type]
    if approver := query.get("approved_by"):
        found.append(mark("approver", approver))
    if query.get("denied"):
        found.append(mark("ruling", "deny"))
    found += [Mark("word", word) for word in _words(query, "text")]
    found += [Mark("reason", word) for word in _words(query, "reason")]
    return tuple(dict.fromkeys(found))


def _words(query: Mapping[str, str], name: str) -> list[str]:
    """All of them are to be there. Raises `BadInput` for a text without any."""
    text = query.get(name, "")
    found = list(dict.fromkeys(words(text)))
    if text and not found:
        raise BadInput(f"`{text}` has no word to look for", "a word has two letters, digits or `_` at least")
    if len(found) > MAX_WORDS:
        raise BadInput(f"`{name}` has {len(found)} words; {MAX_WORDS} can be looked for at once", "give fewer")
    return found


def _time(query: Mapping[str, str], name: str, otherwise: float) -> float:
    text = query.get(name, "")
    if not text:
        return otherwise
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < 1e12:
        raise BadInput(f"`{name}` is no time", "give seconds since the Unix epoch")
    return seconds


# Where a page ends is told in one word, which says nothing but where a session stands that was on it.


def _written(place: Place) -> str:
    return base64.urlsafe_b64encode(f"{place.opened_at!r} {place.id}".encode()).decode().rstrip("=")


def _read(word: str) -> Place:
    if not word:
        return FIRST
    try:
        at, _, id_ = base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)).decode().partition(" ")
        place = Place(float(at), id_)
    except (binascii.Error, ValueError):
        place = Place(-1, "")
    if not (0 <= place.opened_at < 1e12 and is_session_id(place.id)):
        raise BadInput("`after` is not where a page ended", "give what `next` of the page before said")
    return place
