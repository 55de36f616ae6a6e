"""The readers of statements are shared fairly: a person's many sessions have one turn between them."""

from __future__ import annotations

import asyncio

from hoopx_broker.policy.facts.sql import read
from hoopx_broker.session.court import Bench, Court, Hearing
from hoopx_broker.session.ground import Ground
from hoopx_broker.session.reader import Facts, StatementReader
from hoopx_broker.terms.catalog import Catalog
from hoopx_broker.terms.facts import Unreadable
from hoopx_broker.wire.effects import Judge
from tests.unit.court_scene import ANN, SHOP, Bookkeeper


class Busy(StatementReader):
    """Reads only when the test says so, and knows what it is asked to read at once."""

    def __init__(self) -> None:
        super().__init__()
        self.reading: list[bytes] = []
        self.go_on = asyncio.Event()

    async def read(self, text: bytes) -> Facts | Unreadable:
        self.reading.append(text)
        await self.go_on.wait()
        self.reading.remove(text)
        return read(text)


async def _none(before: Catalog | None) -> Catalog:
    return Catalog()


async def _nobody(*_: object) -> tuple[frozenset[str], str]:
    raise AssertionError("nobody has to be asked")


def court(reader: StatementReader, turn: asyncio.Lock) -> Hearing:
    return Court(Bench(Bookkeeper, reader, _none, _nobody, Ground(), lambda: 600.0, turn), ANN, SHOP, Catalog()).hear()


def test_many_sessions_of_one_person_leave_a_reader_for_the_others() -> None:
    async def scene() -> None:
        reader, anns, bobs = Busy(), asyncio.Lock(), asyncio.Lock()
        async with asyncio.TaskGroup() as group:
            for which in range(5):
                asked = Judge(f"SELECT {which}".encode(), executes=True)
                group.create_task(court(reader, anns).rule(asked, lambda *_: None))
            group.create_task(court(reader, bobs).rule(Judge(b"SELECT 'bob'", executes=True), lambda *_: None))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert reader.reading == [b"SELECT 0", b"SELECT 'bob'"]
            reader.go_on.set()

    asyncio.run(scene())
