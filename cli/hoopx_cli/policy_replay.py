"""Judge recorded sessions by other policies: what would have come out otherwise, and what cannot be told for sure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import BinaryIO, Literal

from msgspec import Struct, structs

from hoopx_broker.policy.facts.sql import read
from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.scenery import resolved
from hoopx_broker.recording.outcomes import Fold, Ran
from hoopx_broker.recording.replay import Moment, moments
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.terms.entries import Opened
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.facts import StatementFacts, Unreadable
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling
from hoopx_broker.terms.targets import ColumnName, Target
from hoopx_cli.scene import whole_minute

Says = Literal["allow", "deny", "ask"]
# Statements whose reading is kept: sessions repeat themselves.
_READ = 1_024
# What decides by the catalog or by what the server knew, and is no rule of a policy.
_STAGES = frozenset({"parse", "judge", "mask", "record"})


class Outcome(Struct, frozen=True):
    """What policy said, or says: `rules` decided it. `masked` are the columns hidden in what it reads."""

    says: Says
    rules: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()


class Judged(Struct, frozen=True):
    """One question of a session: its opening (`name` is empty), or a statement. `text` is as it was sent.

    `in_doubt` says what the target's catalog, which is not here, would have to tell: then a difference from what was
    recorded may come from that alone.
    """

    session: str
    user: str
    target: str
    name: str
    text: str
    then: Outcome
    now: Outcome
    in_doubt: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        return self.then.says != self.now.says or self.then.masked != self.now.masked


class Bench(Struct, frozen=True):
    """Who judges: by the policies `now`, and by those of `then` where they are at hand; without, as it was recorded.

    `target` gives a session's target with its labels and classes, as far as they are known.
    """

    now: CedarJudge
    then: CedarJudge | None
    target: Callable[[Opened], Target]


class Tally:
    """How many were judged, and what came of them."""

    def __init__(self) -> None:
        self.sessions = 0
        self.statements = 0
        self.unsure = 0
        self.changes: Counter[str] = Counter()
        self.in_doubt: Counter[str] = Counter()

    def take(self, judged: Judged) -> None:
        self.statements += bool(judged.name)
        self.unsure += bool(judged.in_doubt)
        for change in changes(judged):
            (self.in_doubt if judged.in_doubt else self.changes)[change] += 1


def changes(judged: Judged) -> Iterator[str]:
    """What became of it: `allow to deny`, `masks more`, …"""
    if judged.then.says != judged.now.says:
        yield f"{judged.then.says} to {judged.now.says}"
    then, now = set(judged.then.masked), set(judged.now.masked)
    if now - then:
        yield "masks more"
    if then - now:
        yield "masks less"


def judge_session(bench: Bench, file: BinaryIO, told: Iterator[Moment] | None = None) -> Iterator[Judged]:
    """The opening, then each statement as it ended. Raises `BrokenEvidence` where the recording does not hold."""
    fold = Fold()
    session: _Session | None = None
    for seconds, entry in told or moments(file):
        if isinstance(entry, Opened):
            session = _Session(bench, entry)
            yield session.opening()
        for ran in fold.take(seconds, entry):
            if session is not None and (judged := session.statement(ran)) is not None:
                yield judged
    for ran in fold.rest():
        if session is not None and (judged := session.statement(ran)) is not None:
            yield judged
    if session is None:
        raise BadInput("the recording is empty", "name another one")


class _Session:
    """Asks what a broker would have asked, as of when it was asked."""

    def __init__(self, bench: Bench, opened: Opened) -> None:
        self._bench, self._opened = bench, opened
        self._target = bench.target(opened)

    def opening(self) -> Judged:
        opened = self._opened
        length = int(opened.expires_at - opened.opened_at)
        given = structs.replace(self._given(opened.opened_at), duration=length)
        now = _outcome(self._bench.now.opening(opened.principal, self._target, given))
        if self._bench.then is not None:
            then = _outcome(self._bench.then.opening(opened.principal, self._target, given))
        else:
            then = Outcome("ask" if opened.request or opened.glass else "allow", opened.rules)
        return self._judged("", "", then, now, ())

    def statement(self, ran: Ran) -> Judged | None:
        """None for what has no text: it runs what SQL prepared under a name, and is judged where that was prepared."""
        if not (ran.has_text and (ran.text or ran.ruling)):
            return None
        given = structs.replace(
            self._given(ran.at), parameters=ran.parameters, pending=ran.is_prepared and not ran.parameters
        )
        facts = _facts(ran.text, tuple(self._target.classify))
        now = self._ruled(self._bench.now, facts, given)
        if self._bench.then is not None:
            return self._judged(ran.stream, ran.text, self._ruled(self._bench.then, facts, given), now, (), ran.n)
        says: Says = "ask" if ran.asked else "deny" if ran.ruling == "deny" else "allow"
        then = Outcome(says, ran.rules, self._comparable(ran, facts) if says == "allow" else ())
        if not ran.ruling or says != "allow":  # a run has no masks of its own in the recording
            now = structs.replace(now, masked=then.masked)
        return self._judged(ran.stream, ran.text, then, now, self._doubts(ran, facts), ran.n)

    def _ruled(self, judge: CedarJudge, facts: _Facts, given: Circumstances) -> Outcome:
        if facts is None:
            return Outcome("deny", ("parse",))
        ruling = judge.statements(self._opened.principal, self._target, facts, given)
        hidden = frozenset(ruling.masks) if isinstance(ruling, Allow) else frozenset()
        return _outcome(ruling, tuple(sorted(map(str, hidden & _read_in(facts, self._target)))))

    def _comparable(self, ran: Ran, facts: _Facts) -> tuple[str, ...]:
        """Recorded masks name all that was hidden in the session: here it is what the statement reads of them."""
        within = {str(column) for column in (_read_in(facts, self._target) if facts is not None else ())}
        return tuple(sorted(within & set(ran.masked)))

    def _doubts(self, ran: Ran, facts: _Facts) -> tuple[str, ...]:
        """Only a catalog knows what a function does and what lies behind a view; then it had one."""
        if facts is None:
            return ()
        doubtful = sorted({f"function {name}" for one in facts for name in one.doubtful})
        stage = [f"the broker refused it by itself: {rule}" for rule in ran.rules if rule in _STAGES]
        indirect = ["it runs what was prepared or declared elsewhere" for one in facts if one.indirect is not None]
        known = {str(table) for table in ran.tables}
        seen = {f"{use.schema or 'public'}.{use.name}" for one in facts for use in one.tables}
        behind = [f"table {name}" for name in sorted(known - seen)] if known else []
        return tuple(dict.fromkeys([*doubtful, *stage, *indirect, *behind]))

    def _judged(
        self, stream: str, text: str, then: Outcome, now: Outcome, in_doubt: tuple[str, ...], n: int = 0
    ) -> Judged:
        opened = self._opened
        name = f"{stream}#{n}" if stream else ""
        return Judged(opened.session, opened.principal.user, opened.target, name, text, then, now, in_doubt)

    def _given(self, at: float) -> Circumstances:
        """Without what people agreed to: whether they would be asked is the question."""
        return Circumstances(whole_minute(at), self._opened.reason, self._opened.ticket)


_Facts = tuple[StatementFacts, ...] | None


@lru_cache(_READ)
def _facts(text: str, classified: tuple[ColumnName, ...]) -> _Facts:
    """None for what cannot be read."""
    reading = read(text.encode(errors="backslashreplace"))
    return None if isinstance(reading, Unreadable) else resolved(reading, classified=classified)


def _read_in(facts: Sequence[StatementFacts], target: Target) -> frozenset[ColumnName]:
    """The classified columns that the statements read, as far as the grammar tells."""
    read_here = {
        (use.schema or "public", use.table, use.column) for one in facts for use in one.columns if use.action == "read"
    }
    whole = {(use.schema or "public", use.name) for one in facts if one.whole_rows for use in one.tables}
    return frozenset(
        column
        for column in target.classify
        if (column.schema, column.table, column.column) in read_here
        or (column.schema, column.table, "*") in read_here
        or (column.schema, column.table) in whole
    )


def _outcome(ruling: Ruling, masked: tuple[str, ...] = ()) -> Outcome:
    match ruling:
        case Allow():
            return Outcome("allow", ruling.rules, masked)
        case Ask():
            return Outcome("ask", ruling.rules)
        case Deny():
            return Outcome("deny", (ruling.rule,))
