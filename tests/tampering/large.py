"""A recording of a gigabyte, and one of a million statements, read in little memory: `python -m tests.tampering.large`.

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
_ROOT = Path(__file__).parents[2]
MOST_MIB = 200  # that a reader may hold, the interpreter and its libraries included


def of_rows(directory: Path, mib: int) -> Path:
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


def of_noise(directory: Path, mib: int) -> Path:
    """What a hostile server may send, and quickly made."""
    chance, recorder = random.Random(1), Recorder.create(directory, OPENED, KEY, HandClock())
    while recorder.size < mib << 20:
        recorder.write([Rows("t_1", 1, ROWS, chance.randbytes(256 << 10))])
    recorder.seal("enough")
    return recorder.path


def of_statements(directory: Path, count: int) -> Path:
    """Each in appends of its own, as they come."""
    recorder = Recorder.create(directory, OPENED, KEY, HandClock())
    for n in range(1, count + 1):
        recorder.write([Statement("t_1", n, f"update accounts set balance = {n} where id = 17", "allow")])
        recorder.write([Finished("t_1", n, "UPDATE 1", affected=1)])
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
    parser = argparse.ArgumentParser(prog="make tamper")
    parser.add_argument("--mib", type=int, default=1024, help="how large the recording of rows is")
    parser.add_argument("--statements", type=int, default=1_000_000, help="how many the other one holds")
    parser.add_argument("--read", nargs=2, metavar=("WAY", "FILE"), help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.read:
        began = time.process_time()
        count = read(asked.read[0], Path(asked.read[1]))
        _say(f"{count} {_peak()} {time.process_time() - began:.2f}")
        return 0
    fits = True
    for make, size in ((of_rows, asked.mib), (of_statements, asked.statements)):
        with tempfile.TemporaryDirectory(prefix="large-") as place:
            path = make(Path(place), size)
            _say(f"a recording {make.__name__.replace('_', ' ')}, {path.stat().st_size / 1e6:.0f} MB")
            for way in ("verify", "replay", "jsonl"):
                fits = _is_small(way, path) and fits
    return 0 if fits else 1


def _peak() -> int:
    """Of this process, in MiB. What Linux tells by `getrusage` may be the peak of whoever started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) >> 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> (20 if sys.platform == "darwin" else 10)


def measured(way: str, path: Path) -> tuple[int, int, float]:
    """How many came, the most memory in MiB, and the seconds of CPU time."""
    command = [sys.executable, "-m", "tests.tampering.large", "--read", way, str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=_ROOT).stdout
    count, peak, seconds = told.split()
    return int(count), int(peak), float(seconds)


def _is_small(way: str, path: Path) -> bool:
    count, peak, seconds = measured(way, path)
    what = "entries" if way == "verify" else "lines"
    speed = path.stat().st_size / 1e6 / seconds
    _say(f"    {way}: {count} {what}, peak {peak} MiB, {speed:.0f} MB/s of CPU time")
    if peak > MOST_MIB:
        _say(f"    that is more than {MOST_MIB} MiB")
    return peak <= MOST_MIB


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
