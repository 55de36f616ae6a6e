"""Measure how long commands take to start: beside `python -c pass`, which nothing written in Python can beat."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.peers.processes import closed_port

HOOPX = str(Path(sys.executable).with_name("hoopx"))
PASS = "python -c pass"
# What is typed -> the command. `hoopx ls` finds nobody there: all but the way there and back is in it.
COMMANDS: dict[str, list[str]] = {
    PASS: [sys.executable, "-c", "pass"],
    "hoopx --version": [HOOPX, "--version"],
    "hoopx --help": [HOOPX, "--help"],
    "hoopx ls --help": [HOOPX, "ls", "--help"],
    "hoopx completion bash": [HOOPX, "completion", "bash"],
    "hoopx ls, no broker there": [HOOPX, "ls"],
}


def measure_starts(rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds of the clock and of the processor, for each command and round; in turn, the first only warms up."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory(prefix="hoopx-bench-") as home:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "HOOPX_HOME": home,
            "HOOPX_TOKEN": "a-token",
            "HOOPX_BROKER": f"https://127.0.0.1:{closed_port()}",
        }
        for turn in range(rounds + 1):
            for name, command in COMMANDS.items():
                taken = _one(command, environ)
                if turn:
                    found[name].append(taken)
    return found


def starts_table(found: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Markdown: the least and the median time, and both clocks as ratios to `python -c pass` of the same round."""
    rows = [
        "| command | least, ms | median, ms | : pass, clock | : pass, processor |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, taken in found.items():
        clock = [each[0] * 1000 for each in taken]
        rows.append(
            f"| `{name}` | {min(clock):.0f} | {statistics.median(clock):.0f} | "
            f"{_ratio(taken, found[PASS], 0)} | {_ratio(taken, found[PASS], 1)} |"
        )
    return "\n".join(rows)


def _ratio(taken: Sequence[tuple[float, float]], base: Sequence[tuple[float, float]], which: int) -> str:
    each = sorted(one[which] / other[which] for one, other in zip(taken, base, strict=True))
    return f"{statistics.median(each):.1f} ({each[0]:.1f} to {each[-1]:.1f})"


def _one(command: Sequence[str], environ: Mapping[str, str]) -> tuple[float, float]:
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - begun, used.ru_utime + used.ru_stime
