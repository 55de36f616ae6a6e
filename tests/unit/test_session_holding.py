"""A statement is held until people have answered, and only what they have agreed to runs: once, and as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from msgspec.structs import replace

from hoopx_broker.approvals import asking
from hoopx_broker.policy.facts.sql import read
from hoopx_broker.session.catalog import CatalogReader
from hoopx_broker.session.estimates import Estimate
from hoopx_broker.session.holding import Holder
from hoopx_broker.session.plea import Agreed, Plea
from hoopx_broker.session.services import Services
from hoopx_broker.terms.approvals import Conditions
from hoopx_broker.terms.entries import Approval, Opened
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.facts import StatementFacts, Unreadable
from hoopx_broker.terms.rulings import Ask, Deny
from hoopx_broker.wire.effects import Judge
from tests.unit.approvals_stage import ANN, BOB, NOON, ONE_DBA, Stage, player

OPENED = Opened("s_1", ANN, "prod-db", "postgres", "app", "here", "sha256:1", "1", NOON, NOON + 3600, reason="clean up")
SPEEDY = Ask("look", ("fast",), {"dba": 1}, conditions=Conditions(breakers=(("dev",),), reviewers={"security": 1}))


class Catalog:
    """In the place of the target's: how things are defined there, and what it expects."""

    def __init__(self) -> None:
        self.defined = "as ever"
        self.is_down = False
        self.meanwhile: Callable[[], None] = lambda: None

    async def definitions(self, facts: tuple[StatementFacts, ...]) -> str:
        self.meanwhile()
        if self.is_down:
            raise BackendFailed("the server is down", "look at it")
        return self.defined

    async def estimate(self, plea: Plea, canonical: str) -> Estimate:
        return Estimate(7.0)


class Scene:
    """One session whose statements are held."""

    def __init__(self, stage: Stage, opened: Opened = OPENED) -> None:
        self.stage, self.catalog = stage, Catalog()
        self.version, self.why_changed = "sha256:1", ""
        self.told: list[tuple[str, str, Approval | None]] = []
        services = SimpleNamespace(desk=stage.desk, judge=lambda: SimpleNamespace(version=self.version), reader=self)
        self.holder = Holder(cast(Services, services), opened, cast(CatalogReader, self.catalog))

    async def rewrite(self, text: bytes) -> str:
        return text.decode().upper()

    def held(self, text: str = "delete from t", ruling: Ask = ONE_DBA, *values: bytes) -> asyncio.Task[Agreed | Deny]:
        """A statement that waits."""
        facts = read(text.encode())
        assert not isinstance(facts, Unreadable)

        async def changed() -> str:
            return self.why_changed

        asked = Judge(text.encode(), executes=True, parameters=values)
        say = lambda *words: self.told.append(words)  # noqa: E731
        return asyncio.ensure_future(self.holder.ask(Plea(asked, ruling, facts, ("public",), say, changed)))

    async def waiting(self, number: int = 1) -> list[str]:
        """The ids of those that wait."""
        # What is waited for happens in the thread of the store, which knows no events.
        while len(found := await self.stage.desk.list(state="waiting", limit=500)) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        return [view.id for view in found]

    async def approve(self, request: str) -> None:
        await self.stage.desk.vote(request, BOB, "approve", "fine")  # type: ignore[arg-type]


def play(folder: Path, act: Callable[[Scene], Awaitable[None]], opened: Opened = OPENED) -> None:
    async def on_stage(stage: Stage) -> None:
        await act(Scene(stage, opened))

    player(folder)(on_stage)


def test_people_see_all_that_would_run_and_what_it_would_do(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        estimating = replace(ONE_DBA, conditions=Conditions(estimates=True))
        held = scene.held("delete from shop.t where id = $1", estimating, b"\x01")
        (request,) = await scene.waiting()
        view = await scene.stage.desk.get(request)  # type: ignore[arg-type]
        assert view.statement == 'delete from shop.t where id = $1\n-- $1 = "\\u0001"'
        assert view.canonical == 'DELETE FROM SHOP.T WHERE ID = $1\n-- $1 = "\\u0001"'
        assert (view.session, view.reason) == ("s_1", "clean up")
        assert view.effects is not None
        assert (view.effects.tables, view.effects.rows) == (("delete shop.t", "read shop.t"), 7.0)
        await scene.approve(request)
        assert await held == (frozenset({"dba"}), request)
        assert [note.event for *_, note in scene.told if note] == ["asked", "approve"]
        assert [note.comment for *_, note in scene.told if note][-1] == "fine"

    play(tmp_path, act)


def test_an_approval_is_for_one_run_of_many_that_are_the_same(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        runs = [scene.held() for _ in range(3)]
        requests = await scene.waiting(3)
        await scene.approve(requests[0])
        done, left = await asyncio.wait(runs, return_when=asyncio.FIRST_COMPLETED)
        assert [run.result() for run in done] == [(frozenset({"dba"}), requests[0])]
        assert len(left) == 2
        for run in left:
            run.cancel()
        await asyncio.wait(left)
        states = sorted(view.state for view in await scene.stage.desk.list())
        assert states == ["cancelled", "cancelled", "used"]

    play(tmp_path, act)


def test_what_changed_while_people_decided_does_not_run_and_its_approval_is_gone(tmp_path: Path) -> None:
    def policy(scene: Scene) -> None:
        scene.version = "sha256:2"

    def meaning(scene: Scene) -> None:
        scene.why_changed = "what it would do was changed"

    def definition(scene: Scene) -> None:
        scene.catalog.defined = "in another way"

    def server(scene: Scene) -> None:
        scene.catalog.is_down = True

    async def act(scene: Scene) -> None:
        why = {meaning: "was changed", definition: "defined anew", server: "down", policy: "policy"}
        for change in why:
            scene.version, scene.why_changed = "sha256:1", ""
            scene.catalog.defined, scene.catalog.is_down = "as ever", False
            held = scene.held()
            (request,) = await scene.waiting()
            change(scene)
            await scene.approve(request)
            refused = await held
            assert isinstance(refused, Deny)
            assert why[change] in refused.reason
            assert await scene.stage.state(request) == "cancelled"  # type: ignore[arg-type]

    play(tmp_path, act)


def test_a_policy_that_comes_before_people_are_told_is_not_the_one_that_asks_them(tmp_path: Path) -> None:
    """Two people may have to agree by it, or within other hours, and the ruling that is shown is of the one before."""

    async def act(scene: Scene) -> None:
        def change() -> None:
            scene.version = "sha256:2"

        scene.catalog.meanwhile = change
        held = scene.held()
        (request,) = await scene.waiting()
        await scene.approve(request)
        refused = await held
        assert isinstance(refused, Deny)
        assert "policy" in refused.reason
        assert await scene.stage.state(request) == "cancelled"  # type: ignore[arg-type]

    play(tmp_path, act)


def test_whoever_leaves_takes_the_question_along(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        held = scene.held()
        (request,) = await scene.waiting()
        held.cancel()
        await asyncio.wait([held])
        assert held.cancelled()
        assert await scene.stage.state(request) == "cancelled"  # type: ignore[arg-type]

    play(tmp_path, act)


def test_two_hundred_that_wait_at_once_are_bounded_and_none_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MAX_WAITING", 50)

    async def act(scene: Scene) -> None:
        runs = [scene.held() for _ in range(200)]
        await scene.waiting(50)
        done, left = await asyncio.wait(runs, timeout=0.5)
        while len(done) < 150:
            done, left = await asyncio.wait(runs, timeout=0.5)
        assert all("50 requests waiting already" in run.result().reason for run in done)  # type: ignore[union-attr]
        for run in left:
            run.cancel()
        await asyncio.wait(left)
        assert {view.state for view in await scene.stage.desk.list(limit=500)} == {"cancelled"}

    play(tmp_path, act)


def test_where_rules_want_a_reason_the_sessions_own_counts_and_no_other(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        refused = await scene.held(ruling=replace(ONE_DBA, conditions=Conditions(needs_reason=True)))
        assert isinstance(refused, Deny)
        assert "asks for a reason" in refused.reason

    play(tmp_path, act, replace(OPENED, reason=""))


def test_glass_that_is_broken_for_a_session_is_broken_for_what_rules_let_it_through(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        agreed = await scene.held(ruling=SPEEDY)
        assert not isinstance(agreed, Deny)
        view = await scene.stage.desk.get(agreed[1])  # type: ignore[arg-type]
        assert (view.state, view.glass, view.review, view.session) == ("used", True, "open", "s_1")
        assert [(note.event, note.approvers) for *_, note in scene.told if note] == [("broken-glass", {"security": 1})]
        assert "GLASS BROKEN" in scene.told[0][0]
        held = scene.held()  # a rule that lets nobody break it asks people, as ever
        (request,) = await scene.waiting()
        await scene.approve(request)
        assert await held == (frozenset({"dba"}), request)

    play(tmp_path, act, replace(OPENED, glass=True))


def test_a_session_that_was_opened_as_others_are_breaks_no_glass(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        held = scene.held(ruling=SPEEDY)
        await scene.waiting()
        held.cancel()
        await asyncio.wait([held])

    play(tmp_path, act)
