"""Ways around the masks, tried on a real server by somebody who may read everything there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from hoopx_broker.terms.targets import ColumnName
from tests.peers.postgres import Foundry, Postgres, installations
from tests.unit.wire_relay import Relay, masking

COLUMNS = {
    ColumnName("public", "customers", "email"): "email",
    ColumnName("public", "customers", "ssn"): "national-id",
}
# What every hidden value holds, and no other value of the database.
MARKS = ("@example.com", "000-12-")
Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def server(foundry: Foundry) -> Iterator[Postgres]:
    """For this file alone: what is tried here changes things."""
    with foundry.server(installations()[0]) as server:
        server.sql("CREATE FUNCTION old_email() RETURNS text LANGUAGE sql AS 'SELECT email FROM customers LIMIT 1'")
        yield server


@pytest.fixture(scope="module")
def relay(server: Postgres) -> Iterator[Relay]:
    with masking(server, COLUMNS) as relay:
        yield relay
    assert relay.broken == []


def seen(connection: Connection, text: str, *, binary: bool = False) -> str:
    """Everything that the client hears of these statements, sent one by one."""
    heard: list[object] = []
    connection.add_notice_handler(lambda told: heard.append((told.message_primary, told.message_detail)))
    for part in text.split(";;"):
        try:
            heard += copied(connection, part) if part.startswith("copy") else rows(connection, part, binary=binary)
        except psycopg.Error as error:
            heard.append((str(error), error.diag.message_detail, error.diag.context))
    for told in connection.notifies(timeout=0):
        heard.append(told.payload)
    return repr(heard)


def rows(connection: Connection, text: str, *, binary: bool) -> list[object]:
    cursor = connection.execute(text.encode(), binary=binary)
    return list(cursor.fetchall()) if cursor.description else []


def copied(connection: Connection, text: str) -> list[object]:
    with connection.cursor() as cursor, cursor.copy(text.encode()) as copy:
        return [bytes(block) for block in copy]


def is_revealed(text: str) -> bool:
    return any(mark in text.lower() for mark in MARKS)


# Each reveals hidden values to whoever sends it directly. `;;` parts messages.
WAYS = [
    "select email from customers",
    "select * from customers",
    "table customers",
    "select c.* from customers c",
    "select c from customers c",
    "select customers from customers",
    "select (c).email from customers c",
    "select (c).* from customers c",
    "select email as name from customers",
    "select upper(email), lower(email) from customers",
    "select email || '' from customers",
    "select email::varchar(50) from customers",
    "select email::bytea::text, email from customers",
    "select concat(name, email) from customers",
    "select format('%s', email) from customers",
    "select format('%s', c) from customers c",
    "select row_to_json(c) from customers c",
    "select to_jsonb(c) from customers c",
    "select c::text from customers c",
    "select row(c.*)::text from customers c",
    "select array_agg(email) from customers",
    "select string_agg(email, ',') from customers",
    "select json_agg(c) from customers c",
    "select jsonb_object_agg(id, email) from customers",
    "select max(email), min(ssn) from customers",
    "select email from customers union select item from orders",
    "select item from orders union all select email from customers",
    "select name from customers union select email from customers",
    "select name from orders, lateral (select email as name from customers limit 1) x",
    "select x.e from (select email as e from customers) x",
    "select x.e || '' from (select email as e from customers) x",
    "with x as (select * from customers) select email from x",
    "with x as (select * from customers) select x from x",
    "with x(a, b, c, d, e, f) as (select * from customers) select c || '' from x",
    "with x(a) as (select email from customers) select a || '' from x",
    "with recursive x(a) as (select email from customers union select 'x' from x) select a from x",
    "with x as materialized (update customers set phone = phone where id = 1 returning email)"
    " select email || '' from x",
    "select c || '' from customers as t(a, b, c, d, e, f)",
    "select t.c || '' from (customers as t(a, b, c, d, e, f) join orders o on o.id = t.a)",
    "select u.c || '' from (customers c join orders o on o.id = c.id) as u(a, b, c)",
    "select email from customers natural join (select id from orders) o",
    "select email || '' from customers join (select email from customers) o using (email)",
    "select case when id > 0 then email end from customers",
    "select coalesce(email, 'x'), nullif(ssn, 'x') from customers",
    "select greatest(email, ssn) from customers",
    "select (select email from customers limit 1)",
    "select array(select email from customers)",
    "select id, (select max(c.email) from customers c where c.id = o.id) from orders o",
    "select unnest(array_agg(email)) from customers",
    "select x from customers, unnest(array[email]) as x",
    "select x from customers, lateral (values (email)) as v(x)",
    "select x from customers, regexp_split_to_table(email, ',') as x",
    "select first_value(email) over (order by id) from customers",
    "select lag(email) over () from customers",
    "select distinct on (id) email from customers",
    "select email from customers group by email",
    "select mode() within group (order by email) from customers",
    "select percentile_disc(0.5) within group (order by email) from customers",
    "select email(c) from customers c",
    "select c.upper from (select upper(email) from customers) c",
    "select substring(email from 1) from customers",
    "select overlay(email placing '' from 1 for 0) from customers",
    "select xmlelement(name a, email)::text from customers",
    "select json_build_object('a', email) from customers",
    "select name from customer_contacts where false union select email from customer_contacts",
    "select email from customer_contacts",
    "select * from customer_contacts",
    "select v from customer_contacts v",
    "select email || '' from customer_contacts",
    "select email from public.customers",
    "select email from app.public.customers",
    'select "email" from "customers"',
    "select U&\"\\0065mail\" || '' from customers",
    "select email from only customers",
    "select email from customers tablesample system (100)",
    "select email from customers for update",
    "update customers set phone = phone where id = 1 returning *",
    "update customers c set phone = phone where id = 1 returning c",
    "update customers set phone = phone where id = 1 returning upper(email)",
    "delete from customers where false or id = 0 returning email;; select email from customers",
    "begin;; insert into customers (name, email, ssn) select name, email, ssn from customers where id = 1"
    " returning email;; rollback",
    "copy customers to stdout",
    "copy (select email from customers) to stdout",
    "prepare p as select upper(email) from customers;; execute p",
    "prepare q as select * from customers;; execute q",
    "begin;; declare c cursor for select upper(email) from customers;; fetch all in c;; rollback",
    "begin;; declare d cursor for select email from customers;; fetch 5 from d;; rollback",
    "select email::int from customers",
    "select 1 from customers where email::int = 1",
    "select 1 from customers order by email::int",
    "select count(*) from customers where set_config('a.b', email, false) <> '';; select current_setting('a.b')",
    "select set_config('a.c', max(email), false) from customers;; select current_setting('a.c')",
    "listen x;; select pg_notify('x', max(email)) from customers",
    "listen y;; select count(pg_notify('y', email)) from customers where id = 1",
    "create temp table t1 as select * from customers;; select * from t1",
    "create temp table t2 as table customers;; select * from t2",
    "select * into temp t3 from customers;; select * from t3",
    "select email as x into temp t4 from customers;; select x || '' from t4",
    "create temp view v1 as select * from customers;; select * from v1",
    "create temp view v2(a) as select email from customers;; select a || '' from v2",
    "create temp table t5 (x text);; insert into t5 select email from customers;; select x from t5",
    "create temp table t6 (x text);; with a as (select email e from customers) insert into t6 select e from a;;"
    " table t6",
    "begin;; update customers set phone = email;; select phone from customers;; rollback",
    "begin;; update orders o set item = c.email from customers c where c.id = o.id;; select item from orders;;"
    " rollback",
    "begin;; update customers set (name, phone) = (select max(email), max(ssn) from customers);;"
    " select name, phone from customers;; rollback",
    "begin;; alter table customers rename email to harmless;; select harmless from customers;;"
    " select upper(harmless) from customers;; rollback",
    "begin;; drop view customer_contacts;; alter table customers alter phone type text using email;;"
    " select phone from customers;; rollback",
    "begin;; alter table customers add x text generated always as (email) stored;; select x from customers;; rollback",
    "begin;; create table parent (like customers);; alter table customers inherit parent;;"
    " select email from parent;; rollback",
    "select most_common_vals::text, histogram_bounds::text from pg_stats where tablename = 'customers'",
    "select stavalues1::text from pg_statistic where starelid = 'customers'::regclass",
    "select query_to_xml('select email from customers', true, true, '')",
    "select table_to_xml('customers', true, true, '')",
    "do $$ begin raise notice '%', (select max(email) from customers); end $$",
    "explain (analyze, verbose) select email from customers;; select email from customers",
    "select quote_ident(ssn)::regclass from customers",
    "select 1 from customers where has_table_privilege(quote_ident(ssn), 'select')",
    "select to_tsquery(email || ' &') from customers;; select ('''' || email)::tsquery from customers",
    "select current_setting(email) from customers",
    "select c.to_json from customers c",
    "select 1, customers.row_to_json from customers",
    "select c.quote_literal, public.customers.record_out from public.customers, customers c limit 3",
    "select c.json_agg, count(*) from customers c",
    "prepare r as select email as x from customers;; create temp table t7 as execute r;; select x || '' from t7",
    "begin;; do $$ begin update orders set item = (select ssn from customers where id = 1) where id = 1; end $$;;"
    " select item from orders where id = 1;; rollback",
    "begin;; create function leak(int) returns text language sql as 'select ssn from customers where id = $1';;"
    " update orders set item = leak(1);; select item from orders;; rollback",
    "begin;; create function lower(int) returns text language sql as 'select ssn from customers where id = $1';;"
    " select lower(id) from orders;; rollback",
    "begin;; create function own(c customers) returns text begin atomic select c.ssn; end;;"
    " select c.own from customers c;; rollback",
    "begin;; create table kept (x text);; create rule copy as on update to customers do also insert into kept"
    " values (new.email);; update customers set phone = phone where id = 1;; select x || '' from kept;; rollback",
    "begin;; create table got (x text default old_email());; insert into got default values;; select x || '' from got;;"
    " rollback",
    "begin;; update orders set item = old_email();; select item from orders;; rollback",
    "begin;; insert into orders (customer_id, item) select 1, old_email();; select max(item) from orders"
    " where item like '%@%';; rollback",
    "select set_config('a.d', old_email(), false);; select current_setting('a.d')",
]


@pytest.mark.parametrize("text", WAYS)
def test_it_is_a_way_to_the_values_where_nothing_masks_them(server: Postgres, text: str) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        assert is_revealed(seen(connection, text))


@pytest.mark.parametrize("text", WAYS)
def test_a_way_around_the_masks_reveals_nothing(relay: Relay, text: str) -> None:
    before = len(relay.notes)
    with psycopg.connect(relay.dsn, autocommit=True) as connection:
        assert not is_revealed(seen(connection, text))
    with psycopg.connect(relay.dsn, autocommit=True) as connection:
        assert not is_revealed(seen(connection, text, binary=True))
    assert not is_revealed(repr(relay.notes[before:]))


def test_no_number_is_kept_in_a_sequence_that_a_hidden_value_gave(server: Postgres, relay: Relay) -> None:
    before = server.sql("select last_value from orders_id_seq")
    with psycopg.connect(relay.dsn, autocommit=True) as connection:
        seen(connection, "select 1 from customers where id = 1 and setval('orders_id_seq', 1000 + ascii(email)) > 0")
    assert server.sql("select last_value from orders_id_seq") == before


def test_a_schema_is_not_renamed_under_its_classified_columns(relay: Relay) -> None:
    """A catalog that is read after that would find none of them."""
    with psycopg.connect(relay.dsn, autocommit=True) as connection:
        assert "could not mask" in seen(connection, "alter schema public rename to elsewhere")


ORDINARY = [
    ("select count(*) from customers", "200"),
    ("select id, name from customers where id = 1", "Example"),
    ("select item, quantity from orders where id = 1", "widget"),
    ("select c.name, o.item from customers c join orders o on o.customer_id = c.id where email like 'p%'", "widget"),
    ("begin;; insert into customers (name, email, ssn) values ('New', 'e', 's') returning id, name;; rollback", "New"),
    ("begin;; insert into customers (name, email, ssn) values ('New', 'e', 's') returning *;; rollback", "*****"),
    ("begin;; update customers set phone = '1' where id = 1 returning name;; rollback", "Example"),
    ("create temp table mine as select item from orders;; select count(*) from mine", "400"),
    ("explain select email from customers", "Seq Scan"),
    ("select email from customers limit 1", "*****"),
    (
        "begin;; create trigger t before update on orders for each row"
        " execute function suppress_redundant_updates_trigger();; update orders set quantity = quantity where id = 1;;"
        " select 'made';; rollback",
        "made",
    ),
    ("begin;; insert into orders (customer_id, item) values (1, upper('new')) returning item;; rollback", "NEW"),
    ("begin;; select setval('orders_id_seq', (select max(id) from orders) + 1000);; rollback", "1400"),
    ("begin;; update orders set item = gen_random_uuid()::text where id = 1;; select 'done';; rollback", "done"),
    ("select nmae from customers", 'column "nmae" does not exist'),
    ("select no_such_thing(name) from customers", "function no_such_thing(text) does not exist"),
    ("select c.name, c.phone, upper(c.name) from customers c where id = 1", "EXAMPLE"),
]


@pytest.mark.parametrize(("text", "expected"), ORDINARY)
def test_ordinary_work_goes_on_beside_the_masks(relay: Relay, text: str, expected: str) -> None:
    with psycopg.connect(relay.dsn, autocommit=True) as connection:
        assert expected in seen(connection, text)
