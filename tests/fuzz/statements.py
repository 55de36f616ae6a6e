"""SQL for the reader of statements: what people write, put together wrongly, and what is deep, long or endless."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.fuzz.mutate import damaged, shuffled
from tests.journeys.test_bypasses import FORBIDDEN

_HERE = Path(__file__).parents[1]
_TOKEN = re.compile(rb"\$\w*\$|\w+|\s+|'[^']*'|\"[^\"]*\"|--[^\n]*|[^\w\s]")


def _seeds() -> list[bytes]:
    found = [text.encode() for text in FORBIDDEN]
    for name in ("peers/library.sql", "peers/seed.sql", "peers/days/psql_day.sql"):
        said = (_HERE / name).read_text()
        found += [each.strip().encode() for each in said.split(";\n") if each.strip() and "\\" not in each]
    return found


SEEDS = _seeds()
TOKENS = sorted({token for seed in SEEDS for token in _TOKEN.findall(seed)})
# (what opens, what stands in the middle, what closes): repeated, these are deep.
NESTS = (
    (b"(", b"1", b")"),
    (b"(SELECT ", b"1", b")"),
    (b"ARRAY[", b"1", b"]"),
    (b"lower(", b"'x'", b")"),
    (b"CASE WHEN true THEN ", b"1", b" END"),
    (b"NOT ", b"true", b""),
    (b"- ", b"1", b""),
    (b"CAST(", b"1", b" AS text)"),
    (b"ROW(", b"1", b")"),
    (b"EXISTS (SELECT ", b"1", b")"),
    (b"COALESCE(", b"1", b", 2)"),
    (b"/*", b"x", b"*/"),
    (b"(SELECT * FROM ", b"t", b") AS s"),
    (b"(t JOIN ", b"t", b" ON true)"),
)
# Repeated, these are long.
CHAINS = (
    (b" || ", b"'x'"),
    (b" + ", b"1"),
    (b" AND ", b"a = 1"),
    (b"::text", b""),
    (b" UNION ALL SELECT ", b"1"),
    (b" UNION SELECT ", b"1"),
    (b" INTERSECT SELECT ", b"1"),
    (b", ", b"a"),
    (b" JOIN t ON ", b"true"),
    (b"; SELECT ", b"1"),
    (b"[1]", b""),
    (b".a", b""),
    (b" IS NULL", b""),
    (b" COLLATE ", b'"C"'),
    (b", LATERAL ", b"f(1)"),
    (b" OPERATOR(pg_catalog.+) ", b"1"),
)
STARTS = (
    b"SELECT ",
    b"SELECT * FROM ",
    b"SELECT 1 WHERE ",
    b"EXPLAIN SELECT ",
    b"COPY (SELECT ",
    b"PREPARE p AS SELECT ",
    b"",
)
SIZES = (2, 10, 100, 1000, 3000, 10_000, 60_000)
AROUND = (
    b"EXPLAIN ANALYZE %b",
    b"WITH w AS (%b) SELECT * FROM w",
    b"COPY (%b) TO STDOUT",
    b"SELECT (%b)",
    b"SELECT * FROM (%b) AS s",
    b"PREPARE p AS %b",
    b"DECLARE c CURSOR FOR %b",
    b"CREATE VIEW v AS %b",
    b"DO $x$ BEGIN %b; END $x$",
)
PLAIN = (b"/*" * 32_768, b"--" * 32_768, b"'" * 65_535, b'"' * 65_535, b"$a$" * 20_001, b"(" * 10_000, b"\\" * 1000)


def deep(random: Random) -> bytes:
    opening, middle, closing = random.choice(NESTS)
    count = random.choice(SIZES)
    closes = count if random.random() < 0.8 else random.randint(0, count)
    return random.choice(STARTS) + opening * count + middle + closing * closes


def long(random: Random) -> bytes:
    between, element = random.choice(CHAINS)
    return random.choice(STARTS) + (element or b"a") + (between + element) * random.choice(SIZES)


def mixed(random: Random) -> bytes:
    """The tokens of one statement among those of another."""
    one, other = (_TOKEN.findall(random.choice(SEEDS)) for _ in range(2))
    at = random.randint(0, len(one))
    tokens = shuffled(random, one[:at] + other[random.randint(0, len(other)) :], TOKENS)
    return b"".join(tokens)


def inside(random: Random) -> bytes:
    """One statement inside of another, where one may stand and where none may."""
    outer, inner = random.choice(SEEDS), random.choice(SEEDS)
    around = random.choice((*AROUND, b"%b; " + outer))
    return around.replace(b"%b", inner)


MAKERS: tuple[Callable[[Random], bytes], ...] = (
    lambda random: damaged(random, random.choice(SEEDS), random.choice(SEEDS)),
    lambda random: damaged(random, random.choice(SEEDS), random.choice(SEEDS)),
    mixed,
    mixed,
    inside,
    inside,
    lambda random: damaged(random, inside(random), random.choice(SEEDS)),
    deep,
    long,
    lambda random: random.choice(PLAIN),
)


def statement(random: Random) -> bytes:
    return random.choices(MAKERS, weights=(20, 20, 20, 20, 20, 20, 20, 2, 2, 1))[0](random)
