"""What `hoopx login` and `hoopx accounts` show, at terminals of every size and where there is none."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pexpect
import pytest
import segno

from hoopx_broker.api.messages import About, WhoAmI
from tests.peers.processes import eventually
from tests.unit.cli_stage import HOOPX
from tests.unit.signin_stage import Script, scripted, token
from tests.unit.test_cli_api import HttpDouble

FAR_AHEAD = 4_000_000_000
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Office:
    """A broker's double that sends people to a scripted provider, and a home to log in from."""

    def __init__(self, folder: Path, double: HttpDouble, script: Script) -> None:
        self.folder, self.double, self.script = folder, double, script
        self.user = "ann"
        double.answer = self._answer
        script.device |= {"verification_uri_complete": f"{script.url}/activate?user_code=BCDF-GHJK", "interval": 1}
        script.token_answers = [(200, {"access_token": token(exp=FAR_AHEAD), "refresh_token": "r-1"})]

    def _answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        about = About("1", "key", (self.script.asks(),))
        said = about if path == "/v1/about" else WhoAmI(self.user, "human", (), self.script.url)
        body = msgspec.json.encode(said)
        return 200, {"Content-Length": str(len(body))}, body

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "HOME": str(self.folder),
            "HOOPX_HOME": str(self.folder / "hoopx"),
            "HOOPX_BROKER": self.double.url,
            "HOOPX_CA": str(self.double.ca),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            **more,
        }

    def shown(self, *arguments: str, size: tuple[int, int] = (40, 100), **more: str) -> str:
        """All that a terminal of that many lines and columns gets to see."""
        environ = self.environment(**more)
        command = pexpect.spawn(HOOPX, list(arguments), env=environ, timeout=60, encoding="utf-8", dimensions=size)
        command.expect(pexpect.EOF)
        command.close()
        assert command.exitstatus == 0, command.before
        return str(command.before).replace("\r\n", "\n")

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Where there is no terminal."""
        command = [HOOPX, *arguments]
        return subprocess.run(
            command, env=self.environment(**more), capture_output=True, text=True, timeout=60, check=False
        )

    @contextmanager
    def browser(self) -> Iterator[tuple[str, Path]]:
        """A program that only writes down what it should open."""
        opened, program = self.folder / "opened", self.folder / "browser"
        program.write_text(f'#!/bin/sh\necho "$1" > "{opened}.part"; mv "{opened}.part" "{opened}"\n')
        program.chmod(0o700)
        yield str(program), opened


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with HttpDouble(tmp_path).running() as double, scripted() as script:
        yield Office(tmp_path, double, script)


def has_code(screen: str) -> bool:
    return "▀▀▀▀▀" in screen or "▄▄▄▄▄" in screen


# --- the code -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "columns", "fits"), [(24, 80, True), (40, 100, True), (20, 80, False), (60, 30, False)]
)
def test_the_qr_code_is_shown_where_all_of_it_fits_beside_the_words(
    office: Office, lines: int, columns: int, fits: bool
) -> None:
    screen = office.shown("login", size=(lines, columns))
    assert "type the code: BCDF-GHJK" in screen
    assert has_code(screen) is fits
    prompt = screen.partition("Ctrl-C to leave it")[0]
    taken = sum(max(1, -(-len(ESCAPE.sub("", line)) // columns)) for line in prompt.splitlines())
    assert taken < lines or not fits


def test_what_the_screen_shows_is_the_code_of_the_complete_address(office: Office) -> None:
    screen = ESCAPE.sub("", office.shown("login", size=(60, 120), NO_COLOR="1"))
    signs = {" ": "11", "▀": "01", "▄": "10", "█": "00"}  # without colours what is printed is light
    drawn = [line for line in screen.splitlines() if len(line) > 25 and set(line) <= set(signs)]
    rows = [row for line in drawn for row in zip(*(signs[sign] for sign in line), strict=True)]
    code = segno.make(f"{office.script.url}/activate?user_code=BCDF-GHJK", error="l", micro=False)
    expected = ["".join(str(int(bool(module))) for module in row) for row in code.matrix_iter(border=4)]
    assert ["".join(row) for row in rows[: len(expected)]] == expected


def test_without_colours_no_escape_code_is_printed(office: Office) -> None:
    assert "\x1b[38" in office.shown("login")
    plain = office.shown("login", NO_COLOR="1")
    assert has_code(plain)
    assert "\x1b[" not in plain.partition("logged in")[0]


@pytest.mark.parametrize("how", [["-q"], []])
def test_where_it_should_be_quiet_or_nobody_looks_there_is_no_picture(office: Office, how: list[str]) -> None:
    screen = office.shown("login", *how, TERM="xterm" if how else "dumb")
    assert "type the code: BCDF-GHJK" in screen
    assert not has_code(screen)


def test_without_a_terminal_there_is_only_text_on_stderr(office: Office) -> None:
    done = office.run("login", DISPLAY=":0")
    assert (done.returncode, done.stdout) == (0, "")
    assert "type the code: BCDF-GHJK" in done.stderr
    assert not has_code(done.stderr)
    assert "\x1b" not in done.stderr


def test_a_provider_without_a_complete_address_has_no_code_to_scan(office: Office) -> None:
    del office.script.device["verification_uri_complete"]
    assert not has_code(office.shown("login"))


# --- the browser --------------------------------------------------------------------------------------------------


def test_on_a_desktop_the_browser_opens_at_the_complete_address(office: Office) -> None:
    with office.browser() as (program, opened):
        screen = office.shown("login", DISPLAY=":0", BROWSER=program)
        eventually(opened.exists, "the browser was told what to open")
        assert opened.read_text().strip() == f"{office.script.url}/activate?user_code=BCDF-GHJK"
    assert "a browser opens" in screen


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (["--no-browser"], {"DISPLAY": ":0"}),
        ([], {"DISPLAY": ":0", "SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"}),
        ([], {}),
        ([], {"DISPLAY": ":0", "TERM": "dumb"}),
    ],
    ids=["told not to", "over SSH", "no display", "no live terminal"],
)
def test_elsewhere_no_browser_is_opened(office: Office, arguments: list[str], environ: dict[str, str]) -> None:
    with office.browser() as (program, opened):
        screen = office.shown("login", *arguments, size=(40, 100), BROWSER=program, **environ)
        assert not opened.exists()
    assert "a browser opens" not in screen


# --- accounts -----------------------------------------------------------------------------------------------------


def test_accounts_are_listed_with_the_current_one_marked(office: Office) -> None:
    for user in ("ann@example.com", "bob"):
        office.user = user
        assert office.run("login").returncode == 0
    done = office.run("accounts")
    heads, *rows = [line.split() for line in done.stdout.splitlines()]
    assert heads == ["ACCOUNT", "BROKER", "UNTIL", "KEPT", "IN"]
    assert rows == [
        ["ann@example.com", office.double.url, "renews", "itself", "file"],
        ["*", "bob", office.double.url, "renews", "itself", "file"],
    ]
    [ann, bob] = json.loads(office.run("accounts", "-o", "json").stdout)
    assert ann == {
        "broker": office.double.url,
        "user": "ann@example.com",
        "is_current": False,
        "issuer": office.script.url,
        "expires_at": FAR_AHEAD,
        "renews": True,
        "kept_in": "file",
    }
    assert bob["is_current"]


def test_that_there_is_no_keyring_is_said_once_for_all_accounts(office: Office) -> None:
    said = []
    for user in ("ann", "bob", "ann"):
        office.user = user
        said.append(office.run("login").stderr)
    assert ["no keyring" in each for each in said] == [True, False, False]


def test_a_login_that_the_broker_does_not_take_is_given_back_and_not_kept(office: Office) -> None:
    taken = office.double.answer
    office.double.answer = lambda path: taken(path) if path == "/v1/about" else (401, {"Content-Length": "0"}, b"")
    assert office.run("login").returncode == 11
    assert [form["token"] for form in office.script.forms("/revoke")] == ["r-1", token(exp=FAR_AHEAD)]
    assert json.loads(office.run("accounts", "-o", "json").stdout) == []


def test_switching_to_an_account_that_is_not_there_names_those_that_are(office: Office) -> None:
    office.run("login")
    done = office.run("accounts", "use", "carol")
    assert done.returncode == 2
    assert "kept are: ann" in done.stderr
    elsewhere = office.run("accounts", "use", "ann", "--broker", "https://other.example.com")
    assert elsewhere.returncode == 2
    assert office.double.url in elsewhere.stderr


def test_whom_the_environment_means_is_said_after_the_login(office: Office) -> None:
    done = office.run("login", HOOPX_TOKEN="t", HOOPX_ACCOUNT="bob")
    assert "HOOPX_TOKEN is set and wins" in done.stderr
    assert "HOOPX_ACCOUNT is set and means bob" in done.stderr


def test_the_broker_and_the_provider_hear_the_same_key(office: Office) -> None:
    office.run("login")
    path, scheme = next((path, value.split()[0]) for _, path, value, _ in office.double.heard if value)
    assert (path, scheme) == ("/v1/whoami", "DPoP")


def test_a_command_that_only_asks_the_broker_loads_nothing_that_logging_in_needs(office: Office) -> None:
    """Each of these costs 30 to 200 ms at every command."""
    office.run("login")
    heavy = ("asyncio", "http.server", "httpx2", "jwt", "keyring", "segno", "webbrowser")
    code = f"""import os, sys
from hoopx_cli.main import run
assert run(["whoami"], os.environ) == 0
print([name for name in {heavy} if name in sys.modules])"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=office.environment(), capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
