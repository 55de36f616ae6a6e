"""One recording, held against the log and, where it is at hand, the state: proved, explained, or suspect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from hoopx_broker.evidence import proving
from hoopx_broker.evidence.findings import Findings
from hoopx_broker.evidence.learned import LogSeen, Recorded, Sealed
from hoopx_broker.evidence.proving import Progress
from hoopx_broker.evidence.seen import Seen
from hoopx_broker.evidence.shelves import Lying, Shelves
from hoopx_broker.evidence.trusted import Trusted
from hoopx_broker.recording.failures import BrokenEvidence, TornEnd, Unsealed
from hoopx_broker.recording.verify import Proof
from hoopx_broker.seams.store import NotStored, StoreFailed
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.tlog.notes import Verifier

# From the end of a session to its seal in the log, and between clocks that do not run alike.
GRACE = 3_600.0
# A session may be extended, but not beyond this after its opening (`session/extending.py`).
LONGEST = 24 * 3_600.0
# From the row of a session to the file of its recording.
_BEGINNING = 60.0


class Counts(Struct):
    """Of recordings. `proved` by the log; `older` than the log and `later` than its checkpoint, by their seal alone.

    `running` have no seal yet, the oldest since `running_since`. `deleted` by `hoopx audit gc`. `elsewhere` are on
    disks of other brokers. Of all that were looked at, `spooled` are not in the store yet.
    """

    proved: int = 0
    older: int = 0
    later: int = 0
    running: int = 0
    running_since: float = 0.0
    deleted: int = 0
    elsewhere: int = 0
    spooled: int = 0


class Suspect(Struct, frozen=True):
    """Something is wrong with this recording, by the log and the state as they were looked at."""

    session: str
    kind: str
    what: str


class Bench(Struct, frozen=True):
    """What all are examined with. `now` gives the time; where there is no state, the newest leaf does."""

    shelves: Shelves
    trusted: Trusted
    counts: Counts
    found: Findings  # for remarks
    progress: Progress
    now: Callable[[], float]
    quick: bool


class Examination:
    """One recording, by one look at log and state."""

    def __init__(self, bench: Bench, log: LogSeen, seen: Seen | None, session: str) -> None:
        self._bench = bench
        self._counts = bench.counts
        self._log = log
        self._seen = seen
        self._session = session
        self._one = log.sessions.get(session) or Recorded()

    # It is not there.

    def gone(self) -> Suspect | None:
        """Only its deletion in the log explains that, or that it is on the disk of another broker."""
        one, seen = self._one, self._seen
        if one.deletion is not None:
            if why := one.wrong_deletion():
                return self._suspect("recording deleted", f"`{self._session}` was deleted {why}, says the log")
            self._counts.deleted += 1
        elif seen is not None and self._session in seen.elsewhere and not one.store:
            self._counts.elsewhere += 1
            self._remark("elsewhere", f"`{self._session}` is on the disk of another broker: audit it there")
        elif one.sealed is not None:
            went = f"; it went to `{one.store}`" if one.store else ""
            return self._suspect(
                "recording missing", f"the log has the seal of `{self._session}`, and its recording is not here{went}"
            )
        elif one.opened_at is not None or one.broken:
            return self._never_sealed(one)
        elif seen is not None and (row := seen.unlogged.get(self._session)) is not None:
            if self._is_new(row.opened_at):
                return self._suspect(
                    "session unknown",
                    f"the state has `{self._session}`, opened {_spoken(row.opened_at)}; the log has not",
                )
            self._remark("older session", f"`{self._session}` is older than the log, and its recording is not here")
        return None

    def _never_sealed(self, one: Recorded) -> Suspect | None:
        if one.is_refused and not one.broken:
            return None  # it failed while it opened, before there was a recording
        seen = self._seen
        if seen is not None and self._session in seen.open and not one.broken:
            row = seen.open[self._session]
            if row.opened_at + _BEGINNING > self._time():
                return None  # its file is about to be made
            return self._suspect(
                "recording missing", f"session `{self._session}` is open, and its recording is not here"
            )
        why = f" ({one.broken})" if one.broken else ""
        return self._suspect(
            "recording missing",
            f"session `{self._session}` was opened and never sealed, and its recording is not here{why}",
        )

    # It is there.

    async def there(self, lying: Lying) -> Suspect | None:
        try:
            return await self._looked_at(lying)
        except NotStored:
            moved = await self._bench.shelves.find(self._session)
            return await self._tried(moved) if moved is not None else self.gone()
        except HoopxError as error:
            return self._unreadable(lying, error)

    async def _tried(self, lying: Lying) -> Suspect | None:
        try:
            return await self._looked_at(lying)
        except HoopxError as error:
            return self._unreadable(lying, error)

    def _unreadable(self, lying: Lying, error: HoopxError) -> Suspect:
        what = error.message if isinstance(error, (BrokenEvidence, StoreFailed)) else f"cannot be read: {error.message}"
        return self._suspect("recording changed", f"`{lying.name}`: {what}")

    async def _looked_at(self, lying: Lying) -> Suspect | None:
        sealed = self._one.sealed
        if sealed is None:
            return await self._without_leaf(lying)
        keys = self._keys_of(sealed)
        wrong = (
            await self._ends_wrong(lying, sealed, keys) if self._bench.quick else await self._wrong(lying, sealed, keys)
        )
        if wrong is not None:
            return wrong
        if self._one.deletion is not None:
            self._remark("deleted and here", f"the log has the deletion of `{self._session}`, which is still here")
        self._counts.proved += 1
        return None

    async def _wrong(self, lying: Lying, sealed: Sealed, keys: Sequence[Verifier]) -> Suspect | None:
        proof, _ = await proving.proved(lying, keys, self._bench.progress)
        if proof.session != self._session:
            return self._swapped(proof.session)
        return self._other() if proof.root != sealed.root else None

    async def _ends_wrong(self, lying: Lying, sealed: Sealed, keys: Sequence[Verifier]) -> Suspect | None:
        """By its size, its head and its seal."""
        if sealed.bytes is not None and sealed.bytes != lying.size:
            return self._suspect(
                "recording changed", f"`{lying.name}` has {lying.size} bytes; its seal is over {sealed.bytes}"
            )
        session, told = await proving.ends(lying, keys)
        if self._session not in (session, told.session) or session != told.session:
            return self._swapped(session if session != self._session else told.session)
        facts = {name: getattr(sealed, name) for name in ("root", "format", "entries", "blocks", "unfinished")}
        differs = any(fact is not None and fact != getattr(told, name) for name, fact in facts.items())
        return self._other() if differs or sealed.root is None else None

    async def _without_leaf(self, lying: Lying) -> Suspect | None:
        """The log has no seal of it: it runs, or was sealed after the checkpoint, or is older than the log."""
        is_known = self._one.opened_at is not None or self._is_in_state()
        try:
            proof, key = await proving.proved(lying, self._keys_without_leaf(is_known), self._bench.progress)
        except (Unsealed, TornEnd):
            return self._unsealed(is_known)
        if proof.session != self._session:
            return self._swapped(proof.session)
        return self._later(proof) if is_known else self._older(proof, key)

    def _keys_without_leaf(self, is_known: bool) -> Sequence[Verifier]:
        """An older key counts for what it sealed only where the seal is noted: a stolen one could make others."""
        seen, trusted = self._seen, self._bench.trusted
        if seen is None or not is_known:
            return trusted.signers
        return trusted.sealers if self._session in seen.pending else trusted.writers

    def _is_in_state(self) -> bool:
        seen = self._seen
        return seen is not None and (self._session in seen.open or self._session in seen.pending)

    def _unsealed(self, is_known: bool) -> Suspect | None:
        name, one, seen = f"`{self._session}`", self._one, self._seen
        if not is_known:
            return self._suspect("recording unknown", f"{name} is not in the log, and has no seal")
        if one.broken:
            return self._suspect("recording not sealed", f"{name} could not be sealed: {one.broken}")
        row = seen.open.get(self._session) if seen is not None else None
        if seen is not None and row is None:
            return self._suspect(
                "recording not sealed", f"{name} is over, says the state, and its recording has no seal"
            )
        opened_at = one.opened_at if one.opened_at is not None else row.opened_at if row is not None else 0.0
        latest = row.expires_at if row is not None else max(one.until, opened_at + LONGEST)
        if latest + GRACE < self._time():
            return self._suspect(
                "recording not sealed",
                f"{name} was over at {_spoken(latest)} at the latest, and nobody has sealed its recording: "
                "the next start of its broker does",
            )
        counts = self._counts
        counts.running += 1
        counts.running_since = min(counts.running_since or opened_at, opened_at)
        return None

    def _later(self, proof: Proof) -> Suspect | None:
        """Its seal came after the checkpoint, or did not get there."""
        seen, name = self._seen, f"`{self._session}`"
        if seen is None:
            if proof.ended_at + GRACE < self._log.newest_at:
                ended, newest = _spoken(proof.ended_at), _spoken(self._log.newest_at)
                return self._suspect(
                    "seal not logged", f"{name} ended at {ended}; the log goes on to {newest}, without its seal"
                )
        elif self._session in seen.pending:
            if seen.pending[self._session] != proof.root:
                return self._other()
        elif self._session not in seen.open:
            return self._suspect("seal not logged", f"{name} is over, says the state; the log has not its seal")
        self._counts.later += 1
        return None

    def _older(self, proof: Proof, key: Verifier) -> Suspect | None:
        """Nothing but its seal speaks for it; nothing may speak against it."""
        log, seen, why = self._log, self._seen, ""
        row = seen.unlogged.get(self._session) if seen is not None else None
        if log.started_at is None:
            why = "and the log does not say when it was begun"
        elif proof.ended_at > log.newest_at:
            why = f"and ended at {_spoken(proof.ended_at)}, after all in it: was it copied later than the log?"
        elif not 0 < proof.ended_at < log.started_at:
            why = f"which was begun before it ended, at {_spoken(proof.ended_at)}"
        elif key not in self._bench.trusted.beginners(log.started_key):
            why = "and was sealed by a key that came after the log was begun"
        elif seen is not None and row is None:
            why = "nor in the state"
        elif row is not None and (row.state == "open" or row.opened_at >= log.started_at):
            why = "and by the state it is no older than the log"
        elif row is not None and not proof.encrypted and (row.user, row.target) != (proof.user, proof.target):
            why = f"and the state has it as one of `{row.user}` on `{row.target}`"
        if why:
            return self._suspect("recording unknown", f"`{self._session}` is not in the log, {why}")
        self._counts.older += 1
        return None

    # Words and times.

    def _remark(self, kind: str, what: str) -> None:
        self._bench.found.remark(kind, what)

    def _suspect(self, kind: str, what: str) -> Suspect:
        return Suspect(self._session, kind, what)

    def _swapped(self, other: str) -> Suspect:
        return self._suspect("recording swapped", f"`{self._session}.hoopx` holds the recording of `{other}`")

    def _other(self) -> Suspect:
        return self._suspect(
            "recording changed", f"`{self._session}.hoopx` is not the one whose seal is in the log: its root differs"
        )

    def _keys_of(self, sealed: Sealed) -> Sequence[Verifier]:
        """The one that the log names, also an older one: the log has this very seal."""
        sealers = self._bench.trusted.sealers
        return [key for key in sealers if key.key_id.hex() == sealed.key] or sealers

    def _time(self) -> float:
        return self._bench.now() if self._seen is not None else self._log.newest_at

    def _is_new(self, opened_at: float) -> bool:
        return self._log.started_at is not None and opened_at >= self._log.started_at


def _spoken(at: float) -> str:
    """As far as it is a time at all: who changes files may write any number."""
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "no time that there is"
