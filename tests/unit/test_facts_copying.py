"""How a COPY writes its rows, read from every spelling of its options."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from hoopx_broker.policy.facts.sql import read
from hoopx_broker.terms.facts import CopyStyle, StatementFacts

TEXT = CopyStyle("text", delimiter="\t", null="\\N", header=False, quote='"', escape='"')
CSV = structs.replace(TEXT, format="csv", delimiter=",", null="")
BINARY = structs.replace(TEXT, format="binary")


def facts(sql: str) -> StatementFacts:
    found = read(sql.encode())
    assert isinstance(found, tuple)
    return found[-1]


@pytest.mark.parametrize(
    ("options", "default", "said"),
    [
        ("", TEXT, {}),
        ("(format text)", TEXT, {}),
        ("with (format 'text', null '', delimiter '|')", TEXT, {"null": "", "delimiter": "|"}),
        ("with delimiter '|'", TEXT, {"delimiter": "|"}),
        ("delimiter as '|' null as 'x'", TEXT, {"delimiter": "|", "null": "x"}),
        (r"(delimiter E'\x02', null E'\b')", TEXT, {"delimiter": "\2", "null": "\b"}),
        ("(header)", TEXT, {"header": True}),
        ("(null 7)", TEXT, {"null": "7"}),
        ("(null -1.50)", TEXT, {"null": "-1.50"}),
        ("(null true)", TEXT, {"null": "true"}),
        ("(encoding 'utf-8')", TEXT, {}),
        ("encoding 'UTF8'", TEXT, {}),
        ("csv", CSV, {}),
        ("(format CSV)", CSV, {}),
        ("with csv header", CSV, {"header": True}),
        ("csv header force quote *", CSV, {"header": True}),
        ("with csv quote as '~' force quote a, b", CSV, {"quote": "~", "escape": "~"}),
        ("csv quote '~' escape as '^'", CSV, {"quote": "~", "escape": "^"}),
        (r"(format csv, header, delimiter ';', null 'x', quote '''', escape '\', force_quote (a, b))", CSV,
         {"header": True, "delimiter": ";", "null": "x", "quote": "'", "escape": "\\"}),
        ("(format csv, header true)", CSV, {"header": True}),
        ("(format csv, header 'ON')", CSV, {"header": True}),
        ("(format csv, header 1)", CSV, {"header": True}),
        ("(format csv, header 0)", CSV, {}),
        ("(format csv, header off)", CSV, {}),
        ("(format csv, header false, force_quote *)", CSV, {}),
        ("(format csv, delimiter 5)", CSV, {"delimiter": "5"}),
        (r"(format csv, delimiter '\')", CSV, {"delimiter": "\\"}),
        ("binary", BINARY, {}),
        ("with binary", BINARY, {}),
        ("(format binary)", BINARY, {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("what", ["t", "(select 1)"])
def test_every_spelling_of_the_options_is_read(
    what: str, options: str, default: CopyStyle, said: dict[str, Any]
) -> None:
    found = facts(f"copy {what} to stdout {options}")
    assert found.copy == "out"
    assert found.copy_style == structs.replace(default, **said)


def test_the_oldest_spellings_are_read_too() -> None:
    assert facts("copy binary t to stdout").copy_style == BINARY
    assert facts("copy t to stdout using delimiters '|'").copy_style == structs.replace(TEXT, delimiter="|")


def test_the_columns_of_a_table_are_named_in_their_order() -> None:
    style = facts('copy public.t (b, "A", c) to stdout (format csv)').copy_style
    assert style == structs.replace(CSV, columns=("b", "A", "c"))


@pytest.mark.parametrize(
    "options",
    [
        "(format 'json')",
        "(format 'CSV')",
        '("FORMAT" csv)',
        "(format)",
        "(format csv, format csv)",
        "csv binary",
        "(oids)",
        "(something_new true)",
        "(force_array)",
        "(encoding 'latin1')",
        "(encoding 'sjis')",
        "(encoding)",
        "csv encoding 'gbk'",
        "(header match)",
        "(header 2)",
        "(header '')",
        "(header (a))",
        "(null (a))",
        "(null *)",
        "(delimiter (x))",
        "(delimiter '')",
        "(delimiter '||')",
        "(delimiter)",
        "(delimiter 'a')",
        "(delimiter '.')",
        r"(delimiter '\')",
        r"(delimiter E'\n')",
        "(delimiter 'é')",
        "(null 'né')",
        r"(null E'a\rb')",
        "(null 'a|b', delimiter '|')",
        "(format csv, quote 'é')",
        "(format csv, quote '')",
        r"(format csv, quote E'\n')",
        r"(format csv, escape E'\n')",
        r"(format csv, escape E'\r')",
        "(format csv, delimiter '~', escape '~')",
        "(format csv, delimiter '~', quote '~')",
        "(format csv, null 'a\"b')",
    ],
)
def test_what_is_not_sure_has_no_style_but_still_copies_out(options: str) -> None:
    found = facts(f"copy t to stdout {options}")
    assert (found.copy, found.copy_style) == ("out", None)


def test_only_a_copy_to_the_client_has_a_style() -> None:
    assert facts("copy t from stdin (format csv)").copy_style is None
    assert facts("select 1").copy_style is None


def test_another_style_is_another_fingerprint() -> None:
    assert facts("copy t to stdout (null 'a')").fingerprint != facts("copy t to stdout (null 'b')").fingerprint
