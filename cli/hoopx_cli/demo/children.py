"""Processes of the demo: they end with it, however it ends."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

from hoopx_broker.terms.errors import BackendFailed

HOOPX = Path(sys.executable).with_name("hoopx")
# Each command takes a second or two; a busy machine may need ten times as long.
COMMAND_SECONDS = 60
START_SECONDS = 60
LOOK_EVERY = 0.05

T = TypeVar("T")


@cache
def bound_to_us() -> tuple[str, ...]:
    """On Linux, the kernel ends a child as soon as its parent is gone."""
    found = shutil.which("setpriv") if sys.platform == "linux" else None
    return (found, "--pdeathsig", "KILL") if found else ()


def run(
    command: Sequence[str | Path], environ: Mapping[str, str], directory: Path, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run to the end, both streams in one. What it left with is for the caller to judge."""
    return subprocess.run(
        [*bound_to_us(), *map(str, command)],
        cwd=directory,
        env=dict(environ),
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=COMMAND_SECONDS,
        check=False,
    )


def start(command: Sequence[str | Path], environ: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start in the background, away from the terminal's Ctrl-C; everything it says goes to `log`."""
    with log.open("ab") as out:
        return subprocess.Popen(
            [*bound_to_us(), *map(str, command)],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes], seconds: float = 15) -> None:
    """SIGTERM, and SIGKILL for what does not listen."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_(look: Callable[[], T | None], what: str, process: subprocess.Popen[bytes], log: Path) -> T:
    """Look until there is something to see. Raises `BackendFailed` when the process ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while (found := look()) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace").strip().splitlines()
            raise BackendFailed(f"{what} did not come: {said[-1] if said else 'it said nothing'}", "run it again")
        time.sleep(LOOK_EVERY)
    return found
