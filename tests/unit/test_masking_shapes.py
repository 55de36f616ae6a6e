"""How hidden values look: what each shape shows, what it never shows, and what it does with oddities."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoopx_broker.masking.formats import EMAIL
from hoopx_broker.masking.hashes import MAX_HASHED
from hoopx_broker.masking.shapes import MAX_SHAPED, Mask, mask_for, whole
from hoopx_broker.masking.typed import CONSTANTS, TEXTS
from hoopx_broker.terms.masks import REDACT, Shape

TEXT, VARCHAR, BPCHAR, CHAR, JSON, JSONB, XML = 25, 1043, 1042, 18, 114, 3802, 142
INT2, INT4, INT8, NUMERIC, DATE, UUID, INET, CITEXT = 21, 23, 20, 1700, 1082, 2950, 869, 16_999
KEY = b"a key of more than 16 bytes"
STARS = b"*****"
LAST4, FIRST2 = Shape("keep", last=4), Shape("keep", first=2)
EVERY_SHAPE = [REDACT, Shape("fixed", text="x"), LAST4, Shape("format"), Shape("hash"), Shape("null")]


def shown(
    value: str | bytes, shape: Shape, kind: int = TEXT, wire_format: int = 0, data_class: str = ""
) -> bytes | None:
    cell = value.encode() if isinstance(value, str) else value
    return mask_for(kind, wire_format, shape, key=KEY, data_class=data_class).instead_of(cell)


def alike(value: str, data_class: str = "") -> str | None:
    found = shown(value, Shape("format"), data_class=data_class)
    assert found is not None
    return None if found == STARS else found.decode()


def test_an_unknown_type_is_null_in_both_formats_whatever_its_shape() -> None:
    for shape in (*EVERY_SHAPE, Shape("keep", last=1)):
        assert shown("secret", shape, CITEXT, 0) is shown("secret", shape, CITEXT, 1) is None


def test_a_derived_column_hides_its_nulls_too() -> None:
    assert whole(INT4, 0) == Mask(b"0", nulls=True)
    assert whole(TEXT, 1) == Mask(STARS, nulls=True)
    assert whole(CITEXT, 1) == Mask(None, nulls=True)


@pytest.mark.parametrize(
    ("kind", "text", "binary"),
    [
        (TEXT, b"a<b", b"a<b"),
        (VARCHAR, b"a<b", b"a<b"),
        (JSON, b'"a<b"', b'"a<b"'),
        (JSONB, b'"a<b"', b'\x01"a<b"'),
        (XML, b"a&lt;b", b"a&lt;b"),
        (CHAR, b"*", b"*"),
        (INT4, b"0", bytes(4)),
        (1009, b"{}", struct.pack("!iiI", 0, 0, TEXT)),
    ],
)
def test_a_fixed_text_stands_where_a_text_can_stand(kind: int, text: bytes, binary: bytes) -> None:
    shape = Shape("fixed", text="a<b")
    assert (shown("secret", shape, kind, 0), shown(b"secret", shape, kind, 1)) == (text, binary)


@pytest.mark.parametrize(
    ("value", "shape", "expected"),
    [
        ("4111111111111111", LAST4, "*****1111"),
        ("4111111111111111", FIRST2, "41*****"),
        ("12345678", LAST4, "*****5678"),
        ("1234567", LAST4, "*****"),
        ("1234", LAST4, "*****"),
        ("", LAST4, "*****"),
        ("éèüñäöß東", LAST4, "*****äöß東"),
        ("abcdefgh", Shape("keep", first=2, last=2), "ab*****gh"),
        ("abcdefg", Shape("keep", first=2, last=2), "*****"),
    ],
)
def test_kept_characters_are_at_most_half_of_the_value(value: str, shape: Shape, expected: str) -> None:
    assert shown(value, shape) == expected.encode()


def test_the_blanks_of_a_padded_value_do_not_count() -> None:
    """`char(20)` holds `1234` with sixteen blanks: its first four characters would be all of it."""
    assert shown("1234" + " " * 16, Shape("keep", first=4), BPCHAR) == STARS
    assert shown("12345678" + " " * 12, LAST4, BPCHAR) == b"*****5678"


@pytest.mark.parametrize("shape", [LAST4, FIRST2, Shape("format")])
@pytest.mark.parametrize("value", [b"\xff\xfe12345678", b"M\xfcller 12345", b"1" * (MAX_SHAPED + 1)])
def test_what_is_not_utf8_or_too_long_is_hidden_whole(shape: Shape, value: bytes) -> None:
    assert shown(value, shape) == STARS


@pytest.mark.parametrize("shape", [LAST4, Shape("format")])
@pytest.mark.parametrize(("kind", "constant"), [(INT8, b"0"), (JSON, b'"*****"'), (DATE, b"1970-01-01"), (CHAR, b"*")])
def test_what_is_no_text_gets_the_constant_of_its_type(shape: Shape, kind: int, constant: bytes) -> None:
    assert shown("12345678", shape, kind) == constant


@given(st.text(max_size=60), st.integers(0, 9), st.integers(0, 9))
def test_no_more_than_half_of_any_value_is_shown(value: str, first: int, last: int) -> None:
    found = shown(value, Shape("keep", first=first, last=last))
    assert found is not None
    assert 2 * (len(found.decode()) - 5) <= len(value.strip())


@pytest.mark.parametrize(
    ("data_class", "value", "expected"),
    [
        ("email", "ann.smith@example.com", EMAIL),
        ("work-email", "ann+x@sub.example.co.uk", EMAIL),
        ("email", "Ann <ann@example.com>", None),
        ("email", "ann", None),
        ("email", "a@b@c", None),
        ("card", "4111111111111111", "0000000000001111"),
        ("card-number", "4111 1111 1111 1234", "0000 0000 0000 1234"),
        ("card", "3782-822463-10005", "0000-000000-00005"),
        ("card", "4111", None),
        ("card", "4111111111111111 exp 12/29", None),
        ("phone", "+49 170 1234567", "+00 000 0000067"),
        ("mobile-phone", "(030) 1234-56", "(000) 0000-56"),
        ("phone", "112", None),
        ("phone", "call Ann", None),
        ("iban", "DE89370400440532013000", "DE00000000000000000000"),
        ("iban", "GB82 WEST 1234 5698 7654 32", "GB00 XXXX 0000 0000 0000 00"),
        ("iban", "account 7", None),
        ("national-id", "078-05-1120", "000-00-0000"),
        ("ssn", "QQ123456C", "XX000000X"),
        ("national-id", "unknown", None),
        ("ip", "192.168.7.9", "0.0.0.0"),
        ("ip-address", "10.1.2.0/24", "0.0.0.0/32"),
        ("ip", "2001:db8::1", "::"),
        ("ip", "2001:db8::/48", "::/128"),
        ("ip", "host.example.com", None),
        ("uuid", "6f1c2d3e-0000-4000-8000-123456789abc", "00000000-0000-0000-0000-000000000000"),
        ("name", "Ann-Marie O'Hara", "Xxx-Xxxxx X'Xxxx"),
        ("name", "Zoë 東京", "Xxx xx"),
        ("name", "Ann", None),
        ("name", "----", None),
        ("name", "!?$%&", None),
        ("name", "Ann!?", "Xxxxx"),
        ("name", "ann@example.com", EMAIL),
        ("birth-date", "1984-02-29", "1970-01-01"),
        ("note", "Room 12, call 555", "Xxxx 00, xxxx 000"),
        ("note", "x" * 65, None),
        ("password", "correct horse battery", None),
        ("api-key", "AKIAIOSFODNN7EXAMPLE", None),
        ("phone-pin", "123456", None),
        ("card-token", "4111111111111111", None),
        ("", "ann@example.com", EMAIL),
        ("", "10.0.0.1", "0.0.0.0"),
        ("", "4111111111111111", "0000000000000000"),
    ],
)
def test_a_value_stays_what_it_is_or_becomes_stars(data_class: str, value: str, expected: str | None) -> None:
    assert alike(value, data_class) == expected


def documented() -> list[tuple[str, str, str]]:
    """Each word, value and result of the table of formats."""
    page = (Path(__file__).parents[2] / "docs" / "masking.md").read_text()
    lines = page.split("### format")[1].split("###")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][1:]
    return [
        (word.strip("`"), value.strip("`"), result.strip("`"))
        for words, value, result in rows
        for word in words.replace("any other", "town").split(", ")
    ]


def test_the_documented_formats_are_true() -> None:
    found = documented()
    assert len(found) > 30
    for word, value, result in found:
        assert shown(value, Shape("format"), data_class=f"some-{word}") == result.encode(), (word, value)


@given(st.emails())
def test_an_email_stays_an_email_and_says_nothing_of_the_first(value: str) -> None:
    assert alike(value, "email") == EMAIL


@given(st.text(min_size=4, max_size=70), st.sampled_from(["", "name", "card", "phone", "iban", "national-id", "ip"]))
def test_no_character_of_a_text_of_any_kind_is_shown_but_where_the_class_says_so(value: str, data_class: str) -> None:
    found = alike(value, data_class)
    if found is None or found == EMAIL:
        return
    stays = {"card": 4, "phone": 2, "iban": 2}.get(data_class, 0)
    assert (
        sum(character.isalnum() and character not in "xX0" for character in found) <= stays + 3
    )  # 1970-01-01, /32, /128


@pytest.mark.parametrize("kind", sorted(TEXTS))
def test_a_hashed_text_is_the_same_in_every_type_and_format_of_text(kind: int) -> None:
    expected = shown("ann@example.com", Shape("hash"))
    assert expected is not None
    assert expected.startswith(b"h:")
    assert len(expected) == 34
    assert [shown("ann@example.com", Shape("hash"), kind, wire) for wire in (0, 1)] == [expected] * 2


def test_a_hash_depends_on_every_bit_of_value_and_key() -> None:
    first = shown("ann@example.com", Shape("hash"))
    assert first != shown("ann@example.con", Shape("hash"))
    assert first != mask_for(TEXT, 0, Shape("hash"), key=KEY + b"x").instead_of(b"ann@example.com")


def test_a_padded_value_hashes_as_the_value() -> None:
    assert shown("ann   ", Shape("hash"), BPCHAR) == shown("ann", Shape("hash"), TEXT)
    assert shown("ann   ", Shape("hash"), TEXT) != shown("ann", Shape("hash"), TEXT)


def test_a_printed_mask_does_not_show_its_key() -> None:
    for kind in CONSTANTS:
        assert KEY.decode() not in repr(mask_for(kind, 0, Shape("hash"), key=KEY))


def test_a_hash_without_a_key_is_null() -> None:
    for kind in (*CONSTANTS, CITEXT):
        assert mask_for(kind, 0, Shape("hash")) == mask_for(kind, 1, Shape("hash")) == Mask(None)


@pytest.mark.parametrize(("kind", "width"), [(INT2, 2), (INT4, 4), (INT8, 8)])
@given(number=st.integers(-(2**15), 2**15 - 1))
def test_a_hashed_integer_is_one_of_its_width_and_the_same_in_both_formats(kind: int, width: int, number: int) -> None:
    text = shown(str(number), Shape("hash"), kind, 0)
    binary = shown(number.to_bytes(width, "big", signed=True), Shape("hash"), kind, 1)
    assert text is not None
    assert binary is not None
    assert len(binary) == width
    assert int(text) == int.from_bytes(binary, "big", signed=True) >= 0


@pytest.mark.parametrize("shape", EVERY_SHAPE)
@pytest.mark.parametrize("cell", [b"", b"\x00", b"\xff" * 7, b"secret" * 3, b"\x7f" + b"\xff" * 15])
def test_nonsense_neither_breaks_nor_shows(shape: Shape, cell: bytes) -> None:
    for kind in CONSTANTS:
        for wire_format in (0, 1):
            found = shown(cell, shape, kind, wire_format)
            assert found is None or b"secret" not in found


@pytest.mark.parametrize("kind", [INT4, NUMERIC, DATE, UUID, INET])
def test_what_no_hash_can_be_made_of_is_null(kind: int) -> None:
    assert shown("nonsense", Shape("hash"), kind) is None
    assert shown("x" * (MAX_HASHED + 1), Shape("hash"), TEXT) is None


def test_a_mask_that_fails_gives_its_constant() -> None:
    def fails(cell: bytes) -> bytes:
        raise RecursionError(cell)

    assert Mask(b"x", fails).instead_of(b"secret") == b"x"
    assert Mask(None, fails).instead_of(b"secret") is None


def test_a_hash_stays_json_in_json() -> None:
    text, binary = (shown('{"a": 1}', Shape("hash"), JSONB, 0), shown(b'\x01{"a": 1}', Shape("hash"), JSONB, 1))
    assert text is not None
    assert binary == b"\x01" + text
    assert json.loads(text).startswith("h:")
