"""`hoopx sql`: SQL without a database client, against the real broker and a real PostgreSQL."""

from __future__ import annotations

from tests.journeys.stage import Stage

TARGET = "shop-prod"


def test_trial(stage: Stage) -> None:
    for args, stdin in [
        (("select id, name, email from customers order by id limit 2",), ""),
        (("select 1/0",), ""),
        (("select foo from customers",), ""),
        (("delete from payments",), ""),
        (("select $1::int + 1 as n, $2 as t", "--param", "41", "--param", "x", "-o", "json"), ""),
        (("-o", "csv"), "select 1 as a; select 'x,y' as b, null as c, '' as d;\nselect 2/0; select 3;"),
        (
            ("-o", "jsonl", "--keep-going"),
            "select 1 as a; select 2/0; select array[1,2,null] as b, '{\"a\": [1]}'::jsonb as c;",
        ),
        (("copy (select id, email from customers order by id limit 2) to stdout",), ""),
    ]:
        out = stage.hoopx("sql", TARGET, *args, stdin=stdin)
        print("=====", args, out.code)
        print(out.out)
        print("--err", out.err)
    raise AssertionError
