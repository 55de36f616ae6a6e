"""Run races by crowds, and have each judged."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random

from hoopx_broker.approvals import docket, journal
from hoopx_broker.approvals.docket import Filed
from hoopx_broker.storage.connection import Connection
from hoopx_broker.terms.approvals import Happening
from tests.races.arena import ACCOUNTS, Arena
from tests.races.judges import broken_laws
from tests.races.race import Race

CROWD = 20  # races at once: the bound on what one requester has waiting is above it
LONG = 10_000.0  # seconds after which nothing of a crowd is alive


class RaceLost(AssertionError):
    """A law did not hold."""


async def run(arena: Arena, races: int, told: Callable[[str], None] = lambda _: None) -> Counter[str]:
    """How often each end was come to. Raises `RaceLost`."""
    ends: Counter[str] = Counter()
    for begin in range(0, races, CROWD):
        crowd = [Race(arena, number) for number in range(begin, min(begin + CROWD, races))]
        await asyncio.gather(*(race.run() for race in crowd))
        for race, (filed, happened) in zip(crowd, await arena.store.run(_found(crowd)), strict=True):
            if laws := broken_laws(race, filed.view, happened):
                raise RaceLost(f"{race.matter.statement}: {'; '.join(laws)}\n{filed.view}\n{happened}")
            ends[f"{'glass ' if filed.view.glass else ''}{filed.view.state}{_reviewed(filed)}"] += 1
        await _look_at_glass(arena, crowd)
        arena.now += LONG
        if begin // CROWD % 250 == 249:
            told(f"{begin + len(crowd)} races, {_spoken(ends)}")
    await arena.store.run(journal.check_journal)
    return ends


async def _look_at_glass(arena: Arena, crowd: list[Race]) -> None:
    """Nobody breaks more than somebody looks at."""
    for race in crowd:
        if race.is_glass and (await arena.desks[0].get(race.request)).review == "open":
            await arena.desks[0].review(race.request, ACCOUNTS["dee"], "object", "after the race")


def _found(crowd: list[Race]) -> Callable[[Connection], list[tuple[Filed, tuple[Happening, ...]]]]:
    """As it is, without anybody at a desk who would have expired what is due."""

    def find(connection: Connection) -> list[tuple[Filed, tuple[Happening, ...]]]:
        return [(_filed(connection, race), journal.of_request(connection, race.request)) for race in crowd]

    return find


def _filed(connection: Connection, race: Race) -> Filed:
    filed = docket.find(connection, race.request)
    if filed is None:
        raise RaceLost(f"{race.matter.statement}: there is no `{race.request}`")
    return filed


def _reviewed(filed: Filed) -> str:
    return f", {filed.view.review}" if filed.view.review else ""


def _spoken(ends: Counter[str]) -> str:
    return ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))


def of_seed(seed: int) -> Random:
    return Random(f"races {seed}")
