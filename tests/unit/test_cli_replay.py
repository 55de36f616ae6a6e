"""`hoopx sessions replay` on a terminal: what keys do, what is seen at any size, and whose the terminal stays."""

from __future__ import annotations

import io
import random
import signal
from pathlib import Path

import pexpect
import pytest

from hoopx_broker.recording import places
from hoopx_broker.recording.places import Tape
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.terminals import Shown
from hoopx_broker.terms.entries import Columns, Entry, Finished, Rows, Statement, StreamOpened, Terminal
from hoopx_cli import player as player_room
from hoopx_cli.folding import laid
from hoopx_cli.inert import inert, width
from hoopx_cli.keys import Char, Key
from hoopx_cli.player import Player
from hoopx_cli.replay_paint import paint
from tests.unit.cli_stage import HOOPX
from tests.unit.recording_scene import KEY, OPENED, data_row

STATEMENTS = 30


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def recorded(folder: Path, *steps: tuple[float, Entry]) -> Path:
    clock = Clock()
    recorder = Recorder.create(folder, OPENED, KEY, clock)
    for clock.now, entry in steps:
        recorder.write([entry])
    recorder.seal("over")
    return recorder.path


def statements() -> list[tuple[float, Entry]]:
    steps: list[tuple[float, Entry]] = [(0.0, StreamOpened("t_1"))]
    for n in range(1, STATEMENTS + 1):
        at = 10.0 * n
        steps += [
            (at, Statement("t_1", n, f"select {n}", "allow")),
            (at + 1, Columns("t_1", n, ("a",), (25,), (0,))),
            (at + 1, Rows("t_1", n, 1, data_row(f"row {n}".encode()))),
            (at + 2, Finished("t_1", n, "SELECT 1", 1)),
        ]
    return steps


def output(*pieces: str | bytes) -> list[tuple[float, Entry]]:
    data = [piece if isinstance(piece, bytes) else piece.encode() for piece in pieces]
    return [(0.5 + at, Terminal("t_1", 1, "o", piece)) for at, piece in enumerate(data)]


def playing(path: Path, speed: float = 1.0, longest: float = 2.0) -> Player:
    return Player(Tape(io.BytesIO(path.read_bytes())), Shown, speed, longest)


@pytest.fixture
def player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Player:
    monkeypatch.setattr(places, "ENTRIES_APART", 7)
    return playing(recorded(tmp_path, *statements()))


def seen(player: Player, columns: int = 80, rows: int = 24) -> str:
    lines = paint(player, columns, rows)
    assert len(lines) == rows
    for line in lines:
        assert width(line.text) <= columns, line
        assert inert(line.text) == line.text
    return "\n".join(line.text.rstrip() for line in lines)


def test_time_plays_it_and_no_pause_is_longer_than_asked(player: Player) -> None:
    player.elapse(0.0)
    assert "connected" in seen(player)
    player.elapse(1.9)  # ten seconds in the session, two here
    assert "select 1" not in seen(player)
    player.elapse(0.2)
    assert "select 1" in seen(player)
    assert "playing · 0:10/5:02 · 1x · statement 1/30" in seen(player)
    player.press(Char(" "))
    player.elapse(100.0)
    assert "row 1" not in seen(player)
    assert "paused" in seen(player)


def test_speed_divides_the_waiting(player: Player) -> None:
    for _ in range(3):
        player.press(Char("+"))
    assert player.speed == 8
    player.elapse(0.0)
    assert player.patience == 10.0 / 8
    for _ in range(20):
        player.press(Char("-"))
    assert player.speed == 0.1


def test_it_is_stepped_through_entry_by_entry(player: Player) -> None:
    for _ in range(5):
        player.press(Char("."))
    assert "row 1" in seen(player)
    assert "done: SELECT 1" not in seen(player)
    assert player.is_paused


def test_seeking_by_seconds_and_statements_shows_what_was_there(player: Player) -> None:
    player.press(Char(">"))
    assert player.position == 60.0
    assert "#6 ALLOWED" in seen(player)
    assert "row 5" in seen(player)  # columns were told before the place that it was read from
    player.press(Key.LEFT)
    assert player.position == 55.0
    assert "#6 ALLOWED" not in seen(player)
    player.press(Key.DOWN)
    player.press(Key.DOWN)
    assert (player.position, player.statement) == (70.0, 7)
    player.press(Key.UP)
    assert (player.position, player.statement) == (60.0, 6)
    player.press(Key.END)
    assert "sealed by the broker" in seen(player)
    assert player.is_over
    player.press(Char(" "))  # from the beginning again
    assert (player.position, player.is_paused) == (0.0, False)


def test_any_seeking_shows_what_playing_up_to_there_shows(player: Player) -> None:
    hand = random.Random(8)
    for _ in range(20):
        number = hand.randrange(1, STATEMENTS + 1)
        player.go_to_statement(number)
        said = seen(player, 80, 12)
        player.go_to(10.0 * number)
        assert seen(player, 80, 12) == said
        assert f"select {number}" in said
        assert f"select {number + 1}" not in said


def test_what_was_told_can_be_looked_back_at(player: Player) -> None:
    player.press(Key.END)
    assert "sealed by" in seen(player, 80, 10)
    player.press(Key.PAGE_UP)
    assert "sealed by" not in seen(player, 80, 10)
    assert "7 lines back" in seen(player, 80, 10)
    for _ in range(100):
        player.press(Key.PAGE_UP)
        seen(player, 80, 10)
    player.press(Key.PAGE_DOWN)
    assert "select" in seen(player, 80, 10)
    player.press(Key.END)
    assert "sealed by" in seen(player, 80, 10)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 12), (20, 6), (19, 5), (1, 1), (300, 80)])
def test_every_size_of_window_is_filled_exactly(player: Player, columns: int, rows: int) -> None:
    player.go_to(100.0)
    seen(player, columns, rows)


def test_sql_is_broken_between_words_and_keeps_its_lines() -> None:
    line = "            │ select name from customers where id = 1"
    assert list(laid(line, 60)) == [line]
    assert list(laid(line, 40)) == ["│ select name from customers where id = ", "┆ 1"]
    assert ["".join(piece[2:] for piece in laid("│ ".rjust(14) + "x" * 100, 30))] == ["x" * 100]


def test_a_line_of_megabytes_neither_hangs_nor_fills_memory(tmp_path: Path) -> None:
    text = "select '" + "x" * (24 << 20) + "'"
    player = playing(recorded(tmp_path, (1.0, Statement("t_1", 1, text, "allow"))))
    player.press(Key.END)
    seen(player)
    assert sum(len(line) for line, _ in player.story) <= player_room.KEPT_LINES * player_room.PIECE


# Titles, clipboards, answers, other screens, modes of mice and keys, and sequences without an end.
ATTACKS = (
    "\x1b]0;pwned\x07", "\x1b]52;c;cHduZWQ=\x1b\\", "\x1b[6n\x1b[c\x1b[>c\x1b[5n\x1b[x", "\x1bP$qm\x1b\\", "\x1bPzz",
    "\x1b[21t", "\x1b[?1000h\x1b[?2004h\x1b[?1049h", "\x9b6n\x9d0;x\x9c", "\x1b[99999999999999b", "\x1b[;;m\x1b[38;5m",
    "\x1b[38;2;1m", "\x1b[3;1r\x1b[9999;9999H\x1b[9999L\x1b[9999M", "\x1b[?3h", "\x1b7" * 999, "a" + "\u0301" * 999,
    "\u202e\u2066\u200b\ufeff", "\x1b", "\x1b[", "\x1b]", "\x0e\x0f\x1b(0", "\x1b#8", "\x1bc", "\x1b[>4;2m\x1b[?4m",
    "\x1b[4:3m", "\ud7ff\U0010ffff", "\x18\x1a\x00\x7f",
)  # fmt: skip


def test_no_recorded_terminal_commands_the_real_one(tmp_path: Path) -> None:
    hand = random.Random(7)
    noise = [bytes(hand.choices(range(256), k=600)) for _ in range(10)]
    broken = [attack.encode()[:-1] for attack in ATTACKS]  # half a character, half a sequence
    sizes = [b"0x0", b"99999999999999999999x9", b"x", b"80x", b"40x10", b"\xff", b"80x24"]
    steps = output(*ATTACKS, *broken, *noise)
    steps += [(steps[-1][0] + at, Terminal("t_1", 1, "r", size)) for at, size in enumerate(sizes, 1)]
    player = playing(recorded(tmp_path, *steps))
    for _ in steps:
        player.press(Char("."))
        for line in paint(player, 80, 24):
            assert inert(line.text) == line.text
            for text, code in line.runs:
                assert inert(text) == text
                assert set(code) <= set("0123456789;")


def test_a_terminal_looks_as_it_did(tmp_path: Path) -> None:
    pieces = (
        "$ vim\r\n",
        b"\x1b[?1049h\x1b[2J\x1b[1;1H\x1b[1;31mred\x1b[0m \xe2\x94",
        b"\x80 caf\xc3",
        b"\xa9",
        "\x1b[?1049l$ ls\r\n",
        "",
    )
    player = playing(recorded(tmp_path, (0.1, Terminal("t_1", 1, "r", b"40x10")), *output(*pieces)))
    player.go_to(1.6)
    assert "red" in seen(player)
    player.go_to(3.6)
    screen = paint(player, 80, 24)
    assert screen[0].text.startswith("red")
    assert screen[0].runs[0] == ("red", "1;31")
    assert "red ─ café" in screen[0].text
    player.go_to(4.6)
    assert seen(player).startswith("$ vim\n$ ls\n")
    assert "40x10" in seen(player)
    player.go_to(3.6)  # back again
    assert paint(player, 80, 24) == screen
    assert "in part" in seen(player, 60, 8)


def test_screens_are_kept_to_go_back_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player_room, "_SCREENS_APART", 20)
    monkeypatch.setattr(player_room, "_MAX_SCREENS", 4)
    player = playing(recorded(tmp_path, *output(*(f"line {n}\r\n" for n in range(100)))))
    player.press(Key.END)
    assert 2 <= len(player._kept) <= 4
    for at in (90, 3, 50, 77):
        player.go_to(at + 0.6)
        assert f"line {at}\n" in seen(player, 80, 60)
        assert f"line {at + 1}\n" not in seen(player, 80, 60)


def _at_terminal(path: Path, *more: str, **environ: str) -> pexpect.spawn[str]:
    environ = {"HOME": str(path.parent), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TERM": "xterm", **environ}
    arguments = ["sessions", "replay", str(path), *more]
    return pexpect.spawn(HOOPX, arguments, env=environ, timeout=30, encoding="utf-8", dimensions=(24, 80))


@pytest.mark.parametrize(
    ("end", "code"), [("q", 0), ("\x03", 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
def test_every_end_gives_the_terminal_back(tmp_path: Path, end: str | signal.Signals, code: int) -> None:
    terminal = _at_terminal(recorded(tmp_path, *statements(), *output(*ATTACKS)), "--statement", "17")
    terminal.expect_exact("statement 17/30")
    if isinstance(end, str):
        terminal.send(end)
    else:
        terminal.kill(end)
    terminal.expect_exact("\x1b[?2004l\x1b[?25h\x1b[?1049l")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == code


def test_without_colours_nothing_is_coloured(tmp_path: Path) -> None:
    terminal = _at_terminal(recorded(tmp_path, *statements()), "--at", "1m40s", NO_COLOR="1")
    terminal.expect_exact("statement 10/30")
    assert "m" not in {piece[-1:] for piece in terminal.before.split("\x1b")[1:]}
    assert not any(f"\x1b[{code}m" in terminal.before for code in ("1", "7", "36"))
    terminal.send("q")
    terminal.expect(pexpect.EOF)
