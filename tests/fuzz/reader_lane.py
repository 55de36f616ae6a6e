"""The lane of the reader: whatever the statement, an answer in time, and a reader that lives on."""

from __future__ import annotations

import asyncio
from random import Random
from typing import cast

from hoopx_broker.session.reader import CHILDREN, DEADLINE_SECONDS, START_SECONDS, StatementReader
from hoopx_broker.terms.facts import StatementFacts, Unreadable
from tests.fuzz.lane import Case
from tests.fuzz.statements import statement

# Far beyond its own deadline: this is for a reader that hangs, not for one that is slow.
PATIENCE = 10 * (START_SECONDS + DEADLINE_SECONDS)


class ReaderLane:
    """The real reader with its real child processes."""

    name = "reader"

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._reader = StatementReader()

    def draw(self, random: Random) -> Case:
        return (statement(random),)

    def check(self, case: Case) -> None:
        (text,) = cast("tuple[bytes]", case)
        answer = self._read(text)
        if isinstance(answer, Unreadable):
            assert answer.reason, "no reason is given"
        else:
            assert all(isinstance(facts, StatementFacts) for facts in answer)
            assert all(facts.actions for facts in answer), "a statement does nothing at all"
            assert answer == self._read(text), "it reads the same text in two ways"
        for _ in range(CHILDREN):
            after = self._read(b"SELECT 1")
            assert isinstance(after, tuple), f"the reader did not survive it: {after}"
            assert [facts.kind for facts in after] == ["select"], "the reader answers another question"

    def _read(self, text: bytes) -> tuple[StatementFacts, ...] | Unreadable:
        return self._loop.run_until_complete(asyncio.wait_for(self._reader.read(text), PATIENCE))

    def close(self) -> None:
        """End the children."""
        self._loop.run_until_complete(self._reader.close())
        self._loop.close()
