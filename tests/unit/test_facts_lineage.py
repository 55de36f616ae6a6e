"""What may flow into an answer. These facts drive masking: what is missing here is shown to whoever asked."""

from __future__ import annotations

import pytest

from hoopx_broker.policy.facts.sql import read
from hoopx_broker.terms.facts import StatementFacts, Unreadable


def facts(sql: str) -> StatementFacts:
    found = read(sql.encode())
    assert not isinstance(found, Unreadable), found
    return found[0]


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
        "select string_agg('x', ',' order by email) from c",
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
        "merge into c using d on c.id = d.id when matched then update set name = d.email returning name",
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
def test_a_column_in_any_place_of_the_answer_is_shown(sql: str) -> None:
    found = facts(sql)
    assert "email" in found.shown
    assert "email" in found.mentioned


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
        "explain analyze select email from c",
        "copy c (id, email) from stdin",
    ],
)
def test_a_column_that_only_chooses_rows_is_mentioned_but_not_shown(sql: str) -> None:
    found = facts(sql)
    assert "email" not in found.shown
    assert "email" in found.mentioned


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
        "select lower(y) from (select * from c) x(a, y)",
        "select lower(b) from c as x(a, b)",
        "select lower(b) from (c join d on true) as j(a, b)",
        "with q as (select * from c) select * from q",
        "with q as (select c from c) select 1 from q",
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
        "select u from c join d using (id) as u",
        "select jsonb_agg(q) from (select id from c) q",
    ],
)  # fmt: skip
def test_a_whole_row_that_may_flow_into_the_answer_is_seen(sql: str) -> None:
    assert facts(sql).whole_rows


@pytest.mark.parametrize(
    "sql",
    [
        "select * from c",
        "select c.*, 1 from c",
        "select * from c join d on c.id = d.id",
        "select * from (select id from c) q",
        "select id, lower(name) from c q where q.id = 1",
        "select count(*) from c",
        "select exists(select * from c)",
        "select 1 from c where exists (select c from c)",
        "select id from c where row(c.*) is null",
        "delete from c where id = 1 returning *",
        "update c set name = 'x' where id = 1 returning *",
        "prepare p as select * from c",
        "declare k cursor for select * from c",
        "select id from c order by c",
        "explain select row_to_json(c) from c",
    ],
)
def test_a_plain_star_at_the_top_and_rows_that_only_choose_are_not_whole_rows(sql: str) -> None:
    """The server names the origin of each column of a plain star, so it needs no doubt."""
    assert not facts(sql).whole_rows
