"""`make tamper`: `python -m tests.tampering [--cases 100000] [--seed 1]`; ends 1 when a change was not found."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.tampering import directory, lane

# So many changes of files to each of a directory, of which an audit takes some ten times as long.
FILES_TO_A_DIRECTORY = 10


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make tamper", description="Change evidence at random.")
    parser.add_argument(
        "--cases",
        type=int,
        default=100_000,
        help="how many changes of files; a tenth as many of directories come after them",
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed draws the same changes")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    audits = asked.cases // FILES_TO_A_DIRECTORY
    _say(f"{asked.cases} changes of files, and {audits} of directories, seed {asked.seed}")
    with tempfile.TemporaryDirectory(prefix="tampering-") as place:
        try:
            found = lane.run(lane.subjects(Path(place)), asked.cases, asked.seed)
            found |= directory.run(directory.made(Path(place)), audits, asked.seed)
        except lane.LawBroken as broken:
            _say(str(broken))
            return 1
    for act, count in sorted(found.items()):
        _say(f"{count:8} {act}")
    _say(f"each was found and named where it is, and nothing else was, {time.monotonic() - began:.0f} s")
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
