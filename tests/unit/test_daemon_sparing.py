"""However often strangers are refused, the broker's own log stays short, and says how much it left out."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
import structlog

from hoopx_broker.daemon import sparing
from hoopx_broker.daemon.sparing import MAX_WHY, TOLD, Sparing


class Said:
    """What gets into the log."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.sparing = Sparing(self.say)

    def say(self, event: str, **facts: Any) -> None:
        try:
            said = dict(self.sparing(None, "info", {"event": event, **facts}))
        except structlog.DropEvent:
            return
        self.lines.append((said.pop("event"), said))


def test_the_first_of_a_minute_are_told_and_the_rest_are_one_number(monkeypatch: pytest.MonkeyPatch) -> None:
    said = Said()
    monkeypatch.setattr(sparing, "MINUTE", 0)

    async def scene() -> None:
        for number in range(TOLD + 500):
            said.say("identity.refused", why=f"{number} " + "x" * 10_000)
        said.say("pages.refused", why="another kind")
        for _ in range(TOLD + 1):
            said.say("identity.revoked", user="bob")  # what no stranger brings about is never left out
        summing = asyncio.ensure_future(said.sparing.run())
        while said.lines[-1][0] != "refusals.left_out":  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)
        said.say("identity.refused", why="the next minute")
        summing.cancel()

    asyncio.run(scene())
    assert [name for name, _ in said.lines[:TOLD]] == ["identity.refused"] * TOLD
    assert all(len(facts["why"]) <= MAX_WHY + 1 for _, facts in said.lines[:TOLD])
    assert [name for name, _ in said.lines[TOLD:]] == [
        "pages.refused", *["identity.revoked"] * (TOLD + 1), "refusals.left_out", "identity.refused",
    ]  # fmt: skip
    assert said.lines[-2][1] == {"of": "identity.refused", "count": 500}


def test_what_was_left_out_last_is_told_when_the_broker_stops() -> None:
    said = Said()

    async def scene() -> None:
        summing = asyncio.ensure_future(said.sparing.run())
        await asyncio.sleep(0)
        for _ in range(TOLD + 3):
            said.say("pages.issuer_silent", why="nobody there")
        summing.cancel()

    asyncio.run(scene())
    record = logging.makeLogRecord({"name": "uvicorn.error"})
    assert [said.sparing.filter(record) for _ in range(TOLD + 1)] == [True] * TOLD + [False]
    assert said.lines[-1] == ("refusals.left_out", {"of": "pages.issuer_silent", "count": 3})
