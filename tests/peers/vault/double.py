"""Put the double together: its state, its engines, its socket, and the faults that come in by the door."""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

from tests.peers.certificates import Authority
from tests.peers.vault.approle import AppRoleMethod
from tests.peers.vault.aws import AwsEngine
from tests.peers.vault.clock import now
from tests.peers.vault.core import Core
from tests.peers.vault.database import DatabaseEngine
from tests.peers.vault.engine import Engine
from tests.peers.vault.kv import KvEngine
from tests.peers.vault.logins import JwtMethod, KubernetesMethod
from tests.peers.vault.server import Faults, Front
from tests.peers.vault.ssh import SshEngine
from tests.peers.vault.state import State, Token, load, mount, word
from tests.peers.vault.system import Cubbyhole, SystemEngine, fresh_namespace
from tests.peers.vault.tokens import TokenEngine

ROOT_TOKEN = "root"


class Double:
    """A running double, in this process. Everything it knows lies in `home`."""

    def __init__(self, home: Path, port: int = 0) -> None:
        state = load(home / "state.json") or fresh_state(home)
        self.core = Core(state, home, _engines())
        for engine in self.core.engines.values():
            engine.core = self.core
        if not (home / "server.pem").exists():
            authority = Authority.make("vault of the tests")
            authority.write(home / "ca.pem")
            authority.write_server(home)
        self.front = Front(self.core, home / "server.pem", home / "server.key", port)

    @property
    def faults(self) -> Faults:
        return self.front.faults

    def start(self) -> None:
        self.core.save()
        self.core.leases.start()
        self.front.start()

    def stop(self) -> None:
        self.front.stop()
        self.core.leases.stop()
        for engine in self.core.engines.values():
            engine.close()

    def obey(self, line: str) -> None:
        """Take the faults that a test sends."""
        for key, value in json.loads(line).items():
            setattr(self.faults, key, value)


def fresh_state(home: Path) -> State:
    """As a server in dev mode begins: unsealed, with a root token, a KV engine at secret/, and an audit log."""
    state = State(unseal_key=base64.b64encode(secrets.token_bytes(32)).decode())
    top = fresh_namespace("")
    top.mounts["secret/"] = mount("kv", {"version": "2"})
    state.namespaces[""] = top
    state.audits["file/"] = {"type": "file", "options": {"file_path": str(home / "audit.log")}}
    root = Token(
        id=ROOT_TOKEN,
        accessor=word(24),
        namespace="",
        policies=["root"],
        display_name="token",
        path="auth/token/create",
        created=now(),
        renewable=False,
        orphan=True,
    )
    state.tokens[root.id] = root
    return state


def run(home: Path, port: int) -> None:
    """Serve until the standard input ends, as it does when the tests die; each line of it sets faults."""
    double = Double(home, port)
    double.start()
    _say({"port": double.front.port, "unseal_key": double.core.state.unseal_key, "pid": os.getpid()})
    for line in sys.stdin:
        double.obey(line)
        _say({"done": True})
    double.stop()


def _say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def _engines() -> dict[str, Engine]:
    return {
        "system": SystemEngine(),
        "cubbyhole": Cubbyhole(),
        "token": TokenEngine(),
        "kv": KvEngine(),
        "database": DatabaseEngine(),
        "ssh": SshEngine(),
        "aws": AwsEngine(),
        "jwt": JwtMethod(),
        "oidc": JwtMethod(),
        "approle": AppRoleMethod(),
        "kubernetes": KubernetesMethod(),
    }
