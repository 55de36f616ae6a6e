"""Laws of masked COPY: any cutting gives the same, nothing else changes, nothing hidden stays, garbage is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

import psycopg
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from msgspec import structs
from psycopg import sql

from hoopx_broker.masking.shapes import NOTHING, Mask
from hoopx_broker.policy.facts.sql import read
from hoopx_broker.terms.facts import CopyStyle
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres.copying import CopyOut
from tests.laws.depth import examples
from tests.peers.postgres import Postgres

TEXT = CopyStyle("text", delimiter="\t", null="\\N", header=False, quote='"', escape='"')
CSV = structs.replace(TEXT, format="csv", delimiter=",", null="")
BINARY = structs.replace(TEXT, format="binary")
CANARY = "QZQ"  # of letters that no mark, mask or other value has

# In csv, servers before 18 take this for the end of all, though it stands within quotes.
_ENDS_EARLY = re.compile(rb"(\A|[\r\n])\\\.[\r\n]")

letters = st.sampled_from([*"a5x,;|~^'\"\\\n\r\t\b. N\2é", "\\.", "\\N", "𝔘"])
values = st.none() | st.lists(letters, max_size=8).map("".join)
secrets = st.none() | st.tuples(values, values).map(lambda ends: f"{ends[0] or ''}{CANARY}{ends[1] or ''}")
marks = st.sampled_from([*",;|~^5x'\"\t\\ ", "\2", "\b"])
nulls = st.sampled_from(["", "\\N", "\\n", "x", "NULL", "5", CANARY])
masks = st.sampled_from([NOTHING, Mask(b"*****"), Mask(b""), Mask(b"\\."), Mask(b',"\n\t|x', nulls=True)])
styles = st.builds(
    CopyStyle,
    st.sampled_from(["text", "csv", "binary"]),
    delimiter=marks,
    null=nulls,
    header=st.booleans(),
    quote=marks,
    escape=marks,
)


def options(style: CopyStyle) -> sql.Composed:
    """As a client says them; not every style has them all."""
    said = [sql.SQL("format {}").format(style.format)]
    if style.format != "binary":
        said += [sql.SQL("delimiter {}").format(style.delimiter), sql.SQL("null {}").format(style.null)]
        said += [sql.SQL("header {}").format(sql.SQL(str(style.header)))]
    if style.format == "csv":
        said += [sql.SQL("quote {}").format(style.quote), sql.SQL("escape {}").format(style.escape)]
    return sql.SQL("({})").format(sql.SQL(", ").join(said))


def is_taken(style: CopyStyle, text: str) -> bool:
    found = read(text.encode())
    if not isinstance(found, tuple) or found[0].copy_style is None:
        return False
    unquoted = structs.replace(style, quote='"', escape='"')
    expected = {"text": unquoted, "csv": style, "binary": BINARY}[style.format]
    assert found[0].copy_style == expected
    return True


def copied(style: CopyStyle, masks: Sequence[Mask | None], pieces: Sequence[bytes]) -> bytes:
    out = CopyOut(style, masks)
    found = b"".join(out.feed(piece) for piece in pieces)
    out.end()
    return found


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


rows = st.lists(st.tuples(values, secrets, values), max_size=5)
cuts = st.lists(st.integers(0, 300), max_size=8)


@settings(max_examples=examples(50), deadline=None)
@given(rows, styles, masks, cuts)
@example([("x", f"a\\.{CANARY}\n", "\\")], structs.replace(CSV, quote="'", escape="\\"), Mask(b""), [3, 9, 10])
@example([(None, CANARY, None)], structs.replace(TEXT, null=CANARY), NOTHING, [])
def test_a_real_copy_is_cut_anywhere_masked_and_read_back(
    postgres: Postgres, rows: list[tuple[str | None, ...]], style: CopyStyle, mask: Mask, places: list[int]
) -> None:
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection, connection.cursor() as cursor:
        if style.format == "text" and connection.info.server_version < 150000:
            style = structs.replace(style, header=False)
        cursor.execute("create temp table t (a text, b text, c text)")
        cursor.execute("create temp table back (like t)")
        if rows:
            cursor.executemany("insert into t values (%s, %s, %s)", rows)
        text = sql.SQL("copy t to stdout {}").format(options(style)).as_string(connection)
        assume(is_taken(style, text))
        with cursor.copy(text.encode()) as copy:
            payloads = [bytes(payload) for payload in copy]
        whole = b"".join(payloads)
        pieces = cut(whole, places)
        assert copied(style, [None] * 3, pieces) == whole
        masked = copied(style, [None, mask, None], pieces)
        assert masked == copied(style, [None, mask, None], payloads)
        assert CANARY.encode() not in masked or style.null == CANARY
        if _ENDS_EARLY.search(masked):
            return
        with cursor.copy(sql.SQL("copy back from stdin {}").format(options(style))) as copy:
            copy.write(masked)
        found = cursor.execute("select * from back order by ctid").fetchall()
        assert len(found) == len(rows)
        hidden = {None, None if mask.value is None else mask.value.decode()}
        assert {row[1] for row in found} <= hidden
        if style.format != "text":
            assert [(row[0], row[2]) for row in found] == [(row[0], row[2]) for row in rows]


@given(st.sampled_from([TEXT, CSV, BINARY]), st.binary(max_size=60), st.lists(st.none() | masks, max_size=4), cuts)
def test_garbage_is_a_broken_peer_or_some_rows(
    style: CopyStyle, data: bytes, masks: list[Mask | None], places: list[int]
) -> None:
    with suppress(BrokenPeer):
        copied(style, masks, cut(data, places))


@given(
    st.sampled_from([TEXT, CSV]), st.text('a,"\\\t\r\n.N', max_size=30), st.lists(masks, min_size=1, max_size=3), cuts
)
def test_nothing_passes_where_all_is_masked(style: CopyStyle, data: str, masks: list[Mask], places: list[int]) -> None:
    """Whatever lines a server may send: of a value in them nothing is left."""
    with suppress(BrokenPeer):
        assert b"a" not in copied(style, masks, cut(data.encode(), places))


@given(st.sampled_from([TEXT, CSV]), st.text('a,"\\\t\r\n.N', max_size=30), st.integers(1, 3), cuts)
def test_what_is_read_as_rows_stays_as_it_was_if_nobody_masks_it(
    style: CopyStyle, data: str, width: int, places: list[int]
) -> None:
    with suppress(BrokenPeer):
        assert copied(style, [None] * width, cut(data.encode(), places)) == data.encode()


@given(st.sampled_from([TEXT, CSV]), st.text('a,"\\\t\r\n.N', max_size=30), st.integers(1, 3), cuts)
@example(TEXT, "\\.\na\n", 1, [3])
def test_any_cutting_is_read_alike(style: CopyStyle, data: str, width: int, places: list[int]) -> None:
    def outcome(pieces: Sequence[bytes]) -> bytes | None:
        try:
            return copied(style, [Mask(b"*")] * width, pieces)
        except BrokenPeer:
            return None

    assert outcome(cut(data.encode(), places)) == outcome([data.encode()])
