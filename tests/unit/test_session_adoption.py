"""A recording that was sealed, and whose broker died before it could note so, is noted at the next start, once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from msgspec import Struct

from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.session.adoption import adopt, seal_left
from hoopx_broker.session.services import Services
from hoopx_broker.storage.happened import Wanted, newest
from hoopx_broker.storage.sessions import Sessions
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.ids import SessionId
from hoopx_broker.tlog.notes import Verifier
from tests.unit.recording_scene import KEY, OPENED, OTHER_KEY


class _Parts(Struct):
    """A double of the services: what adoption uses is real."""

    stored: Sessions
    recordings: Path
    evidence: Any = KEY
    clock: Any = lambda: 1_700_000_000.0
    older_keys: Any = ()


def test_a_seal_is_noted_once_although_its_broker_died_before_it_could(tmp_path: Path) -> None:
    async def scene() -> None:
        store = await Store.open(tmp_path / "state.db")
        try:
            parts = _Parts(Sessions(store), tmp_path)
            services, session = cast(Services, parts), SessionId(OPENED.session)
            await parts.stored.add(OPENED)
            sealed = Recorder.create(tmp_path, OPENED, KEY, lambda: 0.0).seal("bye")  # and here it dies
            [left] = [each.id for each in await parts.stored.mark_unfinished()]
            assert left == session
            for _ in range(2):
                for each, target in await parts.stored.unsealed("home"):
                    await seal_left(services, each, target)
                await adopt(services, "home")
            await seal_left(services, session, OPENED.target)
            told = await newest(store, Wanted(type="session.sealed"), 10)
            assert [each.event.session for each in told] == [session]
            facts = told[0].event.facts
            assert (facts["root"], facts["entries"], facts["unfinished"]) == (sealed.root, sealed.entries, False)
            assert facts["bytes"] == sealed.bytes
        finally:
            await store.close()

    asyncio.run(scene())


def test_a_seal_by_the_key_before_is_noted_with_that_key_and_one_by_a_stranger_is_not(tmp_path: Path) -> None:
    async def scene(older: tuple[Verifier, ...], folder: Path) -> dict[str, object]:
        store = await Store.open(folder / "state.db")
        try:
            parts = _Parts(Sessions(store), folder, OTHER_KEY, older_keys=older)
            await parts.stored.add(OPENED)
            Recorder.create(folder, OPENED, KEY, lambda: 0.0).seal("bye")
            await seal_left(cast(Services, parts), SessionId(OPENED.session), OPENED.target)
            every = await newest(store, Wanted(session=OPENED.session), 10)
            [told] = [each for each in every if each.event.type in ("session.sealed", "recording.broken")]
            return {"type": told.event.type, **told.event.facts}
        finally:
            await store.close()

    for name in ("known", "strange"):
        (tmp_path / name).mkdir()
    key = Verifier.parse(KEY.verifier)
    known = asyncio.run(scene((key,), tmp_path / "known"))
    assert (known["type"], known["key"]) == ("session.sealed", key.key_id.hex())
    assert asyncio.run(scene((), tmp_path / "strange"))["type"] == "recording.broken"


def test_a_recording_of_before_there_were_events_is_adopted_once(tmp_path: Path) -> None:
    async def scene() -> None:
        store = await Store.open(tmp_path / "state.db")
        try:
            parts = _Parts(Sessions(store), tmp_path)
            await parts.stored.add(OPENED)
            Recorder.create(tmp_path, OPENED, KEY, lambda: 0.0).seal("bye")
            await parts.stored.finish(SessionId(OPENED.session), "bye", 1.0, 0, 0)
            for _ in range(2):
                await adopt(cast(Services, parts), "home")
            assert len(await newest(store, Wanted(session=OPENED.session, type="session.sealed"), 10)) == 1
        finally:
            await store.close()

    asyncio.run(scene())
