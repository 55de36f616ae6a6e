"""What a statement does, whatever it looks like: the tables it uses, the actions it needs, what is inside it."""

from __future__ import annotations

import pytest

from hoopx_broker.policy.facts.sql import STATEMENTS, read
from hoopx_broker.terms.facts import Fault, StatementFacts, Unreadable


def facts(sql: str) -> StatementFacts:
    found = read(sql.encode())
    assert not isinstance(found, Unreadable), found
    assert len(found) == 1, found
    return found[0]


def uses(sql: str) -> set[str]:
    """Each use of a table as `action schema.name`."""
    return {f"{use.action} {f'{use.schema}.' if use.schema else ''}{use.name}" for use in facts(sql).tables}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select * from a, b.c", {"read a", "read b.c"}),
        ('select * from "A"."b.c"', {"read A.b.c"}),
        ("table a", {"read a"}),
        ("values (1)", set()),
        ("select (select max(x) from a) from b where y in (select z from c)", {"read a", "read b", "read c"}),
        ("select 1 from a union all select 2 from b except select 3 from c", {"read a", "read b", "read c"}),
        ("select 1 from a join b on true, lateral (select 1 from c) l", {"read a", "read b", "read c"}),
        ("select 1 order by (select 1 from a) limit (select 1 from b)", {"read a", "read b"}),
        ("select sum(x) filter (where x > (select 1 from a)) over (order by (select 1 from b)) from c",
         {"read a", "read b", "read c"}),
        ("select * from f((select x from a))", {"read a"}),
        ("select * from only a tablesample system (1)", {"read a"}),
        ("insert into a values (1)", {"insert a"}),
        ("insert into a select * from b", {"insert a", "read b"}),
        ("insert into a values (1) returning x", {"insert a", "read a"}),
        ("insert into a values (1) on conflict do nothing", {"insert a", "read a"}),
        ("insert into a values (1) on conflict (x) do update set y = (select 1 from b)",
         {"insert a", "update a", "read a", "read b"}),
        ("update a set x = 1", {"update a"}),
        ("update a set x = x + 1", {"update a", "read a"}),
        ("update a set x = b.y from b where a.id = b.id", {"update a", "read a", "read b"}),
        ("delete from a", {"delete a"}),
        ("delete from a using b where a.id = b.id returning *", {"delete a", "read a", "read b"}),
        ("merge into a using b on a.id = b.id when matched then delete when not matched then insert values (b.x)",
         {"delete a", "insert a", "read a", "read b"}),
        ("merge into a using (select * from c) b on a.id = b.id when matched and b.x > 1 then update set y = b.y",
         {"update a", "read a", "read c"}),
        ("truncate a, b.c", {"truncate a", "truncate b.c"}),
        ("lock table a", {"lock a"}),
        ("lock table a in share row exclusive mode", {"lock a"}),
        ("lock table a, b.c in access share mode", {"read a", "read b.c"}),
        ("select * from a for update", {"read a", "lock a"}),
        ("select * from a, b where true for share of a", {"read a", "lock a", "read b"}),
        ("select * from a x, (select * from b) y for update of y", {"read a", "read b", "lock b"}),
        ("select * from (select * from a) x for no key update", {"read a", "lock a"}),
        ("select * into a from b", {"ddl a", "read b"}),
        ("create table a as select * from b", {"ddl a", "read b"}),
        ("create materialized view a as select * from b", {"ddl a", "read b"}),
        ("create view a as select * from b", {"ddl a", "read b"}),
        ("create table a (x int references b, like c) inherits (d)", {"ddl a", "read b", "read c", "ddl d"}),
        ("create table a partition of b for values in (1)", {"ddl a", "ddl b"}),
        ("alter table a add foreign key (x) references b", {"ddl a", "read b"}),
        ("alter table a attach partition b default", {"ddl a", "ddl b"}),
        ("alter table a alter column x type int using (select 1 from b)", {"ddl a", "read b"}),
        ("create index on a (f(x)) where y", {"ddl a"}),
        ("create rule r as on insert to a do also delete from b", {"ddl a", "delete b"}),
        ("create trigger t after insert on a execute function f()", {"ddl a"}),
        ("create sequence a owned by b.x", {"ddl a"}),
        ("create function f() returns int begin atomic delete from a; select 1 from b; end", {"delete a", "read b"}),
        ("create function f() returns int return (select 1 from b)", {"read b"}),
        ("create schema s create table a (x int) create view v as select 1 from b", {"ddl a", "ddl v", "read b"}),
        ("drop table a, b.c cascade", {"ddl a", "ddl b.c"}),
        ("drop view v", {"ddl v"}),
        ("drop trigger t on a", {"ddl a"}),
        ("drop index s.i", {"ddl s.i"}),
        ("alter table a rename to b", {"ddl a"}),
        ("alter table a rename column x to y", {"ddl a"}),
        ("alter table a set schema s", {"ddl a"}),
        ("comment on table a is 'x'", {"ddl a"}),
        ("comment on column s.a.x is 'x'", {"ddl s.a"}),
        ("comment on column d.s.a.x is null", {"ddl s.a"}),
        ("security label on column a.x is null", {"ddl a"}),
        ("security label for anon on column s.a.x is 'x'", {"ddl s.a"}),
        ("security label on function f(int) is 'x'", set()),
        ("refresh materialized view a", {"ddl a"}),
        ("vacuum a, b", {"ddl a", "ddl b"}),
        ("analyze a (x)", {"ddl a"}),
        ("reindex table a", {"ddl a"}),
        ("cluster a using i", {"ddl a"}),
        ("create statistics s on x, y from a", {"ddl a"}),
        ("copy a to stdout", {"read a"}),
        ("copy a (x) from stdin where x > (select 1 from b)", {"insert a", "read b"}),
        ("copy (select * from a) to stdout", {"read a"}),
        ("copy (delete from a where x = 1 returning *) to stdout", {"delete a", "read a"}),
        ("explain delete from a where x = 1", {"delete a", "read a"}),
        ("explain (analyze, buffers) insert into a values (1)", {"insert a"}),
        ("prepare p as update a set x = 1", {"update a"}),
        ("declare c cursor for select * from a", {"read a"}),
        ("explain analyze create table a as select * from b", {"ddl a", "read b"}),
        ("select nextval('s.q'), setval('r', 1)", {"update s.q", "update r"}),
        ("select currval('s')", set()),
    ],
)  # fmt: skip
def test_every_use_of_a_table_is_seen(sql: str, expected: set[str]) -> None:
    assert uses(sql) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("with a as (select 1 from b) select * from a", {"read b"}),
        ("with a as (select 1 from a) select * from a", {"read a"}),
        ("with a as (select 1) select * from s.a", {"read s.a"}),
        ("with recursive a as (select 1 union select * from a) select * from a", set()),
        ("with recursive a as (select * from b), b as (select 1) select * from a", set()),
        ("with a as (select * from b), b as (select 1) select * from a", {"read b"}),
        ("select * from (with a as (select 1) select * from a) x, a", {"read a"}),
        ("with a as (select 1) select (select 1 from a), (with a as (select 1 from c) select 1 from a)", {"read c"}),
        ("with a as (select 1) delete from a where exists (select 1 from a)", {"delete a", "read a"}),
        ("with a as (insert into b values (1) returning x) select * from a", {"insert b", "read b"}),
        ("with a as materialized (update b set x = 1 where y returning x) insert into c select * from a",
         {"update b", "read b", "insert c"}),
        ("with x as (merge into a using b on true when matched then delete returning a.id) select 1 from x",
         {"read a", "read b", "delete a"}),
        ("with a as (select 1 from t) select * from a for update", {"read t"}),
    ],
)  # fmt: skip
def test_with_names_are_no_tables_where_they_are_known_and_only_there(sql: str, expected: set[str]) -> None:
    assert uses(sql) == expected


@pytest.mark.parametrize(
    ("sql", "kind", "actions"),
    [
        ("select 1", "select", {"read"}),
        ("begin", "begin", {"session"}),
        ("start transaction isolation level serializable", "begin", {"session"}),
        ("commit and chain", "commit", {"session"}),
        ("rollback to savepoint x", "rollback-to", {"session"}),
        ("prepare transaction 'x'", "two-phase-commit", {"admin"}),
        ("commit prepared 'x'", "two-phase-commit", {"admin"}),
        ("show all", "show", {"session"}),
        ("listen x", "listen", {"session"}),
        ("notify x, 'y'", "notify", {"session"}),
        ("discard all", "discard", {"session"}),
        ("deallocate p", "deallocate", {"session"}),
        ("set constraints all deferred", "set-constraints", {"session"}),
        ("set x.y to 1", "set", {"set"}),
        ("do 'begin end'", "do", {"call"}),
        ("do 'begin execute x; end'", "do", {"call", "ddl", "read"}),
        ("call p(1)", "call", {"call"}),
        ("call lower('x')", "call", {"call"}),
        ("select my_own(1)", "select", {"read", "call"}),
        ("select s.lower('x')", "select", {"read", "call"}),
        ("select pg_catalog.lower('x')", "select", {"read"}),
        ("select 1 operator(s.+) 2", "select", {"read", "call"}),
        ("select 1 = any (select 2)", "select", {"read"}),
        ("select 1 operator(s.=) any (select 2)", "select", {"read", "call"}),
        ("copy t from stdin", "copy", {"copy", "insert"}),
        ("vacuum", "vacuum", {"admin"}),
        ("analyze", "analyze", {"admin"}),
        ("reindex schema s", "reindex", {"admin"}),
        ("grant select on t to x", "grant", {"admin"}),
        ("revoke all on t from x", "grant", {"admin"}),
        ("alter default privileges grant select on tables to x", "alter-default-privileges", {"admin"}),
        ("create role x", "create-role", {"admin"}),
        ("alter role x set role to y", "alter-role", {"admin"}),
        ("alter system set x to 1", "alter-system", {"admin"}),
        ("create extension dblink", "create-extension", {"admin"}),
        ("load 'x'", "load", {"admin"}),
        ("checkpoint", "checkpoint", {"admin"}),
        ("security label on table t is 'x'", "security-label", {"admin", "ddl"}),
        ("security label on role r is 'x'", "security-label", {"admin"}),
        ("create policy p on t", "create-policy", {"admin"}),
        ("drop policy p on t", "drop", {"admin", "ddl"}),
        ("drop extension x", "drop", {"admin", "ddl"}),
        ("alter table t owner to x", "alter-table", {"admin", "ddl"}),
        ("alter table t disable row level security", "alter-table", {"admin", "ddl"}),
        ("alter table t disable trigger all", "alter-table", {"admin", "ddl"}),
        ("alter table t add column c int", "alter-table", {"ddl"}),
        ("create schema authorization x", "create-schema", {"admin", "ddl"}),
        ("drop schema s", "drop", {"ddl"}),
        ("create type t as enum ('a')", "create-type", {"ddl"}),
        ("create domain d as int check (f(value))", "create-domain", {"call", "ddl"}),
        ("create operator s.+ (function = f, leftarg = int)", "define", {"ddl"}),
        ("import foreign schema s from server x into y", "import-foreign-schema", {"admin"}),
        ("execute p(1)", "execute", {"session"}),
        ("explain execute p", "explain", {"session"}),
        ("fetch 1 from c", "fetch", {"session"}),
        ("move 1 from c", "move", {"session"}),
        ("select set_config('work_mem', '1', true)", "select", {"read", "set"}),
        ("select pg_notify('x', 'y')", "select", {"read", "session"}),
        ("select nextval(s) from t", "select", {"read", "call"}),
    ],
)  # fmt: skip
def test_a_statement_needs_these_actions(sql: str, kind: str, actions: set[str]) -> None:
    found = facts(sql)
    assert found.kind == kind
    assert found.actions == actions


@pytest.mark.parametrize("kind", sorted(STATEMENTS))
def test_every_known_statement_needs_some_action(kind: str) -> None:
    """A row of the table with neither actions nor a walk would be a statement that nothing is asked about."""
    statement = STATEMENTS[kind]
    assert statement.actions or statement.inside.__name__ != "nothing_inside"


@pytest.mark.parametrize(
    ("sql", "kinds"),
    [
        ("with a as (delete from t where x returning *) select * from a", {"select", "delete"}),
        ("explain analyze update t set x = 1", {"explain", "explain-analyze", "update"}),
        ("prepare p as insert into t values (1) on conflict (x) do update set y = 1", {"prepare", "insert", "update"}),
        ("declare c cursor for select 1", {"declare-cursor", "select"}),
        ("merge into a using b on true when matched then delete", {"merge", "delete"}),
        ("create rule r as on update to a do instead (delete from b; select 1)", {"create-rule", "delete", "select"}),
        ("select 1 into x", {"select", "create-table-as"}),
        ("copy (select 1) to stdout", {"copy", "select"}),
    ],
)  # fmt: skip
def test_kinds_name_what_is_inside_too(sql: str, kinds: set[str]) -> None:
    assert facts(sql).kinds == kinds


@pytest.mark.parametrize(
    "sql",
    [
        "update t set x = 1",
        "delete from t",
        "delete from t where true",
        "update t set x = 1 where 1 = 1 and not false",
        "update t set x = 1 where now() > '2000-01-01'",
        "with a as (delete from t returning 1) select 1 from a where id = 1",
        "merge into t using (select 1) s on true when matched then delete",
        "merge into t using s on 1 = 1 when matched then update set x = 1",
        "merge into t using s on t.id = s.id when not matched by source then delete",
        "explain delete from t",
        "prepare p as delete from t",
        "create rule r as on insert to a do also delete from b",
    ],
)
def test_a_write_without_a_where_that_looks_at_a_column_is_unbounded(sql: str) -> None:
    assert not facts(sql).has_where


@pytest.mark.parametrize(
    "sql",
    [
        "delete from t where id = 1",
        "update t set x = 1 where current of c",
        "insert into t values (1)",
        "select 1",
        "merge into t using s on t.id = s.id when matched then delete when not matched then insert values (1)",
        "merge into t using s on true when matched and t.x = 1 then delete",
        "merge into t using s on t.id = s.id when not matched by source and t.x = 1 then delete",
    ],
)
def test_other_statements_are_bounded(sql: str) -> None:
    assert facts(sql).has_where


def test_a_limit_counts_only_at_the_top() -> None:
    assert facts("select 1 limit 1").has_limit
    assert facts("select 1 fetch first row only").has_limit
    assert not facts("select * from (select 1 limit 1) x").has_limit


def test_prepared_statements_and_cursors_are_named_and_referred_to() -> None:
    assert facts("prepare p as select 1").defines == "p"
    assert facts("declare c cursor for select 1").defines == "c"
    assert facts("execute p").indirect == "p"
    assert facts("fetch all in c").indirect == "c"
    assert facts("create table t as execute p").indirect == "p"
    assert facts("explain analyze execute p").indirect == "p"


def test_copy_says_which_way_rows_go() -> None:
    assert facts("copy t to stdout").copy == "out"
    assert facts("copy t from stdin").copy == "in"
    assert facts("select 1").copy is None


def test_several_statements_are_read_each_for_itself() -> None:
    found = read("select 1; /* é */ delete from t where x; ;; begin".encode())
    assert not isinstance(found, Unreadable)
    assert [one.kind for one in found] == ["select", "delete", "begin"]
    assert [one.has_where for one in found] == [True, True, True]


@pytest.mark.parametrize("text", ["", ";", " ; ;", "-- nothing", "/* nothing /* nested */ */", "\n"])
def test_no_statement_is_no_facts(text: str) -> None:
    assert read(text.encode()) == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"selec 1", "syntax error at character 1"),
        (b"select '", "the PostgreSQL grammar refuses it at character 8"),
        (b"select 1\0; drop table t", "it holds a zero byte"),
        (b"select '\xff'", "it is not UTF-8"),
        ("select '\ud800'".encode("utf-8", "surrogatepass"), "it is not UTF-8"),
        (b"select " + b"x" * 1_000_000, "it is larger than 1000000 bytes"),
        (b"/*" * 1_001, "it opens more than 1000 comments"),
        (b"select 1" + b"+-" * 200 + b"1", "it holds more than 256 operator characters in a row"),
        (b"select 1;" * 1_001, "it holds more than 1000 statements"),
    ],
)
def test_what_cannot_be_read_says_why(text: bytes, reason: str) -> None:
    found = read(text)
    assert isinstance(found, Unreadable)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("selec 1", Fault("42601", 'syntax error at or near "selec"', 1)),
        ("select (", Fault("42601", "syntax error at end of input", 9)),
        ("select 'z\u00e4h'; selec", Fault("42601", 'syntax error at or near "selec"', 15)),
        ("select 'abc", Fault("42601", "unterminated quoted string at or near \"'abc\"", 8)),
        ("select U&'\\00'",
         Fault("42601", "invalid Unicode escape", 11, hint=r"Unicode escapes must be \XXXX or \+XXXXXX.")),
        ("create role public", Fault("42939", 'role name "public" is reserved', 13)),
        ("create assertion x check (true)", Fault("0A000", "CREATE ASSERTION is not yet implemented", 1)),
        ("select sum(a) over (rows unbounded following) from t",
         Fault("42P20", "frame start cannot be UNBOUNDED FOLLOWING", 26)),
        ("select float(0) 'x'", Fault("22023", "precision for type float must be at least 1 bit", 14)),
    ],
)  # fmt: skip
def test_what_the_grammar_says_is_what_a_server_says(text: str, fault: Fault) -> None:
    found = read(text.encode())
    assert isinstance(found, Unreadable)
    assert found.fault == fault


@pytest.mark.parametrize(
    "text", [b"select " + b"(" * 10_001 + b"1" + b")" * 10_001, b"select " + b"x" * 1_000_000, b"select 1;" * 1_001]
)
def test_what_is_too_complex_is_a_fault_of_its_own_kind(text: bytes) -> None:
    found = read(text)
    assert isinstance(found, Unreadable)
    assert found.fault is not None
    assert found.fault.code == "54001"
    assert found.fault.detail == found.reason


def test_bytes_that_are_no_character_are_shown_as_the_server_shows_them() -> None:
    found = read(b"select '\xed\xa0\x80'")
    assert isinstance(found, Unreadable)
    assert found.fault == Fault("22021", 'invalid byte sequence for encoding "UTF8": 0xed 0xa0 0x80')


@pytest.mark.parametrize(
    "sql", ["selec 'hunter2'", "select 'hunter2' 'x", "set x to 'hunter2' 5", "select E'\\uhunter2'"]
)
def test_no_complaint_repeats_a_value(sql: str) -> None:
    found = read(sql.encode())
    assert isinstance(found, Unreadable)
    assert "hunter2" not in found.reason


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("select 1 -- \r; drop table t", "select"),
        ("select '--'; ", "select"),
        ("select $a1$ ; drop table t; $a1$", "select"),
        ('select 1 as "a$$b; drop table t $$"', "select"),
        ("select E'\\'; drop table t; --'", "select"),
        ("select U&'d\\0061t' uescape '\\'", "select"),
        ("select 'a'\n'; drop table t'", "select"),
        ("/* /* */ drop table t; */ select 1", "select"),
    ],
)  # fmt: skip
def test_tricks_of_text_are_read_as_the_server_reads_them(sql: str, kind: str) -> None:
    """In the first, the carriage return ends the comment: there are two statements."""
    found = read(sql.encode())
    assert not isinstance(found, Unreadable)
    assert [one.kind for one in found] == ([kind, "drop"] if "\r" in sql else [kind])


@pytest.mark.parametrize("said", ["comment on", "security label on", "security label for anon on"])
def test_what_is_said_of_a_column_mentions_it_since_it_may_classify_it(said: str) -> None:
    assert facts(f"{said} column s.customers.email is null").mentioned == {"email"}
    assert facts(f"{said} table email is null").mentioned == set()


def test_statements_that_differ_for_a_rule_differ_in_their_fingerprint() -> None:
    """The grammar's own fingerprint drops constants, and with them the name of a setting or a useless WHERE."""
    for one, other in [
        ("select set_config('work_mem', '1', true)", "select set_config('role', 'x', true)"),
        ("set client_encoding to 'utf8'", "set client_encoding to 'sjis'"),
        ("execute a", "execute b"),
    ]:
        assert facts(one).fingerprint != facts(other).fingerprint


def test_statements_that_differ_in_constants_only_share_their_fingerprint() -> None:
    assert facts("select * from t where x = 1").fingerprint == facts("select * from t where x = 2").fingerprint
