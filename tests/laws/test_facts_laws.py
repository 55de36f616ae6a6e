"""Laws of reading: it never raises, what wraps a statement hides nothing of it, and facts survive the wire."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from hoopx_broker.policy.facts import wire
from hoopx_broker.policy.facts.sql import read
from hoopx_broker.policy.facts.stencils import is_told_by_stencil, stencil
from hoopx_broker.policy.scenery import resolved
from hoopx_broker.terms.facts import StatementFacts, TableName, Unreadable
from hoopx_broker.terms.targets import ColumnName

_TEXT = """
select from where insert into values update set delete with recursive as returning merge using on when matched then not
exists in any all union intersect except order by group having limit for of copy to stdin stdout program explain analyze
prepare execute declare cursor fetch do call create table view function drop alter lateral natural join left row array
case end distinct over partition filter null true 1 'x' "Q" t c a.b * ( ) , ; . :: = + || [ ] $1 t.* (c).x
pg_read_file(1) f(t) begin atomic language sql rule trigger xmlforest json_table
"""
_WORDS = st.sampled_from(_TEXT.split())
_LOOSE = st.lists(_WORDS, max_size=25).map(" ".join)

_QUERIES = st.sampled_from(
    [
        "select email from customers c where ssn = 'x'",
        "select c from customers c natural join orders",
        "select pg_read_file('x'), my_own(c.id) from s.t c",
        "with gone as (delete from t returning *) select * from gone",
        "select * from a union select lower(b) from c",
        "select set_config('role', 'x', true)",
        "values ((select max(x) from t), 1)",
        "select nextval('s'), x.lo_get from x for update",
    ]
)
_WRAPPERS = st.sampled_from(
    [
        "prepare p as {}",
        "explain {}",
        "explain (analyze, verbose) {}",
        "copy ({}) to stdout",
        "create table new as {}",
        "create view new as {}",
        "declare cur cursor for {}",
        "insert into new {}",
        "select * from ({}) sub",
        "with w as ({}) select 1",
        "select ({})",
        "select 1 where exists ({})",
        "select 1 order by ({})",
        "update new set x = ({}) where id = 1",
        "({}) union all select 1",
        "merge into new using ({}) q on true when matched then delete",
        "create rule r as on insert to new do also {}",
    ]
)


@given(st.binary(max_size=200))
@example(b"\x00")
@example(b"select 1 -- \xff")
def test_reading_bytes_never_raises(text: bytes) -> None:
    read(text)


@given(_LOOSE)
@example("select a.b.c.d.e.f from t")
@example("select (f(x)).* from t")
@example("merge into t using c on true when not matched then do nothing")
def test_reading_words_of_sql_never_raises_and_never_comes_out_empty_handed(text: str) -> None:
    found = read(text.encode())
    if not isinstance(found, Unreadable):
        assert all(one.actions for one in found)


def only(sql: str) -> StatementFacts | None:
    found = read(sql.encode())
    return None if isinstance(found, Unreadable) or len(found) != 1 else found[0]


@given(_QUERIES, _WRAPPERS)
def test_what_wraps_a_statement_does_no_less_than_it(query: str, wrapper: str) -> None:
    inner, outer = only(query), only(wrapper.format(query))
    assert inner is not None
    if outer is None:
        return  # the grammar refuses the combination, so it is not forwarded
    assert set(inner.tables) <= set(outer.tables)
    assert set(inner.functions) <= set(outer.functions)
    assert set(inner.dangerous) <= set(outer.dangerous)
    assert set(inner.settings) <= set(outer.settings)
    assert inner.mentioned <= outer.mentioned
    assert inner.kinds <= outer.kinds
    assert outer.has_where <= inner.has_where
    assert inner.actions <= outer.actions


# Wrappers whose answer, or what they make for later, can hold what the query shows.
_SHOWS = "copy (|create table|create view|prepare|declare|insert|select * from|select (|update|("
_SHOWING = tuple(_SHOWS.split("|"))


@given(_QUERIES, _WRAPPERS.filter(lambda wrapper: wrapper.startswith(_SHOWING)))
def test_what_wraps_a_query_shows_no_less_than_it(query: str, wrapper: str) -> None:
    inner, outer = only(query), only(wrapper.format(query))
    assert inner is not None
    if outer is not None:
        assert flowing(inner) <= flowing(outer)
        assert inner.whole_rows <= outer.whole_rows


def flowing(statement: StatementFacts) -> set[str]:
    """What flows into the answer or is kept, where each table has every column and all are classified."""
    tables = {TableName(use.schema, use.name) for use in statement.tables}
    classified = tuple(
        ColumnName(table.schema or "public", table.name, column) for table in tables for column in statement.mentioned
    )
    (found,) = resolved((statement,), classified=classified)
    if found.lineage is None:
        return set()
    kept = (each.flow.columns for each in found.lineage.kept)
    return {column.column for column in found.lineage.reach.columns.union(*kept)}


@given(_LOOSE)
def test_facts_survive_the_wire(text: str) -> None:
    reading = read(text.encode())
    assert wire.decode(wire.encode(reading)) == reading


@given(st.lists(_QUERIES, min_size=1, max_size=4))
def test_statements_sent_together_are_read_as_if_sent_alone(queries: list[str]) -> None:
    together = read(";\n".join(queries).encode())
    assert together == tuple(only(query) for query in queries)


_NUMBERED = _LOOSE.map(lambda text: text.replace(" = ", " = {} ").replace(" 1 ", " {} "))
_PLACES = st.sampled_from(
    [
        "select a from t where a = {} and ({} < b or c > {})",
        "select {} = {}, a = {} from t group by 1, a = {} order by 2, b < {}",
        "select a from t where 1 = {} limit {}",
        "select a, b from t order by {}",
        "select a, b from t group by {}, b order by a = {}",
        "update t set a = {}, b = {} where c = {} returning a = {}",
        "insert into t select f(x => {}, y := {}) from s where a = {}",
        "delete from t where a = {}; select a from s where b = {};",
        "set work_mem = {}",
        "select 1 where a = {}; set statement_timeout = {}",
        "copy t to stdout (header = {})",
        "create table n with (fillfactor = {}) as select 1 where a = {}",
        "declare c cursor for select a where b = {}",
        "explain (costs {}) select a = {}",
        "select 'a = {}' from t where a = {}",
        'select $$a = {}$$, "a = {}" from t -- a = {}',
        "select set_config('a', a = {}, false)",
        "select xmlserialize(content a = {} as text) from t tablesample system ({}) where e = {}",
        "select a from t fetch first ({}) rows only offset a = {}",
    ]
)


@given(_NUMBERED | _PLACES, st.tuples(st.integers(0, 3), st.integers(0, 999_999_999)))
@example("select a from t where b = {} order by {}", (1, 2))
@example("select a, b from t where 1 = {}", (1, 2))
def test_facts_told_by_a_stencil_are_those_of_each_text_that_has_it(text: str, numbers: tuple[int, int]) -> None:
    one, other = (text.replace("{}", str(number)).encode() for number in numbers)
    facts = read(one)
    if stencil(one) is not None and stencil(one) == stencil(other) and not isinstance(facts, Unreadable):
        assert read(other) == facts or not is_told_by_stencil(facts)


def _share(text: str) -> bool:
    of = stencil(text.format(1).encode())
    return of is not None and of == stencil(text.format(2).encode())


def test_a_number_that_is_not_surely_compared_stays_in_the_stencil() -> None:
    alike = ["select a from t where b = {}", "delete from t where (b) > {};", "select a = {}, b from t"]
    unlike = [
        "select a from t order by {}", "select a from t limit {}", "select f(x => {})", "select f(x := {})",
        "select a from t where b = {}.5", "select a from t where b = {}e1", "select a from t where b = {}000000000",
        "select a from t where b = -{}", "select a from t where b <= {}", "select a from t where b = 0x{}",
        "select 'b = {}' from t", 'select "b = {}" from t', "select a from t -- b = {}", "select /* b = {} */ 1",
        "select $$b = {}$$", "select a from t where b = {}_0", "select é from t where b = {}",
        "select a from t where b = 1 order by {}",
    ]  # fmt: skip
    assert [text for text in alike if not _share(text)] == []
    assert [text for text in unlike if _share(text)] == []
