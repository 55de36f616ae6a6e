"""Another Unix user of this machine, who tries what any user may try."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from msgspec import Struct

from tests.peers.processes import works

# No account has it: what it may do, everybody may.
UID = 61_234
WHY_NOT = "to be another user takes root (setpriv), or newuidmap with a range in /etc/subuid (unshare)"


class SecondUser(Struct, frozen=True):
    """`become` stands before a command; `python` is an interpreter that this user can run."""

    become: tuple[str, ...]
    python: str

    def run(self, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        plain = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"} | environ
        return subprocess.run(
            [*self.become, *command],
            env=plain,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def tries(self, script: str, *arguments: str) -> str:
        """What a script prints, that must not fail."""
        done = self.run(self.python, "-c", script, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        command = [*self.become, self.python, "-u", "-c", script, *arguments]
        return subprocess.Popen(command, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@cache
def second_user() -> SecondUser | None:
    """The first way to become one that works here: a file of ours with mode 0600 is closed to it."""
    number = str(UID)
    as_root = ("setpriv", "--reuid", number, "--regid", number, "--clear-groups", "--no-new-privs")
    mapped = ("unshare", "--user", "--map-auto", "--setuid", "1000", "--setgid", "1000")
    for become in (as_root, mapped):
        for python in ("/usr/bin/python3", sys.executable):
            if works((*become, python, "-c", "pass")) and _is_another(become):
                return SecondUser(become, python)
    return None


def _is_another(become: Sequence[str]) -> bool:
    with tempfile.NamedTemporaryFile(dir="/tmp") as ours:
        Path(ours.name).chmod(0o600)
        is_closed = not works((*become, "cat", ours.name))
        Path(ours.name).chmod(0o644)
        return is_closed and works((*become, "cat", ours.name))


def by_no_root() -> tuple[str, ...]:
    """What stands before a command so that root is an ordinary user to whatever it starts; nothing for others."""
    if os.geteuid() != 0:
        return ()
    plain = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
    return plain if works((*plain, "true")) else ()
