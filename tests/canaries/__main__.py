"""`make canaries`: `python -m tests.canaries [--minutes 5] [--seed 1]`; ends 1 when a canary came out."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.canaries.harness import Broker
from tests.canaries.lane import CanaryLane
from tests.canaries.schemas import random_schema
from tests.fuzz.lane import broken_law, smaller
from tests.peers.postgres import Foundry, Postgres, installations

# Scenes over one schema: making its database takes as long as playing a hundred.
SCENES = 400
# After these they are mostly the same in other clothes.
ENOUGH = 10


def main(arguments: Sequence[str]) -> int:
    asked = _parser().parse_args(arguments)
    found, seed = 0, asked.seed
    until = time.monotonic() + 60 * asked.minutes
    servers = [each for each in installations() if asked.postgres in (None, each.major)]
    with tempfile.TemporaryDirectory(prefix="canaries-", ignore_cleanup_errors=True) as place:
        foundry = Foundry(Path(place))
        with foundry.server(max(servers, key=lambda each: each.major)) as server:
            while time.monotonic() < until and found < ENOUGH:
                found += _fly(server, seed, until)
                seed += 1
    _say(f"{seed - asked.seed} schemas from seed {asked.seed}, {found} findings")
    return 1 if found else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make canaries", description="Try random statements to get at hidden values.")
    parser.add_argument("--minutes", type=float, default=5.0, help="for how long new scenes are drawn")
    parser.add_argument("--seed", type=int, default=1, help="the first schema; the same seed gives the same scenes")
    parser.add_argument(
        "--postgres", type=int, help="the major version of the server; the newest found if none is given"
    )
    return parser


def _fly(server: Postgres, seed: int, until: float) -> int:
    """Scenes over one schema, every other one without the shipped policies; give how many let a canary out."""
    lane = CanaryLane(Broker(server, random_schema(Random(seed)), permissive=seed % 2 == 0))
    found: set[str] = set()
    try:
        for number in range(SCENES):
            if time.monotonic() > until or len(found) >= ENOUGH:
                break
            case = lane.draw(Random(f"{seed}.{number}"))
            law = broken_law(lane, case)
            if law is not None and (text := repr(smaller(lane, case, law))) not in found:
                found.add(text)
                _say(f"seed {seed}, scene {number}: {law}")
                _say(f"Say it of the tables of the shop, and keep it in tests/laws/test_masking_canaries.py:\n{text}")
    finally:
        lane.close()
    counts = lane.counts
    told = f"{counts['turns']} turns, {counts['allowed']} allowed, {counts['done']} without an error"
    _say(f"seed {seed}: {told}, {len(found)} findings")
    return len(found)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
