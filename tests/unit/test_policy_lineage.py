"""What flows into an answer. Lineage drives masking: what is missing here is shown to whoever asked."""

from __future__ import annotations

import pytest

from hoopx_broker.policy.facts.sql import read
from hoopx_broker.policy.names import resolve
from hoopx_broker.terms.catalog import Catalog, Relation
from hoopx_broker.terms.facts import FunctionName, Unreadable
from hoopx_broker.terms.lineage import Flow, Lineage
from hoopx_broker.terms.targets import ColumnName

EMAIL, PAY = ColumnName("s", "c", "email"), ColumnName("s", "c", "pay")
C, D, MAILS = Relation(1, "s", "c", "r"), Relation(2, "s", "d", "r"), Relation(3, "s", "mails", "v")
CATALOG = Catalog(
    relations={each.oid: each for each in (C, D, MAILS)},
    by_name={each.name: (each,) for each in (C, D, MAILS)},
    functions={
        "f": (FunctionName("s", "f", "volatile"),),
        "normal": (FunctionName("s", "normal", "immutable"),),
    },
    computing=frozenset({"normal"}),
    columns={1: ("id", "name", "email", "pay"), 2: ("id", "name", "x"), 3: ("id", "mail")},
    flows={
        1: {"email": Flow(frozenset({EMAIL}), is_plain=True), "pay": Flow(frozenset({PAY}), is_plain=True)},
        3: {"mail": Flow(frozenset({EMAIL}), is_plain=True)},
    },
)


def lineage(sql: str) -> Lineage:
    found = read(sql.encode())
    assert not isinstance(found, Unreadable), found
    (resolved,) = resolve(found[:1], CATALOG)
    assert resolved.lineage is not None
    return resolved.lineage


def flows(sql: str) -> set[ColumnName]:
    """What flows into the answer, or into what is stored."""
    found = lineage(sql)
    return {*found.reach.columns, *(column for kept in found.kept for column in kept.flow.columns)}


@pytest.mark.parametrize(
    "sql",
    [
        "select email from c",
        "select c.email from c",
        "select s.c.email from s.c",
        "select email as harmless from c",
        "select upper(email) || 'x' from c",
        "select email::bytea from c",
        "select coalesce(null, email), 1 from c",
        "select case when true then email end from c",
        "select case email when 'a' then 1 end from c",
        "select array_agg(email) from c",
        "select percentile_disc(0.5) within group (order by email) from c",
        "select x from (select email as x from c) q",
        "select x from (select email from c) q(x)",
        "with q(x) as (select email from c) select x from q",
        "with q as (select email as x from c) select lower(x) from q",
        "select (select email from c limit 1)",
        "select array(select email from c)",
        "select 1 union select email from c",
        "select x from (values ((select email from c))) v(x)",
        "select * from unnest(array(select email from c)) x",
        "select l.x from c, lateral (select c.email as x) l",
        "select f.x from c, lateral upper(c.email) f(x)",
        "select * from c join d using (email)",
        "select row(email, 1) from c",
        "select email(c) from c",
        "select (c).email from c",
        "select (select c from c limit 1).email",
        "select email = any (array['a']) from c",
        "select email in (select 'a') from c",
        "insert into d(x) select email from c",
        "insert into c(name) values ('x') returning email",
        "update c set name = 'x' where id = 1 returning lower(email)",
        "update c set name = email where id = 1 returning name",
        "update c set (a, b) = (select email, 1 from d) where id = 1 returning a",
        "delete from c where id = 1 returning email as x",
        "delete from c where id = 1 returning old.email",
        "merge into d using c on c.id = d.id when matched then update set x = c.email returning name",
        "insert into c values (1) on conflict (id) do update set name = excluded.email returning name",
        "copy c (email) to stdout",
        "copy (select email from c) to stdout",
        "create table x as select email as y from c",
        "create view x as select email as y from c",
        "declare k cursor for select lower(email) from c",
        "prepare p as select lower(email) from c",
        "select xmlforest(email as x) from c",
        "select json_object('k': email) from c",
        "select json_arrayagg(email) from c",
        "select x from c, json_table(c.email, '$' columns (x text path '$')) j",
        "select x from c, xmltable('/a' passing c.email columns x text) j",
        "select max(email) over () from c",
        "select grouping(email) from c group by email",
        "values ((select email from c))",
        "select distinct email from c",
        "select email[1] from c",
        "select (email)[1:2] from c",
        "select min(c.email) filter (where true) from c",
    ],
)  # fmt: skip
def test_a_column_in_any_place_of_the_answer_flows_into_it(sql: str) -> None:
    assert EMAIL in flows(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select id from c where email = 'x'",
        "select count(*) from c where email in (select email from d)",
        "select exists(select email from c)",
        "select id from c order by email",
        "select count(*) from c group by email having max(email) > 'x'",
        "select c.id from c join d on c.email = d.email",
        "select distinct on (email) id from c",
        "select row_number() over (partition by email order by email) from c",
        "select row_number() over w from c window w as (order by email)",
        "select count(*) filter (where email = 'x') from c",
        "select id from c limit (select length(email) from c)",
        "update c set name = 'x' where email = 'y' returning id",
        "delete from c where email = 'y'",
        "insert into c(email) values ('x') returning id",
        "select string_agg('x', ',' order by email) from c",
        "with q as (select c from c) select 1 from q",
        "select jsonb_agg(q) from (select id from c) q",
        "copy c (id, email) from stdin",
    ],
)
def test_a_column_that_only_chooses_rows_does_not_flow(sql: str) -> None:
    assert EMAIL not in flows(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select c from c",
        "select q from c q",
        "select q::text from c q",
        "select row_to_json(q) from c q",
        "select to_jsonb(c) - 'id' from c",
        "select array_agg(c) from c",
        "select count(c.*) from c",
        "select (c.*)::text from c",
        "select row(c.*) from c",
        "select (q).* from (select c from c) q",
        "select (c).* from c",
        "select email(c) from c",
        "select c.row_to_json from c",
        "select q.array_agg from c q",
        "select upper(q.to_jsonb::text) from c q",
        "select c is null from c",
        "select x.* from (select * from c) x",
        "select lower(y) from (select * from c) x(a, b, y)",
        "select lower(b) from c as x(a, n, b)",
        "select lower(b) from (c join d on true) as j(a, n, b)",
        "with q as (select * from c) select * from q",
        "with q as (select c from c) select q from q",
        "select * from c union select * from d",
        "table c union table d",
        "select * from c natural join d",
        "select (select c from c limit 1)",
        "select array(select c from c)",
        "select exists(select 1), (select q from (select * from c) q)",
        "insert into d select * from c",
        "create table d as select * from c",
        "select * into d from c",
        "create view d as table c",
        "copy c to stdout",
        "copy (select * from c) to stdout",
        "copy (table c) to stdout",
        "update c set name = 'x' where id = 1 returning c",
        "update c set name = 'x' where id = 1 returning old",
        "update c set name = 'x' where id = 1 returning with (old as o) o",
        "insert into c values (1) on conflict (id) do update set name = excluded::text",
        "update d set x = c::text from c where c.id = d.id",
        "select * from c q, lateral (select q) l",
        "select s.c from s.c",
        "select f(q) from c q",
        "select xmlforest(q) from c q",
        "select j from (c join d using (id)) as j",
        "select jsonb_agg(q) from (select * from c) q",
    ],
)  # fmt: skip
def test_a_whole_row_brings_its_columns_along(sql: str) -> None:
    assert EMAIL in flows(sql)


def told(flow: Flow) -> str:
    """`email` for a copy of it, `email~` for what is made of it, `?` where it may be anything."""
    names = "+".join(sorted(column.column for column in flow.columns))
    return names + ("~" if flow.columns and not flow.is_plain else "") + ("?" if flow.anything else "")


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("select * from c", ["", "", "email", "pay"]),
        ("select c.*, 1, name from c", ["", "", "email", "pay", "", ""]),
        ("select * from c join d on c.id = d.id", ["", "", "email", "pay", "", "", ""]),
        ("select * from c join d using (id)", ["", "", "email", "pay", "", ""]),
        ("select * from c natural join d", ["", "", "email", "pay", ""]),
        ("select * from (c join d using (id, name)) as j(a, b)", ["", "", "email", "pay", ""]),
        ("select * from (select id, email as e from c) q", ["", "email"]),
        ("select id, upper(name), lower(email) from c", ["", "", "email~"]),
        ("select count(*), count(email), max(pay) from c", ["", "email~", "pay~"]),
        ("select email || pay::text, $1, now(), current_user from c", ["email+pay~", "", "", ""]),
        ("select (c).*, (c).email, (c).name from c", ["", "", "email", "pay", "email~", ""]),
        ("select name as email from c", [""]),
        ("select mail, id from mails", ["email", ""]),
        ("select m.mail || '' from mails m join c on m.id = c.id", ["email~"]),
        ("select ctid, tableoid, id from c", ["", "", ""]),
        # Inner names come before outer ones, and columns before rows.
        ("select (select email from (select 1 as email) q) from c", [""]),
        ("select (select email from d limit 1) from c", ["email~"]),
        ("select (select x from d where d.id = c.id), (select max(c.email)) from c", ["", "email~"]),
        ("select name from (select id as name from c) c", [""]),
        ("select email from (select 1 as email) c", [""]),
        ("select q.email from c, lateral (select x as email from d) q", [""]),
        ("select q.y from c, lateral (select email as y) q", ["email"]),
        ("select q.y from c x, (select email as y from c) q", ["email"]),
        # What is not lateral does not see its neighbours, but the query around.
        ("select (select y from d as c(a, email), (select email as y) q limit 1) from c", ["email~"]),
        ("select (select y from d as c(a, email), lateral (select email as y) q limit 1) from c", [""]),
        # WITH.
        ("with q as (select email as e from c) select e, 1 from q", ["email", ""]),
        ("with q(a, b) as (select id, email from c) select b, a from q", ["email", ""]),
        ("with c as (select 1 as email) select email from c", [""]),
        ("with q as (select email from c), r as (select * from q) select * from r", ["email"]),
        ("with q as (delete from c where id = 1 returning id, email) select * from q", ["", "email"]),
        ("with q as (select 1 as x) select x from s.c as q(a, b, x)", ["email"]),
        (
            "with recursive t(n, e) as (select 1, email from c union all select n + 1, e from t) select * from t",
            ["", "email"],
        ),
        (
            "with recursive t(a, b, d) as (select email, 'x', 'y' from c union all select 'z', a, b from t)"
            " select * from t",
            ["email", "email", "email"],
        ),
        (
            "with recursive t(n, e) as (select 1, email from c union all select 2, e from t)"
            " search depth first by n set o select * from t",
            ["", "email", "email~"],
        ),
        ("with recursive a as (select * from b), b as (select email from c) select * from a", ["email"]),
        # Set operations go by position.
        ("select email, 1 from c union select x, id from d", ["email", ""]),
        ("select 'a', id from d union all select email, 1 from c", ["email", ""]),
        ("select id, email from c union select pay, 'x' from c", ["pay", "email"]),
        ("select email from c union select pay from c", ["email+pay"]),
        ("select x from (select id from d union select email from c) q(x)", ["email"]),
        ("select upper(email) from c union select name from d", ["email~"]),
        ("values ((select email from c), 1), (2, 3)", ["email~", ""]),
        ("select b from (values (1, (select email from c))) v(a, b)", ["email~"]),
        ("select column1 from (values (1, (select email from c))) v", [""]),
        # What the server names is found by that name; where that is not sure, it is found by any.
        ("select lower from (select lower(email), id from c) q", ["email~"]),
        ('select "case" from (select case when true then email end from c) q', ["email~"]),
        ("select \"nullif\" from (select nullif(email, 'x') from c) q, pg_catalog.pg_class", ["email~"]),
        ("select text from (select 'x'::text, id from c) q", [""]),
        # Functions in FROM.
        ("select g, name from generate_series(1, 3) g, d", ["", ""]),
        ("select x from c, unnest(array[c.email]) x", ["email~"]),
        ("select a, b from c, json_to_record(to_json(c.email)) as r(a int, b text)", ["email~", "email~"]),
        ("select * from d, generate_series(1, 3) with ordinality", ["", "", "", "", ""]),
        # Writes.
        ("insert into c (id) values (1) returning *", ["", "", "email", "pay"]),
        ("update c set name = 'x' from d where c.id = d.id returning d.x, c.email", ["", "email"]),
        ("update c set name = 'x' returning old.email, new.name", ["email", ""]),
        (
            "merge into d using c on c.id = d.id when matched then delete returning *",
            ["", "", "email", "pay", "", "", ""],
        ),
        # Functions of the target's own.
        ("select f(id), name, normal(name), normal(email) from c", ["?", "", "", "email~"]),
        ("select unheard_of(id) from c", ["?"]),
        ("select y, name from d, f(1) y", ["?", ""]),
        ("copy c (id, email) to stdout", ["", "email"]),
        ("copy c to stdout", ["", "", "email", "pay"]),
    ],
)
def test_each_output_column_has_its_own_lineage(sql: str, columns: list[str]) -> None:
    found = lineage(sql)
    assert found.outputs is not None
    assert [told(flow) for flow in found.outputs] == columns


@pytest.mark.parametrize(
    "sql",
    ["select * from pg_class", "select * from c, f(1)", "select q.* from (select * from pg_class) q", "table pg_class"],
)
def test_where_columns_cannot_be_counted_nobody_says_which_is_which(sql: str) -> None:
    assert lineage(sql).outputs is None


def test_a_table_that_the_catalog_does_not_know_may_show_anything() -> None:
    assert lineage("select upper(y) from made_since").reach.anything
    assert not lineage("select upper(relname) from pg_catalog.pg_class").reach.anything


def uses(sql: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for probe in lineage(sql).probes:
        found.setdefault(probe.column.column, set()).add(probe.use)
    return found


@pytest.mark.parametrize(
    ("sql", "use"),
    [
        ("select id from c where email = 'x'", {"equality"}),
        ("select id from c where 'x' <> email and id > 3", {"equality"}),
        ("select id from c where email in ('x', 'y')", {"equality"}),
        ("select id from c where email = any ($1)", {"equality"}),
        ("select id from c where email::text = 'x'", {"equality"}),
        ("select id from c where email is distinct from 'x'", {"equality"}),
        ("select id from c where (id, email) = (1, 'x')", {"equality"}),
        ("select id from c where email in (select x from d)", {"equality"}),
        ("select id from d where x in (select email from c)", {"equality"}),
        ("select exists (select 1 from c where email = 'x')", {"equality"}),
        ("select c.id from c join d on c.email = d.x", {"equality"}),
        ("select count(*) from c a join c b using (email)", {"equality"}),
        ("select count(*) from c a natural join c b", {"equality"}),
        ("select email from c intersect select x from d", {"equality"}),
        ("select case email when 'x' then 1 end from c", {"equality"}),
        ("select nullif(email, 'x') from c", {"equality"}),
        ("delete from c where email = 'x'", {"equality"}),
        ("update c set name = '' where email = 'x'", {"equality"}),
        ("merge into d using c on c.email = d.x when matched then delete", {"equality"}),
        ("select c.id, g from c join generate_series(1, 9) g on c.pay = g", {"computed"}),
        ("select c.id, x from c join (values ('a'), ('b')) v(x) on c.email = x", {"computed"}),
        ("select id from c where email = (select v.x from (values ('a')) v(x))", {"equality"}),
        ("select id from c where pay in (select generate_series(1, 9))", {"computed"}),
        ("select id from c where exists (select from generate_series(1, 9) g where g = c.pay)", {"computed"}),
        ("select id from c, (select row_number() over () as n from d) r where r.n = c.pay", {"computed"}),
        ("select id from c join d using (id) where c.email = d.x", {"equality"}),
        ("select pay from c intersect select generate_series(1, 9)", {"computed"}),
        ("select email from c union select 'x'", {"group"}),
        (
            "with recursive n(i) as (select 0 union all select i + 1 from n where i < 9)"
            " select i from n join c on c.pay = i",
            {"computed"},
        ),
        ("with n as (select x from d) select x from n join c on c.email = x", {"equality"}),
        ("select id from c where email is null", {"null"}),
        ("select email is null from c", {"null"}),
        ("select email, count(*) from c group by email", {"group"}),
        ("select email, count(*) from c group by 1", {"group"}),
        ("select email e, count(*) from c group by e", {"group"}),
        ("select upper(email) as email, count(*) from c group by email", {"group"}),
        ("select left(email, 1) as e, count(*) from c group by e", {"computed"}),
        ("select distinct id, email from c", {"group"}),
        ("select distinct on (email) id from c", {"order"}),
        ("select count(distinct email) from c", {"group"}),
        ("select email from c union select x from d", {"group"}),
        ("select row_number() over (partition by email) from c", {"order"}),
        ("select id from c group by rollup (id, email)", {"group"}),
        ("select id from c order by email", {"order"}),
        ("select email e from c order by e", {"order"}),
        ("select email from c order by 1", {"order"}),
        ("select * from c order by 3", {"order"}),
        ("select email from c union all select x from d order by 1", {"order"}),
        ("select rank() over (order by email) from c", {"order"}),
        ("select rank() over w from c window w as (order by email)", {"order"}),
        ("select array_agg(id order by email) from c", {"order"}),
        ("select percentile_disc(0.5) within group (order by email) from c", {"order"}),
        ("select id from (select id, email as e from c) q order by e", {"order"}),
        ("select id from mails order by mail", {"order"}),
        ("select id from c where email > 'm'", {"range"}),
        ("select id from c where email between 'a' and 'b'", {"range"}),
        ("select email < 'm' from c", {"range"}),
        ("select case when email > 'm' then 1 end from c", {"range"}),
        ("select sum(1) filter (where email > 'm') from c", {"range"}),
        ("select id from c where email > all (select x from d)", {"range"}),
        ("explain select id from c where email > 'm'", {"range"}),
        ("with q as (select email as e from c) select 1 from q where e < 'm'", {"range"}),
        ("insert into d (id) select id from c where email > 'm'", {"range"}),
        ("select id from c where email like 'a%'", {"pattern"}),
        ("select id from c where email ilike 'a%' or email ~ '^a'", {"pattern"}),
        ("select id from c where not email similar to 'a%'", {"pattern"}),
        ("select id from c where pay @> '{}'", {"pattern"}),
        ("select email::int from c", {"cast"}),
        ("select cast(email as date) from c", {"cast"}),
        ("select sum(email::numeric) from c", {"cast"}),
        ("select email::text[] from c", {"cast"}),
        ("select pay * 2, -pay from c", {"arithmetic"}),
        ("select 1 / (pay - 3) from c", {"arithmetic"}),
        ("select id from c where lower(email) = 'x'", {"computed"}),
        ("select id from c where email || '' = 'x'", {"computed"}),
        ("select id from c where email::varchar(1) = 'x'", {"computed"}),
        ("select id from c where left(email, 1) is null", {"computed"}),
        ("select id from c where email collate \"C\" = 'x'", {"computed"}),
        ("select id from c where starts_with(email, 'a')", {"computed"}),
        ("select id from (select id, left(email, 1) as f from c) q where f = 'a'", {"computed"}),
        ("select count(*) from c group by length(email)", {"computed"}),
        ("select id from c limit (select length(email) from c limit 1)", {"computed"}),
        ("select id from c, generate_series(1, length(c.email))", {"computed"}),
        ("select generate_series(1, length(email)) from c", {"computed"}),
        ("select substr('a', 1, length(email)) from c", {"computed"}),
        ("select to_number(email, '9') from c", {"computed"}),
        ("select id from c where normal(email) = 'x'", {"computed"}),
        ("select id from c where f(email)", {"computed"}),
        ("select f(email) from c", {"computed"}),
        ("select id from c where email operator(s.=) 'x'", {"computed"}),
        ("select id from c tablesample system ((select length(email) from c))", {"computed"}),
        ("select id from c where c = $1", {"computed"}),
        ("create index on c (lower(email))", {"computed"}),
        ("create index on c (id) where email > 'm'", {"range"}),
        ("select email, upper(email), email || 'x', count(email), to_json(c), left(email, 3) from c", set()),
        ("select id from c where id = 3 order by name", set()),
        ("insert into c (email) values ('x') on conflict (email) do nothing", set()),
        ("create index on c (email)", set()),
    ],
)  # fmt: skip
def test_what_a_value_decides_is_named(sql: str, use: set[str]) -> None:
    assert uses(sql).get("email", uses(sql).get("pay", set())) == use


def test_conditions_in_conditions_take_no_longer_than_they_are() -> None:
    text = "email = 'x'"
    for _ in range(40):
        text = f"(case when {text} then 'a' else 'b' end) = any (array['x', 'y'])"
    assert uses(f"select {text} from c")["email"] >= {"equality"}


def test_queries_in_queries_are_followed_once_each() -> None:
    text = "select email from c"
    for _ in range(30):
        text = f"select x from d where x in ({text})"
    assert lineage(text).is_whole


def test_queries_in_the_place_of_values_are_read_once_each() -> None:
    text = "select email from c limit 1"
    for _ in range(25):
        text = f"select ({text})"
    assert [told(flow) for flow in lineage(text).outputs or ()] == ["email~"]


def test_what_is_too_much_to_follow_is_told() -> None:
    assert not lineage(f"select {', '.join(['email'] * 60_000)} from c").is_whole
