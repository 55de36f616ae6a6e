"""The narrator: a story that fits the terminal, and a plain log elsewhere."""

from __future__ import annotations

import io
import os
import re

import pytest

from hoopx_cli import narrator
from hoopx_cli.narrator import Narrator
from hoopx_cli.output import Output

LONG = "DETAIL:  the structure of a prod database changes by migration, and neither by hand nor on a Friday evening"


class Screen(io.StringIO):
    """A terminal of 60 columns."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def narrow_and_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrator, "PACE_SECONDS", 0)
    monkeypatch.setenv("COLUMNS", "60")


def told(stream: io.StringIO, environ: dict[str, str]) -> list[str]:
    tell = Narrator(Output(stream, io.StringIO(), environ))
    tell.scene("A scene", "and why it is played, in words that are rather too many for one line")
    tell.command("ann", "hoopx sessions verify s_6k2dty7htgf929a2.hoopx --key 127.0.0.1+b945a5d2", f"-- {LONG}")
    tell.output(f"{LONG}\n  indented\n\nERROR:  no")
    tell.checked(LONG)
    return stream.getvalue().splitlines()


def test_no_line_passes_the_edge_of_a_terminal_and_no_word_is_cut() -> None:
    lines = told(Screen(), {"NO_COLOR": "1"})
    assert max(map(len, lines)) <= 60
    words = re.findall(r"[^\s│]+", "\n".join(lines))
    assert [word for word in words if word in LONG.split()].count("structure") == 3


def test_what_a_command_says_stays_behind_its_bar() -> None:
    lines = told(Screen(), {"NO_COLOR": "1"})
    said = lines[next(at for at, line in enumerate(lines) if line.startswith("   │ DETAIL")) :]
    ended = next(at for at, line in enumerate(said) if line.startswith("   ✓"))
    assert all(line.startswith("   │") for line in said[:ended])
    assert "   │   indented" in said
    assert "   │" in said


def test_a_log_has_whole_lines_and_no_colours() -> None:
    lines = told(io.StringIO(), {})
    assert f"   │ {LONG}" in lines
    assert "\x1b" not in "".join(lines)


def test_refusals_are_red_where_there_are_colours() -> None:
    assert "\x1b[31m   │ ERROR:  no\x1b[0m" in told(Screen(), os.environ | {"TERM": "xterm", "NO_COLOR": ""})


def test_a_line_to_copy_is_never_broken() -> None:
    screen = Screen()
    Narrator(Output(screen, io.StringIO(), {"NO_COLOR": "1"})).copy(f"echo {LONG}", "what it does")
    assert f"   echo {LONG}" in screen.getvalue().splitlines()
