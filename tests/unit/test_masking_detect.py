"""What detectors find, what they leave alone, and how a hit looks in each kind of cell."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.problems import BadConfig
from hoopx_broker.masking.detect import Detection, classes_in
from hoopx_broker.masking.detectors import BUILT_IN
from hoopx_broker.masking.expressions import MAX_FINDS, BadPattern, checked, without_assertions
from hoopx_broker.masking.typed import CONSTANTS
from hoopx_broker.terms.masks import Detector, Shape
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres.detecting import hide
from tests.unit.wire_stage import row

TEXT, JSON, JSONB, BYTEA, XML, TEXTS, JSONS, RECORD = 25, 114, 3802, 17, 142, 1009, 199, 2249
HSTORE = 50_000  # any type of an extension's or of a user's own
DETECTORS = [Detector(name) for name in BUILT_IN]
ALL = Detection(DETECTORS)

FOUND = [
    ("email", "write to ann@example.com.", "write to *****."),
    ("email", "<Ann.Smith+x@mail.firm.co.uk>", "<*****>"),
    ("email", "müller@bäckerei.de", "*****"),
    ("email", "/?to=ann%40example.com&x=1", "/?to=*****&x=1"),
    ("email", "x@xn--bcher-kva.xn--p1ai", "*****"),
    ("card", "4111111111111111", "*****"),
    ("card", "paid by 4111-1111-1111-1111, thanks", "paid by *****, thanks"),
    ("card", "card_4111.1111.1111.1111", "card_*****"),
    ("card", "3782 822463 10005", "*****"),
    ("card", "36070500001020", "*****"),
    ("card", "nr 1234 4111 1111 1111 1111 12", "nr 1234 ***** 12"),
    ("iban", "DE89 3704 0044 0532 0130 00 at once", "***** at once"),
    ("iban", "gb82west12345698765432", "*****"),
    ("iban", "FR1420041010050500013M02606", "*****"),
    ("iban", "MT84MALT011000012345MTLCAST001S", "*****"),
    ("iban", "NO93-8601-1117-947", "*****"),
    ("national-id", "ssn 078-05-1120", "ssn *****"),
    ("national-id", "AB 12 34 56 C", "*****"),
    ("national-id", "86 095 742 719", "*****"),
    ("national-id", "86095742719", "*****"),
    ("national-id", "1 85 05 78 006 084 91", "*****"),
    ("national-id", "12345678Z", "*****"),
    ("national-id", "X1234567L", "*****"),
    ("national-id", "RSSMRA85T10A562S", "*****"),
    ("national-id", "1112.22.333", "*****"),
    ("national-id", "111.444.777-35", "*****"),
    ("national-id", "756.9217.0769.85", "*****"),
    ("national-id", "85.07.30-033.28", "*****"),
    ("national-id", "811218-9876", "*****"),
    ("national-id", "131052-308T", "*****"),
    ("phone", "call +49 (0)30 123456-78!", "call *****!"),
    ("phone", "+14155550123", "*****"),
    ("phone", "(555) 234-5678", "*****"),
    ("phone", "555.234.5678", "*****"),
    ("phone", "020 7946 0018", "*****"),
    ("phone", "01 23 45 67 89", "*****"),
    ("phone", "0171/1234567", "*****"),
    ("ip", "from 10.1.2.3:443", "from *****:443"),
    ("ip", "192.168.1.0/24", "*****/24"),
    ("ip", "ip:2001:db8::1, [fe80::1%eth0]", "ip:*****, [*****%eth0]"),
    ("ip", "2001:0db8:85a3:0000:0000:8a2e:0370:7334", "*****"),
    ("jwt", "x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-def_ y", "x ***** y"),
    ("cloud-key", "AKIAIOSFODNN7EXAMPLE", "*****"),
    ("cloud-key", "AIza" + "Sy0" * 11 + "ab", "*****"),
    ("cloud-key", "ghp_" + "a1" * 18, "*****"),
    ("cloud-key", "github_pat_" + "A1_" * 10, "*****"),
    ("cloud-key", "xoxb-123456789012-abcdefghijkl", "*****"),
    ("cloud-key", "sk_" + "live_" + "4eC39HqLyjWDarjtT1zd", "*****"),
    ("cloud-key", "AccountName=x;Key=" + "Ab1+" * 21 + "Zz==", "AccountName=x;Key=*****"),
    ("private-key", "a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b", "a ***** b"),
    ("private-key", "MIIE\n-----END PRIVATE KEY----- b", "***** b"),
    ("private-key", "MIIEabc=\n-----END PRIVATE KEY-----", "*****"),
    ("token", "password=hunter2345 host=db", "password=***** host=db"),
    ("token", "PASSWORD := 'hunter2345'", "PASSWORD := '*****'"),
    ("token", 'api_key: "abc123def456"', 'api_key: "*****"'),
    ("token", "Authorization: Bearer abcdef0123456789", "Authorization: Bearer *****"),
    ("token", "postgres://ann:secret@db/x", "postgres://ann:*****@db/x"),
    ("token", "<password>Ab1cdefgh</password>", "<password>*****</password>"),
]


@pytest.mark.parametrize(("name", "text", "shown"), FOUND)
def test_it_is_found_and_hidden_where_it_stands(name: str, text: str, shown: str) -> None:
    assert Detection([Detector(name)]).text(text) == shown
    assert name in classes_in(text, DETECTORS)


@pytest.mark.parametrize(("name", "text", "shown"), FOUND)
def test_it_is_seen_in_whole_rows_of_any_length(name: str, text: str, shown: str) -> None:
    """A length may look like a digit, a letter or a dash beside the value."""
    detection = Detection([Detector(name)])
    for more in range(256):
        assert detection.sees(row(text + " " * more, None))
        assert hide(row(text + " " * more, "", None), detection, [(TEXT, 0), None, (TEXT, 0)]) == row(
            shown + " " * more, "", None
        )


LEFT = [
    "",
    "plain text with nothing in it",
    "2024-01-02 03:04:05.123456+02",
    "2024-01-02T03:04:05Z",
    "550e8400-e29b-41d4-a716-446655440000",
    "1712345678901",
    "0.4111111111111111",
    "version 1.2.3, 1.2.3.4.5 and 10.0.19041",
    "127.0.0.1 0.0.0.0 255.255.255.255 256.1.1.1 Chrome/120.0.0.0",
    "a::b std::string ::1 :: 12:34:56 aa:bb:cc:dd:ee:ff",
    "4111111111111112",
    "4111 1111 1111 1112",
    "1234567890123456",
    "84111111111111111",
    "e4111111111111111f",
    "DE88370400440532013000",
    "XX89370400440532013000",
    "000-12-3456",
    "666-12-3456",
    "900-12-3456",
    "123-45-67890",
    "86095742718",
    "12345678A",
    "BG123456C",
    "order 12345678 of 5551234567",
    "call 911 or 12345",
    "01-02-2024 10:11",
    "token: required",
    "password: administrator",
    "secret: NONE",
    "password=",
    "eyJhbGciOi is no token",
    "-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----",
    "user@localhost @example.com a@b",
    "https://example.com/a?b=c",
    "d41d8cd98f00b204e9800998ecf8427e",
    "rgb(255, 255, 255) 1.5e-10 -7",
]


@pytest.mark.parametrize("text", LEFT)
def test_it_is_left_alone(text: str) -> None:
    assert ALL.text(text) is text
    assert classes_in(text, DETECTORS) == frozenset()


def test_a_detector_finds_nothing_of_another_ones() -> None:
    assert Detection([Detector("card")]).text("ann@example.com 4111111111111111") == "ann@example.com *****"
    assert Detection([]).sees(b"ann@example.com") is False
    assert Detection([]).covers(TEXT, 0) is False


def test_a_hit_has_the_shape_of_its_class() -> None:
    shapes = {"card": Shape("keep", last=4), "email": Shape("format"), "phone": Shape("hash"), "ip": Shape("null")}
    detection = Detection(DETECTORS, shapes, b"k" * 16)
    assert detection.text("ann@x.com, 4111-1111-1111-1111") == "masked@masked.example.net, *****1111"
    assert detection.text("+49 30 1234567")[:2] == "h:"
    assert detection.text("ip 10.1.2.3") == "ip *****"
    assert "kkkk" not in repr(vars(detection))


def test_what_lies_over_each_other_is_hidden_as_one() -> None:
    own = Detection([Detector("email"), Detector("line", "x=[^ ]+")])
    assert own.text("a x=ann@example.com,more b") == "a ***** b"
    assert own.text("a x=ann@example b") == "a ***** b"


DOCUMENT = (
    b'{ "email" : "ann@example.com", "n": [1, 4111111111111111, 1.50e3], "a": "a\\u0040b.com", "d": "x\\ny",'
    b' "password": "x", "pass\\u0077ord": "y", "secret": 12, "email" : null }'
)


def test_a_document_keeps_its_keys_and_its_form() -> None:
    assert ALL.hide(DOCUMENT, JSON, 0) == (
        b'{ "email" : "*****", "n": [1, 0, 1.50e3], "a": "*****", "d": "x\\ny",'
        b' "password": "*****", "pass\\u0077ord": "*****", "secret": 12, "email" : null }'
    )


def test_a_document_in_the_binary_format_keeps_its_version() -> None:
    assert ALL.hide(b'\x01{"a": "ann@example.com"}', JSONB, 1) == b'\x01{"a": "*****"}'
    assert ALL.hide(b'\x02{"a": "ann@example.com"}', JSONB, 1) == b'\x02{"a": "*****"}'


def test_a_key_that_is_personal_data_itself_is_hidden() -> None:
    assert ALL.hide(b'{"ann@example.com" : {"name": 1}}', JSON, 0) == b'{"*****" : {"name": 1}}'


def test_a_document_in_a_document_stays_one() -> None:
    inner = json.dumps({"a": json.dumps({"mail": "ann@example.com", "k": "\n\\"})})
    shown = ALL.hide(inner.encode(), JSON, 0)
    assert json.loads(json.loads(shown or b"")["a"]) == {"mail": "*****", "k": "\n\\"}


@pytest.mark.parametrize(
    "text", ['{"a": "ann@example.com"', '{"a": ann@example.com}', '"ann@example.com', "NaN ann@example.com"]
)
def test_what_only_claims_to_be_json_is_text(text: str) -> None:
    assert ALL.hide(text.encode(), JSON, 0) == text.replace("ann@example.com", "*****").encode()


def test_a_document_as_text_is_looked_into_too() -> None:
    assert ALL.text('{"a": "a\\u0040b.com\\n"}') == '{"a": "*****\\n"}'
    assert ALL.text('{"a": "\\u0022\\u0040\\n"}') == '{"a": "\\u0022\\u0040\\n"}'
    assert ALL.text('(1,"{""a"": ""\\\\u002b4930 1234567""}")') == '(1,"{""a"": ""\\*****""}")'


def test_an_escape_is_no_part_of_a_value() -> None:
    assert ALL.text("a\\n4111111111111111\\n") == "a\\n*****\\n"
    assert ALL.text("a\\tann@example.com") == "a\\t*****"
    assert ALL.text('{"a": "b\\nann@example.com\\n10.1.2.3\\"}"}') == '{"a": "b\\n*****\\n*****\\"}"}'


def test_an_array_stays_one() -> None:
    assert ALL.hide(b'{ann@x.com,"a b","c \\"q\\" \\\\ bob@x.com",NULL,{}}', TEXTS, 0) == (
        b'{"*****","a b","c \\"q\\" \\\\ *****",NULL,{}}'
    )
    assert (
        ALL.hide(b'[0:1]={"{\\"a\\": \\"b\\\\u0040c.com\\"}",null}', JSONS, 0)
        == b'[0:1]={"{\\"a\\": \\"*****\\"}",null}'
    )
    assert ALL.hide(b'{"\\\\x616e6e406578616d706c652e636f6d"}', 1001, 0) == b'{"\\\\x2a2a2a2a2a"}'


def test_bytes_are_looked_into_as_text() -> None:
    mail = b"ann@example.com"
    assert ALL.hide(b"\\x" + mail.hex().encode() + b"0a", BYTEA, 0) == b"\\x2a2a2a2a2a0a"
    assert ALL.hide(b"a\\000\\\\ ann@example.com\\012", BYTEA, 0) == b"a\\000\\\\ *****\\012"
    assert ALL.hide(b"\xff\0 ann@example.com\0", BYTEA, 1) == b"\xff\0 *****\0"
    assert ALL.text("\\x" + mail.hex()) == "\\x2a2a2a2a2a"


def test_pictures_are_no_text() -> None:
    """Of four megabytes that only look random, nothing is changed."""
    state, noise = 7, bytearray()
    while len(noise) < 4_000_000:
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        noise += (state >> 16).to_bytes(6, "big")
    content = bytes(noise)
    assert ALL.hide(content, BYTEA, 1) is content


def test_a_value_of_many_parts_keeps_its_form() -> None:
    assert ALL.hide(b'(1,"ann@x.com, b",)', RECORD, 0) == b'(1,"*****, b",)'
    assert ALL.hide(b'"a"=>"ann@x.com", "b"=>NULL', HSTORE, 0) == b'"a"=>"*****", "b"=>NULL'
    assert ALL.hide(b"ann@x.com", HSTORE, 1) == b"*****"  # citext
    part = struct.pack("!iIi", 1, TEXT, 9) + b"ann@x.com"
    assert ALL.hide(part, RECORD, 1) == struct.pack("!iIi", 1, TEXT, 5) + b"*****"
    pairs = struct.pack("!ii", 1, 1) + b"a" + struct.pack("!i", 9) + b"ann@x.com"
    assert ALL.hide(pairs, HSTORE, 1) == struct.pack("!ii", 1, 1) + b"a" + struct.pack("!i", 5) + b"*****"


def test_a_shape_ends_no_value_of_many_parts() -> None:
    for text in ('a"b', "a,b", "a)b", "a}b", "a\\b"):
        detection = Detection([Detector("email")], {"email": Shape("fixed", text=text)})
        assert detection.hide(b"(1,ann@x.com)", RECORD, 0) == b"(1,*****)"
        assert json.loads(detection.hide(b'"ann@x.com"', JSON, 0) or b"") == text
    markup = Detection([Detector("email")], {"email": Shape("fixed", text="<b>")})
    assert markup.hide(b"<a>ann@x.com</a>", XML, 0) == b"<a>*****</a>"


def test_a_key_that_breaks_off_is_hidden_to_the_end() -> None:
    assert ALL.text("a -----BEGIN PRIVATE KEY-----\nMIIE, and so on") == "a *****"


def test_a_hit_over_several_parts_hides_the_whole() -> None:
    broken_off = b'("-----BEGIN PRIVATE KEY-----\nMIIE",2)'
    assert ALL.hide(broken_off, RECORD, 0) is None
    assert ALL.hide(b"\0\0 ann@example.com \xff", HSTORE, 1) is None


def test_a_form_that_nobody_knows_is_shown_where_nothing_is_found() -> None:
    cell = b"\0\0\xff plain"
    assert ALL.hide(cell, HSTORE, 1) is cell


@pytest.mark.parametrize("type_oid", [16, 18, 20, 23, 701, 869, 1082, 1184, 1700, 2950, 1016, 1182])
def test_numbers_days_and_the_like_are_not_looked_into(type_oid: int) -> None:
    cell = b"4111111111111111"
    assert not ALL.covers(type_oid, 0)
    assert not ALL.covers(type_oid, 1)
    assert ALL.hide(cell, type_oid, 0) is cell


@pytest.mark.parametrize(
    "type_oid", [TEXT, 1043, 1042, 19, 705, JSON, JSONB, XML, BYTEA, TEXTS, 1015, JSONS, RECORD, HSTORE, 0]
)
def test_text_in_all_its_clothes_is_looked_into(type_oid: int) -> None:
    assert ALL.covers(type_oid, 0)
    assert ALL.covers(type_oid, 1)


def test_every_type_with_a_constant_is_hidden_or_not_looked_into() -> None:
    """Never an error, and never itself, whatever bytes claim to be of that type."""
    for type_oid in CONSTANTS:
        for wire_format in (0, 1):
            shown = ALL.hide(b"ann@example.com", type_oid, wire_format)
            assert not ALL.covers(type_oid, wire_format) or b"ann@example.com" not in (shown or b"")


MEGABYTE = 1_000_000
HOSTILE = {
    "at signs": b"@" * MEGABYTE,
    "half addresses": b"a@a." * (MEGABYTE // 4),
    "colons": b":" * MEGABYTE,
    "one long number": b"4" * MEGABYTE,
    "many numbers": b"4444 " * (MEGABYTE // 5),
    "dots": b"1." * (MEGABYTE // 2),
    "names of secrets": b"token:" * (MEGABYTE // 6),
    "beginnings of keys": b"-----BEGIN PRIVATE KEY-----" * (MEGABYTE // 27),
    "ends of keys": b"a -----END PRIVATE KEY----" * (MEGABYTE // 26),
    "countries": b"DE89" * (MEGABYTE // 4),
    "backslashes": b"\\" * MEGABYTE,
    "quotes": b'"' * MEGABYTE,
    "open brackets": b"[" * MEGABYTE,
    "numbers of characters": b"\\u0040" * (MEGABYTE // 6),
    "hexadecimal of hexadecimal": b"\\x" + b"5c78" * (MEGABYTE // 4),
    "urls": b"://a:" * (MEGABYTE // 5),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.timeout(60)
def test_a_megabyte_made_to_be_slow_is_not(name: str) -> None:
    """Backtracking over any of these would take hours."""
    cell = b"ann@example.com " + HOSTILE[name]
    assert b"ann@" not in (ALL.hide(cell, TEXT, 0) or b"")
    for type_oid in (JSON, TEXTS, BYTEA, HSTORE):
        assert b"ann@" not in (ALL.hide(cell[: MEGABYTE // 10], type_oid, 0) or b"")


def test_a_value_at_the_end_of_a_megabyte_is_found() -> None:
    text = "plain words " * 100_000
    assert ALL.text(f"{text}ann@example.com") == f"{text}*****"


def test_a_cell_that_cannot_be_looked_into_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    detection = Detection(DETECTORS)
    monkeypatch.setattr(detection, "_hits", lambda cell: 1 / 0)
    assert detection.hide(b"ann@example.com", TEXT, 0) == b"*****"
    assert detection.hide(b'"ann@example.com"', JSON, 0) == b'"*****"'


def test_a_cell_full_of_candidates_is_hidden_as_a_whole() -> None:
    """A gigabyte of these would keep a broker busy for half an hour."""
    assert ALL.text("4444 " * (MAX_FINDS + 1)) == "*****"
    assert ALL.hide(b"[" + b"1," * (MAX_FINDS + 1) + b'"ann@example.com"]', JSON, 0) == b'"*****"'


def test_a_row_in_a_row_is_not_taken_for_an_array() -> None:
    """Its bytes could be those of an array of some other type, into which nobody would look."""
    for size in range(15, 3000):
        inner = struct.pack("!iIi", 1, TEXT, size) + b"ann@example.com".ljust(size)
        for type_oid in (RECORD, HSTORE):
            cell = struct.pack("!iIi", 1, RECORD, len(inner)) + inner
            assert b"ann@example.com" not in (ALL.hide(cell, type_oid, 1) or b"")
    number = struct.pack("!iiIii", 1, 0, 23, 1, 1) + struct.pack("!i", 15) + b"ann@example.com"
    assert ALL.hide(number, HSTORE, 1) == number[:20] + struct.pack("!i", 4) + bytes(4)


def test_very_deep_values_are_hidden() -> None:
    cell = b"ann@example.com"
    for _ in range(100):
        cell = struct.pack("!iIi", 1, RECORD, len(cell)) + cell
    assert b"ann@" not in (ALL.hide(cell, RECORD, 1) or b"")
    deep = b"[" * 100_000 + b'"ann@example.com"' + b"]" * 100_000
    assert ALL.hide(deep, JSON, 0) == deep.replace(b"ann@example.com", b"*****")


def test_own_patterns_are_found_at_the_edges_of_cells() -> None:
    own = Detection(
        [Detector("employee-number", r"\bE[0-9]{6}\b"), Detector("line", "^secret.*$"), Detector("ü", "Ü+")]
    )
    for more in range(256):
        assert hide(row("E123456" + " " * more, "secret x"), own, [(TEXT, 0), (TEXT, 0)]) == row(
            "*****" + " " * more, "*****"
        )
    assert own.text("XE123456 E1234567 ÜÜ E123456") == "XE123456 E1234567 ***** *****"


def test_a_pattern_that_reaches_over_rows_hides_what_is_in_each() -> None:
    own = Detection([Detector("greedy", "(?s)a.*b")])
    data = row("a") + row("xaxbx") + row("b") + row("a b")
    assert hide(data, own, [(TEXT, 0)]) == row("a") + row("x*****x") + row("b") + row("*****")


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("E[0-9", "is not a pattern of RE2: missing ]: [0-9"),
        ("(?=x)", "is not a pattern of RE2: invalid perl operator: (?="),
        (r"(a)\1", r"is not a pattern of RE2: invalid escape sequence: \1"),
        ("x*", "matches the empty text"),
        (r"\b", "matches the empty text"),
        ("^$|", "matches the empty text"),
        ("(?:(?:x{500}){1000}){1000}", "is not a pattern of RE2: invalid repetition size: {1000}"),
        ("(?:\\pL{100}){10}", "is not a pattern of RE2: pattern too large - compile failed"),
        ("x" * 1001, "is longer than 1000 characters"),
    ],
)
def test_a_bad_pattern_is_refused(pattern: str, told: str) -> None:
    with pytest.raises(BadPattern) as bad:
        checked(pattern)
    assert bad.value.what == told


@pytest.mark.parametrize(
    ("pattern", "loose"),
    [
        (r"^a$", "(?:)a(?:)"),
        (r"\ba\B\\b", r"(?:)a(?:)\\b"),
        (r"[^$\]^]b\$", r"[^$\]^]b\$"),
        (r"[]^$]|[[:alpha:]$]^", r"[]^$]|[[:alpha:]$](?:)"),
        (r"\Q^$\E^\A\z", r"\Q^$\E(?:)(?:)(?:)"),
        (r"(?:^)*a", "(?:(?:))*a"),
    ],
)
def test_a_pattern_is_looked_for_without_what_stands_around_it(pattern: str, loose: str) -> None:
    assert without_assertions(pattern) == loose


def test_a_hit_is_not_lost_to_what_follows_its_cell() -> None:
    """A row begins with a letter and NULL is written with what could be letters, so a loose match may go on there."""
    covered = [(TEXT, 0), (TEXT, 0)]
    for text, shown in [
        ("x@a.bc.x", "*****.x"),
        ("a@bc.de.f", "*****.f"),
        ("12345678 12345678Z 12345678", "12345678 ***** 12345678"),
    ]:
        for rest in (None, "", "x" * 64, "x" * 68):
            data = row(text, rest) + row(rest, text) + row(text, text) + row("x", rest)
            assert hide(data, ALL, covered) == row(shown, rest) + row(rest, shown) + row(shown, shown) + row("x", rest)


def test_rows_without_hits_pass_as_they_came() -> None:
    data = row("a", "b") + row(None, "c")
    assert hide(data, ALL, [(TEXT, 0), (TEXT, 0)]) is data
    found = row("ann@example.com", "b")
    assert hide(found, ALL, [None, (TEXT, 0)]) is found
    assert hide(found, ALL, [None, None]) is found
    assert hide(data + found + data, ALL, [(TEXT, 0), None]) == data + row("*****", "b") + data


@pytest.mark.parametrize(
    "data",
    [
        row("ann@example.com"),
        row("ann@example.com", "b", "c"),
        row("ann@example.com", "b")[:-1],
        row("ann@example.com", "b") + b"D",
        b"D\0\0\0\x04" + b"ann@example.com",
        b"D\0\0\0\x1b\0\x02\0\0\0\x0fann@example.com\0\0\0\x09",
        b"D\0\0\0\x1d\0\x02\0\0\0\x0fann@example.com\xff\xff\xff\xfe",
    ],
)
def test_a_row_that_lies_is_a_broken_peer(data: bytes) -> None:
    with pytest.raises(BrokenPeer):
        hide(data + row("bob@example.com", "x"), ALL, [(TEXT, 0), (TEXT, 0)])


HEAD = """\
policies: rules
identity:
  - {issuer: https://login.example.com, client_id: hoopx-cli, audience: hoopx}
targets:
  db:
    kind: postgres
    address: db.internal
    database: app
    credentials: {from: static, user: app, password: plain}
"""
KNOWN = "`card`, `cloud-key`, `email`, `iban`, `ip`, `jwt`, `national-id`, `phone`, `private-key`, `token`"


def configured(tmp_path: Path, lines: str) -> tuple[Detector, ...]:
    """The lines begin on line 10."""
    (tmp_path / "rules").mkdir()
    file = tmp_path / "hoopx.yaml"
    file.write_text(HEAD + lines)
    return load(file, {}).targets["db"].masks.detectors


@pytest.mark.parametrize(
    ("lines", "detectors"),
    [
        ("", ()),
        ("    detect: all\n", tuple(DETECTORS)),
        ("    detect: [email, card]\n", (Detector("email"), Detector("card"))),
        (
            "    detect: [email, {name: employee-number, pattern: 'E[0-9]{6}'}]\n",
            (Detector("email"), Detector("employee-number", "E[0-9]{6}")),
        ),
    ],
)
def test_a_target_says_what_is_looked_for(tmp_path: Path, lines: str, detectors: tuple[Detector, ...]) -> None:
    assert configured(tmp_path, lines) == detectors


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            "    detect: al\n",
            "10: targets.db.detect: `al` is neither `all` nor a list; write `all`, or for example `[email, card]`",
        ),
        ("    detect: email\n", "10: targets.db.detect: `email` is not a list; write `[email]`"),
        ("    detect: []\n", "10: targets.db.detect: is empty; add at least one entry, or take the key out"),
        (
            "    detect:\n      - email\n      - emial\n",
            "12: targets.db.detect[1]: `emial` is not a detector; did you mean `email`?",
        ),
        ("    detect: [zebra]\n", f"10: targets.db.detect[0]: `zebra` is not a detector; known are {KNOWN}"),
        (
            "    detect: [email, email]\n",
            "10: targets.db.detect: has `email` twice; keep one, or give the second another name",
        ),
        (
            "    detect:\n      - name: plate\n        pattern: 'E[0-9'\n",
            "12: targets.db.detect[0].pattern: `E[0-9` is not a pattern of RE2: missing ]: [0-9;"
            " see https://github.com/google/re2/wiki/Syntax",
        ),
        (
            "    detect: [{name: plate, pattern: 'x*'}]\n",
            "10: targets.db.detect[0].pattern: `x*` matches the empty text;"
            " let it match at least one character, for example with `+` for `*`",
        ),
        (
            "    detect: [{name: email, pattern: 'x'}]\n",
            "10: targets.db.detect[0].name: `email` is a built-in detector;"
            " choose another name; `masks` and policies know it as a class of data",
        ),
        (
            "    detect: [{name: plate, patern: x}]\n",
            "10: targets.db.detect[0].patern: is not a known key; did you mean `pattern`?",
        ),
        ("    detect: [{name: plate}]\n", "10: targets.db.detect[0].pattern: is missing; add `pattern:` here"),
        ("    detect: [7]\n", "10: targets.db.detect[0]: must be text, not a number; put it in quotes"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, lines: str, told: str) -> None:
    with pytest.raises(BadConfig) as bad:
        configured(tmp_path, lines)
    assert told in [str(each).removeprefix(str(tmp_path / "hoopx.yaml:")) for each in bad.value.problems]
