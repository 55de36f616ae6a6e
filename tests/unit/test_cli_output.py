"""What is printed: data on stdout, people on stderr, and nothing that a terminal would obey."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoopx_cli.output import Output, moment

HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202egnp.exe\r\n\x9b31m"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def output(**environ: str) -> tuple[Output, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return Output(out, err, environ), out, err


def test_people_are_told_on_stderr_only() -> None:
    room, out, err = output()
    room.say("hello")
    room.error("went wrong", "do this")
    assert out.getvalue() == ""
    assert err.getvalue() == "hello\nhoopx: went wrong\n  do this\n"


def test_quiet_keeps_errors_and_what_must_be_known() -> None:
    room, _, err = output()
    room.is_quiet = True
    room.say("chatter")
    room.detail("detail")
    room.insist("must be known")
    assert err.getvalue() == "must be known\n"


def test_details_are_for_verbose() -> None:
    room, _, err = output()
    room.detail("unseen")
    room.is_verbose = True
    room.detail("seen")
    assert err.getvalue() == "seen\n"


def test_a_table_is_aligned_and_plain_where_nobody_watches() -> None:
    room, out, _ = output()
    room.table(("name", "kind"), [("a", "postgres"), ("much-longer", "mysql")])
    assert out.getvalue() == "NAME         KIND\na            postgres\nmuch-longer  mysql\n"


NARROW = """\
LEASE  STATE   ENDS
l_1    live    20:49:38
l_2    ending  20:40:00
    the source is not
    there
"""


def test_what_a_narrow_terminal_has_no_room_for_is_left_out_or_stands_below(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Terminal(), io.StringIO()
    room = Output(out, err, {"NO_COLOR": "1"})
    heads = ("lease", "session", "state", "ends", "since", "last error")
    rows = [
        ("l_1", "s_1", "live", "20:49:38", "20:34:38", ""),
        ("l_2", "s_2", "ending", "20:40:00", "20:25:00", "the source is not there"),
    ]
    monkeypatch.setenv("COLUMNS", "23")
    room.table(heads, rows, ("since", "session", "state"))
    assert out.getvalue() == NARROW
    assert "left out for want of room: session, since;" in err.getvalue()
    monkeypatch.setenv("COLUMNS", "200")
    room.table(heads, rows, ("since", "session", "state"))
    assert len(out.getvalue().removeprefix(NARROW).splitlines()) == 3


def test_colour_is_for_terminals_without_no_color() -> None:
    for out, environ, expected in [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ]:
        Output(out, io.StringIO(), environ).table(("name",), [])
        assert ("\x1b" in out.getvalue()) is expected


def test_a_status_line_is_for_live_terminals_only() -> None:
    quiet, loud = io.StringIO(), Terminal()
    for err in (quiet, loud):
        room = Output(io.StringIO(), err, {"TERM": "xterm"})
        room.status("busy")
        room.status("")
    assert quiet.getvalue() == ""
    assert "busy" in loud.getvalue()


def test_a_hostile_reason_cannot_drive_an_approvers_terminal() -> None:
    room, out, err = output()
    room.fields([("reason", HOSTILE)])
    room.table(("reason",), [(HOSTILE,)])
    room.say(HOSTILE)
    room.error(HOSTILE, HOSTILE)
    room.text(HOSTILE)
    for stream in (out, err):
        assert not set(stream.getvalue()) & set("\x1b\x07\r\x9b\u202e")


def test_facts_without_a_value_are_left_out() -> None:
    room, out, _ = output()
    room.fields([("user", "ann"), ("ticket", ""), ("statement", "select 1,\n  2")])
    assert out.getvalue() == "user:      ann\nstatement: select 1,\n             2\n"


@given(st.text())
def test_json_reads_back_as_what_it_was_and_drives_no_terminal(text: str) -> None:
    room, out, _ = output()
    room.json({"reason": text})
    document = out.getvalue()
    assert json.loads(document) == {"reason": text}
    assert document.count("\n") == 1
    assert all(char.isprintable() for char in document[:-1])


def test_no_time_is_no_text() -> None:
    assert moment(0) == ""
    assert len(moment(1_767_614_400.5)) == len("2026-01-05 12:00:00+00:00")
