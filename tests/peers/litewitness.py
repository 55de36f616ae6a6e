"""A real witness: litewitness of filippo.io/torchwood, from the author of the specifications, beside an agent."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hoopx_broker.tlog.cosignatures import COSIGNATURE
from hoopx_broker.tlog.notes import Verifier
from tests.peers.found import LITEWITNESS
from tests.peers.processes import bound_to_us, closed_port, eventually


class LiteWitness:
    """The same face as the double's."""

    name = "litewitness.test/w1"

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        public = (home / "key.pub").read_text().split()[1]
        self.key = str(Verifier(self.name, base64.b64decode(public)[-32:], COSIGNATURE))

    def trust(self, origin: str, vkey: str) -> None:
        if not any(each["origin"] == origin for each in self._logs()):
            self._control("add-log", "-origin", origin)
        self._control("add-key", "-origin", origin, "-key", vkey)

    def distrust(self, origin: str, vkey: str) -> None:
        self._control("del-key", "-origin", origin, "-key", vkey)

    def size(self, origin: str) -> int:
        return next((int(each["size"]) for each in self._logs() if each["origin"] == origin), 0)

    def _logs(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._control("list-logs").splitlines()]

    def _control(self, command: str, *more: str) -> str:
        asked = [str(LITEWITNESS / "witnessctl"), command, "-db", str(self.home / "witness.db"), *more]
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout

    def answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


@contextmanager
def litewitness(home: Path) -> Iterator[LiteWitness]:
    """The path of the agent's socket is kept short: Unix takes no long ones."""
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "witness", "-f", str(home / "key"))
    there = LiteWitness(home, closed_port())
    agent = subprocess.Popen([*bound_to_us(), "ssh-agent", "-D", "-a", "agent"], cwd=home, stdout=subprocess.DEVNULL)
    try:
        eventually((home / "agent").exists, "the socket of ssh-agent")
        _run("ssh-add", "-q", "key", cwd=home, SSH_AUTH_SOCK="agent")
        fingerprint = _run("ssh-keygen", "-l", "-f", "key.pub", cwd=home).split()[1]
        command = [str(LITEWITNESS / "litewitness"), "-db", "witness.db", "-name", there.name, "-key", fingerprint]
        command += ["-ssh-agent", "agent", "-listen", f"127.0.0.1:{there.port}"]
        with (home / "witness.log").open("wb") as said:
            server = subprocess.Popen([*bound_to_us(), *command], cwd=home, stderr=said)
        try:
            eventually(there.answers, "litewitness")
            yield there
        finally:
            _end(server)
    finally:
        _end(agent)


def _run(*command: str, cwd: Path | None = None, **environ: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=_environ(environ), capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def _environ(more: dict[str, str]) -> dict[str, str]:
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", **more}


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
