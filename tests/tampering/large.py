"""A recording of a gigabyte, read in little memory: `python -m tests.tampering.large [--mib 1024]`.

Each way of reading is a process of its own, so that its peak is its own.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.replay import jsonl, lines, moments
from hoopx_broker.recording.verify import verify
from hoopx_broker.terms.entries import Columns, Finished, Rows, Statement
from tests.unit.recording_scene import KEY, OPENED, HandClock, data_row

ROWS = 300  # in an entry, as one read of a server's answer brings them
MOST_MIB = 200  # that a reader may hold, the interpreter and its libraries included


def make(directory: Path, mib: int) -> Path:
    """Rows that chance made, which do not get much smaller by being pressed."""
    chance, recorder = random.Random(1), Recorder.create(directory, OPENED, KEY, HandClock())
    n = 0
    while recorder.size < mib << 20:
        n += 1
        recorder.write([Statement("t_1", n, f"select * from big where n = {n}", "allow")])
        recorder.write([Columns("t_1", n, ("a", "b"), (25, 25), (0, 0))])
        for _ in range(50):
            cells = ((chance.randbytes(48).hex().encode(), chance.randbytes(24).hex().encode()) for _ in range(ROWS))
            data = b"".join(data_row(*row) for row in cells)
            recorder.write([Rows("t_1", n, ROWS, data)])
        recorder.write([Finished("t_1", n, f"SELECT {50 * ROWS}", 50 * ROWS)])
    recorder.seal("enough")
    return recorder.path


def read(way: str, path: Path) -> int:
    """Gives how many lines, or entries, there were."""
    if way == "verify":
        return verify(path, KEY.verifier).entries
    with path.open("rb") as file:
        told: Iterator[str] = {"replay": lines, "jsonl": jsonl}[way](moments(file))
        return sum(1 for _ in told)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make tamper-large")
    parser.add_argument("--mib", type=int, default=1024, help="how large the recording is")
    parser.add_argument("--read", nargs=2, metavar=("WAY", "FILE"), help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.read:
        began = time.process_time()
        count = read(asked.read[0], Path(asked.read[1]))
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> (20 if sys.platform == "darwin" else 10)
        _say(f"{count} {most} {time.process_time() - began:.2f}")
        return 0
    with tempfile.TemporaryDirectory(prefix="large-") as place:
        path = make(Path(place), asked.mib)
        size = path.stat().st_size / 1e6
        for way in ("verify", "replay", "jsonl"):
            command = [sys.executable, "-m", "tests.tampering.large", "--read", way, str(path)]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found, peak, seconds = told.split()
            _say(f"{way}: {found} of {size:.0f} MB, peak {peak} MiB, {size / float(seconds):.0f} MB/s of CPU time")
            if int(peak) > MOST_MIB:
                _say(f"that is more than {MOST_MIB} MiB")
                return 1
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
