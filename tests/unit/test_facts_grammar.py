"""The breadth of the grammar: no ordinary statement holds anything that the reader does not know."""

from __future__ import annotations

import re

import pytest

from hoopx_broker.policy.facts.sql import read
from hoopx_broker.terms.facts import Unreadable

# One statement, or a few, on each line; an indented line goes on with the one before.
STATEMENTS = r"""
create table t of ty (x with options default 1)
create unlogged table t (like a including all, x int generated always as identity, y int generated always as (x*2)
    stored, constraint k exclude using gist (x with =), unique nulls not distinct (x)) partition by range (x,
    lower(y)) with (fillfactor=70) tablespace z
create table p partition of t for values from (minvalue) to (maxvalue) partition by list (a)
create temp table t on commit drop as select 1 with no data
create index concurrently if not exists i on only t using gin (x gin_trgm_ops desc nulls last, (lower(y))) include
    (z) where x > 1
create unique index on t (x) nulls not distinct
alter table t add column x int references a(b) on delete cascade deferrable, drop column y, alter z set not null,
    alter z set storage plain, alter z set (n_distinct=5), add constraint c check (x>1) not valid, validate
    constraint c, cluster on i, set without cluster, inherit p, no inherit p, of ty, replica identity using index i,
    set (a=b), reset (a), set tablespace x
alter table t attach partition p for values with (modulus 4, remainder 1)
alter index i rename to j
alter sequence s restart with 5 owned by t.x
create sequence s as bigint increment 2 cache 10
create or replace view v with (security_barrier) as select 1 with local check option
create recursive view v (n) as select 1
alter view v alter column x set default 1
create constraint trigger tr after insert on t from b deferrable initially deferred for each row when (new.x is
    distinct from old.x) execute function f('a')
create trigger tr after update on t referencing old table as o new table as n for each statement execute function
    f()
create or replace function f(a int default 1, variadic b text[]) returns table (x int, y text) language sql stable
    security definer set search_path = '' as $$select 1$$
create procedure p(inout x int) language plpgsql as 'begin end'
create aggregate ag(int) (sfunc = int4pl, stype = int)
create type ct as (a int, b text)
create type r as range (subtype = int4)
alter type e add value 'x' before 'y'
alter type ct add attribute z int
create domain d as text collate "C" not null default 'x' check (value ~ 'a')
create collation c (provider=icu, locale='x')
create text search configuration c (copy = english)
alter text search configuration c add mapping for word with simple
alter text search dictionary d (a = b)
alter function f(int) rename to g
alter function f(int) set search_path to x
alter table all in tablespace a set tablespace b
alter extension e update to '2'
alter extension e add function f(int)
create foreign data wrapper w handler h
create user mapping for public server s options (password 'x')
create event trigger e on ddl_command_start execute function f()
create cast (int as text) with function f(int) as assignment
create operator class c for type int using btree as operator 1 <
create access method a type index handler h
create transform for int language sql (from sql with function f(internal))
create conversion c for 'UTF8' to 'LATIN1' from f
create publication p for table t where (x > 1), tables in schema s
create language l
reassign owned by a to b
comment on role r is 'x'
comment on function f(int) is 'x'
security label for x on role r is 'y'
select grouping(a), sum(b) from t group by grouping sets ((a),(b),()), rollup(a), cube(b)
select * from t tablesample bernoulli(10) repeatable (5), rows from (f(1), g(2)) with ordinality as x(a,b,c)
select * from generate_series(1,2) with ordinality, lateral f(1) as (a int, b text)
select xmlelement(name a, xmlattributes(b as c), d), xmlparse(content x), xmlserialize(content y as text),
    xmlpi(name z), xmlroot(x, version '1.0'), xmlconcat(a,b), x is document from t
select json_object('a': 1 returning jsonb), json_array(1,2 absent on null), json_array(select x from t),
    json_objectagg(k: v), json_arrayagg(x order by y), json(x), json_scalar(1), json_serialize(x), x is json object
    with unique keys, json_value(x, '$.a' passing 1 as b returning int default 0 on empty error on error),
    json_query(x,'$' with wrapper keep quotes), json_exists(x,'$') from t
select * from json_table(x, '$[*]' as p passing 1 as q columns (id for ordinality, a int path '$.a' default 1 on
    empty, nested path '$.b[*]' as n columns (c text), d jsonb exists path '$.d')) j
select * from xmltable(xmlnamespaces('a' as b), '/x' passing by ref y columns id for ordinality, a text path '@a'
    default 'z' not null)
with recursive q(n) as (select 1 union all select n+1 from q) search depth first by n set o cycle n set c to true
    default false using p select * from q
select a[1], a[1:2], (r).b.c, (f(x)).y, array[[1,2]], row(1), (1,2) = (3,4), (a,b) overlaps (c,d), x at local,
    interval '1' day, date 'x', cast(x as numeric(3,2)), x::t%type from t
select 1 order by 1 fetch first 3 rows with ties
update t set (a,b) = (1,default), c[1] = 2, d.e = 3 from u where t.id=u.id
update t set (a,b) = row(1,2) where current of cur
insert into t overriding system value values (default) on conflict on constraint k do update set a = default where
    t.x > 1
merge into only t as x using lateral (select 1) y on true when not matched by source and x.a then delete when
    matched then do nothing when not matched by target then insert (a) overriding user value values (default)
    returning merge_action(), x.*
delete from only t as x using u, lateral f(x.id) where x.a
select all 1 from t for no key update of t nowait for key share skip locked
select 1 = some (array[1]), x not in (1,2), x is not distinct from y, x between symmetric 1 and 2, not x, x isnull,
    x is unknown, x like any (array['a']), x similar to 'b' escape 'c', x collate "C", -x, |/ 4 from t
select sum(x) over (w rows between unbounded preceding and 1 following exclude ties), lag(x) over w from t window w
    as (partition by a order by b)
select count(distinct x), array_agg(x order by y) filter (where z), percentile_cont(0.5) within group (order by x
    desc) from t
begin; savepoint a; release a; end
declare c binary insensitive scroll cursor with hold for select 1
fetch backward all in c
explain (analyze, format json, settings) select 1
vacuum (full, analyze) t (a,b)
set local time zone interval '+2' hour to minute
show transaction isolation level
copy t (a) from stdin with (format csv, header match, force_null (a), on_error ignore) where a > 1
copy binary t to stdout
lock table only t in access exclusive mode nowait
refresh materialized view concurrently v with no data
import foreign schema s limit to (a) from server x into y options (a 'b')
create statistics s (mcv) on (a+1), b from t
drop function f(int), g;
drop aggregate a(int); drop operator + (int,int); drop cast (int as text); drop operator class c using btree
alter default privileges in schema s grant select on tables to x
grant select (a) on t to public with grant option
alter role r set x to 1
create role r login password 'x'
alter policy p on t using (true)
alter database d set x to 1
alter system reset all
checkpoint
call p(1, b => 2)
truncate only t restart identity cascade
select $1, $2::int from t where x = $3 limit $4
table only t
values (1,2),(3,default)
create schema s authorization u
alter table t alter c add generated always as identity (start 5), alter c drop identity, enable always trigger x,
    force row level security, owner to u
do $$ begin end $$ language plpgsql
create rule "_RETURN" as on select to t do instead select 1
create rule n as on update to t where new.x do instead nothing
notify ch, 'x'
prepare p(int) as select $1
create tablespace x location '/y'
cluster verbose t using i
reindex (concurrently) index i
alter operator + (int,int) owner to x
alter statistics s set statistics 5
alter subscription s refresh publication
alter domain d set not null
alter server s options (set a 'b')
deallocate all
listen x; unlisten *
create function f() returns trigger begin atomic select 1; insert into t values (1); end
security label on table t is null
"""


@pytest.mark.parametrize("sql", re.sub(r"\n +", " ", STATEMENTS.strip()).split("\n"))
def test_it_is_read_and_needs_some_action(sql: str) -> None:
    found = read(sql.encode())
    assert not isinstance(found, Unreadable), found
    assert found
    assert all(one.actions for one in found)
