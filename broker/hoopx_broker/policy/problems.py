"""What is wrong with a directory of policies, all of it at once and each with its place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from hoopx_broker.terms.errors import BadInput


class Problem(Struct, frozen=True, order=True):
    """`file:line: message`."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class BadPolicies(BadInput):
    """The policies cannot be used. `problems` has all that was found."""

    def __init__(self, directory: Path, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        count = len(self.problems)
        more = f" (and {count - 1} more)" if count > 1 else ""
        super().__init__(f"{self.problems[0]}{more}", f"`hoopx policy check {directory}` shows every problem")
