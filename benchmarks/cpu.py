"""How much of the processors' time a process took, its children included: what a busy machine does not blur."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_PROC = Path("/proc")


def is_known() -> bool:
    """Only Linux tells it to the nanosecond."""
    return (_PROC / "self" / "schedstat").exists()


def spent(processes: Mapping[str, int]) -> dict[str, float]:
    """Seconds of each so far."""
    return {name: sum(map(_of_threads, _with_children(pid))) for name, pid in processes.items()}


def _with_children(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        for thread in _threads(each):
            found += map(int, (thread / "children").read_text().split())
    return found


def _of_threads(pid: int) -> float:
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in _threads(pid)) / 1e9


def _threads(pid: int) -> list[Path]:
    return list((_PROC / str(pid) / "task").iterdir())
