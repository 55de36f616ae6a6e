"""Hold two outputs of one file against each other, hunk by hunk."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from msgspec import Struct


class Hunk(Struct, frozen=True):
    """Lines that only the direct way gave, and lines that only hoopx gave, at one line of the direct output."""

    line: int
    direct: tuple[str, ...]
    through: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            f"  line {self.line}",
            *(f"  - {line}" for line in self.direct),
            *(f"  + {line}" for line in self.through),
        ]
        return "\n".join(lines)


def hunks(direct: bytes, through: bytes) -> list[Hunk]:
    """By diff(1), whose hunks are smaller and sooner there than those of Python's own."""
    if direct == through:
        return []
    with tempfile.TemporaryDirectory() as place:
        sides = [Path(place) / "direct", Path(place) / "through"]
        for side, output in zip(sides, (direct, through), strict=True):
            side.write_bytes(output)
        command = ["diff", "--text", "--unified=0", *map(str, sides)]
        said = subprocess.run(command, stdout=subprocess.PIPE, check=False, timeout=60).stdout
    found: list[Hunk] = []
    for line in said.decode(errors="replace").splitlines()[2:]:
        if line.startswith("@@"):
            found.append(Hunk(int(line.split()[1].partition(",")[0]) * -1, (), ()))
        elif found and line.startswith("-"):
            found[-1] = Hunk(found[-1].line, (*found[-1].direct, line[1:]), found[-1].through)
        elif found and line.startswith("+"):
            found[-1] = Hunk(found[-1].line, found[-1].direct, (*found[-1].through, line[1:]))
    return found
