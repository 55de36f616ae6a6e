"""Measure what hoopx costs: the same work, in turn, over the direct way, hoopx, pipes, pgbouncer and haproxy."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from msgspec import Struct, field

from benchmarks import cpu, memory
from benchmarks.alone import measured_alone
from benchmarks.arguments import HISTORY, arguments, is_whole, ways_of
from benchmarks.cases import Case, cases
from benchmarks.goals import RULING, goals, goals_table
from benchmarks.ground import Ground, ground
from benchmarks.history import append, comparison, lines_like, slower
from benchmarks.memory import Figures, measure_memory
from benchmarks.openings import RATE, Samples, measure_cold, measure_openings, measure_rate
from benchmarks.report import (
    Measured,
    Rounds,
    cpu_table,
    document,
    figures_table,
    kept,
    machine,
    openings_table,
    rates_table,
    table,
)
from benchmarks.rulings import by_the_right_clock, measure_rulings
from benchmarks.starts import measure_starts
from benchmarks.ways import Way

# Of the opening of sessions, some are long: once in so many.
_COLD_EACH = 10


class Found(Struct):
    """All that a run has found."""

    facts: dict[str, Any]
    measured: dict[str, Measured] = field(default_factory=dict)
    samples: Samples = field(default_factory=dict)
    figures: Figures = field(default_factory=dict)

    @property
    def parts(self) -> tuple[dict[str, Measured], Samples, Figures]:
        return self.measured, self.samples, self.figures


def main() -> int:
    said = arguments(__doc__ or "")
    os.environ["HOOPX_COLD"] = "1"  # the tests' stages fork what they run from a process that has loaded it
    if said.compare:
        print(_compared(said.history or HISTORY))
        return 0
    if measured_alone(said):
        return 0
    with tempfile.TemporaryDirectory(prefix="hoopx-bench-") as place, ground(ways_of(said)) as on:
        found = Found(machine(on, Path(place)))
        try:
            _measure(said, on, Path(place), found)
        finally:  # a part that fails late does not take the others along
            found.facts["load_after"] = round(os.getloadavg()[0], 2)
            _tell_all(found)
            _write(said, found)
    _keep(said, found)
    return 0


def _measure(said: argparse.Namespace, on: Ground, place: Path, found: Found) -> None:
    for case in cases(place, said.seconds, on.megabytes):
        if said.only in case.name and (case.is_quick or not said.quick):
            found.measured[case.name] = _rounds(case, on.ways, said.rounds)
    if said.only in ("", "openings") and said.openings:
        found.samples |= measure_openings(on, said.openings)
        found.samples |= measure_cold(on, max(3, said.openings // _COLD_EACH))
        found.figures[RATE] = measure_rate(on, said.openings)
    if said.only == "" and said.openings:
        starts = measure_starts(said.rounds)
        found.samples |= {f"start of `{name}`": [clock for clock, _ in took] for name, took in starts.items()}
    if said.only == "":
        rulings = measure_rulings(said.rounds)
        found.figures |= {f"{RULING}{name}": median(each) for name, each in by_the_right_clock(rulings).items()}
    if said.only in ("", "memory") and said.idle and memory.is_known():
        found.figures |= measure_memory(on, said.idle)


def _tell_all(found: Found) -> None:
    print(", ".join(f"{name} {value}" for name, value in found.facts.items() if name != "libraries"), end="\n\n")
    if found.measured:
        print(table({name: each.rounds for name, each in found.measured.items()}), end="\n\n")
        print(rates_table(found.measured), end="\n\n")
    if cpu.is_known() and found.measured:
        print(cpu_table(found.measured), end="\n\n")
    if found.samples:
        print(openings_table(found.samples), end="\n\n")
    if found.figures:
        print(figures_table(found.figures), end="\n\n")
    print(goals_table(goals(*found.parts)), end="\n\n")


def _write(said: argparse.Namespace, found: Found) -> None:
    if said.json is not None:
        told = [msgspec.to_builtins(goal) for goal in goals(*found.parts)]
        said.json.write_text(json.dumps(document(found.facts, *found.parts) | {"goals": told}, indent=1) + "\n")


def _keep(said: argparse.Namespace, found: Found) -> None:
    line = kept(found.facts, *found.parts)
    before = lines_like(said.history or HISTORY, line)
    if worse := slower(before, line):
        print("slower than the last run of this machine: " + "; ".join(worse))
    if said.history is not None or is_whole(said):
        append(said.history or HISTORY, line)


def _compared(file: Path) -> str:
    """The last line with those of the same machine before it."""
    last = json.loads(file.read_text().splitlines()[-1])
    return comparison(lines_like(file, last)[:-1], last)


def _rounds(case: Case, ways: dict[str, Way | None], rounds: int) -> Measured:
    """In turn, A B A B: what else the machine does meets all ways alike. The first turn only warms up."""
    ways = {name: way.to_write() if way and case.writes else way for name, way in ways.items() if name in case.ways}
    found: dict[str, list[float] | None] = {name: None if way is None else [] for name, way in ways.items()}
    spent: dict[str, list[dict[str, float]]] = {name: [] for name, way in ways.items() if way and way.processes}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            if way is not None:
                seconds, took = _one(case, way, is_warm_up=not turn)
                if turn:
                    found[name] = [*(found[name] or ()), seconds]
                    spent.get(name, []).append(took)
    _tell(case, found)
    return Measured(found, spent, case.megabytes)


def _one(case: Case, way: Way, *, is_warm_up: bool) -> tuple[float, dict[str, float]]:
    """Seconds of one unit, and CPU seconds of one unit by process."""
    before = cpu.spent(way.processes) if cpu.is_known() else {}
    taken = case.measure(way, is_warm_up)
    after = cpu.spent(way.processes) if cpu.is_known() else {}
    return taken.seconds, {name: (after[name] - before[name]) / taken.units for name in after}


def _tell(case: Case, found: Rounds) -> None:
    """Progress, for whoever waits."""
    least = {name: f"{min(seconds) * 1000:.3g}" for name, seconds in found.items() if seconds}
    print(f"{case.name}: at least {least} ms a {case.unit}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
