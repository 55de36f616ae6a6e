"""`make kills`: `python -m tests.kills [--rounds 1000] [--seed 1]`; ends 1 when something was done off the record."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.kills import lane
from tests.peers.postgres import Foundry, installations


def main(arguments: Sequence[str]) -> int:
    asked = _parser().parse_args(arguments)
    began = time.monotonic()
    _say(f"{asked.rounds} kills under load, seed {asked.seed}")
    try:
        tally = _kill(asked.rounds, asked.seed)
    except lane.LawBroken as broken:
        _say(f"seed {asked.seed}: {broken}")
        return 1
    _say(f"{tally.rounds:8} kills, {tally.empty} of them before any statement, {tally.torn} with a torn end")
    _say(f"{tally.begun:8} statements that the server began, each on record")
    _say(f"{tally.read:8} cells that clients read, each on record")
    _say(f"all laws held, {time.monotonic() - began:.0f} s")
    return 0


def _kill(rounds: int, seed: int) -> lane.Tally:
    with (
        tempfile.TemporaryDirectory(prefix="kills-", ignore_cleanup_errors=True) as place,
        Foundry(Path(place)).server(installations()[0]) as server,
    ):
        lane.let_in(server)
        return lane.run(server, Path(place) / "broker", rounds, seed, _say)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make kills", description="Kill the data path under load.")
    parser.add_argument("--rounds", type=int, default=1000, help="how often it is killed")
    parser.add_argument("--seed", type=int, default=1, help="the same seed draws the same moments")
    return parser


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
