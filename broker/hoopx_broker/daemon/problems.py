"""What is wrong with a configuration: collected, so that all of it is told at once."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from hoopx_broker.terms.errors import BadInput


class Problem(Struct, frozen=True, order=True):
    """`key` is the dotted way to the value; `line` is 0 where the whole file is meant. Never holds a secret."""

    file: str
    line: int
    key: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        told = f"{self.key}: {self.what}" if self.key else self.what
        return f"{place}: {told}; {self.remedy}" if self.remedy else f"{place}: {told}"


class BadConfig(BadInput):
    """The configuration does not hold; `problems` are all that was found, one line each in the message."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)), "correct the file, then look again with `hoopx broker check`")
        self.problems = problems


class Wrong(Exception):
    """Raised by whatever reads one value. `what` goes on from the value: "is not a duration"; it never repeats it."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class Problems:
    """The problems of one file, in the order of its lines when they are told."""

    def __init__(self, file: Path) -> None:
        self._file = str(file)
        self._found: list[Problem] = []

    def note(self, line: int, key: str, what: str, remedy: str = "") -> None:
        self._found.append(Problem(self._file, line, _one_line(key), _one_line(what), _one_line(remedy)))

    def raise_if_any(self) -> None:
        if self._found:
            # A value behind an alias is read wherever it is used: its problem is still one problem.
            raise BadConfig(sorted(set(self._found)))


def _one_line(text: str) -> str:
    """Keys and values may hold line ends and escape codes: a problem is one line, and inert on a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
