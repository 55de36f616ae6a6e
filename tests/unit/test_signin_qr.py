"""The QR code on the terminal: read back from what is printed, it is the code of the address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import segno

from hoopx_cli import desktop
from hoopx_cli.qr import Ink, drawn, ink_for

URL = "https://broker.example.com:8443/oidc/device?user_code=BCDF-GHJK"
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_HALVES = {" ": (False, False), "▀": (True, False), "▄": (False, True), "█": (True, True)}


def printed(lines: list[str]) -> list[list[bool]]:
    """Which modules have ink, as an eye sees the half blocks."""
    rows: list[list[bool]] = []
    for line in lines:
        halves = [_HALVES[sign] for sign in _ESCAPE.sub("", line)]
        rows += [[upper for upper, _ in halves], [lower for _, lower in halves]]
    return rows


def scanned(lines: list[str], ink: Ink) -> list[list[bool]]:
    """The dark modules without the light margin, as a reader finds them."""
    rows = printed(lines)
    if ink is Ink.LIGHT_ON_DARK:
        rows = [[not module for module in row] for row in rows]
    top = next(at for at, row in enumerate(rows) if any(row))
    left = next(at for at in range(len(rows[0])) if any(row[at] for row in rows))
    size = len(segno.make(URL, error="l", micro=False).matrix)
    assert top == left >= 2, "a light margin of at least two modules on every side"
    assert not any(any(row) for row in rows[top + size :])
    assert not any(any(row[left + size :]) for row in rows)
    return [row[left : left + size] for row in rows[top : top + size]]


def expected() -> list[list[bool]]:
    return [[bool(module) for module in row] for row in segno.make(URL, error="l", micro=False).matrix]


@pytest.mark.parametrize("ink", Ink)
@pytest.mark.parametrize(("columns", "lines"), [(80, 40), (80, 21), (37, 19), (200, 100)])
def test_what_is_printed_is_the_code_of_the_address(ink: Ink, columns: int, lines: int) -> None:
    picture = drawn(URL, columns, lines, ink)
    assert picture is not None
    assert len(picture) <= lines
    assert all(len(_ESCAPE.sub("", line)) <= columns for line in picture)
    assert scanned(picture, ink) == expected()


@pytest.mark.parametrize(("columns", "lines"), [(36, 40), (80, 18), (0, 0), (-1, -5), (80, -3)])
def test_a_code_that_does_not_fit_is_not_begun(columns: int, lines: int) -> None:
    assert drawn(URL, columns, lines, Ink.COLOURS) is None


def test_the_widest_margin_that_fits_is_taken() -> None:
    wide, narrow = drawn(URL, 80, 40, Ink.DARK_ON_LIGHT), drawn(URL, 40, 40, Ink.DARK_ON_LIGHT)
    assert wide is not None
    assert narrow is not None
    assert len(wide[0]) == len(narrow[0]) + 4


def test_in_colours_each_line_sets_both_and_ends_them() -> None:
    """Dark and light are fixed colours, so neither a theme nor the background of the terminal matters."""
    picture = drawn(URL, 80, 40, Ink.COLOURS)
    assert picture is not None
    for line in picture:
        assert line.startswith("\x1b[38;5;16;48;5;231m")
        assert line.endswith("\x1b[0m")


@pytest.mark.parametrize(
    ("environ", "has_colour", "ink"),
    [
        ({}, True, Ink.COLOURS),
        ({"COLORFGBG": "0;15"}, True, Ink.COLOURS),
        ({}, False, Ink.LIGHT_ON_DARK),
        ({"COLORFGBG": "15;0"}, False, Ink.LIGHT_ON_DARK),
        ({"COLORFGBG": "0;15"}, False, Ink.DARK_ON_LIGHT),
        ({"COLORFGBG": "0;default;7"}, False, Ink.DARK_ON_LIGHT),
        ({"COLORFGBG": "rubbish"}, False, Ink.LIGHT_ON_DARK),
    ],
)
def test_without_colours_the_background_decides(environ: dict[str, str], has_colour: bool, ink: Ink) -> None:
    assert ink_for(environ, has_colour) is ink


def test_a_long_address_still_makes_a_code() -> None:
    assert drawn("https://login.example.com/" + "x" * 300, 200, 100, Ink.COLOURS) is not None


# --- whether a browser may be opened ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "platform", "is_there"),
    [
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "linux", False),
        ({"DISPLAY": ""}, "linux", False),
        ({}, "darwin", True),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"}, "linux", False),
        ({"SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"}, "darwin", False),
        ({"DISPLAY": "localhost:10.0", "SSH_TTY": "/dev/pts/1"}, "linux", False),
    ],
)
def test_a_browser_is_opened_only_where_the_person_sits(environ: dict[str, str], platform: str, is_there: bool) -> None:
    assert desktop.is_there(environ, platform) is is_there


def test_no_browser_at_all_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("BROWSER", "/nonexistent/browser")
    desktop._open(URL)
