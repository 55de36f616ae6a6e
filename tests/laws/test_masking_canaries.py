"""Canaries against the masks: a short flight of `make canaries`, what it has found, and what must still work."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from tests.canaries.harness import Broker, Direct
from tests.canaries.lane import CanaryLane
from tests.canaries.schemas import random_schema, shop
from tests.canaries.turns import Heard, Turn, Way
from tests.canaries.values import TYPES, Watch, canary
from tests.fuzz.lane import broken_law
from tests.peers.postgres import Foundry, Postgres, installations

SCENES = 75


@pytest.fixture(scope="module")
def server(foundry: Foundry) -> Iterator[Postgres]:
    """For this file alone: databases come and go, and one user needs no password."""
    with foundry.server(max(installations(), key=lambda each: each.major)) as server:
        Direct.let_in(server)
        yield server


@pytest.fixture(scope="module")
def broker(server: Postgres) -> Iterator[Broker]:
    """In front of the shop, for a developer under the shipped policies."""
    broker = Broker(server, shop(), database="shop")
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def masks_alone(server: Postgres) -> Iterator[Broker]:
    """The same where no rule but the one that hides values refuses anything."""
    broker = Broker(server, shop(), permissive=True, database="masks_alone")
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def direct(broker: Broker, server: Postgres) -> Iterator[Direct]:
    direct = Direct(server, "shop")
    yield direct
    direct.close()


# The watch itself.


@pytest.mark.parametrize("type_", TYPES)
def test_the_watch_finds_a_canary_of_every_type_in_both_formats(server: Postgres, direct: Direct, type_: str) -> None:
    random = Random(5)
    for known in (canary(random, type_) for _ in range(20)):
        watch = Watch([known])
        for way in ("simple", "binary"):
            heard = direct.say(Turn(f"SELECT {known.literal}::{type_}", way))
            assert any(watch.find(told) for told in heard.everything()), (way, known)


_DRESSES = (
    "upper(x)",
    "reverse(x)",
    "substr(x, 4, 5)",
    "'abc' || x || 'abc'",
    "encode(x::bytea, 'hex')",
    "encode(x::bytea, 'base64')",
    "encode(('ab' || x)::bytea, 'base64')",
    "regexp_split_to_table(x, '')",
    "to_json(x)",
    "x::bytea",
)


@pytest.mark.parametrize("dress", _DRESSES)
def test_the_watch_finds_a_canary_however_it_is_dressed(direct: Direct, dress: str) -> None:
    known = canary(Random(3), "text")
    heard = direct.say(Turn(f"SELECT {dress} FROM (SELECT {known.literal}::text) AS s(x)"))
    assert any(Watch([known]).find(told) for told in heard.everything())


def test_the_watch_is_quiet_where_no_canary_is(broker: Broker, direct: Direct) -> None:
    for text in ("TABLE orders", "SELECT * FROM pg_class", "SELECT * FROM pg_proc", "EXPLAIN ANALYZE TABLE orders"):
        assert not any(broker.watch.find(told) for told in direct.say(Turn(text)).everything())


# The law.


@pytest.mark.parametrize(("seed", "permissive"), [(11, False), (12, True)], ids=["shipped policies", "masks alone"])
def test_no_canary_comes_out_whatever_is_asked(server: Postgres, seed: int, *, permissive: bool) -> None:
    lane = CanaryLane(Broker(server, random_schema(Random(seed)), permissive=permissive, database="flight"))
    try:
        for number in range(SCENES):
            case = lane.draw(Random(f"{seed}.{number}"))
            law = broken_law(lane, case)
            assert law is None, f"seed {seed}, scene {number}: {law}; all of it: {case!r}"
        counts = lane.counts
        assert counts["allowed"] > 0.6 * counts["turns"], "it holds because hardly anything is allowed"
        assert counts["done"] > 0.3 * counts["turns"], "it holds because hardly anything runs"
    finally:
        lane.close()


# What it has found, each said of the shop: the ways and texts of one scene, which is rolled back.
FOUND: list[tuple[str, tuple[tuple[Way, str], ...]]] = [
    ("a view of whole rows", (("simple", "TABLE whole_people"),)),
    ("a view of whole rows, in binary", (("binary", "SELECT email FROM whole_people"),)),
    (
        "an error of what a function read, in WHERE",
        (("prepared", "SELECT WHERE (SELECT f FROM peek() f)::uuid IS NULL"),),
    ),
    (
        "a notice of what a function read, in WHERE",
        (("simple", "SELECT 1 FROM orders WHERE tattle(peek()) = ''"),),
    ),
    (
        "an error of what a function read, in ORDER BY",
        (("portal", "SELECT id FROM orders ORDER BY burst()"),),
    ),
    (
        "a star inside of an expression, under a new name",
        (("simple", "SELECT s.x FROM (SELECT CASE WHEN true THEN t.* END FROM people t) s(x)"),),
    ),
    (
        "a star inside of a function, under a new name",
        (("binary", "SELECT y, x FROM (SELECT id, to_json(t.*) FROM people t) s(y, x)"),),
    ),
    (
        "a star inside of a cast, in a CTE with names",
        (("extended", "WITH s(y, x) AS (SELECT id, (t.*)::text FROM people t) SELECT x FROM s"),),
    ),
    (
        "a star inside of a row, in a join with names",
        (("simple", "SELECT u.x FROM ((SELECT row(t.*) FROM people t) s(x) CROSS JOIN orders o) u(x)"),),
    ),
    ("a default that reads", (("simple", "INSERT INTO defaults DEFAULT VALUES RETURNING got"),)),
    (
        "a default that reads, stored",
        (("simple", "INSERT INTO defaults (id) VALUES (1)"), ("simple", "TABLE defaults")),
    ),
    (
        "a default that reads, by UPDATE",
        (
            ("simple", "INSERT INTO defaults VALUES (1, 'x')"),
            ("binary", "UPDATE defaults SET got = DEFAULT WHERE id = 1 RETURNING *"),
        ),
    ),
]


@pytest.mark.parametrize("only_masks", [False, True], ids=["shipped policies", "masks alone"])
@pytest.mark.parametrize("scene", [pytest.param(scene, id=name) for name, scene in FOUND])
def test_what_let_a_canary_out_once_does_so_no_more(
    broker: Broker, masks_alone: Broker, scene: tuple[tuple[Way, str], ...], *, only_masks: bool
) -> None:
    turns: list[tuple[Way, str]] = [("simple", "BEGIN"), *scene]
    CanaryLane(masks_alone if only_masks else broker).check(tuple((way, text.encode()) for way, text in turns))


# What must be allowed, and what of it is raw: each statement with its hidden columns.
ORDINARY: list[tuple[str, tuple[int, ...]]] = [
    ("SELECT id, name, email FROM people ORDER BY id", (2,)),
    ("SELECT * FROM people WHERE id = 1", tuple(range(2, 13))),
    ("SELECT p.name, o.item FROM people p JOIN orders o ON o.parent_id = p.id WHERE o.id = 1", ()),
    ("SELECT upper(email), upper(name) FROM people WHERE id = 1", (0,)),
    ("SELECT name, email || '' FROM people WHERE id = 1", (1,)),
    ("SELECT id, badge, born, token FROM people WHERE id = 1", (1, 2, 3)),
    ("SELECT count(*) FROM people", ()),
    ("SELECT id FROM people WHERE email = 'ann@example.com' OR id = 2", ()),
    ("SELECT name, count(*) FROM people GROUP BY name ORDER BY name", ()),
    ("WITH p AS (SELECT id, name, email FROM people) SELECT name, email FROM p WHERE id = 1", (1,)),
    ("SELECT s.n FROM (SELECT name AS n, email AS e FROM people) s ORDER BY 1", ()),
    ("SELECT name FROM people WHERE id = 1 UNION SELECT item FROM orders WHERE id < 0", ()),
    ("SELECT o.*, (SELECT name FROM people p WHERE p.id = o.parent_id) FROM orders o WHERE id = 1", ()),
    ("SELECT id, email FROM contacts WHERE id = 1", (1,)),
    ("SELECT id, email FROM loud_contacts WHERE id = 1", (1,)),
    ("SELECT open, secret FROM parts WHERE id = 1", (1,)),
    ("UPDATE people SET name = name WHERE id = 2 RETURNING id, email", (1,)),
    ("INSERT INTO orders (id, item) VALUES (90, 'new') RETURNING id, item", ()),
]


@pytest.mark.parametrize("way", ["simple", "binary"])
@pytest.mark.parametrize(("text", "hidden"), ORDINARY)
def test_ordinary_work_is_allowed_and_only_what_is_classified_is_hidden(
    broker: Broker, direct: Direct, text: str, hidden: tuple[int, ...], way: Way
) -> None:
    heard = undone(broker, Turn(text, way))
    raw = undone(direct, Turn(text, way))
    assert heard.is_done, heard.errors
    assert heard.hidden == [hidden]
    assert len(heard.rows) == len(raw.rows) > 0
    for shown, true in zip(heard.rows, raw.rows, strict=True):
        alike = [number for number, cell in enumerate(shown) if cell == true[number]]
        assert alike == [number for number in range(len(true)) if number not in hidden]


def undone(peer: Broker | Direct, turn: Turn) -> Heard:
    """What one turn brings in a transaction that is rolled back."""
    peer.say(Turn("BEGIN"))
    heard = peer.say(turn)
    peer.say(Turn("ROLLBACK"))
    return heard


PLAIN = [
    "SELECT * FROM orders",
    "TABLE orders",
    "SELECT id, item || '!', made + 1 FROM orders ORDER BY made DESC LIMIT 2",
    "SELECT o, o::text, row_to_json(o) FROM orders o",
    "SELECT array_agg(item ORDER BY id), jsonb_agg(o) FROM orders o",
    "SELECT mood, count(*), max(made) FROM orders GROUP BY ROLLUP (mood) ORDER BY 1",
    "SELECT a.item, b.item FROM orders a JOIN orders b USING (id)",
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 5) SELECT * FROM n",
    "SELECT id, item FROM orders UNION ALL VALUES (9, 'nine')",
    "SELECT row_number() OVER w, lag(item) OVER w FROM orders WINDOW w AS (ORDER BY id)",
    "COPY orders TO STDOUT",
    "COPY (SELECT * FROM orders) TO STDOUT (FORMAT csv, HEADER)",
    "COPY orders TO STDOUT (FORMAT binary)",
    "EXPLAIN SELECT * FROM orders",
    "SELECT x::mood FROM (VALUES ('calm'), ('merry')) v(x)",
    "SELECT relname, relkind FROM pg_class WHERE relname = 'orders'",
    "SELECT shout(item), item ### 'x' FROM orders",
    "SHOW datestyle",
    "SELECT NULL, ''::text, 'é' AS \"ü\", E'\\t\\n', '{1,2}'::int[], 1.50::numeric, 1e300::float8, '\\x00ff'::bytea",
    "",
]
WRONG = [
    "SELECT nothing FROM orders",
    "SELECT '2026-02-30'::date",
    "SELECT 1/0",
    "SELECT item::integer FROM orders",
]
SEVERAL = [
    "SELECT 1; SELECT * FROM orders; SELECT 2",
    "SELECT 1; SELECT 1/0; SELECT 2",
    "BEGIN; TABLE orders; ROLLBACK",
]


@pytest.mark.parametrize("way", ["simple", "extended", "binary"])
@pytest.mark.parametrize("text", [*PLAIN, *WRONG])
def test_an_answer_about_nothing_classified_is_the_servers_byte_by_byte(
    broker: Broker, direct: Direct, text: str, way: Way
) -> None:
    assert broker.say(Turn(text, way)).sent == direct.say(Turn(text, way)).sent


@pytest.mark.parametrize("text", [*PLAIN, *SEVERAL])
def test_so_are_those_of_a_statement_that_is_prepared_and_those_of_several(
    broker: Broker, direct: Direct, text: str
) -> None:
    way: Way = "simple" if text in SEVERAL else "prepared"
    assert broker.say(Turn(text, way)).sent == direct.say(Turn(text, way)).sent


@pytest.mark.xfail(strict=True, reason="an error about a name that nobody prepared is withheld like one with values")
def test_what_the_server_says_of_a_name_that_is_not_there_is_told(broker: Broker, direct: Direct) -> None:
    turn = Turn(WRONG[0], "prepared")
    assert broker.say(turn).sent == direct.say(turn).sent
