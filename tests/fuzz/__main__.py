"""`make fuzz`: `python -m tests.fuzz [--minutes 5] [--seed 1] [--only engine]`; ends 1 when it has found something."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from random import Random

from tests.fuzz.lane import Case, Lane, broken_law, smaller
from tests.fuzz.login_lane import LoginLane
from tests.fuzz.reader_lane import ReaderLane
from tests.fuzz.wire_lanes import EngineLane, FramesLane, PipelineLane

LANES: dict[str, Callable[[], Lane]] = {
    lane.name: lane for lane in (FramesLane, EngineLane, PipelineLane, LoginLane, ReaderLane)
}
# A lane stops at its fifth finding: after that they are mostly the same one in other clothes.
ENOUGH = 5


def main(arguments: Sequence[str]) -> int:
    asked = _parser().parse_args(arguments)
    lanes = [LANES[name]() for name in LANES if asked.only in (None, name)]
    found = 0
    for lane in lanes:
        try:
            found += _drive(lane, asked.seed, 60 * asked.minutes / len(lanes))
        finally:
            lane.close()
    return 1 if found else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make fuzz", description="Play random scenes; print each that breaks a law.")
    parser.add_argument("--minutes", type=float, default=5.0, help="for all lanes together")
    parser.add_argument("--seed", type=int, default=1, help="the first case; the same seed gives the same cases")
    parser.add_argument("--only", choices=list(LANES), help="one lane alone")
    return parser


def _drive(lane: Lane, seed: int, seconds: float) -> int:
    """Check case after case; give how many broke a law, each in a place of its own."""
    found: dict[str, Case] = {}
    until = time.monotonic() + seconds
    number = seed
    while time.monotonic() < until and len(found) < ENOUGH:
        case = lane.draw(Random(number))
        law = broken_law(lane, case)
        if law is not None and (place := law.rpartition("(")[2]) not in found:
            found[place] = smaller(lane, case, law)
            _say(f"{lane.name}: {law}, in case {number}. Keep it in tests/laws/test_fuzz_laws.py:")
            _say(f"@example({found[place]!r})")
        number += 1
    _say(f"{lane.name}: {number - seed} cases from seed {seed}, {len(found)} findings")
    return len(found)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
