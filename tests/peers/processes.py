"""Processes that tests start: they die with the tests, and waiting for something always has an end."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 60.0  # seconds; what is waited for here takes less than one, but a loaded machine may stall


@cache
def bound_to_us() -> tuple[str, ...]:
    """Where Linux has it: put before a command, it is killed when the tests die, however they die."""
    bound = ("setpriv", "--pdeathsig", "KILL")
    return bound if works((*bound, "true")) else ()


@cache
def unprivileged() -> tuple[str, ...]:
    """Put before a command where we are root: it runs in a user namespace as somebody else. Empty where none can be."""
    namespace = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
    return namespace if os.geteuid() == 0 and works((*namespace, "true")) else ()


def closed_port() -> int:
    """A port where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def works(command: tuple[str, ...]) -> bool:
    """Can this machine run that?"""
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def eventually(look: Callable[[], T | None], what: str, patience: float = PATIENCE) -> T:
    """Look again and again until there is something true to see; fail, saying `what` was missing, after `patience`."""
    deadline = time.monotonic() + patience
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"after {patience:.0f} s still not: {what} (seen last: {seen!r})")
        time.sleep(0.05)
    return seen


def command_lines() -> bytes:
    """What everybody on this machine may see of its processes."""
    seen = b""
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended, or is not for us
            seen += each.read_bytes() + b"\n"
    return seen
