"""A broker whose memory can be looked at: on SIGUSR1 it collects garbage, gives back what is free, and says so.

`watched.py FILE broker run …`: each time a line is appended to FILE. With `HOOPX_BENCH_TRACE` in its environment the
line is followed by where the memory of Python's objects was allocated since the first time, by line of code.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys
import tracemalloc
from pathlib import Path
from types import FrameType

from hoopx_cli.main import main

TRACE = "HOOPX_BENCH_TRACE"
_before: list[tracemalloc.Snapshot] = []


def _tidy(_: int, frame: FrameType | None) -> None:
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # what other libraries than glibc's call it
        ctypes.CDLL(None).malloc_trim(0)
    told = "tidy\n" + _traced()
    with _SAID.open("a") as said:
        said.write(told)


def _traced() -> str:
    if TRACE not in os.environ:
        return ""
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    now = tracemalloc.take_snapshot()
    _before.append(now)
    differences = now.compare_to(_before[0], "lineno")
    return "".join(f"  {each.size_diff:>10} {each.count_diff:>7} {each.traceback}\n" for each in differences[:60])


if __name__ == "__main__":
    _SAID = Path(sys.argv.pop(1))
    signal.signal(signal.SIGUSR1, _tidy)
    main()
