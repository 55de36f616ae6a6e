"""Measure what hoopx costs: the same work, in turn, over the direct way, hoopx, pgbouncer and haproxy."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

from tests.peers.postgres import installations

from benchmarks.cases import Case, cases
from benchmarks.endings import SESSIONS, measure_endings
from benchmarks.ground import Ground, ground
from benchmarks.openings import measure_openings
from benchmarks.pump import measure_pump
from benchmarks.report import Rounds, document, endings_table, machine, openings_table, table
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
    if said.only == "endings":
        return _endings(said.sessions, said.json)
    with tempfile.TemporaryDirectory(prefix="hoopx-bench-") as place, ground() as on:
        facts = machine(on)
        chosen = [case for case in cases(Path(place), said.seconds) if said.only in case.name]
        measured = {case.name: _rounds(case, on, said.rounds) for case in chosen}
        samples = measure_openings(on, said.openings)
    print(", ".join(f"{name} {value}" for name, value in facts.items() if name != "libraries"), end="\n\n")
    if measured:
        print(table(measured), end="\n\n")
    if said.openings:
        print(openings_table(samples))
    if said.json is not None:
        said.json.write_text(json.dumps(document(facts, measured, samples), indent=1) + "\n")
    return 0


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


def _starts(rounds: int, file: Path | None) -> int:
    """Without servers: what the commands themselves take."""
    before = os.getloadavg()[0]
    found = measure_starts(rounds)
    print(f"python {platform.python_version()}, cores {os.cpu_count()}, load {before:.1f}, {rounds} rounds", end="\n\n")
    print(starts_table(found))
    if file is not None:
        file.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _rounds(case: Case, on: Ground, rounds: int) -> Rounds:
    """In turn, A B A B: what else the machine does meets all ways alike. The first turn only warms up."""
    found: dict[str, list[float] | None] = {name: None if way is None else [] for name, way in on.ways.items()}
    for turn in range(rounds + 1):
        for name, way in on.ways.items():
            _one(case, way, found[name] if turn else [])
    _tell(case, found)
    return found


def _one(case: Case, way: Way | None, into: list[float] | None) -> None:
    if way is not None and into is not None:
        into.append(case.measure(way))


def _tell(case: Case, found: Rounds) -> None:
    """Progress, for whoever waits."""
    least = {name: f"{min(seconds) * 1000:.3g}" for name, seconds in found.items() if seconds}
    print(f"{case.name}: at least {least} ms a {case.unit}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
