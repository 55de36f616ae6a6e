"""Rows of COPY with hidden cells: what comes out, whatever the format, and the ways around that were tried."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import pytest
from msgspec import structs

from hoopx_broker.masking.shapes import NOTHING, Mask
from hoopx_broker.terms.facts import CopyStyle
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres import copying, frames
from hoopx_broker.wire.postgres.copying import CopyOut

TEXT = CopyStyle("text", delimiter="\t", null="\\N", header=False, quote='"', escape='"')
CSV = structs.replace(TEXT, format="csv", delimiter=",", null="")
BINARY = structs.replace(TEXT, format="binary")
STARS = Mask(b"*****")
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"


def copy_data(payload: bytes) -> bytes:
    return frames.message(frames.COPY_DATA, payload)


def upper(value: bytes) -> bytes:
    return value.upper()


UPPER = Mask(b"*****", upper)


def copied(
    style: CopyStyle, data: bytes, *masks: Mask | None, look: Callable[[bytes, int], bytes] | None = None
) -> bytes:
    """What comes out; the same whether the data comes whole or byte by byte."""
    whole = CopyOut(style, masks, look)
    out = whole.feed(data)
    whole.end()
    in_bytes = CopyOut(style, masks, look)
    assert b"".join(in_bytes.feed(data[n : n + 1]) for n in range(len(data))) == out
    in_bytes.end()
    return out


def refused(style: CopyStyle, data: bytes, *masks: Mask | None) -> None:
    with pytest.raises(BrokenPeer):
        copied(style, data, *masks)


def tuples(*rows: Sequence[bytes | None]) -> bytes:
    return HEADER + b"".join(map(one, rows)) + TRAILER


def one(row: Sequence[bytes | None]) -> bytes:
    cells = [b"\xff" * 4 if cell is None else struct.pack("!i", len(cell)) + cell for cell in row]
    return struct.pack("!h", len(row)) + b"".join(cells)


def told_apart(style: CopyStyle, first: bytes, second: bytes, mask: Mask = STARS) -> bool:
    """Does it show which of two rows of one column there was?"""
    return copied(style, first, mask) != copied(style, second, mask)


# Text.


def test_a_masked_column_of_text_is_hidden_and_the_others_stay() -> None:
    assert copied(TEXT, b"1\tann@x\tz\n2\tbob@x\t\n", None, STARS, None) == b"1\t*****\tz\n2\t*****\t\n"


def test_null_stays_null_unless_the_mask_says_otherwise() -> None:
    assert copied(TEXT, b"\\N\t\\N\n", STARS, None) == b"\\N\t\\N\n"
    assert copied(TEXT, b"\\N\t\\N\n", Mask(b"0", nulls=True), None) == b"0\t\\N\n"
    assert copied(TEXT, b"secret\n", NOTHING) == b"\\N\n"


def test_a_mask_is_told_the_value_without_its_backslashes() -> None:
    seen: list[bytes] = []
    written = rb"a\tb\nc\\d\be\ff\rg\vh\101\x41\x4Ai\q\x" + b"\n"

    def told(value: bytes) -> bytes:
        seen.append(value)
        return b""

    copied(TEXT, written, Mask(b"", told))
    assert seen[0] == b"a\tb\nc\\d\x08e\x0cf\rg\x0bhAAJiqx"


def test_a_masked_value_gets_the_backslashes_it_needs() -> None:
    assert copied(TEXT, b"x\n", Mask(b"a\tb\nc\\.\r\x08\x0c\x0b")) == rb"a\tb\nc\\.\r\b\f\v" + b"\n"
    assert copied(structs.replace(TEXT, delimiter="|"), b"x|y\n", Mask(b"a|b\t"), None) == rb"a\|b\t|y" + b"\n"


def test_an_escaped_delimiter_parts_no_cells() -> None:
    piped = structs.replace(TEXT, delimiter="|")
    assert copied(piped, b"se\\|cret|y\\\\|z\n", STARS, None, None) == b"*****|y\\\\|z\n"
    assert copied(piped, b"se\\\\\\|cret\\\\|y\n", STARS, None) == b"*****|y\n"
    assert copied(piped, b"x\\\\\n", None) == b"x\\\\\n"


def test_the_end_mark_passes_and_nothing_after_it() -> None:
    assert copied(TEXT, b"secret\n\\.\n", STARS) == b"*****\n\\.\n"
    assert copied(TEXT, b"a\tsecret\n\\.\n", None, STARS) == b"a\t*****\n\\.\n"
    refused(TEXT, b"secret\n\\.\nsecret\n", STARS)


def test_a_value_that_looks_like_the_end_mark_is_a_value() -> None:
    assert copied(TEXT, b"\\\\.\nsecret\n", STARS) == b"*****\n*****\n"


def test_other_line_ends_stay_as_they_are() -> None:
    assert copied(TEXT, b"a\tsecret\r\nb\tsecret\n", None, STARS) == b"a\t*****\r\nb\t*****\n"
    assert copied(CSV, b'a,"sec\r\nret"\r\n', None, STARS) == b'a,"*****"\r\n'


def test_the_header_is_names_and_passes() -> None:
    headed = structs.replace(TEXT, header=True)
    assert copied(headed, b"id\temail\n1\tann@x\n", None, STARS) == b"id\temail\n1\t*****\n"
    headed = structs.replace(CSV, header=True)
    assert copied(headed, b'id,"e\nmail"\n1,ann@x\n', None, STARS) == b'id,"e\nmail"\n1,"*****"\n'
    refused(headed, b"id\n1,ann@x\n", None, STARS)


def test_a_row_without_columns_is_an_empty_line() -> None:
    assert copied(TEXT, b"\n\n") == b"\n\n"
    refused(TEXT, b"secret\n")
    refused(structs.replace(CSV, header=True), b'"secret"\n')


@pytest.mark.parametrize("null", ["secret", "a", "\\n", "0"])
def test_the_look_of_null_cannot_ask_for_a_value(null: str) -> None:
    """A text equal to it may be a value: shown among masks, it would tell who has it."""
    style = structs.replace(TEXT, null=null)
    assert not told_apart(style, null.encode() + b"\n", b"other\n")
    assert not told_apart(style, null.encode() + b"\n", b"other\n", NOTHING)


def test_an_empty_null_stays_null() -> None:
    assert copied(structs.replace(TEXT, null=""), b"\tx\n", STARS, STARS) == b"\t*****\n"


# Csv.


def test_a_masked_column_of_csv_is_hidden_and_the_others_stay() -> None:
    rows = b'1,"Smith, Ann","z ""q"""\n2,bob@x,""\n,,\n'
    assert copied(CSV, rows, None, STARS, None) == b'1,"*****","z ""q"""\n2,"*****",""\n,,\n'


def test_line_ends_and_delimiters_within_quotes_part_nothing() -> None:
    rows = b'"sec\nret,x"",\n""\n",a\n"b,\n""",",\n"\n'
    assert copied(CSV, rows, STARS, None) == b'"*****",a\n"*****",",\n"\n'
    assert copied(CSV, rows, None, STARS) == b'"sec\nret,x"",\n""\n","*****"\n"b,\n""","*****"\n'


def test_an_escape_of_its_own_is_followed() -> None:
    style = structs.replace(CSV, escape="\\")
    rows = b'"a\\",\nb\\\\",x\\\n'
    assert copied(style, rows, STARS, None) == b'"*****",x\\\n'
    assert copied(style, rows, UPPER, None) == b'"A\\",\nB\\\\",x\\\n'
    assert copied(style, rows, None, Mask(b'"\\')) == b'"a\\",\nb\\\\","\\"\\\\"\n'


def test_null_in_csv_is_what_is_not_quoted() -> None:
    style = structs.replace(CSV, null="x")
    assert copied(style, b'x,"x",\n', STARS, STARS, STARS) == b'x,"*****","*****"\n'
    assert copied(style, b"a,x\n", Mask(b"x"), Mask(b"0", nulls=True)) == b'"x","0"\n'
    assert copied(style, b"a,x\n", NOTHING, NOTHING) == b"x,x\n"


def test_a_mask_is_told_the_value_without_its_quotes() -> None:
    assert copied(CSV, b'"a ""b"", c"\n', UPPER) == b'"A ""B"", C"\n'


@pytest.mark.parametrize("style", [structs.replace(CSV, delimiter="5"), structs.replace(CSV, quote="5", escape="5")])
def test_quotes_do_not_tell_which_characters_a_hidden_value_holds(style: CopyStyle) -> None:
    """The server quotes where the value holds a mark, and the client picks the marks."""
    quoted = b"%b%b%b\n" % (style.quote.encode(), b"1552" if style.quote == "5" else b"152", style.quote.encode())
    assert not told_apart(style, quoted, b"132\n")


def test_an_end_mark_is_none_in_csv() -> None:
    assert copied(CSV, b"\\.\nsecret\n", STARS) == b'"*****"\n"*****"\n'


# Binary.


def test_a_masked_column_of_binary_is_hidden_and_the_others_stay() -> None:
    rows = tuples([b"1", b"secret", None], [b"", None, b"z"])
    assert copied(BINARY, rows, None, STARS, None) == tuples([b"1", b"*****", None], [b"", None, b"z"])
    assert copied(BINARY, rows, UPPER, NOTHING, UPPER) == tuples([b"1", None, None], [b"", None, b"Z"])
    assert copied(BINARY, rows, None, Mask(b"0", nulls=True), None) == tuples([b"1", b"0", None], [b"", b"0", b"z"])


def test_a_binary_copy_without_rows_is_whole() -> None:
    assert copied(BINARY, tuples(), STARS) == tuples()


def test_flags_and_extensions_that_mean_nothing_pass() -> None:
    head = HEADER[:11] + struct.pack("!ii", 0x7FFF, 5) + b"extra"
    assert copied(BINARY, head + one([b"secret"]) + TRAILER, STARS) == head + one([b"*****"]) + TRAILER


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEADER,
        HEADER + one([b"secret"]),
        b"secret\n" + HEADER + TRAILER,
        HEADER[:11] + struct.pack("!ii", 1 << 16, 0) + TRAILER,  # with oids, as servers before 12 could
        HEADER[:11] + struct.pack("!Ii", 1 << 31, 0) + TRAILER,
        HEADER[:11] + struct.pack("!ii", 0, -1) + TRAILER,
        tuples([b"secret", b"more"]),
        tuples([]),
        tuples([b"x"]) + b"secret",
        tuples([b"x"]) + b"s",
        HEADER + b"\0\1\xff\xff\xff\xfe" + TRAILER,
        HEADER + b"\xff\xfe",
    ],
)
def test_binary_data_that_is_not_as_said_is_refused(data: bytes) -> None:
    refused(BINARY, data, STARS)


# All of them.


@pytest.mark.parametrize(
    ("style", "data"),
    [
        (TEXT, b"secret\n"),
        (TEXT, b"a\tsecret\tb\n"),
        (TEXT, b"a\tsecret"),
        (TEXT, b"a\tb\n\tsecret"),
        (TEXT, b"a\\\nsecret\tb\\\t\n"),
        (TEXT, b"a\rsecret\tb\n"),
        (CSV, b"secret\n"),
        (CSV, b"a,secret,b\n"),
        (CSV, b'a,"secret\n'),
        (CSV, b'a,"secret"b\n'),
        (CSV, b'a,b"secret"\n'),
        (CSV, b'"a","b","secret"\n'),
    ],
)
def test_lines_that_are_not_as_said_are_refused(style: CopyStyle, data: bytes) -> None:
    refused(style, data, None, STARS)


def test_a_refusal_quotes_nothing() -> None:
    for style in (TEXT, CSV, BINARY):
        with pytest.raises(BrokenPeer) as refusal:
            CopyOut(style, [STARS, None]).feed(b"SECRET and some more bytes\n")
        assert "SECRET" not in str(refusal.value)


def test_who_looks_is_told_each_value_that_no_mask_covers() -> None:
    told: list[tuple[bytes, int]] = []

    def look(value: bytes, column: int) -> bytes:
        told.append((value, column))
        return value.replace(b"key", b"***")

    assert copied(TEXT, b"a\\tkey\t\\N\tx\n", None, None, STARS, look=look) == b"a\\t***\t\\N\t*****\n"
    assert copied(CSV, b'"a,b",,key\n', None, STARS, None, look=look) == b'"a,b",,"***"\n'
    assert copied(BINARY, tuples([None, b"key"]), None, None, look=look) == tuples([None, b"***"])
    assert set(told) == {(b"a\tkey", 0), (b"a,b", 0), (b"key", 2), (b"key", 1)}


def test_a_row_that_nobody_ends_is_not_held_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "MAX_ROW", 100)
    for style, begun in ((TEXT, b"a"), (CSV, b'"\n'), (BINARY, HEADER + b"\0\1\0\1\0\0")):
        out = CopyOut(style, [STARS])
        assert out.feed(begun) == b"".join(out.feed(b"x") for _ in range(100 - len(begun))) == b""
        with pytest.raises(BrokenPeer):
            out.feed(b"x")


# Messages.


def test_each_row_leaves_as_one_message_as_servers_send_them() -> None:
    out = CopyOut(TEXT, [STARS, None])
    sent = copy_data(b"x\t1\n") + copy_data(b"") + copy_data(b"y\t2\nz") + copy_data(b"\t3\nw\t")
    assert out.hide(sent) == copy_data(b"*****\t1\n") + copy_data(b"*****\t2\n") + copy_data(b"*****\t3\n")
    assert out.hide(copy_data(b"4\n")) == copy_data(b"*****\t4\n")
    out.end()


def test_the_header_of_a_binary_copy_goes_with_its_first_row() -> None:
    out = CopyOut(BINARY, [STARS])
    sent = copy_data(HEADER + one([b"x"])) + copy_data(one([b"y"])) + copy_data(TRAILER)
    stars = one([b"*****"])
    assert out.hide(sent) == copy_data(HEADER + stars) + copy_data(stars) + copy_data(TRAILER)
    out.end()


@pytest.mark.parametrize("data", [b"d", b"d\0\0\0\3", b"d\0\0\0\6x", b"D\0\0\0\5x", copy_data(b"x\n") + b"c\0\0\0\4"])
def test_what_is_no_copy_data_is_refused(data: bytes) -> None:
    with pytest.raises(BrokenPeer):
        CopyOut(TEXT, [STARS]).hide(data)


def test_hostile_cells_take_neither_time_nor_memory() -> None:
    """One pass over them: no pattern goes back, and no list has an item for each mark within a value."""
    size = 1_000_000
    quotes = b'"' + b'""' * size + b'"'
    assert copied_whole(CSV, quotes + b",x\n", STARS, None) == b'"*****",x\n'
    assert copied_whole(CSV, b'"' + b",\n" * size + b'",x\n', STARS, None) == b'"*****",x\n'
    piped = structs.replace(TEXT, delimiter="|")
    assert copied_whole(piped, b"\\|" * size + b"|x\n", STARS, None) == b"*****|x\n"
    for lie in (b"," * size + b"\n", quotes + b"x\n", b'"' * (size + 1) + b"x\n"):
        with pytest.raises(BrokenPeer):
            copied_whole(CSV, lie, STARS, None)


def copied_whole(style: CopyStyle, data: bytes, *masks: Mask | None) -> bytes:
    out = CopyOut(style, masks)
    hidden = out.feed(data)
    out.end()
    return hidden
