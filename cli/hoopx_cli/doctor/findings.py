"""What was found at one place: fine or not, in words, and how to mend it."""

from __future__ import annotations

from enum import Enum
from typing import Any

from msgspec import Struct, field

from hoopx_broker.terms.errors import ExitCode, HoopxError


class State(Enum):
    """How it stands. `skip`: it could not be looked at, because something before it failed."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class Checked(Struct, frozen=True):
    """One line of the report, and one object of `-o json`. `code` is what a command would leave with, 0 if it works.

    `facts` are for programs; times in seconds since the Unix epoch.
    """

    check: str
    state: State
    found: str
    mend: str = ""
    code: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


def fine(check: str, found: str, **facts: Any) -> Checked:
    return Checked(check, State.OK, found, facts=facts)


def odd(check: str, found: str, mend: str, **facts: Any) -> Checked:
    """Commands work, and something about them will surprise."""
    return Checked(check, State.WARN, found, mend, facts=facts)


def broken(check: str, found: str, mend: str, code: ExitCode, **facts: Any) -> Checked:
    """A command would leave with this code."""
    return Checked(check, State.FAIL, found, mend, int(code), facts)


def unlooked(check: str, why: str) -> Checked:
    return Checked(check, State.SKIP, f"not looked at: {why}")


def of_error(check: str, error: HoopxError, **facts: Any) -> Checked:
    """The error that a command would leave with."""
    return Checked(check, State.FAIL, error.message, error.hint, int(error.exit_code), facts)


def code_of(findings: list[Checked]) -> int:
    """What a command would leave with: the first thing that it meets."""
    return next((finding.code for finding in findings if finding.state is State.FAIL), 0)
