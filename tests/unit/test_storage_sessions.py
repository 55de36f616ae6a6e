"""The rows of sessions: opened, finished once, found after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from hoopx_broker.storage.sessions import Sessions
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.entries import Opened
from hoopx_broker.terms.errors import BadInput, Unknown
from hoopx_broker.terms.ids import SessionId
from hoopx_broker.terms.people import Principal
from tests.peers.state import state_in

pytestmark = pytest.mark.usefixtures("each_state")


def opened(session: str, user: str = "ann", target: str = "prod-db", at: float = 100.0) -> Opened:
    return Opened(
        session=session,
        principal=Principal(user, "human"),
        target=target,
        kind="postgres",
        database="app",
        peer="127.0.0.1",
        policy="sha256:0123456789ab",
        broker="test",
        opened_at=at,
        expires_at=at + 3600,
        reason="look",
        ticket="T-1",
    )


def with_sessions(path: Path, scene: Callable[[Sessions], Awaitable[None]]) -> None:
    async def play() -> None:
        store = await Store.open(state_in(path))
        try:
            await scene(Sessions(store))
        finally:
            await store.close()

    asyncio.run(play())


A, B, C = SessionId("s_a"), SessionId("s_b"), SessionId("s_c")


def test_a_session_of_an_agent_names_its_human_and_is_found_by_both(tmp_path: Path) -> None:
    async def scene(sessions: Sessions) -> None:
        for_ann = Principal("bot", "agent", on_behalf_of="ann", their_groups=("developers",))
        await sessions.add(opened(A))
        await sessions.add(msgspec.structs.replace(opened(B, at=200.0), principal=for_ann))
        await sessions.add(opened(C, user="eve", at=300.0))
        assert ((await sessions.get(B)).user, (await sessions.get(B)).on_behalf_of) == ("bot", "ann")
        assert (await sessions.get(A)).on_behalf_of is None
        assert [view.id for view in await sessions.list(user="ann")] == [B, A]
        assert [view.id for view in await sessions.list(user="bot")] == [B]

    with_sessions(tmp_path, scene)


def test_a_session_is_open_until_it_is_finished(tmp_path: Path) -> None:
    async def scene(sessions: Sessions) -> None:
        await sessions.add(opened(A))
        view = await sessions.get(A)
        assert (view.user, view.target, view.state, view.opened_at) == ("ann", "prod-db", "open", 100.0)
        assert (view.reason, view.ticket, view.ended_at) == ("look", "T-1", 0)
        ended = await sessions.finish(A, "hung up", 160.0, statements=7, denied=2)
        assert (ended.state, ended.end, ended.ended_at, ended.statements, ended.denied) == (
            "ended",
            "hung up",
            160.0,
            7,
            2,
        )
        assert await sessions.get(A) == ended

    with_sessions(tmp_path, scene)


def test_the_first_end_stands(tmp_path: Path) -> None:
    async def scene(sessions: Sessions) -> None:
        await sessions.add(opened(A))
        first = await sessions.finish(A, "killed by bob", 160.0, statements=7, denied=2)
        assert await sessions.finish(A, "hung up", 161.0, statements=0, denied=0) == first

    with_sessions(tmp_path, scene)


def test_an_unknown_session_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    async def scene(sessions: Sessions) -> None:
        with pytest.raises(Unknown, match="`s_a`") as unknown:
            await sessions.get(A)
        assert "hoopx sessions ls" in unknown.value.hint
        with pytest.raises(Unknown):
            await sessions.finish(A, "hung up", 1.0, statements=0, denied=0)

    with_sessions(tmp_path, scene)


def test_sessions_cut_by_a_crash_are_unfinished_at_the_next_start(tmp_path: Path) -> None:
    async def first_run(sessions: Sessions) -> None:
        await sessions.add(opened(A, at=1))
        await sessions.add(opened(B, at=2))
        await sessions.add(opened(C, at=3))
        await sessions.finish(B, "hung up", 5.0, statements=1, denied=0)

    async def second_run(sessions: Sessions) -> None:
        assert [view.id for view in await sessions.mark_unfinished()] == [A, C]
        assert {view.id: view.state for view in await sessions.list()} == {A: "unfinished", B: "ended", C: "unfinished"}
        assert await sessions.mark_unfinished() == ()
        late = await sessions.finish(A, "hung up", 9.0, statements=1, denied=0)
        assert late.state == "unfinished", "nobody saw its end"

    with_sessions(tmp_path, first_run)
    with_sessions(tmp_path, second_run)


def test_lists_are_filtered_bounded_and_newest_first(tmp_path: Path) -> None:
    async def scene(sessions: Sessions) -> None:
        await sessions.add(opened(A, user="ann", target="prod-db", at=1))
        await sessions.add(opened(B, user="bob", target="prod-db", at=2))
        await sessions.add(opened(C, user="ann", target="test-db", at=3))
        await sessions.finish(A, "hung up", 9.0, statements=1, denied=0)
        listed = {
            "all": await sessions.list(),
            "ann": await sessions.list(user="ann"),
            "prod": await sessions.list(target="prod-db"),
            "open": await sessions.list(state="open"),
            "ann's open": await sessions.list(user="ann", state="open"),
            "two": await sessions.list(limit=2),
            "none": await sessions.list(limit=-1),
            "nobody": await sessions.list(user="' OR 1=1 --"),
        }
        assert {name: [view.id for view in views] for name, views in listed.items()} == {
            "all": [C, B, A],
            "ann": [C, A],
            "prod": [B, A],
            "open": [C, B],
            "ann's open": [C],
            "two": [C, B],
            "none": [],
            "nobody": [],
        }

    with_sessions(tmp_path, scene)


def test_an_unknown_state_names_the_known_ones(tmp_path: Path) -> None:
    async def scene(sessions: Sessions) -> None:
        with pytest.raises(BadInput) as refused:
            await sessions.list(state="opne")
        assert "open, ended, unfinished" in refused.value.hint

    with_sessions(tmp_path, scene)
