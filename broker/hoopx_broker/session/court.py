"""Rule on the statements of one session: facts, judge, mask plan, and people where a rule wants them asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec
from msgspec import Struct

from hoopx_broker.masking.plan import OPEN, Plan
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.seams.judge import Judge as Policy
from hoopx_broker.session import parameters
from hoopx_broker.session.bearings import Compass, may_relex
from hoopx_broker.session.granted import Granted
from hoopx_broker.session.ground import Ground, ReadCatalog
from hoopx_broker.session.memory import MAX_REMEMBERED, Memories, Memory
from hoopx_broker.session.plea import Agreed, AskPeople, Plea, Say
from hoopx_broker.session.prepared import PreparedStatements
from hoopx_broker.session.reader import Facts, StatementReader
from hoopx_broker.session.sight import Sight, introduction, sight
from hoopx_broker.session.structure import Structure
from hoopx_broker.session.unmasked import Unmasked
from hoopx_broker.terms.catalog import Catalog
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.facts import FunctionName, Unreadable, touched_by
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny
from hoopx_broker.terms.targets import Target
from hoopx_broker.wire.effects import Judge, Passage

# Gives the function of an oid, or None where there is none.
FindFunction = Callable[[int], Awaitable[FunctionName | None]]

# An approval is for one run with known values.
_PREPARES = Deny(
    "a statement that needs an approval cannot be prepared by SQL, to be run many times with other values",
    "judge",
    "send the statement itself, or let the driver prepare it",
)
_CHANGED = "what it would do was changed while people decided about it"
_OTHER_POLICY = "the policy was changed while people decided about it"


class Start(Struct, frozen=True):
    """How connections of the session's login begin: their search path, as the server writes it, and their user."""

    search_path: str | None = None
    user: str = ""


class Bench(Struct, frozen=True):
    """What a court needs from outside. `judge` is asked anew each time, so that a changed policy holds at once."""

    judge: Callable[[], Policy]
    reader: StatementReader
    read_catalog: ReadCatalog
    ask_people: AskPeople
    ground: Ground
    clock: Callable[[], float] = time.time
    # One statement of a person is read at a time: the readers are for everybody.
    turn: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)
    find_function: FindFunction | None = None


class Era(Struct, frozen=True):
    """As long as nothing of this changes, a ruling holds. `minute` is what policy knows of the time.

    `unmaskings` counts how often approvals to see classes raw began or ended in this session.
    """

    minute: int
    policy: str
    changes: int
    unmaskings: int


class Court:
    """Rules on the streams of one session, and remembers its rulings for one era."""

    def __init__(
        self,
        bench: Bench,
        who: Principal,
        target: Target,
        catalog: Catalog,
        start: Start = Start(),
        reason: str = "",
        ticket: str = "",
    ) -> None:
        self._bench = bench
        self._who = who
        self._configured = target
        self._reason = reason
        self._ticket = ticket
        self._take(catalog)
        self._start = start
        self._own_changes = self._own_changes_seen = 0
        self.memories = Memories()
        self._unmasked = Unmasked()
        self._unmaskings = 0
        self._is_introduced = False
        self._era = self._now()
        self._catalog_as_of = self._era
        self._functions: dict[int, FunctionName] = {}
        # For the answer, and for what keeps values: what an approval shows may be seen, and never stored.
        self._seen = self._kept = Sight()
        # For an answer whose statement is not known: all that may be hidden is, whatever approvals show.
        self.doubt: Plan = OPEN
        self._look_up_hidden()

    @property
    def masked(self) -> tuple[str, ...]:
        """The hidden columns, for people to read."""
        return tuple(str(column) for column in self._seen.columns)

    @property
    def classified(self) -> dict[str, str]:
        """Every classified column with its class, for people to read."""
        return {str(column): kind for column, kind in self._target.classify.items()}

    def hear(self) -> Hearing:
        """A new stream comes before the court."""
        return Hearing(self, Compass(self._start.search_path, self._start.user))

    def unmask(self, unmasked: Unmasked) -> None:
        """From now on what these approvals show is seen raw, each until its time is over, and nothing else is."""
        self._unmasked = unmasked
        self._unmaskings += 1
        self._enter(self._now())

    def shows(self, unmasked: Unmasked, beyond: Unmasked = Unmasked()) -> bool:
        """Whether by these approvals anything would be seen that is hidden by the others."""
        return unmasked.shows_beyond(beyond, self._bench.judge(), self._who, self._target)

    def _now(self) -> Era:
        now = self._bench.clock()
        if now >= self._unmasked.until:
            self._unmasked = self._unmasked.at(now)
            self._unmaskings += 1
        changes = self._bench.ground.changes + self._own_changes
        return Era(int(now) // 60, self._bench.judge().version, changes, self._unmaskings)

    def _take(self, catalog: Catalog) -> None:
        """What the database says of its columns counts where the configuration says nothing of them."""
        self._catalog = catalog
        classes = {**catalog.labelled, **self._configured.classify}
        self._target = msgspec.structs.replace(self._configured, classify=classes)

    def _look_up_hidden(self) -> None:
        seen = (self._bench.judge(), self._who, self._target, self._catalog)
        self._kept = sight(*seen, before=self._kept)
        self._seen = sight(*seen, self._unmasked, self._seen) if self._unmasked.holding else self._kept
        self.doubt = self._kept.doubt

    def introduction(self, plan: Plan) -> tuple[str, str] | None:
        """What is masked here and how to ask, with the first answer of the session in which something is."""
        if self._is_introduced or not plan.is_masking:
            return None
        self._is_introduced = True
        now = Circumstances(int(self._bench.clock()) // 60 * 60, self._reason, self._ticket)
        return introduction(self._bench.judge(), self._who, self._target, self._seen, now)

    def known(self, asked: Judge, hearing: Hearing) -> Passage | Deny | None:
        """The remembered ruling, if there is one that still holds. This is the hot path."""
        self._enter(self._now())
        if self._is_about_values(asked) or hearing.structure.is_turned:
            return None
        return hearing.recall(asked.text)

    def _is_about_values(self, asked: Judge) -> bool:
        """May the ruling be another one for other parameters, or once there are some?"""
        return (bool(asked.parameters) or not asked.executes) and self._bench.judge().asks_parameters

    def _enter(self, era: Era) -> None:
        if era == self._era:
            return
        if (era.policy, era.unmaskings) != (self._era.policy, self._era.unmaskings):
            self._look_up_hidden()
        self._era = era
        self.memories = Memories()

    async def function(self, oid: int) -> FunctionName | None:
        """The function of this oid, as the catalog has it now. Raises `BackendFailed`."""
        if oid not in self._functions and self._bench.find_function is not None:
            found = await self._bench.find_function(oid)
            if found is None or len(self._functions) >= MAX_REMEMBERED:
                return found
            self._functions[oid] = found
        return self._functions.get(oid)

    async def rule(self, asked: Judge, say: Say, hearing: Hearing) -> Passage | Deny:
        """Rule on what is not remembered. May wait for people, as long as a request lives. Raises `HoopxError`."""
        async with self._bench.turn:
            facts = await self._bench.reader.read(asked.text)
        if not hearing.structure.is_open:  # what is being changed cannot be read from another connection
            await self._refresh()
        self._enter(self._now())  # all that took its time
        if isinstance(facts, Unreadable):
            return self._remember(asked, hearing, Deny(facts.reason, "parse", "", facts.fault))
        if not facts:
            return self._remember(asked, hearing, Passage(Allow(), self.doubt))
        is_new = self._is_about_values(asked) or hearing.structure.is_turned
        ruled = None if is_new else hearing.recall_facts(facts)
        if ruled is None:
            return await self._rule_on(asked, facts, say, hearing)
        return self._remember(asked, hearing, ruled, facts)

    async def _rule_on(self, asked: Judge, facts: Facts, say: Say, hearing: Hearing) -> Passage | Deny:
        meant = hearing.prepared.meant(facts)
        if isinstance(meant, Deny):
            return msgspec.structs.replace(meant, touched=touched_by(facts))
        resolved = hearing.compass.read(facts, self._catalog)
        run = hearing.compass.read(meant, self._catalog)
        touched = touched_by((*resolved, *run))
        ruling = self._judge_run(asked, facts, (resolved, meant, run), hearing)
        if isinstance(ruling, Ask):
            answer = _PREPARES if meant else await self._ask(asked, (facts, resolved), ruling, say, hearing)
            return msgspec.structs.replace(answer, touched=touched)
        sure = run if hearing.prepared.is_sure(facts, run) else ()
        settled = self._settle(resolved, ruling, hearing, run=sure)
        if isinstance(settled, Passage):
            # As they were said, too: the server looks the names in what is prepared up again at each run.
            hearing.prepared.learn(facts, resolved)
            if not asked.executes and self._is_about_values(asked):
                settled = msgspec.structs.replace(settled, is_pending=True)
        return self._remember(asked, hearing, msgspec.structs.replace(settled, touched=touched), facts)

    def _judge_run(
        self, asked: Judge, facts: Facts, found: tuple[Facts, Facts, Facts], hearing: Hearing
    ) -> Allow | Deny | Ask:
        """`found` are these statements, what their names stand for, and that as its own names are found now.

        What people agreed to have declared is judged with that, and everything else as nobody was asked about it.
        """
        resolved, meant, run = found
        version = self._bench.judge().version
        parts: dict[frozenset[str], Facts] = {frozenset(): resolved}
        for said, now in zip(meant, run, strict=True):
            groups = hearing.prepared.agreed(facts, said, version)
            parts[groups] = (*parts.get(groups, ()), now)
        rulings = [self._judge(asked, part, groups) for groups, part in parts.items()]
        return next((each for each in rulings if not isinstance(each, Allow)), rulings[0])

    def _judge(self, asked: Judge, facts: Facts, approvals: frozenset[str]) -> Allow | Deny | Ask:
        minute = int(self._bench.clock()) // 60 * 60
        values = parameters.as_text(asked) if self._is_about_values(asked) else ()
        pending = not asked.executes
        circumstances = Circumstances(minute, self._reason, self._ticket, 0, approvals, values, pending)
        return self._bench.judge().statements(self._who, self._target, facts, circumstances, self._seen.columns)

    async def _ask(
        self, asked: Judge, both: tuple[Facts, Facts], ask: Ask, say: Say, hearing: Hearing
    ) -> Passage | Deny:
        """`both` are the facts as they were said, and as their names are found."""
        said, facts = both
        if not asked.executes:  # preparing does nothing yet; people are asked when it is run
            settled = self._settle(facts, Allow(ask.rules), hearing)
            return settled if isinstance(settled, Deny) else msgspec.structs.replace(settled, is_pending=True)
        if any(statement.kind == "prepare" for statement in facts):
            return _PREPARES

        async def changed() -> str:
            return "" if await self._read_anew(said, hearing) == facts else _CHANGED

        policy, path = self._bench.judge().version, hearing.compass.bearings.sure_path
        answer: Agreed | Deny | None = hearing.granted.take(asked, policy, self._bench.clock())
        if answer is None:
            plea = Plea(asked, ask, facts, path, say, changed, self._kept.reveals(facts))
            answer = await self._bench.ask_people(plea)
        if isinstance(answer, Deny):
            return answer
        self._enter(self._now())  # people took their time
        groups, request = answer
        if self._bench.judge().version != policy:  # which may ask for more than other groups
            return Deny(_OTHER_POLICY, ask.rules[0], "send it again, and it is asked for as it is now")
        ruling = self._judge(asked, facts, groups)
        if isinstance(ruling, Ask):
            return Deny(ruling.reason, ruling.rules[0], "the approval does not satisfy every rule that asked")
        settled = self._settle(facts, ruling, hearing, request)
        if isinstance(settled, Passage):
            hearing.granted.keep(asked, policy, self._bench.clock(), answer)
            hearing.prepared.learn(said, facts, (policy, groups))
        return settled

    async def _read_anew(self, said: Facts, hearing: Hearing) -> Facts:
        """What these statements do by the catalog as it is now. Raises `BackendFailed`."""
        if not hearing.structure.is_open:
            self._own_changes += 1  # whoever has changed it, by whatever way: nothing that was read before counts
            await self._refresh()
        return hearing.compass.read(said, self._catalog)

    def _settle(
        self, facts: Facts, ruling: Allow | Deny, hearing: Hearing, request: str | None = None, run: Facts = ()
    ) -> Passage | Deny:
        """`run` are the statements that EXECUTE and FETCH among `facts` stand for."""
        if isinstance(ruling, Deny):
            return ruling
        # What cannot be hidden is refused also where an approval shows it: that is to be seen, not kept. COPY keeps.
        turned = hearing.structure.is_turned
        kept = self._kept.plan(facts, run, is_turned=turned)
        if isinstance(kept, Deny):
            return kept
        is_shown = bool(self._unmasked.holding) and not any(statement.copy == "out" for statement in facts)
        planned = self._seen.plan(facts, run, is_turned=turned) if is_shown else kept
        if isinstance(planned, Deny):
            return planned
        self._note_changes(facts)
        hearing.compass.follow(facts)
        hearing.structure.changes(facts)
        defines = tuple(statement.defines for statement in facts if statement.defines is not None)
        runs = tuple(statement.indirect for statement in facts if statement.indirect is not None)
        relexes = any(may_relex(statement) for statement in facts)
        shows = is_shown and (kept.quiet or self._seen.finds != self._kept.finds)
        return Passage(ruling, planned, defines, request, runs, may_relex=relexes, shows_unmasked=shows)

    def _note_changes(self, facts: Facts) -> None:
        """What may change the catalog ends the era, so that what follows is read against the change."""
        if any(statement.changes_structure for statement in facts):
            self._bench.ground.changes += 1
        elif any("call" in statement.actions for statement in facts) and self._kept.hidden is not None:
            # A function may change it too. Most do not, and where nothing is hidden, only a new label would hide more:
            # that is seen within the minute.
            self._own_changes += 1

    def _remember(
        self, asked: Judge, hearing: Hearing, ruling: Passage | Deny, facts: Facts | None = None
    ) -> Passage | Deny:
        """Nothing waits between the beginning of the era and this; only what the statement itself changes ends it."""
        if self._now() == self._era and not self._is_about_values(asked) and not hearing.structure.is_turned:
            hearing.keep(asked.text, ruling, facts)
        return ruling

    def structure_changed(self) -> None:
        """What a transaction has changed is there for everybody to read."""
        self._bench.ground.changes += 1

    async def _refresh(self) -> None:
        """Look at the catalog again after a change that went through here, and once a minute for those that did not."""
        now, seen = self._now(), self._catalog_as_of
        if (now.minute, now.changes) == (seen.minute, seen.changes):
            return
        ground, read = self._bench.ground, self._bench.read_catalog
        fresh = ground.at if self._own_changes == self._own_changes_seen else ground.anew
        try:
            catalog = await fresh(now.minute, read)
        except BackendFailed:
            # A role may have all its connections in use. What is not known to have changed may wait a minute.
            if now.changes != seen.changes:
                raise
        else:
            if catalog is not self._catalog:
                self._take(catalog)
                self._functions.clear()
                self._look_up_hidden()
        self._catalog_as_of, self._own_changes_seen = now, self._own_changes


class Hearing:
    """One stream before the court of its session: what its names mean, and what was prepared on it."""

    def __init__(self, court: Court, compass: Compass) -> None:
        self._court = court
        self.compass = compass
        self.prepared = PreparedStatements()
        self.structure = Structure()
        self.granted = Granted()
        # What it shares with streams that look for names in the same way, and what its own names are in.
        self._shared: Memory | None = None
        self._own = Memory()
        self._rests_on: tuple[Memories | None, int, int] = (None, 0, 0)

    @property
    def doubt(self) -> Plan:
        """The plan for an answer whose statement is not known."""
        return self._court.doubt

    def known(self, asked: Judge) -> Passage | Deny | None:
        return self._court.known(asked, self)

    async def rule(self, asked: Judge, say: Say) -> Passage | Deny:
        """As `Court.rule`."""
        return await self._court.rule(asked, say, self)

    async def function(self, oid: int) -> FunctionName | None:
        return await self._court.function(oid)

    def transaction_ended(self) -> None:
        """The server is ready, outside of a transaction, and has answered all that it was asked."""
        if self.structure.is_open:
            self.structure = Structure()
            self._court.structure_changed()

    def introduction(self, plan: Plan) -> tuple[str, str] | None:
        """As `Court.introduction`."""
        return self._court.introduction(plan)

    def recall(self, text: bytes) -> Passage | Deny | None:
        memory = self._memory()
        return memory.by_text.get(text) or self._own.by_text.get(text) or memory.of_stencil(text)

    def recall_facts(self, facts: Facts) -> Passage | Deny | None:
        return self._memory().by_facts.get(facts) or self._own.by_facts.get(facts)

    def keep(self, text: bytes, ruling: Passage | Deny, facts: Facts | None) -> None:
        """What taught this stream something is not kept: it has to teach others too, and this one perhaps again."""
        before, memory = self._rests_on, self._memory()
        if before != self._rests_on:
            return
        named = facts is not None and any(one.defines is not None or one.indirect is not None for one in facts)
        (self._own if named else memory).keep(text, ruling, facts)

    def _memory(self) -> Memory:
        """Forgets all that rests on what has changed."""
        rests_on = (self._court.memories, self.compass.turns, self.prepared.turns)
        if self._shared is None or rests_on != self._rests_on:
            self._shared, self._own = self._court.memories.of(self.compass.bearings), Memory()
            self._rests_on = rests_on
        return self._shared
