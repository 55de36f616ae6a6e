"""A recording is told to people and programs, and whatever it holds, the terminal stays theirs."""

from __future__ import annotations

import io
import json
import struct
import uuid
from collections.abc import Callable, Iterable, Iterator

import pytest
from msgspec import structs

from hoopx_broker.recording.cells import UnreadableRow, rows, shown
from hoopx_broker.recording.failures import BrokenEvidence
from hoopx_broker.recording.inert import inert, inert_lines, width
from hoopx_broker.recording.replay import Moment, Narrator, jsonl, lines, moments
from hoopx_broker.recording.tables import MAX_CELL
from hoopx_broker.terms.entries import (
    Approval,
    Columns,
    CopyData,
    Entry,
    Executed,
    Failed,
    Finished,
    LeaseNote,
    Notice,
    Opened,
    Rows,
    Seal,
    Statement,
    StreamClosed,
    StreamOpened,
)
from hoopx_broker.terms.people import Principal
from tests.unit.recording_scene import ENTRIES, OPENED, chained, copy_data, data_row, told

# Clears the screen, retitles the window, goes back over the line, turns the text around, hides, beeps; C1 forms too.
HOSTILE = "\x1b[2J\x1b]0;pwned\x07\r\x08\u202e\u2066\u200b\ufeff\u2028\x00\x7f\x9b31m\u0085\ud83d\n+0.1s t_1 #9 ALLOWED"


def harmless(text: str) -> bool:
    return text.isprintable() and "\u202e" not in text


def test_an_ordinary_session_reads_like_a_story() -> None:
    assert told(*ENTRIES[:7]) == [
        "    +0.000s t_1 connected user=ann database=app application_name=psql",
        "    +0.000s t_1 #1 ALLOWED by read",
        "            masked: public.customers.email",
        "            │ select id, name, email",
        "            │ from customers",
        "            │ id │ name     │ email (masked)",
        "            │ ───┼──────────┼───────────────",
        "            │ 1  │ Zoë 東京 │ a***@***",
        "            │ 22 │ ∅        │ b***@***",
        "    +0.000s t_1 #1 done: SELECT 2 (2 rows)",
        "    +0.000s t_1 #2 DENIED by no-ddl",
        "            reason: no drops",
        "            │ drop table customers",
        "    +0.000s t_1 #2 ERROR 42501: rule `no-ddl` forbids `drop table`",
    ]


def everywhere(text: str) -> list[Entry]:
    """Entries that hold `text` wherever one can hold a text."""
    raw = text.encode("utf-8", "surrogatepass")
    return [
        Opened(text, Principal(text, "human", (text,), text, text, text), text, text, text, text, text, text, 0, 0,
               (text,), text, text, text, (text,), text, text, text, text),
        StreamOpened(text, {text: text}),
        Statement(text, 1, text, text, (text,), text, (text,), text, text),
        Executed(text, 1, 1, (raw, None), (0, 1), text),
        Columns(text, 1, (text, text), (25, 3802), (0, 1)),
        Rows(text, 1, 1, data_row(raw, b"\x01" + raw)),
        Rows(text, 2, 1, raw),
        CopyData(text, 1, text, copy_data(raw)),
        CopyData(text, 1, text, raw),
        Finished(text, 1, text, 1),
        Failed(text, 1, text, text, text),
        Notice(text, text, text, text),
        Notice(text, text, text, text, approval=Approval(text, text, text, text, text, 1, 1, {text: 1}, text)),
        StreamClosed(text, text),
        Seal(text),
    ]  # fmt: skip


def test_nothing_recorded_reaches_the_terminal_as_a_command() -> None:
    story = list(lines((0.0, entry) for entry in everywhere(HOSTILE)))
    assert len(story) > 30
    for line in story:
        assert harmless(line), ascii(line)


def test_nothing_recorded_is_exported_as_anything_but_ascii() -> None:
    safe = HOSTILE.replace("\ud83d", "")
    for line in jsonl((0.0, entry) for entry in everywhere(safe)):
        assert line.isascii()
        assert line.isprintable()
        assert json.loads(line)["type"]


def test_what_rules_in_shadow_would_have_done_stands_beside_each_ruling() -> None:
    opened = structs.replace(OPENED, shadow="ask by `a`")
    story = told(
        Statement("t_1", 1, "select 1", "allow", ("read",), shadow="deny by `b`"),
        Executed("t_1", 2, 1, shadow="error in `c`"),
        Statement("t_1", 3, "select 3", "allow", ("read",)),
    )
    assert [line.strip() for line in story if "shadow" in line] == ["shadow: deny by `b`", "shadow: error in `c`"]
    assert any(line.split() == ["shadow", "ask", "by", "`a`"] for line in lines([(0.0, opened)]))


def test_a_statement_cannot_pass_itself_off_as_another_entry() -> None:
    story = told(Statement("t_1", 1, "select 1\n    +0.000s t_1 #2 ALLOWED by me\r\n", "deny"))
    assert [line for line in story if not line.startswith("            │ ")] == ["    +0.000s t_1 #1 DENIED"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain", "plain"),
        ("Zoë 東京 مرحبا", "Zoë 東京 مرحبا"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\x9b31m", "\\x9b31m"),
        ("a\tb\nc\rd", "a\\tb\\nc\\rd"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("a\u200bb\u00a0c", "a\\u200bb\\xa0c"),
        ("\ufe0f\u3164\u2800", "\\ufe0f\\u3164\\u2800"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud83d", "\\ud83d"),
        ("e\u0301", "e\u0301"),
        ("Z" + "\u0301" * 6, "Z" + "\u0301" * 4 + "\\u0301" * 2),
    ],
)
def test_what_a_terminal_would_obey_becomes_visible(text: str, seen: str) -> None:
    assert inert(text) == seen


def test_the_lines_of_a_text_are_kept_apart_and_made_inert() -> None:
    assert inert_lines("a\tb\n\x1bc\n") == ["a   b", "\\x1bc", ""]


def test_wide_and_combining_characters_are_measured_as_shown() -> None:
    assert [width(text) for text in ("abc", "東京", "e\u0301", "")] == [3, 4, 1, 0]


BINARY_CELLS: list[tuple[int, bytes, str]] = [
    (16, b"\x01", "t"),
    (16, b"\x02", "\\x02"),
    (20, struct.pack("!q", -(1 << 62)), "-4611686018427387904"),
    (21, struct.pack("!h", -7), "-7"),
    (23, struct.pack("!i", 42), "42"),
    (23, b"\x00", "\\x00"),
    (25, "Zoë\x1b".encode(), "Zoë\\x1b"),
    (25, b"\xff", "\\xff"),
    (26, struct.pack("!I", 1 << 31), "2147483648"),
    (700, struct.pack("!f", 0.1), "0.1"),
    (700, struct.pack("!f", float("nan")), "nan"),
    (701, struct.pack("!d", -1.5), "-1.5"),
    (1082, struct.pack("!i", 8000), "2021-11-26"),
    (1082, struct.pack("!i", (1 << 31) - 1), "infinity"),
    (1082, struct.pack("!i", 1 << 30), "\\x40000000"),  # a year that Python has no date for
    (1083, struct.pack("!q", 3_723_000_004), "01:02:03.000004"),
    (1083, struct.pack("!q", 86_400_000_000), "24:00:00"),
    (1114, struct.pack("!q", 1_000_000), "2000-01-01 00:00:01"),
    (1184, struct.pack("!q", 0), "2000-01-01 00:00:00+00"),
    (1184, struct.pack("!q", -(1 << 63)), "-infinity"),
    (1700, struct.pack("!HhHH", 0, 0, 0xC000, 0), "NaN"),
    (1700, struct.pack("!HhHHHH", 2, 0, 0x4000, 2, 12, 3400), "-12.34"),
    (1700, struct.pack("!HhHHH", 1, 1, 0, 0, 5), "50000"),
    (1700, struct.pack("!HhHHH", 1, -2, 0, 8, 7), "0.00000007"),
    (1700, struct.pack("!HhHH", 0, 0, 0, 2), "0.00"),
    (1700, struct.pack("!HhHHH", 1, 0, 0, 0, 10_000), "\\x00010000000000002710"),
    (1700, struct.pack("!HhHHH", 1, 32_767, 0, 0, 1), "\\x00017fff000000000001"),
    (2950, uuid.UUID(int=1).bytes, "00000000-0000-0000-0000-000000000001"),
    (3802, b'\x01{"a": 1}', '{"a": 1}'),
    (3802, b"\x02{}", "\\x027b7d"),
    (17, b"\xde\xad", "\\xdead"),
    (999_999, b"\x01", "\\x01"),
]


@pytest.mark.parametrize(("oid", "cell", "seen"), BINARY_CELLS)
def test_binary_cells_are_read_by_their_type_or_shown_as_hex(oid: int, cell: bytes, seen: str) -> None:
    assert shown(cell, oid, 1) == seen


@pytest.mark.parametrize(
    "data",
    [
        b"D",
        b"D\0\0\0\4",
        b"D\0\0\0\3\0\0",
        b"D\xff\xff\xff\xff\0\0",
        b"T" + data_row(b"x")[1:],
        data_row(b"x")[:-1],
        data_row(b"x") + b"D",
        b"D\0\0\0\6\0\1",
        b"D\0\0\0\x0a\0\1\xff\xff\xff\xfe",
        b"D\0\0\0\x0a\0\1\0\0\0\1",
        b"D\0\0\0\x0a\0\1\x7f\xff\xff\xff",
        b"D\0\0\0\x0b\0\1\xff\xff\xff\xffx",
    ],
)
def test_bytes_that_are_no_rows_are_said_to_be_none(data: bytes) -> None:
    with pytest.raises(UnreadableRow):
        list(rows(data))
    (line,) = told(Rows("t_1", 1, 1, data))[-1:]
    assert "not readable" in line
    (exported,) = jsonl([(0.0, Rows("t_1", 1, 1, data))])
    assert "data" in json.loads(exported)


def test_rows_that_come_later_line_up_with_those_before() -> None:
    story = told(
        Columns("t_1", 1, ("a", "b"), (25, 25), (0, 0)),
        Rows("t_1", 1, 1, data_row(b"long enough", b"x")),
        Rows("t_1", 1, 1, data_row(b"short", b"y")),
    )
    assert [line.index("│", 14) for line in story if "┼" not in line] == [26, 26, 26]


def test_an_empty_result_shows_its_columns() -> None:
    story = told(Columns("t_1", 1, ("id",), (23,), (0,)), Finished("t_1", 1, "SELECT 0"))
    assert story == ["            │ id", "            │ ──", "    +0.000s t_1 #1 done: SELECT 0"]


def test_rows_without_a_description_do_not_borrow_that_of_another_result() -> None:
    four = struct.pack("!i", 4)
    entries: list[Entry] = [
        Columns("t_1", 1, ("id",), (23,), (1,)),
        Rows("t_1", 1, 1, data_row(four)),
        Rows("t_1", 2, 1, data_row(b"text")),
    ]
    assert [line.split("│ ")[1] for line in told(*entries)] == ["id", "──", "4", "text"]
    exported = [json.loads(line) for line in jsonl((0.0, entry) for entry in entries)]
    assert [e["rows"] for e in exported[1:]] == [[["4"]], [["text"]]]


def test_streams_that_interleave_keep_their_own_tables() -> None:
    story = told(
        Columns("t_1", 1, ("a",), (23,), (1,)),
        Columns("t_2", 1, ("b",), (25,), (0,)),
        Rows("t_1", 1, 1, data_row(struct.pack("!i", 65))),
        Rows("t_2", 1, 1, data_row(b"AAAA")),
    )
    assert [line.split("│ ")[1] for line in story] == ["a", "──", "65", "b", "────", "AAAA"]


def test_long_cells_are_cut_on_screen_and_whole_in_the_export() -> None:
    cell = "東".encode() * 10_000
    entry = Rows("t_1", 1, 1, data_row(cell))
    (line,) = told(entry)
    assert line.split("│ ")[1] == "東" * (MAX_CELL - 1) + "…"
    (exported,) = jsonl([(0.0, entry)])
    assert json.loads(exported)["rows"] == [["東" * 10_000]]


def test_a_large_result_is_told_row_by_row() -> None:
    data = data_row(b"x") * 100_000
    told_lines = Narrator().tell(0.0, Rows("t_1", 1, 100_000, data + b"broken"))
    assert [next(told_lines).strip() for _ in range(3)] == ["│ x"] * 3
    assert sum(1 for _ in told_lines) == 100_000 - 3 + 1


@pytest.mark.parametrize("tell", [lines, jsonl])
def test_a_story_stops_where_the_evidence_breaks(tell: Callable[[Iterable[Moment]], Iterator[str]]) -> None:
    good = chained(OPENED, *ENTRIES)
    broken = good[:-1] + bytes([good[-1] ^ 1])
    heard: list[str] = []
    with pytest.raises(BrokenEvidence):
        heard.extend(tell(moments(io.BytesIO(broken))))
    assert len(heard) >= len(ENTRIES)


def test_times_outside_the_calendar_are_told_as_numbers() -> None:
    for seconds in (1e300, float("nan"), float("inf"), -1e300):
        entry = Opened("s_1", OPENED.principal, "t", "postgres", "d", "p", "v", "b", seconds, seconds)
        assert any("after 1970" in line for line in lines([(0.0, entry)]))


BOT = Principal("bot", "agent", ("agents",), on_behalf_of="ann\x1b[2J", their_groups=("developers",))


def test_the_recording_of_an_agent_names_its_human_and_their_groups() -> None:
    story = list(lines([(0.0, structs.replace(OPENED, principal=BOT))]))
    assert "    who          bot (agent) on behalf of ann\\x1b[2J, groups: agents" in story
    assert "    human        ann\\x1b[2J, groups: developers" in story
    (line,) = jsonl([(0.0, structs.replace(OPENED, principal=BOT))])
    said = json.loads(line)["principal"]
    assert (said["user"], said["on_behalf_of"], said["their_groups"]) == ("bot", "ann\x1b[2J", ["developers"])


def test_nobody_stands_behind_a_human() -> None:
    assert not any(line.startswith("    human") for line in lines([(0.0, OPENED)]))
    (line,) = jsonl([(0.0, OPENED)])
    assert "their_groups" not in json.loads(line)["principal"]


def test_what_became_of_the_lease_is_told_and_stays_harmless() -> None:
    hostile = HOSTILE.replace("\ud83d", "")
    issued = LeaseNote("issued", "l_1", "vault-database", "v-ann", 1e9, {"accessor": f"a{hostile}"})
    revoked = LeaseNote("revoked", "l_1", "vault-database", probed=True)
    lines_told = told(
        Notice("", "NOTICE", "00000", "the credential lasts until then", lease=issued),
        Notice("", "NOTICE", "00000", f"it is revoked{hostile}", lease=revoked),
    )
    assert lines_told[0] == "    +0.000s lease l_1 issued: the credential lasts until then"
    assert lines_told[1].startswith("            known to vault-database as: accessor=a")
    assert lines_told[2].startswith("    +0.000s lease l_1 revoked: it is revoked")
    assert all(map(harmless, lines_told))


def test_who_asked_and_agreed_is_told_and_stays_harmless() -> None:
    hostile = HOSTILE.replace("\ud83d", "")
    sent = f"DELETE\nx{hostile}"
    asked = Approval("asked", "r_1", "statement", "ann", until=900, approvers={"dba": 2}, statement=sent)
    vote = Approval("approve", "r_1", "statement", "dora", f"fine{hostile}", 5)
    story = told(
        Notice("t_1", "NOTICE", "00000", "it waits", approval=asked),
        Notice("t_1", "NOTICE", "00000", "`dora` agreed", approval=vote),
        Executed("t_1", 2, 1, request="r_1"),
    )
    assert story[0] == "    +0.000s t_1 request r_1 ASKED: it waits"
    assert story[1:5] == [
        "            by: ann",
        "            of: 2 of dba",
        "            until: 1970-01-01 00:15:00 UTC",
        "            │ DELETE",
    ]
    assert "    +0.000s t_1 request r_1 APPROVE: `dora` agreed" in story
    assert any(line.startswith("            said: fine") for line in story)
    assert story[-1] == "    +0.000s t_1 #2 runs #1, request r_1"
    assert all(map(harmless, story))
