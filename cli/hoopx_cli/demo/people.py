"""The people of the demo: each with a laptop of their own, which is a directory and the real `hoopx` command."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urljoin

import httpx2

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.secret import Secret
from hoopx_cli import settings, trust
from hoopx_cli.demo import children, cluster
from hoopx_cli.demo.ground import Ground
from hoopx_cli.settings import Flags

_PROMPT = re.compile(r"open (https://\S+) and type the code: (\S+)")
_BEARER = re.compile(r'"bearer":"([^"]+)"')
_TOKEN = re.compile(r'name="token" value="([^"]+)"')
_ACTION = re.compile(r'<form method="post" action="([^"]+)"')
# A session's role is gone when its command returns; a revoke that had to be tried again takes some seconds.
GONE_SECONDS = 10.0
_WAITING = re.compile(r"hoopx approve (r_[0-9a-z]+)\n(?:.*\n)?\s*waiting")


class Person:
    """`does` runs a command as this person would; nobody shares a home, a login or a socket with anybody."""

    def __init__(self, name: str, ground: Ground, token: Secret | None = None) -> None:
        """`token` is one that they did not get by logging in."""
        self.name = name
        self._ground = ground
        self._token = token
        self.home = ground.home / f"{name}-laptop"
        self.home.mkdir(mode=0o700)

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
        return kept | self.laptop | {"HOME": str(self.home), "PSQLRC": os.devnull, "PAGER": ""}

    @property
    def laptop(self) -> dict[str, str]:
        """What makes a terminal this person's."""
        return {
            "HOOPX_HOME": str(self.home),
            "HOOPX_BROKER": self._ground.url,
            "HOOPX_CA": self._ground.fingerprint,
            # Nothing of the demo may stay in the keyring of whoever runs it.
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            **({"HOOPX_TOKEN": self._token.reveal()} if self._token is not None else {}),
        }

    def terminal(self) -> Path:
        """A file that makes the shell that reads it this person's, with `hoopx` and `psql` on its path."""
        programs = os.pathsep.join(str(Path(each).parent) for each in (children.HOOPX, cluster.psql()[0]))
        variables = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in self.laptop.items())
        file = self.home / "terminal"
        file.write_text(f"export PATH={shlex.quote(programs)}:$PATH\n{variables}")
        return file

    def does(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """In this person's own directory; what it says to people and what it prints come in one, as on a screen."""
        return children.run([children.HOOPX, *arguments], self.environ, self.home, stdin)

    def psql(self, target: str, *statements: str) -> subprocess.CompletedProcess[str]:
        """One psql, one connection, through `hoopx exec`."""
        return self._types(("exec", target), statements)

    def agent_psql(self, target: str, *statements: str) -> subprocess.CompletedProcess[str]:
        """The same by an agent on this person's behalf, through `hoopx agent`."""
        return self._types(("agent", "--target", target), statements)

    def _types(self, way: Sequence[str], statements: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return self.does(*way, "--", *cluster.psql(), stdin="".join(f"{each};\n" for each in statements))

    def kept_token(self) -> Secret:
        """The token of the login, as whoever reads this person's files finds it."""
        found = _BEARER.search((self.home / "logins.json").read_text())
        if found is None:
            raise BackendFailed(
                "no login is kept where the demo looks for it", "report this: it is a fault of the demo"
            )
        return Secret(found.group(1))

    def begins(self, log: Path, *arguments: str | Path) -> subprocess.Popen[bytes]:
        return children.start([children.HOOPX, *arguments], self.environ, log)

    def request_in(self, log: Path, process: subprocess.Popen[bytes]) -> str:
        """The id of the request that a command says it waits for."""
        look = partial(_found, _WAITING, log)
        return children.await_(look, "the request for approval", process, log).group(1)

    def logs_in(self) -> tuple[str, str]:
        """`hoopx login`, with the pages filled in as a person would in a browser. Gives the address and the code."""
        log = self.home / "login.log"
        login = self.begins(log, "login")
        prompt = children.await_(partial(_found, _PROMPT, log), "the login code", login, log)
        self._fill_in(prompt.group(1), prompt.group(2), self._ground.passwords[self.name])
        if login.wait(children.COMMAND_SECONDS) != 0:
            raise BackendFailed(f"{self.name} could not log in: {log.read_text(errors='replace')}", "run it again")
        return prompt.group(1), prompt.group(2)

    def _fill_in(self, page: str, code: str, password: Secret) -> None:
        asked = settings.read(Flags(), self.environ)
        with httpx2.Client(verify=trust.context(asked)) as browser:
            browser.get(page).raise_for_status()
            entered = browser.post(page, data={"user_code": code}).raise_for_status()
            secret = {"token": _found_in(_TOKEN, entered), "user": self.name, "password": password.reveal()}
            known = browser.post(urljoin(page, _found_in(_ACTION, entered)), data=secret).raise_for_status()
            answer = {"token": _found_in(_TOKEN, known), "answer": "allow"}
            browser.post(urljoin(page, _found_in(_ACTION, known)), data=answer).raise_for_status()


def _found_in(pattern: re.Pattern[str], page: httpx2.Response) -> str:
    found = pattern.search(page.text)
    if found is None:
        raise BackendFailed("the login page is not as expected", "report this: it is a fault of the demo")
    return found.group(1)


def _found(pattern: re.Pattern[str], log: Path) -> re.Match[str] | None:
    return pattern.search(log.read_text(errors="replace"))


def roles_left(ground: Ground) -> list[str]:
    """The minted roles that are there after the time that hoopx gives itself, or none as soon as there are none."""
    deadline = time.monotonic() + GONE_SECONDS
    while True:
        found = ground.cluster.sql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'hoopx\\_s\\_%'")
        roles = [str(row[0]) for row in found]
        if not roles or time.monotonic() > deadline:
            return roles
        time.sleep(children.LOOK_EVERY)
