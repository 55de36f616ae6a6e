"""Laws of detectors: what looks like personal data never leaves, in whatever clothes, and nothing else changes."""

from __future__ import annotations

import json
import struct
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from hoopx_broker.masking.detect import Detection
from hoopx_broker.masking.detectors import BUILT_IN
from hoopx_broker.masking.looked_into import is_encoded
from hoopx_broker.terms.masks import Detector
from hoopx_broker.wire.postgres.detecting import hide
from tests.unit.wire_stage import row

TEXT, JSON, JSONB, BYTEA, XML, TEXTS, BYTEAS, JSONS, RECORD, INTEGER = 25, 114, 3802, 17, 142, 1009, 1001, 199, 2249, 23
ALL = Detection([Detector(name) for name in BUILT_IN])
OWN = Detection([Detector("employee-number", r"\bE[0-9]{6}$|^.{3}Ü[0-9]+")])

DIGIT = "[0-9]"


def luhn(digits: str) -> str:
    """With the last digit that makes it sound."""
    return next(whole for whole in (f"{digits}{last}" for last in range(10)) if _is_luhn(whole))


def _is_luhn(digits: str) -> bool:
    doubled = [int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def iban(country: str, rest: str) -> str:
    number = int("".join(str(int(c, 36)) for c in f"{rest}{country}00"))
    return f"{country}{98 - number % 97:02}{rest}"


def grouped(text: str, separator: str) -> str:
    return separator.join(text[at : at + 4] for at in range(0, len(text), 4))


separators = st.sampled_from(["", " ", "-", "\u00a0"])
words = st.from_regex("[a-z][a-z0-9]{1,8}", fullmatch=True)
cards = st.builds(
    lambda first, rest, separator: grouped(luhn(first + rest), separator),
    st.sampled_from(["4", "5"]).map(lambda digit: digit if digit == "4" else "5"),
    st.from_regex("[1-5][0-9]{13}", fullmatch=True),
    separators,
)
ibans = st.builds(
    lambda account, separator: grouped(iban(*account), separator),
    st.one_of(
        st.tuples(st.just("DE"), st.from_regex("[0-9]{18}", fullmatch=True)),
        st.tuples(st.just("GB"), st.from_regex("[A-Z]{4}[0-9]{14}", fullmatch=True)),
        st.tuples(st.just("FR"), st.from_regex("[0-9]{10}[0-9A-Z]{11}[0-9]{2}", fullmatch=True)),
        st.tuples(st.just("MT"), st.from_regex("[A-Z]{4}[0-9]{5}[0-9A-Z]{18}", fullmatch=True)),
        st.tuples(st.just("NO"), st.from_regex("[0-9]{11}", fullmatch=True)),
    ),
    separators,
)
emails = st.builds("{}.{}@{}.example".format, words, st.sampled_from(["x", "müller", "o'hara", "a_b"]), words)
ssns = st.from_regex("[1-5][0-9]{2}-[1-9][0-9]-[1-9][0-9]{3}", fullmatch=True)
phones = st.from_regex(r"\+[1-9][0-9]( [0-9]{3}){2} [0-9]{2}", fullmatch=True)
addresses = st.ip_addresses(v=4, network="10.0.0.0/8").map(str).filter(lambda text: not text.endswith(".0.0.0"))
jwts = st.from_regex(r"eyJ[A-Za-z0-9_-]{10,20}\.eyJ[A-Za-z0-9_-]{10,20}\.[A-Za-z0-9_-]{10,20}", fullmatch=True)
keys = st.from_regex("AKIA[A-Z2-7]{16}", fullmatch=True)
canaries = st.one_of(cards, ibans, emails, ssns, phones, addresses, jwts, keys)

# What may stand beside a value without being a part of it.
before = st.sampled_from([" ", "(", '"', "\\", "'", "\n", "<", ">", ";", ",", "{", "}", "x ", " é", "=", "|", "\t"])
after = st.sampled_from([" ", ")", '"', "\\", "'", "\n", "<", ">", ";", ",", "{", "}", " x", "é ", ". ", "|", "\t"])
noises = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
plain = st.text("abcdefxyzÄß \n\\\"{}[]<>()!?;'|", max_size=40)


@st.composite
def planted(draw: st.DrawFn) -> tuple[str, str]:
    """A canary, and a text that holds it."""
    canary = draw(canaries)
    return canary, f"{draw(noises)}{draw(before)}{canary}{draw(after)}{draw(noises)}"


def documents(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3), max_leaves=6
    )


def hidden(cell: bytes, type_oid: int, wire_format: int = 0) -> bytes:
    """Whole rows with that cell are seen to hold something, and the cell is not itself any more."""
    assert ALL.sees(row("x", cell, None), encoded=is_encoded(type_oid))
    shown = ALL.hide(cell, type_oid, wire_format)
    assert shown is not None
    assert shown != cell
    return shown


@given(planted())
@example(("4111111111111111", "7 4111111111111111 1"))
@example(("4111 1111 1111 1111", "1234 4111 1111 1111 1111 12"))
@example(("a.x@a0.example", "\x00A a.x@a0.example "))
def test_a_canary_does_not_survive_in_text(case: tuple[str, str]) -> None:
    canary, text = case
    assert canary.encode() not in hidden(text.encode(), TEXT)
    assert canary not in ALL.text(text)


@given(planted(), st.booleans(), st.booleans(), st.data())
def test_a_canary_does_not_survive_in_a_document(
    case: tuple[str, str], escaped: bool, binary: bool, data: st.DataObject
) -> None:
    canary, text = case
    document = data.draw(documents(st.just(text) | plain | st.none() | st.integers(0, 99)))
    document = [document, {"Who": text, "Rest": document}]
    written = json.dumps(document, ensure_ascii=escaped).encode()
    if escaped:  # any character may be written by its number
        written = written.replace(b"@", b"\\u0040").replace(b".", b"\\u002E").replace(b"-", b"\\u002d")
    cell = b"\x01" + written if binary else written
    shown = hidden(cell, JSONB, 1) if binary else hidden(cell, JSON)
    read = json.loads(shown[1:] if binary else shown)
    assert canary not in json.dumps(read, ensure_ascii=False)
    assert set(read[1]) == {"Who", "Rest"}
    # The same document as text, as in `payload::text`.
    assert canary not in json.dumps(json.loads(hidden(written, TEXT)), ensure_ascii=False)


@given(planted(), st.lists(plain, max_size=3))
def test_a_canary_does_not_survive_in_an_array(case: tuple[str, str], others: list[str]) -> None:
    canary, text = case
    elements = [*others, text, *others]
    shown = hidden(array_text(elements), TEXTS)
    assert [shown_as == was for shown_as, was in zip(read_array(shown), elements, strict=True)].count(False) == 1
    assert canary not in "".join(read_array(shown))
    shown = hidden(array_binary(elements), TEXTS, 1)
    assert canary.encode() not in shown
    assert array_binary(read_binary(shown)) == shown
    inner = [json.dumps({"a": text}), "{}"]
    assert all(canary not in json.dumps(json.loads(each)) for each in read_array(hidden(array_text(inner), JSONS)))
    hexed = ["\\x" + text.encode().hex()]
    assert canary.encode() not in bytes.fromhex(read_array(hidden(array_text(hexed), BYTEAS))[0][2:])


@given(planted(), st.binary(max_size=9))
def test_a_canary_does_not_survive_in_bytes(case: tuple[str, str], other: bytes) -> None:
    canary, text = case
    content = text.encode()
    written = b"\\x" + content.hex().encode()
    assert canary.encode() not in bytes.fromhex(hidden(written, BYTEA)[2:].decode())
    assert canary.encode() not in hidden(content, BYTEA, 1)
    assert canary.encode() not in bytes.fromhex(hidden(written, TEXT)[2:].decode())
    if canary.isascii() and len(canary) >= 10:
        mixed = other + b"\xff\0 " + canary.encode() + b" \0\xff" + other
        assert canary.encode() not in hidden(mixed, BYTEA, 1)


@given(planted())
def test_a_canary_does_not_survive_in_a_row_as_a_value(case: tuple[str, str]) -> None:
    canary, text = case
    quoted = text.replace("\\", "\\\\").replace('"', '""')
    shown = ALL.hide(f'(1,"{quoted}",t)'.encode(), RECORD, 0)
    assert shown is None or canary.encode() not in shown
    field = text.encode()
    cell = struct.pack("!iIi", 2, TEXT, len(field)) + field + struct.pack("!Iii", INTEGER, 4, 7)
    for type_oid in (RECORD, 50_000):
        shown = hidden(cell, type_oid, 1)
        assert canary.encode() not in shown
        assert shown.endswith(struct.pack("!Iii", INTEGER, 4, 7))


@given(emails.filter(lambda text: "'" not in text) | cards | phones)
def test_characters_by_their_numbers_hide_nothing_in_xml(canary: str) -> None:
    written = "".join(f"&#{ord(c)};" if at % 2 else f"&#x{ord(c):x};" for at, c in enumerate(canary))
    if canary.isascii():
        assert hidden(f"<a>{written}</a>".encode(), XML) == b"<a>*****</a>"


@given(plain, documents(plain | st.integers(0, 10**9) | st.booleans()), st.lists(plain), st.booleans())
def test_what_holds_nothing_is_the_same_object(text: str, document: Any, elements: list[str], ascii_only: bool) -> None:
    written = json.dumps(document, ensure_ascii=ascii_only, indent=1).encode()
    cells = [
        (text.encode(), TEXT, 0),
        (text.encode(), XML, 0),
        (text.encode(), 50_000, 0),
        (text.encode(), 50_000, 1),
        (text.encode(), BYTEA, 1),
        (b"\\x" + text.encode().hex().encode(), BYTEA, 0),
        (written, JSON, 0),
        (written, TEXT, 0),
        (b"\x01" + written, JSONB, 1),
        (array_text(elements), TEXTS, 0),
        (array_binary(elements), TEXTS, 1),
    ]
    for cell, type_oid, wire_format in cells:
        assert ALL.hide(cell, type_oid, wire_format) is cell
    assert ALL.text(text) is text


@given(st.binary(max_size=80), st.sampled_from([TEXT, JSON, JSONB, BYTEA, XML, TEXTS, RECORD, 0, 3614, 50_000]))
def test_no_bytes_make_it_raise(cell: bytes, type_oid: int) -> None:
    for detection in (ALL, OWN):
        for wire_format in (0, 1):
            detection.hide(cell, type_oid, wire_format)


pieces = st.lists(
    st.one_of(
        canaries,
        st.from_regex("E[0-9]{6}", fullmatch=True),
        st.just("abcÜ12"),
        plain,
        st.text("0123456789.-:@ +/=", max_size=30),
    ),
    max_size=4,
).map("".join)
columns = st.sampled_from([(TEXT, 0), (JSON, 0), (TEXTS, 0), (50_000, 1), (BYTEA, 0), None])


@st.composite
def results(draw: st.DrawFn) -> tuple[list[list[str | None]], list[tuple[int, int] | None]]:
    covered = draw(st.lists(columns, min_size=1, max_size=4))
    width = len(covered)
    return draw(st.lists(st.lists(st.none() | pieces, min_size=width, max_size=width), max_size=5)), covered


@given(results(), st.sampled_from([ALL, OWN, Detection([Detector("card"), Detector("own", "(?s)a.*b")])]))
def test_rows_are_as_if_each_cell_was_looked_into(
    case: tuple[list[list[str | None]], list[tuple[int, int] | None]], detection: Detection
) -> None:
    """So whatever the exact patterns find, the loose ones do in whole rows, beside lengths that may be any bytes."""
    rows, covered = case
    data = b"".join(row(*cells) for cells in rows)
    expected = b"".join(
        row(
            *(
                cell if column is None or not cell else detection.hide(cell.encode(), *column)
                for cell, column in zip(cells, covered, strict=True)
            )
        )
        for cells in rows
    )
    shown = hide(data, detection, covered)
    assert shown == expected
    assert (shown is data) == (expected == data) or shown == data


def array_text(elements: list[str]) -> bytes:
    quoted = ('"' + each.replace("\\", "\\\\").replace('"', '\\"') + '"' for each in elements)
    return ("{" + ",".join(quoted) + "}").encode()


def read_array(cell: bytes) -> list[str]:
    """Every element is in quotes."""
    elements: list[str] = []
    text, at = cell.decode(), 1
    while text[at] == '"':
        element = ""
        at += 1
        while text[at] != '"':
            at += text[at] == "\\"
            element += text[at]
            at += 1
        elements.append(element)
        at += 2
        if at >= len(text):
            break
    return elements


def array_binary(elements: list[str]) -> bytes:
    encoded = [each.encode() for each in elements]
    head = struct.pack("!iiIii", 1, 0, TEXT, len(encoded), 1)
    return head + b"".join(struct.pack("!i", len(each)) + each for each in encoded)


def read_binary(cell: bytes) -> list[str]:
    at, elements = 20, []
    while at < len(cell):
        size = struct.unpack_from("!i", cell, at)[0]
        elements.append(cell[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return elements
