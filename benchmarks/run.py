"""Measure what hoopx costs: the same work, in turn, over the direct way, hoopx, pipes, pgbouncer and haproxy."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.peers.postgres import installations

from benchmarks import cpu
from benchmarks.cases import Case, cases
from benchmarks.endings import SESSIONS, measure_endings
from benchmarks.ground import CROWD, WAYS, ground
from benchmarks.openings import Samples, measure_openings
from benchmarks.pump import measure_pump
from benchmarks.report import (
    Measured,
    Rounds,
    cpu_table,
    document,
    endings_table,
    kept,
    machine,
    openings_table,
    table,
)
from benchmarks.rulings import measure_rulings, rulings_table
from benchmarks.starts import measure_starts, starts_table
from benchmarks.ways import Way


def main() -> int:
    said = _arguments()
    if said.pump:
        for name, microseconds in measure_pump(said.pump).items():
            print(f"{name}: {microseconds:.1f} µs of CPU in the pump")
        return 0
    if said.only == "start":
        return _starts(said.rounds, said.json)
    if said.only == "rulings":
        return _rulings(said.rounds, said.json)
    if said.only == "endings":
        return _endings(said.sessions, said.json)
    with tempfile.TemporaryDirectory(prefix="hoopx-bench-") as place, ground(_wanted(said.ways)) as on:
        facts = machine(on, Path(place))
        chosen = [case for case in cases(Path(place), said.seconds) if said.only in case.name]
        measured = {case.name: _rounds(case, on.ways, said.rounds) for case in chosen}
        samples = measure_openings(on, said.openings) if said.openings else {}
    facts["load_after"] = round(os.getloadavg()[0], 2)
    _tell_all(facts, measured, samples)
    if said.json is not None:
        said.json.write_text(json.dumps(document(facts, measured, samples), indent=1) + "\n")
    if said.history is not None:
        with said.history.open("a") as history:
            history.write(json.dumps(kept(facts, measured, samples)) + "\n")
    return 0


def _wanted(said: str) -> tuple[str, ...]:
    """The direct way is what the others are compared with."""
    return ("direct", *said.split(";")) if said else WAYS


def _tell_all(facts: dict[str, Any], measured: dict[str, Measured], samples: Samples) -> None:
    print(", ".join(f"{name} {value}" for name, value in facts.items() if name != "libraries"), end="\n\n")
    if measured:
        print(table({name: each.rounds for name, each in measured.items()}), end="\n\n")
    if cpu.is_known() and measured:
        print(cpu_table(measured), end="\n\n")
    if samples:
        print(openings_table(samples))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each case runs on each way (5)")
    parser.add_argument("--seconds", type=int, default=2, help="how long each run of pgbench lasts (2)")
    parser.add_argument("--openings", type=int, default=20, help="how many sessions to open (20)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the cases with TEXT in their name")
    parser.add_argument(
        "--sessions", type=int, default=SESSIONS, help=f"with --only endings: how many end at once ({SESSIONS})"
    )
    parser.add_argument("--pump", type=int, default=0, metavar="TIMES", help="measure the pump alone, without servers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there")
    parser.add_argument(
        "--ways", default="", metavar="A;B", help=f"beside the direct one ({'; '.join(WAYS[1:])}; {CROWD})"
    )
    parser.add_argument("--history", type=Path, metavar="FILE", help="append a line with this run's medians there")
    return parser.parse_args()


def _endings(sessions: int, file: Path | None) -> int:
    """Alone, for it takes a ground of its own, and minutes."""
    before = os.getloadavg()[0]
    found = measure_endings(sessions)
    facts = f"python {platform.python_version()}, postgresql {installations()[0].version}, cores {os.cpu_count()}"
    loads = f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    print(f"{facts}, {loads}, {sessions} sessions", end="\n\n")
    print(endings_table(found))
    if file is not None:
        file.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _rulings(rounds: int, file: Path | None) -> int:
    """Without servers: the court and its reader of statements."""
    before = os.getloadavg()[0]
    found = measure_rulings(rounds)
    print(f"python {platform.python_version()}, cores {os.cpu_count()}, load {before:.1f}, {rounds} rounds", end="\n\n")
    print(rulings_table(found))
    if file is not None:
        file.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _starts(rounds: int, file: Path | None) -> int:
    """Without servers: what the commands themselves take."""
    before = os.getloadavg()[0]
    found = measure_starts(rounds)
    print(f"python {platform.python_version()}, cores {os.cpu_count()}, load {before:.1f}, {rounds} rounds", end="\n\n")
    print(starts_table(found))
    if file is not None:
        file.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _rounds(case: Case, ways: dict[str, Way | None], rounds: int) -> Measured:
    """In turn, A B A B: what else the machine does meets all ways alike. The first turn only warms up."""
    found: dict[str, list[float] | None] = {name: None if way is None else [] for name, way in ways.items()}
    spent: dict[str, list[dict[str, float]]] = {name: [] for name, way in ways.items() if way and way.processes}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            if way is not None:
                seconds, took = _one(case, way)
                if turn:
                    found[name] = [*(found[name] or ()), seconds]
                    spent.get(name, []).append(took)
    _tell(case, found)
    return Measured(found, spent)


def _one(case: Case, way: Way) -> tuple[float, dict[str, float]]:
    """Seconds of one unit, and CPU seconds of one unit by process."""
    before = cpu.spent(way.processes) if cpu.is_known() else {}
    taken = case.measure(way)
    after = cpu.spent(way.processes) if cpu.is_known() else {}
    return taken.seconds, {name: (after[name] - before[name]) / taken.units for name in after}


def _tell(case: Case, found: Rounds) -> None:
    """Progress, for whoever waits."""
    least = {name: f"{min(seconds) * 1000:.3g}" for name, seconds in found.items() if seconds}
    print(f"{case.name}: at least {least} ms a {case.unit}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
