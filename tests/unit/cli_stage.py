"""The stage of the command line's tests: a private home, a broker's double, and the real `hoopx` command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.peers.processes import bound_to_us
from tests.unit.cli_broker_double import TOKEN, BrokerDouble

HOOPX = str(Path(sys.executable).with_name("hoopx"))


class Stage:
    """`hoopx` as a user of `double` runs it."""

    def __init__(self, home: Path, double: BrokerDouble) -> None:
        self.home = home
        self.double = double

    def environment(self, **more: str) -> dict[str, str]:
        plain = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return plain | {
            "HOME": str(self.home),
            "HOOPX_HOME": str(self.home / "hoopx"),
            "HOOPX_BROKER": self.double.url,
            "HOOPX_CA": self.double.fingerprint,
            "HOOPX_TOKEN": TOKEN,
            **more,
        }

    def run(self, *arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [HOOPX, *arguments],
            env=self.environment(**more),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    @contextmanager
    def begun(self, *arguments: str, **more: str) -> Iterator[subprocess.Popen[str]]:
        """A command that runs on beside the scene."""
        process = subprocess.Popen(
            [*bound_to_us(), HOOPX, *arguments],
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@contextmanager
def stage_in(folder: Path) -> Iterator[Stage]:
    with BrokerDouble(folder).running() as double:
        yield Stage(folder, double)
