"""`hoopx sql`: SQL without a database client, against the real broker and a real PostgreSQL."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.stage import Stage, playing, running
from tests.journeys.test_held_statements import RULE
from tests.peers import found
from tests.peers.clients import Outcome
from tests.peers.postgres import Postgres

READ, WRITE = "shop-prod", "shop-dev"
DELETE = "delete from payments where id = -1"
ENDLESS = "SELECT count(*) FROM orders a, orders b, orders c, orders d, orders e"


@pytest.fixture(scope="module")
def stage(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The ordinary one, where deleting payments needs a person to agree."""
    found.require("psql")
    stage = Stage(tmp_path_factory.mktemp("sql"), postgres)
    (stage.home / "policies" / "90-payments.cedar").write_text(RULE)
    with playing(stage) as played:
        yield played


def run(stage: Stage, *arguments: str, target: str = READ, stdin: str = "") -> Outcome:
    return stage.hoopx("sql", target, *arguments, stdin=stdin)


def test_rows_come_masked_and_stdout_carries_nothing_else(stage: Stage) -> None:
    seen = run(stage, "select id, name, email from customers order by id limit 2").fine()
    assert seen.out == (
        " id | name          | email\n"
        "----+---------------+-------\n"
        "  1 | Ann Example 1 | *****\n"
        "  2 | Bob Example 2 | *****\n"
    )
    assert "(2 rows)" in seen.err
    stage.nothing_remains()


TYPES = """
select 1::int2 as small, 9223372036854775807 as big, 12.50 as money, 1e20::float8 as float, 'NaN'::float8 as nan,
  true as yes, null::text as nothing, '' as empty, array[1, null]::int[] as list, '{"a": [1, "é"]}'::jsonb as doc,
  decode('deadbeef', 'hex') as bytes, timestamptz '2026-01-01 00:00:00+00' as at, date '2026-01-01' as day,
  'a,"b"' || chr(10) || chr(27) || '[31m' as odd, '=1+1' as formula
"""


def test_every_form_renders_every_type(stage: Stage) -> None:
    told = run(stage, TYPES, "-o", "json").fine().out
    assert told == (
        '[{"small":1,"big":"9223372036854775807","money":12.50,"float":1e+20,"nan":"NaN","yes":true,"nothing":null,'
        '"empty":"","list":[1,null],"doc":{"a": [1, "é"]},"bytes":"\\\\xdeadbeef","at":"2026-01-01 00:00:00+00",'
        '"day":"2026-01-01","odd":"a,\\"b\\"\\n\\u001b[31m","formula":"=1+1"}]\n'
    )
    head, _, row = run(stage, TYPES, "-o", "csv").fine().out.partition("\n")
    assert head == "small,big,money,float,nan,yes,nothing,empty,list,doc,bytes,at,day,odd,formula"
    assert row == (
        '1,9223372036854775807,12.50,1e+20,NaN,t,,"","{1,NULL}","{""a"": [1, ""é""]}",\\xdeadbeef,'
        '2026-01-01 00:00:00+00,2026-01-01,"a,""b""\n\x1b[31m",=1+1\n'
    )


def test_a_hostile_column_name_is_harmless(stage: Stage) -> None:
    text = 'select 1 as "password\x1b]0;owned\x07", 2 as "a\u202eb"'
    assert run(stage, text).fine().out.startswith(" password\\x1b]0;owned\\x07 | a\\u202eb\n")
    told = run(stage, text, "-o", "jsonl").fine().out
    assert "\x1b" not in told
    assert list(json.loads(told)) == ["password\x1b]0;owned\x07", "a\u202eb"]


def test_parameters_are_typed_by_the_server(stage: Stage, tmp_path: Path) -> None:
    text = "select $1::int + 1 as n, $2::text as quoted, $3::jsonb as doc"
    seen = run(stage, text, "--param", "41", "--param", "it's; $1", "--param", '{"a": 1}', "-o", "jsonl").fine()
    assert seen.out == '{"n":42,"quoted":"it\'s; $1","doc":{"a": 1}}\n'
    values = tmp_path / "values.json"
    values.write_text('[41, null, {"a": 1.50}]')
    seen = run(stage, text, "--params", str(values), "-o", "jsonl").fine()
    assert seen.out == '{"n":42,"quoted":null,"doc":{"a": 1.50}}\n'
    assert run(stage, text, "--params", "-", "-o", "csv", stdin='[1, "", [true]]').fine().out.endswith('2,"",[true]\n')
    few = run(stage, text, "--param", "1")
    assert (few.code, "ERROR:  " in few.err) == (3, True)
    assert run(stage, "select $1::int; select 2", "--param", "1").code == 2


@pytest.mark.parametrize(
    ("target", "text", "code", "told"),
    [
        (READ, "select nope from orders", 3, "LINE 1: select nope from orders\n               ^"),
        (READ, "delete from orders where id = 1", 10, "HINT:  "),
        (READ, "", 2, "there is no statement to run"),
        ("nowhere", "select 1", 2, "nowhere"),
        ("payments-prod", "select 1", 12, "try again, or wait with `--wait 15m`"),
        ("asleep", "select 1", 15, "asleep"),
    ],
)
def test_the_exit_code_says_who_refused(stage: Stage, target: str, text: str, code: int, told: str) -> None:
    seen = run(stage, text, target=target)
    assert (seen.code, seen.out) == (code, "")
    assert told in seen.err


def test_a_script_runs_in_order_and_stops_at_the_first_error(stage: Stage) -> None:
    script = "-- a script\nselect 1 as a; select 'x;y' as b\n;\nselect 1/0;\nselect 3 as c; selec"
    seen = run(stage, "-o", "csv", stdin=script)
    assert (seen.code, seen.out) == (3, "a\n1\nb\nx;y\n")
    assert "line 4: ERROR:  division by zero" in seen.err
    seen = run(stage, "-o", "csv", "--keep-going", stdin=script + "; delete from orders where id = 1")
    assert (seen.code, seen.out) == (3, "a\n1\nb\nx;y\nc\n3\n")  # the first that failed says the code
    assert 'line 5: ERROR:  syntax error at or near "selec"\nLINE 1: selec\n        ^\n' in seen.err
    assert "line 5: ERROR:  rule `" in seen.err


def test_one_transaction_is_all_or_nothing(stage: Stage) -> None:
    script = "update orders set quantity = 77 where id = 1; select 1/0;"
    assert run(stage, "-1", target=WRITE, stdin=script).code == 3
    left = run(stage, target=WRITE, stdin="begin; update orders set quantity = 78 where id = 1;").fine()
    assert "a transaction is open at the end: it is rolled back" in left.err
    assert stage.postgres.sql("select quantity from orders where id = 1") == [(2,)]


def test_copy_takes_and_gives_data_as_it_is(stage: Stage) -> None:
    count = "select count(*) from orders where id > 9000"
    script = (
        "copy orders (id, customer_id, item) from stdin;\n9001\t1\ta;b\n9002\t1\t\\N'\n\\.\n"
        f"{count};\ncopy (select item from orders where id = 9001) to stdout; rollback"
    )
    seen = run(stage, "-o", "csv", target=WRITE, stdin="begin;\n" + script).fine()
    assert seen.out == "count\n2\na;b\n"
    text = "begin; copy orders (id, customer_id, item) from stdin (format csv); rollback"
    assert "COPY 2" in run(stage, text, target=WRITE, stdin='9001,1,"x"\n9002,1,y\n').fine().err
    bad = run(stage, "--keep-going", target=WRITE, stdin="copy nope from stdin;\nno sql;\n\\.\nselect 5 as five;")
    assert (bad.code, bad.out) == (3, " five\n------\n    5\n")
    assert bad.err.count("ERROR:") == 1


def test_what_is_no_sql_is_said_with_its_line(stage: Stage) -> None:
    seen = run(stage, stdin="select 1 as a;\n\\connect other\n")
    assert (seen.code, "line 2 of the script: `\\connect` is a command of psql" in seen.err) == (2, True)
    seen = run(stage, stdin="select 'a\0b';")
    assert (seen.code, "there is a NUL character in it" in seen.err) == (2, True)
    assert run(stage, "select 1", "--param", "1", "--params", "x").code == 2
    assert run(stage, "--keep-going", "-1", "select 1").code == 2


def test_a_statement_waits_for_a_person_and_goes_on(stage: Stage) -> None:
    with running(stage, "sql", WRITE, DELETE, "-q") as command:
        request = command.says(r"NOTICE:  this statement waits for .* request `(r_\w+)`").group(1)
        stage.hoopx("approve", request, "--yes", who="dora").fine()
        ended = command.end().fine()
    assert ended.out == ""


def test_a_person_says_no(stage: Stage) -> None:
    with running(stage, "sql", WRITE, DELETE) as command:
        request = command.says(r"hoopx approve (r_\w+)").group(1)
        stage.hoopx("deny", request, "--comment", "not that", "--yes", who="dora").fine()
        ended = command.end()
    assert ended.code == 13
    assert "ERROR:  rule `payments-need-a-dba` forbids this statement" in ended.err
    assert "not that" in ended.err


def test_nobody_agrees_in_time_and_the_request_is_taken_back(stage: Stage) -> None:
    seen = run(stage, DELETE, "--wait", "1s", target=WRITE)
    assert seen.code == 12
    assert "nobody agreed within 1 s" in seen.err
    waiting = stage.listed("requests", "ls", "--mine", "--state", "waiting")
    assert [one for one in waiting if one["kind"] == "statement"] == []


def test_ctrl_c_cancels_on_the_server_and_no_port_is_opened(stage: Stage) -> None:
    with running(stage, "sql", READ, f"{ENDLESS}; select 'not this'") as command:
        stage.await_on_target(ENDLESS)
        assert _listening(command.process.pid) == []
        ended = command.end(signal.SIGINT)
    assert (ended.code, ended.out) == (130, "")
    assert "cancelled" in ended.err
    stage.nothing_remains()


def _listening(pid: int) -> list[str]:
    """The TCP sockets of a process that others could connect to."""
    own = {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in own]
