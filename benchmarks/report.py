"""Tables of ratios with their spread, and the same as JSON, with what is needed to read either."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from benchmarks.ground import Ground
from benchmarks.openings import Samples

_LIBRARIES = ("hoopx", "picows", "aiofastnet", "uvloop", "msgspec", "cedarpy", "postgast")
NOT_MEASURED = "not measured"

# Seconds by way, one for each round; None for a way that is not here.
Rounds = Mapping[str, Sequence[float] | None]


def machine(on: Ground) -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "python": platform.python_version(),
        "postgresql": on.postgres.version,
        "libraries": {name: version(name) for name in _LIBRARIES},
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def ratios(measured: Rounds) -> dict[str, list[float] | None]:
    """Each way's seconds by the direct way's in the same round, sorted."""
    direct = measured["direct"]
    assert direct is not None
    return {
        way: None if seconds is None else sorted(one / base for one, base in zip(seconds, direct, strict=True))
        for way, seconds in measured.items()
    }


def table(measured: Mapping[str, Rounds]) -> str:
    """Markdown: the direct way in milliseconds, every other as its ratio to it: median (least to most)."""
    ways = list(next(iter(measured.values())))
    rows = [["case", "direct, ms", *(f"{way} : direct" for way in ways if way != "direct")]]
    rows.append(["---"] * len(rows[0]))
    for case, rounds in measured.items():
        found = ratios(rounds)
        rows.append([case, _milliseconds(rounds["direct"] or ())] + [_ratio(found[way]) for way in ways[1:]])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def openings_table(samples: Samples) -> str:
    rows = ["| what | p50, ms | p99, ms |", "| --- | --- | --- |"]
    rows += [
        f"| {name} | {_at(50, found) * 1000:.0f} | {_at(99, found) * 1000:.0f} |" for name, found in samples.items()
    ]
    return "\n".join(rows)


def endings_table(samples: Samples) -> str:
    rows = ["| what | p50, s | p99, s | most, s |", "| --- | --- | --- | --- |"]
    rows += [f"| {name} | {_at(50, s):.2f} | {_at(99, s):.2f} | {max(s):.2f} |" for name, s in samples.items()]
    return "\n".join(rows)


def document(facts: Mapping[str, Any], measured: Mapping[str, Rounds], samples: Samples) -> dict[str, Any]:
    """Everything, in seconds."""
    return {
        "machine": dict(facts),
        "cases": {
            case: {"seconds": dict(rounds), "ratios": {way: _median(found) for way, found in ratios(rounds).items()}}
            for case, rounds in measured.items()
        },
        "openings": {name: {"p50": _at(50, found), "p99": _at(99, found)} for name, found in samples.items()},
    }


def _median(found: Sequence[float] | None) -> float | None:
    return None if found is None else round(statistics.median(found), 3)


def _milliseconds(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.3g}"


def _ratio(found: Sequence[float] | None) -> str:
    if found is None:
        return NOT_MEASURED
    return f"{statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"


def _at(percent: int, found: Sequence[float]) -> float:
    return sorted(found)[min(len(found) - 1, len(found) * percent // 100)]
