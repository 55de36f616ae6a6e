"""Each way around masks that the threat model names, tried on a real server by somebody who may read everything there.

Nothing of a hidden value may come: neither in what the client hears, nor in what would be recorded. Where the way is an
ordinary one, its statements must be allowed, and what is not hidden must be there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from tests.canaries.harness import Broker
from tests.canaries.schemas import shop
from tests.canaries.turns import Heard, Turn, Way
from tests.peers.postgres import Foundry, Postgres, installations

# The rule that stands in the way of computing with what is hidden, where that may fail for some values.
_PROBING = "no-probing"


@pytest.fixture(scope="module")
def server(foundry: Foundry) -> Iterator[Postgres]:
    with foundry.server(max(installations(), key=lambda each: each.major)) as server:
        yield server


@pytest.fixture(scope="module", params=[False, True], ids=["shipped policies", "masks alone"])
def broker(request: pytest.FixtureRequest, server: Postgres) -> Iterator[Broker]:
    """For a developer, under the shipped policies and where only masks guard anything."""
    broker = Broker(server, shop(), permissive=cast("bool", request.param), database="classes")
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def guarded(server: Postgres) -> Iterator[Broker]:
    """Under the shipped policies."""
    broker = Broker(server, shop(), database="guarded")
    yield broker
    broker.close()


def heard(broker: Broker, *texts: str, way: Way = "simple") -> Heard:
    """What the last of these says, in a transaction that is rolled back. No canary came out before or in it."""
    broker.say(Turn("BEGIN"))
    for text in texts:
        last = broker.say(Turn(text, way))
        for told in last.everything():
            assert broker.watch.find(told) is None, text
    broker.hang_up()
    return last


def hides(broker: Broker, text: str, *columns: int, way: Way = "simple") -> Heard:
    """Just these columns of its answer are hidden; only what could probe is denied, and only by that rule."""
    last = heard(broker, text, way=way)
    if any(_PROBING in told for told in last.told):
        return last
    assert last.is_done, last.errors or last.told
    assert last.hidden == [columns]
    assert last.rows
    return last


def test_alias(broker: Broker) -> None:
    hides(broker, "SELECT p.id AS email, p.email AS id FROM people AS p", 1)
    hides(broker, "SELECT a, c AS b FROM people AS t(a, b, c)", 1)
    hides(broker, "SELECT name FROM (SELECT id, email FROM people) AS s(id, name)", 0)
    hides(broker, 'SELECT "email" AS "é ""x""" FROM public."people"', 0)


@pytest.mark.parametrize(
    "expression",
    [
        "upper(email)",
        "substr(email, 2, 6)",
        "badge + 0",
        "badge / 1000",
        "born + 1",
        "host(address)",
        "extra->>'kind'",
        "encode(photo, 'base64')",
        "tags[1]",
        "CASE WHEN id > 0 THEN email END",
        "coalesce(email, phone)",
        "greatest(email, phone)",
        "nullif(email, '')",
        "shout(email)",
        "email ### ''",
        "(SELECT email)",
        "md5(email)",
        "length(email)",
        "first_value(email) OVER (ORDER BY id)",
    ],
)
def test_expression(broker: Broker, expression: str) -> None:
    last = hides(broker, f"SELECT id, {expression} FROM ONLY people ORDER BY id", 1)
    assert [row[0] for row in last.texts] in (["1", "2", "3"], [])
    assert len({row[1] for row in last.texts}) <= 1, "what is hidden tells rows apart"


@pytest.mark.parametrize("type_", ["text", "varchar", "name", "bytea", "varchar(5)", "label"])
def test_cast(broker: Broker, type_: str) -> None:
    hides(broker, f"SELECT id, email::{type_}, CAST(email AS {type_}) FROM people", 1, 2)


@pytest.mark.parametrize("column", ["badge", "account", "born", "token", "address", "extra", "photo", "salary", "tags"])
def test_cast_to_text(broker: Broker, column: str) -> None:
    hides(broker, f"SELECT id, {column}::text FROM people", 1)


def test_concatenation(broker: Broker) -> None:
    text = "SELECT name, email || '', name || ' ' || badge, concat(name, born), format('%s', token) FROM people"
    hides(broker, text, 1, 2, 3, 4)


@pytest.mark.parametrize("made", ["row_to_json(p)", "to_json(p)", "to_jsonb(p)", "json_build_object('a', p)"])
def test_row_to_json(broker: Broker, made: str) -> None:
    hides(broker, f"SELECT id, {made} FROM people p", 1)
    hides(broker, f"SELECT id, ({made})->>'email' FROM people p", 1)
    heard(broker, f"SELECT e.value::text FROM people p, jsonb_each(to_jsonb({made})) e")


@pytest.mark.parametrize(
    "whole", ["t::text", "t", "(t)", "row(t.*)::text", "(t).email", "email(t)", "t.text", "text(t)"]
)
def test_t_as_text(broker: Broker, whole: str) -> None:
    last = heard(broker, f"SELECT id, {whole} FROM people t")
    assert last.hidden in ([(1,)], [])
    heard(broker, f"SELECT id, {whole} FROM people t", way="binary")


@pytest.mark.parametrize(
    "aggregate",
    ["array_agg(email)", "string_agg(email, ',')", "json_agg(email)", "jsonb_object_agg(id, email)", "max(email)"],
)
def test_array_agg(broker: Broker, aggregate: str) -> None:
    hides(broker, f"SELECT count(*), {aggregate} FROM people", 1)
    heard(broker, f"SELECT unnest(array_agg(x)) FROM (SELECT ({aggregate})::text FROM people) s(x)")


def test_join_and_cte(broker: Broker) -> None:
    hides(broker, "SELECT o.item, p.email FROM orders o JOIN people p ON p.id = o.parent_id", 1)
    hides(broker, "SELECT item, email FROM orders o JOIN people p USING (id)", 1)
    hides(broker, "SELECT x.item, y.e FROM orders x, LATERAL (SELECT email AS e FROM people LIMIT 1) y", 1)
    hides(broker, "WITH p AS (SELECT id, email FROM people) SELECT id, email FROM p", 1)
    hides(broker, "WITH p(id, name) AS MATERIALIZED (SELECT id, email FROM people) SELECT id, name || '' FROM p", 1)
    recursive = "WITH RECURSIVE p(n, x) AS (SELECT 1, min(email) FROM people UNION SELECT n + 1, x FROM p WHERE n < 3)"
    hides(broker, f"{recursive} SELECT n, x FROM p", 1)


def test_union(broker: Broker) -> None:
    hides(broker, "SELECT id, item FROM orders UNION SELECT id, email FROM people", 1)
    hides(broker, "SELECT id, email FROM people UNION ALL SELECT id, item FROM orders", 1)
    hides(broker, "(SELECT item FROM orders EXCEPT SELECT email FROM people)", 0)
    hides(broker, "VALUES ('a'), ('b') UNION SELECT email FROM people", 0)
    hides(broker, "SELECT id, email FROM all_names", 1)


def test_returning(broker: Broker) -> None:
    hides(broker, "UPDATE people SET name = name WHERE id = 1 RETURNING id, email", 1)
    hides(broker, "UPDATE people p SET name = name WHERE id = 1 RETURNING id, p::text, upper(email)", 1, 2)
    hides(broker, "DELETE FROM parts WHERE id = 3 RETURNING id, secret", 1)
    hides(broker, "INSERT INTO people (id, name, email) VALUES (50, 'new', 'mine') RETURNING name, email", 1)
    copied = "INSERT INTO people (id, email) SELECT id + 60, email FROM people WHERE id = 1 RETURNING *"
    heard(broker, copied)
    heard(broker, "WITH d AS (DELETE FROM orders WHERE id = 1 RETURNING parent_id) SELECT p FROM people p, d")


@pytest.mark.parametrize("form", ["", "(FORMAT csv, HEADER)", "(FORMAT binary)", "(FORMAT csv, FORCE_QUOTE *)"])
@pytest.mark.parametrize(
    "what", ["people", "people (email, id)", "(SELECT * FROM people)", "(SELECT id, upper(email) FROM people)"]
)
def test_copy_to_stdout(broker: Broker, what: str, form: str) -> None:
    heard(broker, f"COPY {what} TO STDOUT {form}")
    heard(broker, f"COPY {what} TO STDOUT {form}", way="extended")


def test_cursor(broker: Broker) -> None:
    for how in ("", "SCROLL", "BINARY"):
        for query in ("SELECT email FROM people", "SELECT p::text, badge FROM people p"):
            last = heard(broker, f"DECLARE c {how} CURSOR FOR {query}", "FETCH ALL c")
            assert last.is_done
            assert len(last.rows) == 6
            heard(broker, f"DECLARE c {how} CURSOR FOR {query}", "FETCH 2 c", "FETCH ALL c", way="binary")
    heard(broker, "SELECT email, p FROM people p", way="portal")


def test_binary_result_format(broker: Broker) -> None:
    last = hides(broker, "SELECT * FROM ONLY people ORDER BY id", *range(2, 13), way="binary")
    assert last.rows[0][:2] == [b"\0\0\0\1", b"plain sorrel 1"]
    hides(broker, "SELECT id, badge + 0, born + 1, p FROM people p", 1, 2, 3, way="binary")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT email::integer FROM people",
        "SELECT email::date FROM people",
        "SELECT 1 FROM people WHERE email::uuid IS NULL",
        "SELECT 1 FROM people ORDER BY email::integer",
        "SELECT email::mood FROM people",
        "SELECT quote_ident(email)::regclass FROM people",
        "SELECT current_setting(email) FROM people",
        "SELECT complain(email) FROM people",
        "SELECT burst()",
        "UPDATE people SET id = 1 WHERE id = 2",
        "INSERT INTO people SELECT * FROM people",
        "ALTER TABLE people ADD CONSTRAINT c CHECK (email = '')",
        "CREATE UNIQUE INDEX ON people ((true), (email IS NULL))",
        "SELECT ('''' || email)::tsquery FROM people",
        "SELECT xmlparse(document email) FROM people",
    ],
)
@pytest.mark.parametrize("way", ["simple", "binary"])
def test_error_text(broker: Broker, text: str, way: Way) -> None:
    last = heard(broker, text, way=way)
    assert last.errors
    heard(broker, "SAVEPOINT s", text, "ROLLBACK TO s", "SELECT email FROM people", way=way)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT tattle(email) FROM people",
        "SELECT 1 FROM people WHERE tattle(email) = ''",
        "SELECT blurt()",
        "DO $$ BEGIN RAISE WARNING '%', (SELECT min(email) FROM people); END $$",
        "SELECT pg_notify('x', email) FROM people",
        "SELECT 1 FROM people WHERE pg_notify('x', email) IS NULL",
        "SELECT set_config('a.b', email, false) FROM people",
    ],
)
def test_notice(broker: Broker, text: str) -> None:
    heard(broker, "LISTEN x", "SET client_min_messages = debug5", text, "COMMIT", "SHOW a.b")


@pytest.mark.parametrize(
    "how", ["EXPLAIN", "EXPLAIN VERBOSE", "EXPLAIN (ANALYZE, VERBOSE)", "EXPLAIN (ANALYZE, FORMAT json)"]
)
def test_explain(broker: Broker, how: str) -> None:
    heard(broker, f"{how} SELECT email FROM people WHERE id = 1")
    heard(broker, f"{how} SELECT * FROM people WHERE email = (SELECT min(email) FROM people)")
    heard(broker, f"{how} SELECT * FROM orders WHERE item = peek()")
    heard(
        broker, "SET plan_cache_mode = force_custom_plan", "PREPARE e AS SELECT email FROM people", f"{how} EXECUTE e"
    )
    assert heard(broker, "EXPLAIN SELECT email FROM people WHERE id = 1").is_allowed


@pytest.mark.parametrize(
    "text",
    [
        "SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats WHERE tablename = 'people'",
        "SELECT s::text FROM pg_catalog.pg_stats s",
        "SELECT stavalues1::text, stavalues2::text FROM pg_statistic",
        "TABLE pg_statistic",
        "WITH pg_stats AS (SELECT * FROM pg_catalog.pg_stats) SELECT histogram_bounds FROM pg_stats",
        "COPY (SELECT * FROM pg_stats) TO STDOUT",
        "CREATE VIEW mine AS SELECT * FROM pg_stats",
        "SELECT * FROM pg_stats_ext",
    ],
)
def test_pg_stats(broker: Broker, text: str) -> None:
    last = heard(broker, text, "SELECT * FROM mine") if "mine" in text else heard(broker, text)
    assert not last.is_done
    heard(broker, "SELECT query_to_xml('TABLE pg_stats', true, true, '')")


PROBES = [
    "SELECT id FROM people WHERE email LIKE 'a%'",
    "SELECT id FROM people WHERE email ~ '^a'",
    "SELECT id FROM people WHERE email > 'm'",
    "SELECT id FROM people WHERE badge BETWEEN 1 AND 2000000000",
    "SELECT id FROM people WHERE substr(email, 1, 1) = 'a'",
    "SELECT id FROM people WHERE upper(email) = 'A'",
    "SELECT id FROM people ORDER BY email",
    "SELECT id FROM people ORDER BY badge DESC LIMIT 1",
    "SELECT id, rank() OVER (ORDER BY salary) FROM people",
    "SELECT max(id) FILTER (WHERE email < 'm') FROM people",
    "SELECT o.id FROM orders o JOIN people p ON p.email < o.item",
    "SELECT id FROM people p WHERE EXISTS (SELECT FROM orders WHERE item > p.email)",
    "SELECT id FROM people p WHERE (p.email, 1) < ('m', 1)",
    "SELECT id FROM people p WHERE p::text LIKE '%a%'",
    "SELECT count(*) FROM people GROUP BY left(email, 1)",
    "SELECT id FROM people LIMIT (SELECT ascii(min(email)) FROM people)",
    "SELECT 1 FROM people, generate_series(1, ascii(email))",
    "SELECT 1 FROM people, regexp_split_to_table(email, '')",
    "SELECT CASE WHEN email LIKE 'a%' THEN 1 / 0 END FROM people",
    "SELECT 1 / (length(email) - 14) FROM people",
    "SELECT id FROM people OFFSET (SELECT length(min(email)) FROM people)",
    "SELECT DISTINCT left(email, 1) FROM people",
    "SELECT left(email, 1) FROM people UNION SELECT left(email, 1) FROM people",
    "SELECT count(*) FROM people TABLESAMPLE system ((SELECT length(min(email)) FROM people))",
    "SELECT DISTINCT ON (id) id FROM people ORDER BY id, email",
    "SELECT id FROM people FETCH FIRST (SELECT ascii(min(email)) FROM people) ROWS ONLY",
    "SELECT pg_sleep(ascii(email) / 100000.0) FROM people",
    "SELECT 1 FROM people, repeat('x', ascii(email)) r WHERE length(r) > 110",
    "SELECT id FROM people WHERE CASE email WHEN 'a' THEN true ELSE email > 'm' END",
    "SELECT id FROM contacts WHERE email LIKE 'a%'",
    "SELECT id FROM loud_contacts ORDER BY email",
    "UPDATE people SET name = name WHERE email LIKE 'a%' RETURNING id",
    "DELETE FROM orders o USING people p WHERE p.email < 'm' AND o.id = p.id",
    "EXPLAIN ANALYZE SELECT id FROM people WHERE email LIKE 'a%'",
    "COPY (SELECT id FROM people ORDER BY email) TO STDOUT",
    "PREPARE probe AS SELECT id FROM people WHERE email < $1",
    "DECLARE probe CURSOR FOR SELECT id FROM people ORDER BY email",
]
HARMLESS = [
    "SELECT id FROM people WHERE email::text = 'ann@example.com'",
    "SELECT id FROM people WHERE email = 'ann@example.com'",
    "SELECT id FROM people WHERE badge IN (1, 2)",
    "SELECT p.id FROM people p JOIN people q ON p.email = q.email",
    "SELECT id, email FROM people ORDER BY id",
    "SELECT id, email FROM people WHERE name LIKE 'plain%' ORDER BY name",
    "UPDATE people SET name = 'x' WHERE email = 'ann@example.com' RETURNING id",
]


@pytest.mark.parametrize("text", PROBES)
def test_probing_by_where_and_order_by(guarded: Broker, text: str) -> None:
    last = heard(guarded, text)
    assert not last.is_allowed
    assert not last.rows


@pytest.mark.parametrize("text", HARMLESS)
def test_to_look_for_a_value_that_one_has_is_no_probing(guarded: Broker, text: str) -> None:
    assert heard(guarded, text).is_done
