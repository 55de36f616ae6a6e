"""Recordings as CSV, asciicast and OCSF: held to their specifications, and harmless whatever was recorded."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from msgspec import structs
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from hoopx_broker.recording import outcomes as statements_room
from hoopx_broker.recording.casts import cast
from hoopx_broker.recording.ocsf import VERSION, ocsf
from hoopx_broker.recording.outcomes import Ran, statements
from hoopx_broker.recording.replay import Moment
from hoopx_broker.recording.sheets import harmless, sheet
from hoopx_broker.terms.entries import (
    Ended,
    Entry,
    Executed,
    Failed,
    Finished,
    Notice,
    Statement,
    StreamClosed,
    StreamOpened,
    Terminal,
    Unmask,
)
from hoopx_broker.terms.people import Principal
from tests.unit.recording_scene import ENDED, ENTRIES, OPENED
from tests.unit.test_cli_replay import ATTACKS
from tests.unit.test_recording_replay import HOSTILE, everywhere

BOT = Principal("bot", "agent", ("agents",), "https://issuer", "bot-1", "ann@example.com", ("analysts",))


def timed(*entries: Entry) -> list[Moment]:
    return [(0.25 * at, entry) for at, entry in enumerate(entries)]


STORY = timed(OPENED, *ENTRIES, ENDED)
HOSTILE_STORY = timed(*everywhere(HOSTILE), *(Statement("t_1", n, text, "allow") for n, text in enumerate(ATTACKS, 9)))


def ran(*entries: Entry) -> list[Ran]:
    return list(statements(timed(OPENED, *entries)))


def test_each_statement_is_put_together_from_its_entries() -> None:
    found = {each.n: each for each in statements(STORY)}
    assert sorted(found) == [1, 2, 3, 4, 5]
    assert (found[1].ruling, found[1].rows, found[1].tag, found[1].seconds) == ("allow", 2, "SELECT 2", 0.75)
    assert (found[2].ruling, found[2].code) == ("deny", "42501")
    assert (found[3].ruling, found[3].request, found[3].ended_at) == ("ask", "r_0123456789", 0)
    assert (found[4].statement, found[4].text) == (3, "update customers set name = $1 where id = $2")
    assert found[4].parameters == ("Bob", "\\x00000007", None)
    assert (found[4].statement, found[5].tag) == (3, "COPY 2")


def test_ends_find_their_statement_in_pipelines_and_in_several_parts() -> None:
    pipeline: list[Entry] = [
        Statement("t", 1, "a", "allow"),
        Statement("u", 1, "b", "allow"),
        Statement("t", 2, "c", "allow"),
    ]
    ends: list[Entry] = [
        Finished("t", 1, "A 1", 1),
        Finished("t", 1, "A 2", 2),
        Failed("t", 2, "ERROR", "1", "no"),
        Finished("u", 1),
    ]
    found = ran(*pipeline, *ends)
    by_name = {(each.stream, each.n): each for each in found}
    assert len(found) == len(by_name) == 3
    assert (by_name["t", 1].tag, by_name["t", 1].rows, by_name["t", 2].error) == ("A 1; A 2", 3, "ERROR: no")


def test_what_is_kept_to_put_together_is_bounded_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements_room, "MAX_OPEN", 10)
    monkeypatch.setattr(statements_room, "MAX_TEXT", 100)
    prepared = [Statement("t", n, f"select {n} " + "x" * 20, "allow") for n in range(1, 31)]
    runs = [each for n in (1, 30) for each in (Executed("t", 40 + n, n), Finished("t", 40 + n, "SELECT 1", 1))]
    found = ran(*prepared, *runs, Finished("t", 3, "SELECT 9", 9))
    assert {each.n for each in found} == {*range(1, 31), 41, 70}
    by_number = {each.n: each for each in found}
    assert by_number[70].text.startswith("select 30")
    assert (by_number[41].has_text, by_number[41].statement) == (False, 1)
    assert [each.tag for each in found if each.n == 3] == ["", "SELECT 9"]  # its end came after it had been written


def rows(story: list[Moment]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(sheet(story)), newline="")))


def test_what_had_to_make_room_is_told_once_and_its_stream_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements_room, "MAX_OPEN", 2)
    story: list[Entry] = [
        Statement("t_1", 1, "select 1", "allow"),
        Finished("t_1", 1, "SELECT 1", 1),
        Statement("t_2", 1, "select 2", "allow"),
        Statement("t_2", 2, "select 3", "allow"),  # the first of the other stream makes room for it
        Statement("t_1", 2, "select 4", "allow"),
    ]
    assert sorted((each.stream, each.n) for each in ran(*story)) == [("t_1", 1), ("t_1", 2), ("t_2", 1), ("t_2", 2)]


def test_a_sheet_has_a_row_for_each_statement() -> None:
    first, denied, *_ = rows(STORY)
    assert first["time"] == "2023-11-14T22:13:20.500Z"
    assert (first["user"], first["target"], first["n"]) == ("ann@example.com", "prod-db", "1")
    assert first["text"] == "select id, name, email\nfrom customers"
    assert (first["rows"], first["outcome"], first["seconds"]) == ("2", "SELECT 2", "0.750000")
    assert (denied["ruling"], denied["rules"], denied["error"].split(":")[0]) == ("deny", "no-ddl", "42501 ERROR")
    assert [json.loads(row["parameters"]) for row in rows(STORY) if row["parameters"]] == [["Bob", "\\x00000007", None]]


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        " =1",
        "\n=1",
        "＝1",
        "'=1",
        '"=1',
        "=cmd|' /C calc'!A0",
        "\r\n@a",
    ],
)
def test_no_cell_is_a_formula(cell: str) -> None:
    found = harmless(cell)
    assert found[0] in "'\\"
    assert rows(timed(OPENED, Statement("t", 1, cell, "allow")))[0]["text"] == found


def test_no_cell_ends_its_row_or_commands_a_terminal() -> None:
    lines = "".join(sheet(HOSTILE_STORY))
    assert all(char.isprintable() or char in "\r\n" for char in lines)
    found = list(csv.reader(io.StringIO(lines, newline="")))
    assert {len(row) for row in found} == {22}
    assert all(line.startswith('"') for line in sheet(HOSTILE_STORY))
    tricky = '","","' + '"\r\n"x'
    assert rows(timed(OPENED, Statement("t", 1, tricky, "allow")))[0]["text"] == tricky.replace("\r\n", "\n")


def events(story: list[Moment]) -> tuple[dict[str, Any], list[tuple[float, str, str]]]:
    """A reading of asciicast v3 as its specification has it."""
    lines = list(cast(story))
    assert all(line.isascii() and line.isprintable() for line in lines)
    header = json.loads(lines[0])
    assert header["version"] == 3
    assert {"cols", "rows"} <= header["term"].keys()
    found = [json.loads(line) for line in lines[1:]]
    for interval, code, data in found:
        assert isinstance(interval, float)
        assert interval >= 0
        assert code in ("o", "i", "m", "r", "x")
        assert isinstance(data, str)
        data.encode()  # no halves of pairs
    return header, [(interval, code, data) for interval, code, data in found]


def test_a_session_of_sql_is_a_cast_of_what_is_told() -> None:
    header, found = events(STORY)
    assert header["timestamp"] == int(OPENED.opened_at)
    assert {code for _, code, _ in found} == {"o"}
    assert sum(interval for interval, _, _ in found) == pytest.approx(STORY[-1][0])
    assert any("│ select id, name, email\r\n" in data for _, _, data in found)
    _, hostile = events(HOSTILE_STORY)
    assert all(data[:-2].isprintable() for _, _, data in hostile)


def test_a_terminal_is_a_cast_as_it_was_with_its_characters_whole() -> None:
    pieces = [b"\x1b[31mcaf\xc3", b"\xa9\xff", b"\n", '\u2028]\n[0, "o", "x"]'.encode()]
    story = timed(
        OPENED,
        StreamOpened("t_1"),
        Terminal("t_1", 1, "r", b"100x30"),
        *(Terminal("t_1", 1, "o", piece) for piece in pieces),
        Terminal("t_1", 1, "i", b"q"),
        Terminal("t_2", 1, "o", b"another"),
        Terminal("t_2", 1, "o", b"one"),
        Terminal("t_1", 1, "r", b"80x24\n"),
        StreamClosed("t_1"),
    )
    header, found = events(story)
    assert header["term"] == {"cols": 100, "rows": 30}
    assert "".join(data for _, code, data in found if code == "o") == '\x1b[31mcafé\ufffd\n\u2028]\n[0, "o", "x"]'
    assert [data for _, code, data in found if code in "ir"] == ["100x30", "q"]
    assert [data for _, code, data in found if code == "m" and "not in this cast" in data] == [
        "the terminal of t_2 is not in this cast"
    ]


@cache
def validator(name: str) -> Draft202012Validator:
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(VERSION)).get_class_schema(name, ["security_control"])
    return Draft202012Validator(schema)


def told(story: list[Moment]) -> Iterator[dict[str, Any]]:
    """OCSF events that hold to the published schema of their class, and to its sums."""
    for line in ocsf(story):
        assert line.isascii()
        assert line.isprintable()
        event = json.loads(line)
        validator(event["class_name"].lower().replace(" ", "_")).validate(event)
        assert event["type_uid"] == 100 * event["class_uid"] + event["activity_id"]
        assert event["class_uid"] // 1000 == event["category_uid"]
        yield event


def test_a_session_is_told_as_events_of_ocsf() -> None:
    found = list(told(STORY))
    assert [event["type_name"] for event in found] == [
        "Authentication: Logon",
        "Datastore Activity: Connect",
        "Datastore Activity: Query",
        "Datastore Activity: Other",
        "Datastore Activity: Update",  # the run of what was prepared
        "Datastore Activity: Update",  # what was prepared
        "Datastore Activity: Write",
        "Authentication: Logoff",
    ]
    read, denied, write = found[2], found[3], found[4]
    assert read["actor"]["user"] == {
        "name": "ann@example.com", "uid": "42", "domain": "https://login.example.com", "type_id": 1, "type": "User",
        "groups": [{"name": "analysts"}],
    }  # fmt: skip
    assert read["query_info"] == {"query_string": "select id, name, email\nfrom customers", "uid": "t_1#1"}
    assert (read["action"], read["status"], read["duration"], read["unmapped"]["rows"]) == (
        "Allowed",
        "Success",
        750,
        2,
    )
    assert (read["src_endpoint"], read["dst_endpoint"]["name"]) == ({"ip": "127.0.0.1", "port": 50123}, "prod-db")
    assert (denied["action"], denied["disposition"], denied["status"]) == ("Denied", "Blocked", "Failure")
    assert denied["policy"] == {"name": "no-ddl", "version": OPENED.policy, "is_applied": True}
    assert write["query_info"]["data"] == {"parameters": ["Bob", "\\x00000007", None]}
    assert len({event["metadata"]["uid"] for event in found}) == len(found)


def test_the_human_behind_an_agent_and_what_was_shown_raw_are_told() -> None:
    unmask = Notice("", "NOTICE", "00000", "raw", Unmask("r_1", ("email",), ("eva",), 1.0))
    opened = structs.replace(OPENED, principal=BOT, peer="somewhere")
    first, raw = told(timed(opened, unmask))
    assert first["user"]["type"] == "Service"
    assert first["unmapped"]["on_behalf_of"] == "ann@example.com"
    assert {each["value"] for each in first["observables"]} == {"bot", "ann@example.com"}
    assert (raw["class_name"], raw["privileges"]) == ("Authorize Session", ["reveal:email"])


def test_ocsf_holds_whatever_was_recorded() -> None:
    assert len(list(told(HOSTILE_STORY))) > len(ATTACKS)
    aws = structs.replace(OPENED, kind="aws", database="", region="eu-central-1")
    assert len(list(told(timed(aws, ENDED)))) == 2
    assert list(told([])) == []


@pytest.mark.parametrize("export", [sheet, cast, ocsf])
def test_exports_stream(export: Any) -> None:
    def long() -> Iterator[Moment]:
        yield 0.0, OPENED
        for n in range(1, 1_001):
            yield n, Statement("t", n, f"select {n} " + "x" * 30_000, "allow")
            yield n, Finished("t", n, "SELECT 1", 1)
        yield 9_999.0, Ended("over", 1.0)

    tracemalloc.start()
    size = sum(len(line) for line in export(long()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 30_000_000
    assert peak < statements_room.MAX_TEXT * 1.5
