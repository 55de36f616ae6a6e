"""The goals that are set for speed, each with the figure of this run: met, missed, or not measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct

from benchmarks.cases import COPY_WIDE, FIRST_ROW, MASKED, MODES, SELECT_WIDE, pgbench_name
from benchmarks.memory import CONNECTION, NATIVE, SLOW, WITH_CLIENT, WITHOUT_CLIENT, Figures
from benchmarks.openings import COLD, OPENING, Samples
from benchmarks.report import Measured, at_percent, ratios
from benchmarks.rulings import SEEN, SHAPE

HOOPX, ENDPOINT, PIPE = "hoopx", "hoopx, native", "uvloop pipe"
RULING = "a ruling on "
# Of what a plain pipe keeps of the direct throughput, this share has to be left.
_OF_A_PIPE = 0.85
_KIB = 150.0
# A stated constant for a client that does not read (docs/performance.md); what grows on is not bounded.
SLOW_KIB = 4096.0


class Goal(Struct, frozen=True):
    """`found` is None where this run did not measure it."""

    what: str
    wanted: str
    found: str | None
    is_met: bool | None


def goals(measured: Mapping[str, Measured], samples: Samples, figures: Figures) -> list[Goal]:
    return [
        *_of_statements(measured),
        *_of_rows(measured),
        *_of_openings(samples),
        *_of_memory(figures),
        *_of_rulings(figures),
    ]


def goals_table(found: Sequence[Goal]) -> str:
    rows = ["| goal | wanted | found | |", "| --- | --- | --- | --- |"]
    for goal in found:
        told = {True: "met", False: "missed", None: ""}[goal.is_met]
        rows.append(f"| {goal.what} | {goal.wanted} | {goal.found or 'not measured'} | {told} |")
    return "\n".join(rows)


def _of_statements(measured: Mapping[str, Measured]) -> Iterator[Goal]:
    one = measured.get(pgbench_name("simple", 1))
    yield _at_least("1 client, simple, CLI and broker: of direct throughput", 0.45, _kept(one, HOOPX))
    yield _at_least("1 client, simple, native endpoint: of direct throughput", 0.6, _kept(one, ENDPOINT))
    for mode in MODES:
        for clients in (8, 32):
            many = measured.get(pgbench_name(mode, clients))
            pipe = _kept(many, PIPE)
            for way in (HOOPX, ENDPOINT):
                what = f"{clients} clients, {mode}, {way}: of direct throughput, beside a plain uvloop pipe"
                yield _at_least(what, pipe and pipe * _OF_A_PIPE, _kept(many, way))


def _of_rows(measured: Mapping[str, Measured]) -> Iterator[Goal]:
    for name in (SELECT_WIDE, COPY_WIDE):
        yield _at_least(f"{name}: of direct MB/s", 0.6, _kept(measured.get(name), HOOPX))
    masked = measured.get(MASKED)
    yield _at_most(f"{MASKED}: times direct", 2.0, _times(masked, HOOPX) if masked else None, "{:.2f}")
    yield _not_held_back(measured.get(FIRST_ROW), measured.get(SELECT_WIDE))


def _not_held_back(first: Measured | None, whole: Measured | None) -> Goal:
    """Where rows were held back, the first would come with the last."""
    share = None
    if first is not None and whole is not None and _has(first, HOOPX) and _has(whole, HOOPX):
        share = _seconds(first, HOOPX) / _seconds(whole, HOOPX)
    return _at_most(f"{FIRST_ROW} comes: of the time of all", 0.05, share, "{:.4f}")


def _of_openings(samples: Samples) -> Iterator[Goal]:
    for name in (OPENING, COLD):
        found = samples.get(name)
        yield _at_most(f"{name}: p99, ms", 150.0, at_percent(99, found) * 1000 if found else None, "{:.0f}")


def _of_memory(figures: Figures) -> Iterator[Goal]:
    for name in (WITHOUT_CLIENT, WITH_CLIENT, CONNECTION, NATIVE):
        yield _at_most(f"{name}: KiB", _KIB, figures.get(name), "{:.0f}")
    for name in SLOW:
        yield _at_most(f"{name}: KiB", SLOW_KIB, figures.get(name), "{:.0f}")


def _of_rulings(figures: Figures) -> Iterator[Goal]:
    for name, microseconds in ((f"{SEEN}, µs of CPU", 2.0), (f"{SHAPE}, µs by the clock", 1000.0)):
        yield _at_most(f"{RULING}{name}", microseconds, figures.get(f"{RULING}{name}"), "{:.2f}")


def _kept(case: Measured | None, way: str) -> float | None:
    """The share of the direct throughput that is left."""
    times = _times(case, way) if case is not None else None
    return 1 / times if times else None


def _has(case: Measured, way: str) -> bool:
    return bool(case.rounds.get(way))


def _times(case: Measured, way: str) -> float | None:
    found = ratios(case.rounds).get(way)
    return statistics.median(found) if found else None


def _seconds(case: Measured, way: str) -> float:
    return statistics.median(case.rounds[way] or ())


def _at_least(what: str, wanted: float | None, found: float | None) -> Goal:
    return _goal(what, "at least {:.2f}", "{:.2f}", wanted, found, lambda: (found or 0) >= (wanted or 0))


def _at_most(what: str, wanted: float, found: float | None, form: str) -> Goal:
    return _goal(what, "at most {:g}", form, wanted, found, lambda: (found or 0) <= wanted)


def _goal(
    what: str, told: str, form: str, wanted: float | None, found: float | None, is_met: Callable[[], bool]
) -> Goal:
    if wanted is None or found is None:
        return Goal(what, "as a pipe" if wanted is None else told.format(wanted), None, None)
    return Goal(what, told.format(wanted), form.format(found), is_met())
