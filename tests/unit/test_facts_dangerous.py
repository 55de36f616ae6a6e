"""What reaches beyond the database, or turns a session into something else, is named whatever it is written like."""

from __future__ import annotations

import pytest

from hoopx_broker.policy.facts.functions import is_harmless
from hoopx_broker.policy.facts.sql import read
from hoopx_broker.terms.facts import FunctionName, StatementFacts, Unreadable


def facts(sql: str) -> StatementFacts:
    found = read(sql.encode())
    assert not isinstance(found, Unreadable), found
    return found[0]


@pytest.mark.parametrize(
    ("sql", "danger"),
    [
        ("select pg_read_file('x')", "server-file"),
        ("select pg_catalog.pg_read_binary_file('x')", "server-file"),
        ('select "pg_read_file"(\'x\')', "server-file"),
        ("select U&\"pg\\005fread_file\"('x')", "server-file"),
        ("select ('x'::text).pg_read_file", "server-file"),
        ("select x.pg_read_file from unnest(array['x']) x", "server-file"),
        ("select 1 where 'a' = (select x.pg_read_file from unnest(array['x']) x)", "server-file"),
        ("select * from pg_ls_dir('.')", "server-file"),
        ("select 1 from t order by pg_stat_file('x')", "server-file"),
        ("update t set x = lo_import('x') where id = 1", "server-file"),
        ("create table t (x text default pg_read_file('x'))", "server-file"),
        ("create index on t (pg_read_file(x))", "server-file"),
        ("create view v as select pg_read_file('x')", "server-file"),
        ("execute p(pg_read_file('x'))", "server-file"),
        ("call p(pg_read_file('x'))", "server-file"),
        ("copy t to '/tmp/x'", "server-file"),
        ("copy t from '/etc/passwd'", "server-file"),
        ("load 'x'", "server-file"),
        ("create tablespace x location '/x'", "server-file"),
        ("select * from pg_hba_file_rules", "server-file"),
        ("copy t to program 'x'", "program"),
        ("copy (select 1) to program 'x'", "program"),
        ("copy t from program 'x'", "program"),
        ("select * from dblink('', '') as t(a int)", "other-server"),
        ("select public.dblink_exec('x', 'y')", "other-server"),
        ("create foreign table t (x int) server s", "other-server"),
        ("create server s foreign data wrapper w", "other-server"),
        ("create subscription s connection '' publication p", "other-server"),
        ("select lo_get(1)", "large-object"),
        ("select loread(1, 2)", "large-object"),
        ("select lo_from_bytea(0, 'x')", "large-object"),
        ("select query_to_xml('select 1', true, true, '')", "hidden-query"),
        ("select table_to_xml('t', true, true, '')", "hidden-query"),
        ("select cursor_to_xml('c', 1, true, true, '')", "hidden-query"),
        ("select * from ts_stat('select 1')", "hidden-query"),
        ("select * from crosstab('select 1') as t(a int)", "hidden-query"),
        ("table pg_stats", "statistics"),
        ("select * from pg_catalog.pg_statistic", "statistics"),
        ("select 1 where exists (select 1 from pg_stats)", "statistics"),
        ("select rolpassword from pg_authid", "credentials"),
        ("select pg_terminate_backend(1)", "server-control"),
        ("select pg_reload_conf()", "server-control"),
        ("select * from pg_create_logical_replication_slot('x', 'y')", "server-control"),
        ("select * from pg_logical_slot_get_changes('x', null, null)", "other-server"),
        ("set role x", "role"),
        ('set "ROLE" to x', "role"),
        ("set local role none", "role"),
        ("set session authorization x", "role"),
        ("set session session authorization x", "role"),
        ("select set_config('role', 'x', false)", "role"),
        ("select set_config('Session_Authorization'::text, 'x', false)", "role"),
        ("select set_config('ro' || 'le', 'x', false)", "set-config"),
        ("select set_config(new_value => 'x', setting_name => 'role', is_local => true)", "set-config"),
        ("select set_config(x, 'y', true) from t", "set-config"),
        ("select set_config(name, 'x', false) from pg_settings where name = 'role'", "role"),
        ("select set_config(name, 'x', false) from pg_settings where name = 'a' or true", "set-config"),
        ("select set_config(name, 'x', false) from mine.pg_settings where name = 'a'", "set-config"),
        ("select set_config(name, 'x', false) from pg_settings where name <> 'a'", "set-config"),
        ("update pg_settings set setting = 'x' where name = 'role'", "set-config"),
        ("select subconninfo from pg_subscription", "credentials"),
        ("select * from pg_subscription", "credentials"),
        ("select to_json(s) from pg_subscription s", "credentials"),
        ("copy pg_subscription to stdout", "credentials"),
        ("select ('x'::text).pg_backup_start", "server-control"),
        ("select ('x'::name).pg_create_physical_replication_slot", "server-control"),
        ("select t.pg_stat_reset_single_table_counters, (t.x).pg_promote from t", "server-control"),
        ("update pg_catalog.pg_settings set setting = 'x' where name = 'role'", "set-config"),
        ("set client_encoding to 'SJIS'", "encoding"),
        ("set names 'GBK'", "encoding"),
        ("select set_config('client_encoding', 'big5', false)", "encoding"),
        ("select set_config('application_name', email, false) from customers", "side-channel"),
        ("select pg_notify('x', (select email from customers limit 1))", "side-channel"),
        ("select pg_advisory_lock(ssn::bigint) from customers", "side-channel"),
        ("create domain d as text check (pg_read_file(value) is null)", "server-file"),
        ("alter domain d add check (lo_get(value::oid) is null)", "large-object"),
        ("alter table t alter x set default pg_read_file('x')", "server-file"),
        ("begin read write", "read-write"),
        ("set transaction read write", "read-write"),
        ("set session characteristics as transaction read write", "read-write"),
        ("set default_transaction_read_only to off", "read-write"),
        ("do 'begin end'", "do-block"),
        ("do language plpython3u 'x'", "do-block"),
        ("create function f() returns int language c as 'x', 'y'", "language"),
        ("create function f() returns int language plpython3u as 'x'", "language"),
    ],
)  # fmt: skip
def test_what_reaches_out_is_named(sql: str, danger: str) -> None:
    assert danger in facts(sql).dangerous


@pytest.mark.parametrize(
    "sql",
    [
        "select now(), count(*), lower('x'), gen_random_uuid(), pg_sleep(1)",
        "select lo_price, t.lo_price, t.pg_copy_count from t",
        "select * from generate_series(1, 10), unnest(array[1])",
        "select pg_catalog.format_type(1, 2), pg_catalog.pg_get_expr(a, b) from pg_catalog.pg_attrdef",
        "select current_setting('x'), pg_backend_pid(), version(), current_database(), inet_server_addr()",
        "set statement_timeout to 5",
        "set client_encoding to 'UTF8'",
        "set names 'utf-8'",
        "begin read only",
        "select pg_notify('x', $1), pg_advisory_lock(7), set_config('work_mem', $1, true)",
        "set transaction isolation level serializable, read only",
        "reset role",
        "reset all",
        "copy t to stdout",
        "copy t from stdin with (format csv)",
        "create function f() returns int language sql as 'select 1'",
        "select extract(year from now()), position('a' in 'b'), overlay('a' placing 'b' from 1)",
        "select 'a' like 'b' escape 'c', 'a' ilike 'b'",
        "select x at time zone 'UTC', trim(x), substring(x from 1 for 2), x similar to 'y', x between 1 and 2 from t",
        "select coalesce(1, 2), greatest(1, 2), nullif(1, 2), cast('1' as int), interval '1 day'",
        "select current_user, current_date, session_user",
        "table pg_settings",
        "select count(*) from pg_subscription",
        "select (information_schema._pg_expandarray(i.indkey)).n from pg_catalog.pg_index i",
        "select set_config(name, 'view', false) from pg_settings where name = 'restrict_nonsystem_relation_kind'",
    ],
)  # fmt: skip
def test_ordinary_work_is_not_dangerous_and_calls_nothing_unknown(sql: str) -> None:
    found = facts(sql)
    assert found.dangerous == ()
    assert "call" not in found.actions


def test_settings_are_named_in_lower_case() -> None:
    assert facts('set "Work_Mem" to 1').settings == ("work_mem",)
    assert facts("set time zone 'UTC'").settings == ("timezone",)
    assert facts("set schema 'x'").settings == ("search_path",)
    assert facts("reset all").settings == ("all",)
    assert facts("select set_config('Search_Path', 'x', false)").settings == ("search_path",)
    assert facts("set transaction isolation level serializable").settings == ("transaction_isolation",)


def test_what_drivers_set_at_their_start_opens_nothing() -> None:
    found = facts("set standard_conforming_strings = on")
    assert found.settings == ()
    assert "set" in found.actions


@pytest.mark.parametrize(
    "sql", ["set standard_conforming_strings to off", "set standard_conforming_strings to default"]
)
def test_what_else_they_could_be_set_to_is_named(sql: str) -> None:
    assert facts(sql).settings


@pytest.mark.parametrize(
    "sql",
    [
        "set search_path to ''",
        "set search_path = public",
        "set search_path to public, mine",
        "set search_path to pg_catalog, mine",
        "select pg_catalog.set_config('search_path', '', false)",
        "select set_config('search_path', 'mine, \"My Own\"', false)",
    ],
)
def test_a_path_that_can_be_followed_is_a_setting_like_others(sql: str) -> None:
    found = facts(sql)
    assert found.settings == ("search_path",)
    assert "search-path" not in found.dangerous


@pytest.mark.parametrize(
    "sql",
    [
        "set search_path to mine, pg_catalog",
        "set search_path to mine, pg_temp",
        "set search_path to 'pg_temp, mine'",
        "select set_config('search_path', $1, false)",
        "select set_config('search_path', '' || x, false) from t",
        "select set_config('search_path', 'a b', false)",
    ],
)
def test_a_path_that_hides_what_names_mean_is_dangerous(sql: str) -> None:
    assert "search-path" in facts(sql).dangerous


def test_a_function_of_the_same_name_in_another_schema_is_not_the_servers() -> None:
    assert is_harmless(FunctionName(None, "lower"))
    assert is_harmless(FunctionName("pg_catalog", "lower"))
    assert not is_harmless(FunctionName("public", "lower"))


@pytest.mark.parametrize(
    "name",
    [
        "pg_read_file",
        "lo_import",
        "dblink",
        "query_to_xml",
        "pg_terminate_backend",
        "ts_stat",
        "table_to_xml",
        "lo_get",
    ],
)
def test_no_dangerous_function_is_on_the_list_of_harmless_ones(name: str) -> None:
    assert not is_harmless(FunctionName(None, name))
