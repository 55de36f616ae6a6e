"""What the leaves of the log say of sessions, their recordings and requests: what an audit then looks for."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct, field

from hoopx_broker.evidence.findings import Findings
from hoopx_broker.evidence.levels import Levels
from hoopx_broker.terms.audit import Event
from hoopx_broker.tlog.checkpoints import Checkpoint

T = TypeVar("T")


class Sealed(Struct, frozen=True):
    """A leaf `session.sealed`; what it does not say is None."""

    index: int
    at: float
    root: str | None
    key: str | None
    format: int | None
    entries: int | None
    blocks: int | None
    bytes: int | None
    unfinished: bool | None


class Deletion(Struct, frozen=True):
    """A leaf `recording.deleted`; `holds` were in force before it."""

    index: int
    at: float
    by: str
    sealed_at: float | None
    kept_until: float | None
    holds: tuple[str, ...]


class Recorded(Struct):
    """All about the recording of one session. `opened_at` is None where the log has no opening."""

    opened_at: float | None = None
    until: float = 0.0
    sealed: Sealed | None = None
    deletion: Deletion | None = None
    is_refused: bool = False
    broken: str = ""
    store: str = ""
    stored_until: float = 0.0
    holds: tuple[str, ...] = ()

    def wrong_deletion(self) -> str:
        """Why its deletion is none that `hoopx audit gc` makes; empty where it is one, or there is none."""
        gone, sealed = self.deletion, self.sealed
        if gone is None:
            return ""
        if sealed is None or gone.index < sealed.index:
            return "before the log had its seal"
        if gone.holds:
            return f"while it was held (`{gone.holds[0]}`)"
        if gone.kept_until is None or gone.at < max(gone.kept_until, self.stored_until):
            return "before its time was over"
        if gone.sealed_at != sealed.at:
            return "as if it had been sealed at another time"
        return "" if gone.by else "by nobody"


class LogSeen(Struct):
    """The log as its bundles have it: `levels` of all leaves, and what they say.

    `started_at` and `started_key` are of its beginning, `newest_at` is the latest time that any leaf tells.
    `links` are those of the journal of requests, with the numbers of their entries.
    """

    checkpoint: Checkpoint
    levels: Levels
    sessions: dict[str, Recorded] = field(default_factory=dict)
    started_at: float | None = None
    started_key: str = ""
    newest_at: float = 0.0
    links: dict[str, int | None] = field(default_factory=dict)
    is_behind: bool = False  # the store's checkpoint is an older one than the state's

    @property
    def is_whole(self) -> bool:
        return self.levels.size == self.checkpoint.size

    @property
    def holds(self) -> bool:
        """All leaves are here, and give the root that was signed."""
        return self.is_whole and self.levels.root(self.checkpoint.size) == self.checkpoint.root

    def learn(self, index: int, event: Event, found: Findings) -> None:
        self.newest_at = max(self.newest_at, event.at)
        subject, _, what = event.type.partition(".")
        if event.type == "log.started" and self.started_at is None:
            # Another one, later, would make recordings older that are not.
            self.started_at, self.started_key = event.at, _fact(event, "key", str) or ""
        elif subject == "request" and (link := _fact(event, "chain", str)):
            self.links[link] = _fact(event, "number", int)
        elif subject in ("session", "recording") and event.session and what in _TOLD:
            self._learn_recording(index, what, event, found)

    def _learn_recording(self, index: int, what: str, event: Event, found: Findings) -> None:
        one = self.sessions.setdefault(event.session, Recorded())
        match what:
            case "opened":
                one.opened_at, one.until = event.at, _time(event, "until") or 0.0
            case "refused":
                one.is_refused = True
            case "sealed" if one.sealed is not None:
                found.add("two seals", f"leaf {index} of the log is a second seal of `{event.session}`")
            case "sealed":
                one.sealed = _sealed(index, event)
            case "broken":
                one.broken = _fact(event, "why", str) or "it could not be sealed"
            case "stored":
                one.store, one.stored_until = _fact(event, "store", str) or "", _time(event, "kept_until") or 0.0
            case "held":
                one.holds = (*one.holds, _fact(event, "hold", str) or "")
            case "released":
                one.holds = tuple(hold for hold in one.holds if hold != _fact(event, "hold", str))
            case "deleted" if one.deletion is None:
                times = _time(event, "sealed_at"), _time(event, "kept_until")
                one.deletion = Deletion(index, event.at, event.by, *times, one.holds)


_TOLD = frozenset({"opened", "refused", "sealed", "broken", "stored", "held", "released", "deleted"})


def _sealed(index: int, event: Event) -> Sealed:
    return Sealed(
        index,
        event.at,
        root=_fact(event, "root", str),
        key=_fact(event, "key", str),
        format=_fact(event, "format", int),
        entries=_fact(event, "entries", int),
        blocks=_fact(event, "blocks", int),
        bytes=_fact(event, "bytes", int),
        unfinished=_fact(event, "unfinished", bool),
    )


def _fact(event: Event, name: str, kind: type[T]) -> T | None:
    value = event.facts.get(name)
    return value if type(value) is kind else None


def _time(event: Event, name: str) -> float | None:
    value = event.facts.get(name)
    return float(value) if type(value) in (int, float) else None  # type: ignore[arg-type]
