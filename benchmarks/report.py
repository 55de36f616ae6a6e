"""Tables of ratios with their spread, and the same as JSON, with what is needed to read either."""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from msgspec import Struct

from benchmarks import ways
from benchmarks.ground import Ground
from benchmarks.memory import Figures
from benchmarks.openings import Samples
from hoopx_broker.wire.postgres import native

_LIBRARIES = ("hoopx", "picows", "aiofastnet", "uvloop", "msgspec", "cedarpy", "postgast")
NOT_MEASURED = "not measured"

# Seconds by way, one for each round; None for a way that is not here.
Rounds = Mapping[str, Sequence[float] | None]


class Measured(Struct, frozen=True):
    """Of one case: seconds by way and round; and CPU seconds of one unit, by way, round and process."""

    rounds: Rounds
    cpu: Mapping[str, Sequence[Mapping[str, float]]] = {}
    megabytes: float = 0


def machine(on: Ground, place: Path) -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "python": platform.python_version(),
        "postgresql": on.postgres.version,
        "libraries": {name: version(name) for name in _LIBRARIES},
        "cores": os.cpu_count(),
        "processor": _processor(),
        "machine": platform.machine(),
        "compiled": native.IS_COMPILED,
        "fsync_ms": round(_fsync(place) * 1000, 2),
        "load_before": round(os.getloadavg()[0], 2),
        "missing": [name for name in ("pgbouncer", "haproxy") if ways.program_of(name) is None],
    }


def _processor() -> str:
    """Its model; on other systems than Linux, what Python knows."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _fsync(place: Path) -> float:
    """The median of 50, each of a few bytes at the end of a file, where everything else is written too."""
    took = []
    with (place / "fsync").open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(b"entry" * 20)
            begun = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - begun)
    return statistics.median(took)


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
    ways = dict.fromkeys(way for rounds in measured.values() for way in rounds)
    others = [way for way in ways if way != "direct"]
    rows = [["case", "direct, ms", *(f"{way} : direct" for way in others)]]
    rows.append(["---"] * len(rows[0]))
    for case, rounds in measured.items():
        found = ratios(rounds)
        told = [_ratio(found[way]) if way in found else "" for way in others]
        rows.append([case, _milliseconds(rounds["direct"] or ()), *told])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def rates_table(measured: Mapping[str, Measured]) -> str:
    """Markdown: megabytes a second of what is read in bulk, by way: the median, and the share of direct."""
    rows = ["| case | way | MB/s | of direct |", "| --- | --- | --- | --- |"]
    for case, found in measured.items():
        for way, seconds in found.rounds.items():
            if found.megabytes and seconds:
                rate, share = found.megabytes / statistics.median(seconds), _median(ratios(found.rounds)[way])
                rows.append(f"| {case} | {way} | {rate:.0f} | {1 / share if share else 0:.2f} |")
    return "\n".join(rows)


def figures_table(figures: Figures) -> str:
    rows = ["| what | found |", "| --- | --- |"]
    return "\n".join([*rows, *(f"| {name} | {found:,.1f} |" for name, found in figures.items())])


def openings_table(samples: Samples) -> str:
    rows = ["| what | p50, ms | p99, ms |", "| --- | --- | --- |"]
    rows += [
        f"| {name} | {at_percent(50, found) * 1000:.0f} | {at_percent(99, found) * 1000:.0f} |"
        for name, found in samples.items()
    ]
    return "\n".join(rows)


def endings_table(samples: Samples) -> str:
    rows = ["| what | p50, s | p99, s | most, s |", "| --- | --- | --- | --- |"]
    rows += [
        f"| {name} | {at_percent(50, s):.2f} | {at_percent(99, s):.2f} | {max(s):.2f} |" for name, s in samples.items()
    ]
    return "\n".join(rows)


def cpu_table(measured: Mapping[str, Measured]) -> str:
    """Markdown: CPU time of one unit in microseconds, by process: the median."""
    rows = ["| case | way | CPU of one, µs |", "| --- | --- | --- |"]
    for case, found in measured.items():
        for way, rounds in _cpu(found).items():
            told = ", ".join(f"{process} {microseconds:.0f}" for process, microseconds in rounds.items())
            rows.append(f"| {case} | {way} | {told} |")
    return "\n".join(rows)


def _cpu(found: Measured) -> dict[str, dict[str, float]]:
    """Medians in microseconds, by way and process."""
    return {
        way: {name: round(statistics.median(each[name] for each in rounds) * 1e6, 1) for name in rounds[0]}
        for way, rounds in found.cpu.items()
        if rounds
    }


def kept(
    facts: Mapping[str, Any], measured: Mapping[str, Measured], samples: Samples, figures: Figures
) -> dict[str, Any]:
    """What the history keeps of a run, on one line: the machine, the medians and their spread."""
    cases = {
        case: {
            "direct_ms": round(statistics.median(found.rounds["direct"] or ()) * 1000, 4),
            "ratios": {way: _median(each) for way, each in _compared(found)},
            "spreads": {way: [round(each[0], 3), round(each[-1], 3)] for way, each in _compared(found) if each},
            "cpu_us": _cpu(found),
        }
        for case, found in measured.items()
    }
    openings = {name: _in_milliseconds(found) for name, found in samples.items()}
    told = {name: round(figure, 2) for name, figure in figures.items()}
    at = time.strftime("%Y-%m-%d", time.gmtime())
    return {"at": at, **facts, "cases": cases, "openings": openings, "figures": told}


def document(
    facts: Mapping[str, Any], measured: Mapping[str, Measured], samples: Samples, figures: Figures
) -> dict[str, Any]:
    """Everything, in seconds."""
    return {
        "machine": dict(facts),
        "cases": {
            case: {
                "seconds": dict(found.rounds),
                "ratios": {way: _median(each) for way, each in ratios(found.rounds).items()},
                "cpu": {way: list(map(dict, rounds)) for way, rounds in found.cpu.items()},
            }
            for case, found in measured.items()
        },
        "openings": {
            name: {"p50": at_percent(50, found), "p99": at_percent(99, found)} for name, found in samples.items()
        },
        "figures": dict(figures),
    }


def _compared(found: Measured) -> list[tuple[str, list[float] | None]]:
    return [(way, each) for way, each in ratios(found.rounds).items() if way != "direct"]


def _in_milliseconds(found: Sequence[float]) -> list[float]:
    return [round(at_percent(percent, found) * 1000, 1) for percent in (50, 99)]


def _median(found: Sequence[float] | None) -> float | None:
    return None if found is None else round(statistics.median(found), 3)


def _milliseconds(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.3g}"


def _ratio(found: Sequence[float] | None) -> str:
    if found is None:
        return NOT_MEASURED
    return f"{statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"


def at_percent(percent: int, found: Sequence[float]) -> float:
    return sorted(found)[min(len(found) - 1, len(found) * percent // 100)]
