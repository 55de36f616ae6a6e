"""Whom the demo's PostgreSQL runs as: it refuses root, and containers often know nobody else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from msgspec import Struct

from hoopx_broker.terms.errors import BackendFailed

NOBODY = 65534  # the user `nobody` of Linux distributions


class Tenant(Struct, frozen=True):
    """`wrapper` goes before a command. `uid` is set where the tenant is another user, who must be given its files."""

    wrapper: tuple[str, ...] = ()
    uid: int | None = None

    def give(self, *paths: Path) -> None:
        """Hand files over to the tenant."""
        if self.uid is not None:
            for path in paths:
                os.chown(path, self.uid, self.uid)

    def admit(self, directory: Path) -> None:
        """Let the tenant pass through a directory of ours, without reading it."""
        if self.uid is not None:
            directory.chmod(0o711)

    def reach(self, programs: Path, place: Path) -> Path:
        """Where the tenant can run `programs`: a copy in `place` if they lie in somebody's private directory."""
        # `test` is a second step: the first command after the change of user still has root's way through directories.
        if self.uid is None or _works((*self.wrapper, "test", "-x", str(programs / "bin" / "postgres"))):
            return programs
        return Path(shutil.copytree(programs, place / "programs", symlinks=True))


def tenant() -> Tenant:
    """Ourselves; for root somebody else in a user namespace; where there is none, `nobody`."""
    if os.geteuid() != 0:
        return Tenant()
    namespace = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
    if _works((*namespace, "true")):
        return Tenant(namespace)
    other = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    if _works((*other, "true")):
        return Tenant(other, NOBODY)
    raise BackendFailed("PostgreSQL does not run as root", "run `hoopx demo` as an ordinary user")


def _works(command: tuple[str, ...]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
