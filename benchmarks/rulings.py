"""Rulings alone: how long the court takes for a statement that it remembers, and for one that it has not seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import count
from statistics import median

from benchmarks.pump import hearing
from hoopx_broker.session.court import Hearing
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.wire.effects import Judge

LOOKED_UP = 20_000
NEW = 500

# For each round: microseconds of one ruling by the clock, and of this process's CPU.
Rulings = dict[str, list[tuple[float, float]]]

SEEN, CONSTANTS, SHAPE = "a statement seen before", "it with new constants", "a statement of a new shape"
_KNOWN = Judge(b"SELECT abalance FROM accounts WHERE aid = 7", executes=True)


def measure_rulings(rounds: int) -> Rulings:
    """The court as it is in a session; only there is no client and no server."""
    return asyncio.run(_measure(rounds))


def by_the_right_clock(found: Rulings) -> dict[str, list[float]]:
    """Microseconds: of CPU where this process does all of it, by the clock where the reader's process is waited for."""
    told = {f"{name}, µs of CPU": [cpu for _, cpu in found[name]] for name in (SEEN, CONSTANTS)}
    return told | {f"{SHAPE}, µs by the clock": [clock for clock, _ in found[SHAPE]]}


def rulings_table(found: Rulings) -> str:
    lines = ["| ruling on | by the clock, µs | of it CPU of the broker, µs |", "| --- | --- | --- |"]
    lines += [f"| {name} | {_told(each, 0)} | {_told(each, 1)} |" for name, each in found.items()]
    return "\n".join(lines)


def _told(each: list[tuple[float, float]], which: int) -> str:
    values = [pair[which] for pair in each]
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


async def _measure(rounds: int) -> Rulings:
    constants = (b"SELECT abalance FROM accounts WHERE aid = %d" % n for n in count(100))
    shapes = (b"SELECT abalance AS a%d FROM accounts, people WHERE email LIKE 'x%%'" % n for n in count(100))
    found: Rulings = {SEEN: [], CONSTANTS: [], SHAPE: []}
    reader = StatementReader()
    try:
        court = hearing(reader)
        await _rule(court, _KNOWN)
        await _read(court, shapes)  # warms up
        for _ in range(rounds):
            found[SEEN].append(_look_up(court))
            found[CONSTANTS].append(await _read(court, constants))
            found[SHAPE].append(await _read(court, shapes))
    finally:
        await reader.close()
    return found


def _look_up(court: Hearing) -> tuple[float, float]:
    begun = time.perf_counter(), time.process_time()
    for _ in range(LOOKED_UP):
        court.known(_KNOWN)
    return _each(begun, LOOKED_UP)


async def _read(court: Hearing, texts: Iterator[bytes]) -> tuple[float, float]:
    begun = time.perf_counter(), time.process_time()
    for _ in range(NEW):
        await _rule(court, Judge(next(texts), executes=True))
    return _each(begun, NEW)


async def _rule(court: Hearing, asked: Judge) -> None:
    if court.known(asked) is None:
        await court.rule(asked, lambda *_: None)


def _each(begun: tuple[float, float], times: int) -> tuple[float, float]:
    return (time.perf_counter() - begun[0]) / times * 1e6, (time.process_time() - begun[1]) / times * 1e6
