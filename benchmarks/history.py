"""What runs have said so far, one line for each, and what became slower since the last one on the same machine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.memory import GROWTH
from benchmarks.openings import RATE

# Lines of other machines say nothing about this one.
_MACHINE = ("processor", "machine", "cores", "compiled", "postgresql")
LINES = 5
# Figures that have no spread of their own: what changes by less is taken for chance.
_TOLERANCE = 0.15

# What is compared -> its median, and the least and the most of it. Less is better for all of them.
Spread = tuple[float, float, float]


def append(file: Path, line: Mapping[str, Any]) -> None:
    with file.open("a") as history:
        history.write(json.dumps(line) + "\n")


def lines_like(file: Path, line: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The last ones that were measured on a machine like that of `line`, the oldest first."""
    if not file.exists():
        return []
    known = [json.loads(each) for each in file.read_text().splitlines() if each.strip()]
    return [each for each in known if all(each.get(name) == line.get(name) for name in _MACHINE)][-LINES:]


def comparison(before: Sequence[Mapping[str, Any]], now: Mapping[str, Any]) -> str:
    """Markdown: each figure through the lines, and a mark where it left the spread of the last that has it."""
    if not before:
        return "There is no earlier run of this machine in the history."
    lines = [*before, now]
    dates = [f"{line['at']} (load {line.get('load_before')})" for line in before]
    rows = ["| figure | " + " | ".join(dates) + " | now | |", "| --- |" + " --- |" * (len(lines) + 1)]
    earlier = [dict(_figures(line)) for line in before]
    for name, found in _figures(now):
        told = [_told(line.get(name)) for line in earlier]
        last = next((line[name] for line in reversed(earlier) if name in line), None)
        rows.append(f"| {name} | {' | '.join(told)} | {_told(found)} | {_mark(last, found)} |")
    return "\n".join(rows)


def slower(before: Sequence[Mapping[str, Any]], now: Mapping[str, Any]) -> list[str]:
    """The names of the figures that became worse than chance explains."""
    earlier = [dict(_figures(line)) for line in before]
    return [
        name
        for name, found in _figures(now)
        for last in [next((line[name] for line in reversed(earlier) if name in line), None)]
        if _mark(last, found) == "slower"
    ]


def _figures(line: Mapping[str, Any]) -> Iterator[tuple[str, Spread]]:
    for case, said in line.get("cases", {}).items():
        for way, ratio in said["ratios"].items():
            if ratio is not None:
                least, most = said.get("spreads", {}).get(way) or (ratio, ratio)
                yield f"{case}, {way} : direct", (ratio, least, most)
    for name, (middle, late) in line.get("openings", {}).items():
        yield f"{name}, ms", (middle, middle * (1 - _TOLERANCE), max(late, middle * (1 + _TOLERANCE)))
    for name, figure in line.get("figures", {}).items():
        if name.endswith(GROWTH):
            continue  # about nothing, where all is well
        if name == RATE:
            name, figure = "seconds for a session, where many open and end", 1 / figure
        yield name, (figure, figure * (1 - _TOLERANCE), figure * (1 + _TOLERANCE))


def _mark(last: Spread | None, found: Spread) -> str:
    """Outside of each other's spread, not merely beyond the other's median."""
    if last is None:
        return "new"
    if found[0] > last[2] and found[1] > last[0]:
        return "slower"
    return "faster" if found[0] < last[1] and found[2] < last[0] else ""


def _told(found: Spread | None) -> str:
    return "" if found is None else f"{found[0]:.3g}"
