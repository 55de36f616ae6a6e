"""`hoopx approve --watch` at a terminal: seen as a person sees it, by an emulator that obeys its escape codes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pexpect
import pyte
import pytest

from tests.journeys.approvals_stage import ApprovalsStage
from tests.journeys.stage import playing
from tests.peers import found
from tests.peers.clients import HOOPX
from tests.peers.postgres import Postgres

UP, DOWN, ESCAPE, ENTER = "\x1b[A", "\x1b[B", "\x1b", "\r"
LIMIT = 30


@pytest.fixture(scope="module")
def stage(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApprovalsStage]:
    found.require("psql")
    with playing(ApprovalsStage(tmp_path_factory.mktemp("watch"), postgres)) as played:
        yield played


class Screen:
    """A terminal of so many columns and rows with `approve --watch` on it."""

    def __init__(self, stage: ApprovalsStage, columns: int, rows: int, **environ: str) -> None:
        whole = stage.environment("dora", TERM="xterm-256color", LANG="C.UTF-8", **environ)
        size = (rows, columns)
        self.process: pexpect.spawn[bytes] = pexpect.spawn(
            str(HOOPX), ["approve", "--watch"], env=whole, timeout=LIMIT, dimensions=size
        )
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.heard = b""

    def read(self, until: Callable[[str], object]) -> str:
        """The screen, once it is as `until` wants it."""
        end = time.monotonic() + LIMIT
        while not until(self.text):
            assert time.monotonic() < end, f"the screen stays\n{self.text}"
            with suppress(pexpect.TIMEOUT):
                self._feed(self.process.read_nonblocking(65536, 1))
        return self.text

    def shows(self, *told: str) -> str:
        return self.read(lambda text: all(each in text for each in told))

    def lacks(self, told: str) -> str:
        return self.read(lambda text: told not in text)

    def type(self, *keys: str) -> None:
        for key in keys:
            self.process.send(key)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def chosen(self) -> str:
        """The line that the mark stands at."""
        return next((line for line in self._screen.display if line.startswith(">")), "")

    def resize(self, columns: int, rows: int) -> None:
        self._screen.resize(rows, columns)
        self.process.setwinsize(rows, columns)

    def end(self) -> int | None:
        self.process.expect(pexpect.EOF)
        self._feed(self.process.before or b"")
        self.process.close()
        code: int | None = self.process.exitstatus
        return code

    def _feed(self, data: bytes) -> None:
        self.heard += data
        self._stream.feed(data)


@pytest.fixture
def watched(stage: ApprovalsStage, request: pytest.FixtureRequest) -> Iterator[Screen]:
    columns, rows, environ = getattr(request, "param", (80, 24, {}))
    screen = Screen(stage, columns, rows, **environ)
    try:
        yield screen
    finally:
        screen.process.close(force=True)
        for one in stage.listed("requests", "ls", "--mine", "--state", "waiting"):
            stage.hoopx("requests", "cancel", one["id"]).fine()


def asked(stage: ApprovalsStage, reason: str, target: str = "payments-prod", **more: str) -> str:
    return stage.hoopx("request", target, "--reason", reason, **more).fine().out.strip()


def test_an_evening_at_the_watch(stage: ApprovalsStage, watched: Screen) -> None:
    """Two come, one is approved by us and one denied by somebody else; in the end the terminal is as it was."""
    watched.shows("0 to decide", "nothing waits for you")
    first = asked(stage, "month end")
    watched.shows("1 to decide", ">* ann · a session on payments-prod", "month end")
    assert b"\a" in watched.heard
    second = asked(stage, "the second")
    watched.shows("2 to decide", "the second")
    assert "payments-prod" in watched.chosen

    watched.type("a")
    watched.shows("open it first")
    watched.type(ENTER)
    watched.shows(f"request:      {first}", "reason:       month end", "rules:        sensitive-needs-approval")
    watched.shows("1 person to agree", f"{stage.url}/requests/{first}", "a approve")
    watched.type("a", "go ahead", ENTER)
    watched.shows("1 to decide", f"{first} is approved")
    [ballot] = stage.listed("requests", "show", first)[0]["ballots"]
    assert (ballot["approver"], ballot["verdict"], ballot["comment"]) == ("dora", "approve", "go ahead")

    watched.type(ENTER)
    watched.shows(f"request:      {second}")
    stage.hoopx("deny", second, "--comment", "not today", who="dave").fine()
    watched.shows("was denied by dave: not today", "state:        denied")
    watched.type("a")
    watched.shows("it is decided already")
    watched.type("x", ENTER)
    watched.shows("it is denied by now and cannot be answered")
    watched.type(ESCAPE)
    watched.shows("0 to decide")
    watched.type("q")
    assert watched.end() == 0
    assert watched.heard.rstrip().endswith(b"\x1b[?1049l")
    assert b"\x1b[?25h" in watched.heard[-60:]


@pytest.mark.parametrize("watched", [(40, 12, {"NO_COLOR": "1"})], indirect=True)
def test_a_narrow_terminal_without_colour_has_everything_too(stage: ApprovalsStage, watched: Screen) -> None:
    request = asked(stage, "a reason that is rather longer than forty columns are")
    watched.shows("1 to decide", "a reason that is rather longer")
    watched.type(ENTER)
    watched.shows(f"request: {request}", "than forty columns are", "more lines below")
    watched.resize(100, 30)
    watched.shows("reason:       a reason that is rather longer than forty columns are", "page:")
    watched.resize(40, 12)
    watched.lacks("page:")
    watched.type("d", "use the \x1b[200~replica\rnow\x1b[201~", ENTER)
    watched.shows(f"{request} is denied")
    [ballot] = stage.listed("requests", "show", request)[0]["ballots"]
    assert ballot["comment"] == "use the replica now"
    assert not re.search(rb"\x1b\[[0-9;]*m", watched.heard), "no colour was wanted"
    watched.process.sendintr()
    assert watched.end() == 130


def test_the_choice_stays_and_ones_own_requests_never_come(stage: ApprovalsStage, watched: Screen) -> None:
    older, newer = asked(stage, "the older"), asked(stage, "the newer")
    asked(stage, "mine", who="dora")
    watched.shows("2 to decide", "the older", "the newer")
    watched.type(DOWN)
    stage.hoopx("requests", "cancel", older).fine()
    watched.shows("1 to decide", "was cancelled")
    watched.type(ENTER)
    watched.shows(f"request:      {newer}")
    assert "mine" not in watched.text
    watched.type(ESCAPE, "q")
    assert watched.end() == 0


def test_only_what_changed_is_painted(stage: ApprovalsStage, watched: Screen) -> None:
    """A screen that is wiped flickers."""
    watched.shows("0 to decide")
    begun = len(watched.heard)
    asked(stage, "quietly")
    watched.shows("1 to decide", "quietly")
    painted = watched.heard[begun:]
    assert b"\x1b[2J" not in painted
    assert b"q quit" not in painted, "the line of keys had not changed"


@pytest.mark.parametrize("options", [[], ["-o", "json"]])
def test_whoever_is_asked_is_shown_it_first(stage: ApprovalsStage, options: list[str]) -> None:
    request = asked(stage, f"shown {options}")
    environ = stage.environment("dora", TERM="xterm", LANG="C.UTF-8")
    terminal = pexpect.spawn(
        str(HOOPX), ["approve", request, *options], env=environ, timeout=LIMIT, dimensions=(40, 120)
    )
    terminal.expect_exact("a session on payments-prod")
    terminal.expect_exact("shown")
    terminal.expect_exact("approve this? [y/N] ")
    terminal.sendline("n")
    terminal.expect_exact("nothing was decided")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 2
    stage.hoopx("requests", "cancel", request).fine()
