"""What is asked of a run: how much, of what, and where it is written."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.endings import SESSIONS
from benchmarks.ground import CROWD, WAYS

HISTORY = Path(__file__).with_name("history.jsonl")
# A run of some two minutes: the ways that the goals are about, and the cases that differ most.
_QUICK = {"rounds": 2, "openings": 15, "idle": 40, "ways": "hoopx;hoopx, native;uvloop pipe"}
_USUAL = {"rounds": 5, "openings": 100, "idle": 100, "ways": ""}


def arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=description)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, ways and cases: some two minutes")
    parser.add_argument("--rounds", type=int, help="how often each case runs on each way (5)")
    parser.add_argument("--seconds", type=int, default=1, help="how long each run of pgbench lasts (1)")
    parser.add_argument("--openings", type=int, help="how many sessions to open one by one (100)")
    parser.add_argument("--idle", type=int, help="how many sessions are open while memory is looked at (100)")
    parser.add_argument(
        "--only",
        default="",
        metavar="TEXT",
        help="only cases with TEXT in their name; or openings, memory, start, rulings",
    )
    parser.add_argument(
        "--sessions", type=int, default=SESSIONS, help=f"with --only endings: how many end at once ({SESSIONS})"
    )
    parser.add_argument("--pump", type=int, default=0, metavar="TIMES", help="measure the pump alone, without servers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there")
    parser.add_argument("--ways", metavar="A;B", help=f"beside the direct one ({'; '.join((*WAYS[1:], CROWD))})")
    parser.add_argument(
        "--history", type=Path, metavar="FILE", help=f"append a line there (whole runs: benchmarks/{HISTORY.name})"
    )
    parser.add_argument("--compare", action="store_true", help="measure nothing: compare the last lines of the history")
    said = parser.parse_args()
    for name, value in (_QUICK if said.quick else _USUAL).items():
        if getattr(said, name) is None:
            setattr(said, name, value)
    return said


def is_whole(said: argparse.Namespace) -> bool:
    """Nothing was left out, so that its line can stand beside others."""
    return not (said.quick or said.only or said.ways)


def ways_of(said: argparse.Namespace) -> tuple[str, ...]:
    """The direct way is what the others are compared with."""
    return ("direct", *said.ways.split(";")) if said.ways else WAYS
