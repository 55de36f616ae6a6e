"""Rows in each form: what is faithful for programs, and harmless and readable for people."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoopx_broker.terms.errors import ExitCode
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Side
from hoopx_broker.wire.postgres import frames, messages
from hoopx_broker.wire.postgres.frames import Frame, Framer, message
from hoopx_cli.sql import reports, wire
from hoopx_cli.sql.cells import NUMBERS, as_json
from hoopx_cli.sql.forms import Csv, Json, JsonLines, distinct
from hoopx_cli.sql.happenings import Cell, Column, Failed, Report, Rows
from hoopx_cli.sql.tables import FIRST_ROWS, Shape, Table

INT4, INT8, FLOAT8, NUMERIC, BOOL, JSON, JSONB, TEXT, TIMESTAMP = 23, 20, 701, 1700, 16, 114, 3802, 25, 1114
INT4S, TEXTS, JSONBS, BYTEA = 1007, 1009, 3807, 17


def _column(name: str, kind: int) -> Column:
    return Column(name, is_number=kind in NUMBERS, as_json=as_json(kind))


VALUES: list[tuple[int, str, object]] = [
    (INT4, "-7", -7),
    (INT8, "9007199254740991", 9007199254740991),
    (INT8, "9007199254740992", "9007199254740992"),
    (INT8, "-9223372036854775808", "-9223372036854775808"),
    (FLOAT8, "1e+300", 1e300),
    (FLOAT8, "0.1", 0.1),
    (FLOAT8, "NaN", "NaN"),
    (FLOAT8, "-Infinity", "-Infinity"),
    (NUMERIC, "12.50", 12.5),
    (NUMERIC, "0.123456789012345", 0.123456789012345),
    (NUMERIC, "0.1234567890123456", "0.1234567890123456"),
    (NUMERIC, "NaN", "NaN"),
    (NUMERIC, "0." + "0" * 400 + "1", "0." + "0" * 400 + "1"),
    (BOOL, "t", True),
    (BOOL, "f", False),
    (JSONB, '{"a": [1, 2]}', {"a": [1, 2]}),
    (JSON, '{\n\t"a": "b"\n}', {"a": "b"}),
    (JSON, '1, "sneaked": 2', '1, "sneaked": 2'),
    (JSON, "*****", "*****"),
    (TEXT, "tab\there", "tab\there"),
    (TEXT, "\x1b[2J\u202e", "\x1b[2J\u202e"),
    (TIMESTAMP, "2026-01-01 00:00:00.123456", "2026-01-01 00:00:00.123456"),
    (BYTEA, "\\xdeadbeef", "\\xdeadbeef"),
    (INT4S, "{1,NULL,3}", [1, None, 3]),
    (INT4S, "{{1,2},{3,4}}", [[1, 2], [3, 4]]),
    (INT4S, "{}", []),
    (INT4S, "[2:3]={1,2}", "[2:3]={1,2}"),
    (TEXTS, '{a,"b,\\"c\\\\","NULL",NULL,""}', ["a", 'b,"c\\', "NULL", None, ""]),
    (JSONBS, '{"{\\"a\\": 1}"}', [{"a": 1}]),
    (TEXTS, "{broken", "{broken"),
]


@pytest.mark.parametrize(("kind", "text", "value"), VALUES, ids=lambda each: str(each)[:20])
def test_json_holds_the_value_and_no_less(kind: int, text: str, value: object) -> None:
    written = as_json(kind)(text)
    assert json.loads(written) == value
    assert b"\n" not in written


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_number_in_json_reads_back_as_the_same_number(number: Decimal) -> None:
    text = f"{number:f}"
    read = json.loads(as_json(NUMERIC)(text))
    assert (read if isinstance(read, str) else Decimal(repr(read))) in (text, number)


@given(st.sampled_from([INT4, INT8, FLOAT8, NUMERIC, BOOL, JSON, JSONB, INT4S, TEXTS, JSONBS]), st.text(max_size=30))
def test_no_cell_breaks_its_line(kind: int, text: str) -> None:
    """Whatever a hostile server says of a type."""
    column = _column("a", kind)
    line = JsonLines([column, column]).rows([[text.encode(), None]]).decode()
    assert list(json.loads(line)) == ["a", "a_2"]
    assert line.count("\n") == 1
    assert line.removesuffix("\n").isprintable() or not line.isascii()


ROWS: list[list[Cell]] = [[b"1", b"Ann", None], [b"20", b'B, "b"\n\x1b[31m', b""], [b"300", "é中".encode(), b"=1+1"]]
COLUMNS = [_column("id", INT4), _column("name", TEXT), _column("x", TEXT)]


def test_csv_is_what_copy_writes_and_formulas_stay() -> None:
    form = Csv(COLUMNS)
    written = form.rows(ROWS) + form.end()
    assert written == 'id,name,x\n1,Ann,\n20,"B, ""b""\n\x1b[31m",""\n300,é中,=1+1\n'.encode()
    assert list(csv.reader(io.StringIO(written.decode(), newline="")))[2] == ["20", 'B, "b"\n\x1b[31m', ""]
    assert Csv(COLUMNS).end() == b"id,name,x\n"


def test_json_is_one_list_and_closed_at_its_end_alone() -> None:
    form = Json(COLUMNS)
    begun = form.rows(ROWS[:1]) + form.rows(ROWS[1:])
    assert not begun.endswith(b"]")
    written = (begun + form.end()).decode()
    assert written.count("\n") == 1
    assert "\\u001b[31m" in written
    assert [row["name"] for row in json.loads(written)] == ["Ann", 'B, "b"\n\x1b[31m', "é中"]
    assert Json(COLUMNS).end() == b"[]\n"


def test_names_that_come_twice_lose_no_column() -> None:
    assert distinct(["id", "id", "id_2", "id", "?column?"]) == ["id", "id_3", "id_2", "id_4", "?column?"]


def test_a_table_is_drawn_as_psql_draws_it_and_is_harmless() -> None:
    table = Table(COLUMNS, Shape.AUTO, None)
    assert table.rows(ROWS) == ""
    assert table.end() == (
        "  id | name             | x\n"
        "-----+------------------+--------\n"
        "   1 | Ann              | <null>\n"
        '  20 | B, "b"\\n\\x1b[31m |\n'
        " 300 | é中              | =1+1\n"
    )


def test_a_narrow_terminal_has_records() -> None:
    table = Table(COLUMNS, Shape.AUTO, 19)
    table.rows(ROWS[:1])
    assert table.end() == "-[ RECORD 1 ]-\nid   | 1\nname | Ann\nx    | <null>\n"
    wide = Table(COLUMNS, Shape.TABLE, 19)
    wide.rows(ROWS[:1])
    assert wide.end().startswith(" id | name")


def test_a_long_result_is_written_as_it_comes() -> None:
    table = Table(COLUMNS, Shape.AUTO, None)
    assert table.rows(ROWS[:1] * (FIRST_ROWS - 1)) == ""
    assert table.rows(ROWS[:1]).count("\n") == FIRST_ROWS + 2
    assert table.rows(ROWS[:2]).count("\n") == 2
    assert table.end() == ""


def test_no_rows_have_a_heading() -> None:
    assert Table(COLUMNS, Shape.AUTO, 10).end() == " id | name | x\n----+------+---\n"


# What is said of errors.


def test_the_place_of_an_error_is_marked_as_in_psql() -> None:
    report = Report("ERROR", "42703", 'column "é\x1b" does not exist', hint="look", position=13)
    assert list(reports.lines(report, "select é中,\n\tnope from t")) == [
        'ERROR:  column "é\x1b" does not exist',
        "LINE 2:  nope from t",
        "         ^",
        "HINT:  look",
    ]


@given(st.text(max_size=200), st.integers(0, 250), st.integers(1, 100))
def test_a_place_is_always_within_its_line(text: str, position: int, room: int) -> None:
    told, mark = reports.place(text, position or 1, room)
    assert told.startswith("LINE ")
    assert mark.strip() == "^"
    assert told.isprintable() or not told.isascii()


def test_a_long_line_is_cut_around_the_place() -> None:
    told, mark = reports.place("select " + "x" * 100 + " nope " + "y" * 100, 109, 80)
    assert told[len(mark) - 1 :].startswith("nope y")
    assert told.startswith("LINE 1: ...")
    assert told.endswith("...")


@pytest.mark.parametrize(
    ("code", "source", "severity", "left"),
    [
        ("42501", "hoopx_denied", "ERROR", 10),
        ("42501", "hoopx_refused", "ERROR", 13),
        ("42501", "hoopx_pending", "ERROR", 12),
        ("42501", "aclcheck_error", "ERROR", 3),
        ("42601", "hoopx", "ERROR", 3),
        ("08P01", "exec_bind_message", "ERROR", 3),
        ("57P01", "", "FATAL", 15),
        ("53100", "", "ERROR", 15),
    ],
)
def test_a_code_tells_who_said_no(code: str, source: str, severity: str, left: int) -> None:
    assert reports.exit_code(Report(severity, code, "", source=source)) == ExitCode(left)


# What comes from a server is read within bounds.


@given(st.binary(max_size=60), st.sampled_from(b"TDEGHNACdSZIn123st"))
def test_garbage_is_a_broken_peer_or_nothing(body: bytes, kind: int) -> None:
    try:
        for frame in Framer(Side.BACKEND).feed(message(kind, body)):
            wire.happening(frame)
    except BrokenPeer:
        pass


def test_rows_and_reports_are_read() -> None:
    row = message(frames.DATA_ROW, b"\0\2\0\0\0\1a\xff\xff\xff\xff")
    assert wire.happening(Frame(frames.DATA_ROW, row * 2, 2)) == Rows([[b"a", None]] * 2)
    told = wire.happening(
        Frame(frames.ERROR, messages.error("ERROR", "42501", "no", "why", "how", "7", "hoopx_denied"))
    )
    assert told == Failed(Report("ERROR", "42501", "no", "why", "how", 7, "", "hoopx_denied"))
    with pytest.raises(BrokenPeer):
        wire.happening(Frame(frames.DATA_ROW, message(frames.DATA_ROW, b"\0\1\0\0\0\7a")))
