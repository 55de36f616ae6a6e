"""What is measured by itself, without the ways: the pump, rulings, the start of commands, the end of many sessions."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tests.peers.postgres import installations

from benchmarks.endings import measure_endings
from benchmarks.pump import measure_pump
from benchmarks.report import endings_table
from benchmarks.rulings import measure_rulings, rulings_table
from benchmarks.starts import measure_starts, starts_table

F = TypeVar("F")


def measured_alone(said: argparse.Namespace) -> bool:
    """Whether that was all that was asked for."""
    if said.pump:
        for name, microseconds in measure_pump(said.pump).items():
            print(f"{name}: {microseconds:.1f} µs of CPU in the pump")
    elif said.only == "start":
        _by_rounds(measure_starts, starts_table, said)
    elif said.only == "rulings":
        _by_rounds(measure_rulings, rulings_table, said)
    elif said.only == "endings":
        _endings(said.sessions, said.json)
    else:
        return False
    return True


def _by_rounds(measure: Callable[[int], F], table: Callable[[F], str], said: argparse.Namespace) -> None:
    """What needs no servers."""
    before = os.getloadavg()[0]
    found = measure(said.rounds)
    facts = f"python {platform.python_version()}, cores {os.cpu_count()}, load {before:.1f}, {said.rounds} rounds"
    print(facts, end="\n\n")
    print(table(found))
    _write(found, said.json)


def _endings(sessions: int, file: Path | None) -> None:
    """It takes a ground of its own, and minutes."""
    before = os.getloadavg()[0]
    found = measure_endings(sessions)
    facts = f"python {platform.python_version()}, postgresql {installations()[0].version}, cores {os.cpu_count()}"
    loads = f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    print(f"{facts}, {loads}, {sessions} sessions", end="\n\n")
    print(endings_table(found))
    _write(found, file)


def _write(found: Any, file: Path | None) -> None:
    if file is not None:
        file.write_text(json.dumps(found, indent=1) + "\n")
