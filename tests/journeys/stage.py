"""The stage of a journey: a real PostgreSQL, a broker process beside it, and people with the `hoopx` command."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from tests.journeys.tokens import AUDIENCE, ISSUER, TokenMint
from tests.peers import clients, warm
from tests.peers.clients import HOOPX, Outcome, plain_environment
from tests.peers.postgres import Postgres
from tests.peers.processes import bound_to_us, closed_port, eventually

POLICIES = Path(__file__).parents[2] / "policies"
READY = re.compile(r"hoopx broker ready on (https://127\.0\.0\.1:\d+) \(certificate (sha256:[0-9a-fA-F:]+)\)")

# Who is in the play, and their groups. Ann and Bob write software, Dora and Dave look after databases, Sam looks after
# people.
CAST: dict[str, tuple[str, ...]] = {
    "ann": ("developers",),
    "bob": ("developers",),
    "dora": ("dba",),
    "dave": ("dba",),
    "olga": ("auditors",),
    "sam": ("security",),
    "nobody": (),
}

Process: TypeAlias = subprocess.Popen[bytes] | warm.Process

LENAS_PASSWORD = "correct-horse"  # Lena logs in as people do, at the issuer inside the broker

CLASSIFY = """\
    classify:
      public.customers.email: email
      public.customers.ssn: national-id
      public.payments.card: card-number
"""


class Stage:
    """One broker with its configuration in `home`, and the targets of `_targets`."""

    def __init__(self, home: Path, postgres: Postgres) -> None:
        self.home = home
        self.postgres = postgres
        self.mint = TokenMint()
        self.config = home / "hoopx.yaml"
        self.url, self.fingerprint = "", ""
        self._said = home / "broker.log"
        self._broker: Process | None = None
        self._write_configuration()

    # The broker

    def start_broker(self) -> None:
        """Start the broker on a port the kernel chooses; wait until it says that it is ready."""
        heard = self._said.stat().st_size if self._said.exists() else 0
        self._broker = self._run_broker(self.program(), *self.options())
        ready = eventually(lambda: self._ready(heard), "the broker says it is ready")
        self.url, self.fingerprint = ready.group(1), ready.group(2)

    def program(self) -> list[str]:
        """What is run as the broker, where it is not the one that is installed."""
        return []

    def options(self) -> list[str]:
        """What it is run with, beside its configuration."""
        return []

    def _run_broker(self, program: list[str], *options: str) -> Process:
        arguments = ["broker", "run", *options, "--config", str(self.config)]
        environ = plain_environment() | {"HOOPX_HOME": str(self.home / "broker-home")}
        with self._said.open("ab") as said:
            if not program and warm.warms():
                return warm.start_broker(arguments, environ, said.fileno())
            return subprocess.Popen(
                [*bound_to_us(), *(program or [str(HOOPX)]), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=environ,
            )

    @contextmanager
    def standby_broker(self) -> Iterator[Process]:
        """A second one on the same state and configuration, waiting for the end of the first."""
        heard = self._said.stat().st_size
        standby = self._run_broker([], "--standby")
        try:
            eventually(lambda: b"stands by" in self._said.read_bytes()[heard:], "the second broker waits")
            yield standby
        finally:
            standby.terminate()
            standby.wait(60)

    @property
    def broker(self) -> Process:
        """The running broker: signal it, or look at what it uses."""
        assert self._broker is not None
        return self._broker

    def kill_broker(self) -> None:
        """`kill -9`."""
        assert self._broker is not None
        self._broker.kill()
        self._broker.wait()
        self._broker = None

    def stop_broker(self) -> int:
        """Ask it to stop, as a service manager does; give its exit code."""
        assert self._broker is not None
        self._broker.send_signal(signal.SIGTERM)
        code = self._broker.wait(60)
        self._broker = None
        return code

    def broker_said(self) -> str:
        return self._said.read_text(errors="replace")

    def close(self) -> None:
        if self._broker is not None:
            self.stop_broker()

    def _ready(self, heard: int) -> re.Match[str] | None:
        assert self._broker is not None
        said = self._said.read_bytes()[heard:].decode(errors="replace")
        if self._broker.poll() is not None:
            raise AssertionError(f"the broker ended {self._broker.returncode} before it was ready:\n{said}")
        return READY.search(said)

    # The people

    def environment(self, who: str, **more: str) -> dict[str, str]:
        """What a job of `who` has in its environment."""
        home = self.home / f"home-{who}"
        home.mkdir(mode=0o700, exist_ok=True)
        given = {
            "HOME": str(home),
            "HOOPX_HOME": str(home / "hoopx"),
            "HOOPX_BROKER": self.url,
            "HOOPX_CA": self.fingerprint,
            "HOOPX_TOKEN": self.mint.token(who, CAST[who]) if who in CAST else "",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",  # never the developer's own
            "PATH": f"{HOOPX.parent}:{plain_environment()['PATH']}",
        }
        return plain_environment() | given | more

    def hoopx(self, *arguments: str, who: str = "ann", stdin: str = "", **more: str) -> Outcome:
        """Run a `hoopx` command to its end. No journey may ever show a traceback."""
        outcome = warm.run(arguments, self.environment(who, **more), stdin)
        assert "Traceback" not in outcome.err, outcome.err
        return outcome

    def begin(self, *arguments: str, who: str = "ann", **more: str) -> Running:
        """Start a `hoopx` command and leave it running."""
        return Running([str(HOOPX), *arguments], self.environment(who, **more), self.home)

    def exec(self, target: str, command: Sequence[str], who: str = "ann", stdin: str = "") -> Outcome:
        return self.hoopx("exec", target, "--", *command, who=who, stdin=stdin)

    def psql(self, target: str, *sql: str, who: str = "ann", options: Sequence[str] = ("-At",)) -> Outcome:
        return self.exec(target, clients.psql(*sql, options=options), who)

    def listed(self, *arguments: str, who: str = "ann") -> list[dict[str, Any]]:
        """The objects that a listing command prints with `-o json`."""
        return objects(self.hoopx(*arguments, "-o", "json", who=who).fine().out)

    def minted(self) -> set[str]:
        """Roles that the broker has made on the target."""
        return {role for role in self.postgres.roles("hoopx_") if role != self.postgres.admin}

    def nothing_remains(self) -> None:
        """No minted role and no connection by one is left on the target, at the latest after a short while."""
        eventually(lambda: not self.minted(), "no minted role is left")
        eventually(lambda: not self.minted_backends(), "no backend of a minted role is left")

    def minted_backends(self) -> list[tuple[int, str]]:
        """Connections by roles that the broker has made."""
        return [each for each in self.postgres.backends("hoopx\\_%") if each[1] != self.postgres.admin]

    def minted_streams(self) -> list[tuple[int, str]]:
        """Of these, the connections of clients: not the one by which the broker reads the catalog."""
        asked = "SELECT pid FROM pg_stat_activity WHERE application_name = 'hoopx catalog'"
        readers = {pid for (pid,) in self.postgres.sql(asked)}
        return [each for each in self.minted_backends() if each[0] not in readers]

    def await_on_target(self, sql: str) -> None:
        """Wait until the target runs `sql` for a minted role."""
        asked = f"SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '{sql}%'"
        eventually(lambda: self.postgres.sql(asked) != [(0,)], f"the target runs {sql!r}")

    # The configuration

    def _write_configuration(self) -> None:
        self.home.mkdir(mode=0o700, exist_ok=True)
        self.mint.write_keys(self.home / "keys.json")
        shutil.copytree(POLICIES, self.home / "policies", dirs_exist_ok=True)
        self._secret("admin-password", self.postgres.admin_password)
        self._secret("superuser-password", self.postgres.superuser_password)
        self.config.write_text(self.configuration())

    def _secret(self, name: str, value: str) -> None:
        path = self.home / name
        path.touch(mode=0o600)
        path.write_text(value)

    def configuration(self) -> str:
        """The text of hoopx.yaml."""
        return f"""\
listen: 127.0.0.1:0
state: sqlite:state.db
recordings: file:recordings
policies: policies
identity:
  - issuer: {ISSUER}
    kind: workload
    audience: {AUDIENCE}
    jwks_file: keys.json
    claims: {{user: sub, groups: groups}}
  - kind: embedded
    users:
      lena: {{password: {LENAS_PASSWORD}, groups: [developers], email: lena@example.com}}
targets:
{"".join(self._targets())}"""

    def _targets(self) -> Iterator[str]:
        reader = self._minting(roles="[app_read]", read_only="true")
        writer = self._minting(roles="[app_read, app_write]", read_only="false")
        yield self._target("shop-prod", "{env: prod}", reader) + CLASSIFY
        yield self._target("shop-dev", "{env: dev}", writer) + CLASSIFY
        yield self._target("payments-prod", "{env: prod, approval: required}", reader) + CLASSIFY
        fixed = f"{{from: static, user: {self.postgres.superuser}, password: file:superuser-password}}"
        yield self._target("shop-fixed", "{env: prod}", fixed) + CLASSIFY
        misspelt = "    classify: {public.customers.emial: email}\n"
        yield self._target("misspelt", "{env: dev}", reader) + misspelt
        yield self._target("asleep", "{env: prod}", reader, port=closed_port())
        yield self._target("stranger", "{env: prod}", reader, ca=self.postgres.foreign_ca)
        wrong = f"{{from: postgres-role, user: {self.postgres.admin}, password: not-it, roles: [app_read]}}"
        yield self._target("locked-out", "{env: prod}", wrong)
        makes = "CREATE ROLE {{role}} LOGIN PASSWORD {{password}} VALID UNTIL {{expires}}"
        half = self._minting("[]", "true").replace("roles: []", f"create: ['{makes}', 'GRANT nowhere TO {{{{role}}}}']")
        yield self._target("half-made", "{env: prod}", half)
        stale = f"{{from: static, user: {self.postgres.admin}, password: not-it-either}}"
        yield self._target("misremembered", "{env: prod}", stale)

    def _minting(self, roles: str, read_only: str) -> str:
        login = f"user: {self.postgres.admin}, password: file:admin-password"
        return f"{{from: postgres-role, {login}, roles: {roles}, read_only: {read_only}, ttl: 1h}}"

    def _target(self, name: str, labels: str, credentials: str, port: int | None = None, ca: Path | None = None) -> str:
        return f"""\
  {name}:
    kind: postgres
    address: {self.postgres.host}:{port or self.postgres.port}
    database: {self.postgres.database}
    tls: {{mode: verify-full, ca: {ca or self.postgres.ca}}}
    labels: {labels}
    credentials: {credentials}
"""


class Running:
    """A command that runs on; what it says so far can be read at any time."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], directory: Path) -> None:
        self._out = _fresh(directory, "out")
        self._err = _fresh(directory, "err")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [*bound_to_us(), *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=dict(environ),
                start_new_session=True,
            )

    def says(self, pattern: str) -> re.Match[str]:
        """Wait until stdout or stderr holds `pattern`."""

        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.out) or re.search(pattern, self.err)
            assert found or self.process.poll() is None, f"ended {self.process.returncode}: {self.out}{self.err}"
            return found

        return eventually(look, f"it says {pattern!r}")

    @property
    def out(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def err(self) -> str:
        return self._err.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, number: signal.Signals | None = None) -> Outcome:
        """Send a signal if one is given, wait for the end, and give the outcome."""
        if number is not None:
            self.send(number)
        code = self.process.wait(60)
        assert "Traceback" not in self.err, self.err
        return Outcome(code, self.out, self.err)

    def close(self) -> None:
        """End it and what it has started, children of a killed command included."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


Played = TypeVar("Played", bound=Stage)


@contextmanager
def playing(stage: Played) -> Iterator[Played]:
    """The stage with its broker started, and closed after the scene; a broker that stumbled fails the play."""
    stage.start_broker()
    try:
        yield stage
    finally:
        stage.close()
    assert "Traceback" not in stage.broker_said(), stage.broker_said()[-4000:]


@contextmanager
def running(stage: Stage, *arguments: str, who: str = "ann", **more: str) -> Iterator[Running]:
    """A `hoopx` command beside the scene, ended with it."""
    command = stage.begin(*arguments, who=who, **more)
    try:
        yield command
    finally:
        command.close()


def typed(line: str, environ: Mapping[str, str], here: Path, stdin: str = "") -> Outcome:
    """A line of a shell's, in a folder. What needs no shell is started without one, and without a start of Python's."""
    with chdir(here):
        if line.startswith("hoopx ") and not re.search(r"[$|&;<>*~`]", line):
            done = warm.run(shlex.split(line, comments=True)[1:], environ, stdin)
        else:
            done = clients.run(["bash", "-euc", line], environ, stdin)
    assert "Traceback" not in done.err, done.err
    return done


def objects(text: str) -> list[dict[str, Any]]:
    """JSON as a command prints it: one object a line, one array, or one object that wraps one array."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(whole, dict) and len(whole) == 1 and isinstance(only := next(iter(whole.values())), list):
        return only
    return whole if isinstance(whole, list) else [whole]


def _fresh(directory: Path, name: str) -> Path:
    return directory / f"{name}-{len(list(directory.glob(f'{name}-*')))}"
