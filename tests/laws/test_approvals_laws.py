"""The desk against a small model: whatever people do in whatever order, it answers as the model does."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from msgspec import Struct, structs

from hoopx_broker.approvals.deciding import USE_WITHIN
from hoopx_broker.approvals.matter import Matter
from hoopx_broker.terms.approvals import Conditions
from hoopx_broker.terms.errors import HoopxError
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Ask
from tests.laws.test_approvals_quorum import can_be_seated
from tests.races.arena import ACCOUNTS, PEOPLE, PERSON_OF, REQUESTERS
from tests.unit.approvals_stage import Stage, stage

T = TypeVar("T")

WAIT = 900.0
NEEDS = ({"dba": 1}, {"dba": 2}, {"dba": 1, "security": 1})
REVIEWERS = {"security": 1, "dba": 1}
KINDS = ("session", "statement", "unmask")
voters = st.sampled_from(sorted(ACCOUNTS))


class Modelled(Struct):
    """A request as the model has it. `said` maps a person to the account and the verdict that count."""

    matter: Matter
    requester: Principal
    needs: dict[str, int]
    until: float
    state: str = "waiting"
    said: dict[str, tuple[str, str]] = {}
    review: str = ""
    reviewed: dict[str, tuple[str, str]] = {}


class DeskMachine(RuleBasedStateMachine):
    """One desk, restarted now and then; nothing in it waits."""

    requests = Bundle("requests")

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory(prefix="desk-")
        self.model: dict[str, Modelled] = {}
        self.keys: dict[tuple[str, str], str] = {}  # of whom, by their key: the request, and what it asks for
        self.asked: dict[str, str] = {}  # by request: the key
        self.now = 0.0
        self._open()
        self.now = self.stage.now

    def _open(self) -> None:
        self.stage: Stage = self.done(self.stack.enter_async_context(stage(Path(self.folder.name), PEOPLE.values())))
        self.stage.desk = self.stage.another_desk(PEOPLE.values(), f"r{len(self.model)}")
        self.stage.now = self.now or self.stage.now

    def teardown(self) -> None:
        self.done(self.stack.aclose())
        self.folder.cleanup()
        self.loop.close()

    def done(self, work: Awaitable[T]) -> T:
        async def whole() -> T:
            return await work

        return self.loop.run_until_complete(whole())

    def tried(self, work: Awaitable[T]) -> T | None:
        try:
            return self.done(work)
        except HoopxError:
            return None

    # What people do.

    @rule(
        target=requests,
        kind=st.sampled_from(KINDS),
        who=st.sampled_from(REQUESTERS),
        needs=st.sampled_from(NEEDS),
        text=st.sampled_from("ab"),
        key=st.sampled_from(["", "", "k1", "k2"]),
        glass=st.sampled_from([False, False, True]),
    )
    def ask(self, kind: Any, who: Principal, needs: dict[str, int], text: str, key: str, glass: bool) -> str:
        matter = Matter(kind, "prod-db", "v1", text, 60 if kind == "unmask" else 0)
        ruling = Ask("?", ("r",), needs, conditions=Conditions(breakers=(("oncall",),), reviewers=REVIEWERS))
        what, same = f"{matter}{glass}", self.keys.get((who.user, key)) if key else None
        if glass:
            view = self.tried(self.stage.desk.break_glass(matter, who, ruling, reason="x", key=key))
            may = who.on_behalf_of is None and same is None
        else:
            view = self.tried(self.stage.desk.ask(matter, who, ruling, reason="x", wait=WAIT, key=key))
            may = same is None or same.partition(" ")[2] == what
        assert (view is not None) == may, (same, what)
        if view is None:
            return next(iter(self.model), "r_404")
        known = self._alike(matter, who, needs, key) if not glass else None
        expected = same.partition(" ")[0] if same else known
        assert expected in (None, view.id)
        assert (view.id in self.model) == (expected is not None)
        if expected is not None:
            self._prolong(self.model[view.id])
        elif glass:
            holds = kind == "unmask"
            state, until = ("approved", self.now + 60) if holds else ("used", self.now)
            self.model[view.id] = Modelled(matter, who, needs, until, state, {}, "open", {})
        else:
            self.model[view.id] = Modelled(matter, who, needs, self.now + WAIT, said={}, reviewed={})
        if key:
            self.keys[who.user, key] = f"{view.id} {what}"
        self.asked[view.id] = key
        return view.id

    def _alike(self, matter: Matter, who: Principal, needs: dict[str, int], key: str) -> str | None:
        for request, each in self.model.items():
            same = (each.matter, each.requester, each.needs, self.asked[request]) == (matter, who, needs, key)
            if same and each.state in ("waiting", "approved") and not each.review:
                return request
        return None

    def _prolong(self, request: Modelled) -> None:
        if request.state == "waiting":
            request.until = max(request.until, self.now + WAIT)

    @rule(request=requests, who=voters, verdict=st.sampled_from(["approve", "approve", "deny"]))
    def vote(self, request: str, who: str, verdict: Any) -> None:
        view = self.tried(self.stage.desk.vote(RequestId(request), ACCOUNTS[who], verdict))
        known = self.model.get(request)
        groups = set(ACCOUNTS[who].groups)
        may = known is not None and known.state == "waiting" and PERSON_OF[who] != "Ann" and groups & set(known.needs)
        assert (view is not None) == bool(may)
        if known is None or not may or (PERSON_OF[who] in known.said and verdict == "approve"):
            return
        known.said[PERSON_OF[who]] = (who, verdict)
        if verdict == "deny":
            known.state = "denied"
        elif self._is_reached(known.needs, known.said):
            known.state = "approved"
            known.until = self.now + USE_WITHIN.get(known.matter.kind, known.matter.duration)

    @rule(request=requests, who=voters, word=st.sampled_from(["accept", "accept", "object"]))
    def review(self, request: str, who: str, word: Any) -> None:
        view = self.tried(self.stage.desk.review(RequestId(request), ACCOUNTS[who], word))
        known = self.model.get(request)
        groups = set(ACCOUNTS[who].groups)
        may = known is not None and known.review == "open" and PERSON_OF[who] != "Ann" and groups & set(REVIEWERS)
        assert (view is not None) == bool(may)
        if known is None or not may or (PERSON_OF[who] in known.reviewed and word == "accept"):
            return
        known.reviewed[PERSON_OF[who]] = (who, word)
        if word == "object":
            known.review = "objected"
        elif self._is_reached(REVIEWERS, known.reviewed):
            known.review = "accepted"

    @rule(request=requests, who=st.sampled_from(REQUESTERS), change=st.sampled_from(["", "", "policy"]))
    def spend(self, request: str, who: Principal, change: str) -> None:
        known = self.model.get(request)
        matter = known.matter if known else Matter("session", "prod-db", "v1")
        asked = structs.replace(matter, **{change: "other"}) if change else matter
        groups = self.tried(self.stage.desk.spend(RequestId(request), who, asked))
        may = known is not None and known.requester == who and not change and known.state == "approved"
        assert (groups is not None) == may
        if known is not None and may:
            assert groups == frozenset(known.needs)
            known.state = "used"

    @rule(request=requests)
    def cancel(self, request: str) -> None:
        known = self.model.get(request)
        who = known.requester if known else REQUESTERS[0]
        view = self.tried(self.stage.desk.cancel(RequestId(request), who))
        assert (view is not None) == (known is not None and known.state in ("waiting", "approved"))
        if known is not None and view is not None:
            known.state = "cancelled"

    @rule(seconds=st.sampled_from([-500.0, 1.0, 61.0, 901.0]))
    def time_goes_on(self, seconds: float) -> None:
        self.now = self.stage.now = self.stage.now + seconds

    @rule()
    def the_broker_starts_again(self) -> None:
        self.done(self.stack.aclose())
        self._open()

    @rule(request=consumes(requests))
    def nobody_remembers_it(self, request: str) -> None:
        """So that others are dealt with too."""

    # What is true at any time.

    @invariant()
    def the_desk_is_as_the_model(self) -> None:
        for known in self.model.values():
            if known.state in ("waiting", "approved") and known.until <= self.now:
                known.state = "expired"
        views = {view.id: view for view in self.done(self.stage.desk.list(limit=1000))}
        told = {request: (view.state, view.review, view.expires_at) for request, view in views.items()}
        assert told == {request: (each.state, each.review, each.until) for request, each in self.model.items()}
        assert self.done(self.stage.desk.check_journal()).number >= len(self.model)

    def _is_reached(self, needs: dict[str, int], said: dict[str, tuple[str, str]]) -> bool:
        return can_be_seated(needs, [frozenset(ACCOUNTS[who].groups) for who, _ in said.values()])


DeskMachine.TestCase.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestDesk = DeskMachine.TestCase
