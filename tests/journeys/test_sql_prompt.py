"""The prompt of `hoopx sql`, as a person at a terminal sees it."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from tests.journeys.sql_screen import Screen, screen
from tests.journeys.stage import Stage
from tests.peers.clients import HOOPX

PROMPT = "shop-prod=>"
ENDLESS = "SELECT count(*) FROM orders a, orders b, orders c, orders d, orders e"


def enter(at: Screen, text: str, *told: str, prompt: str = PROMPT) -> str:
    """Type a line, and give the screen once all of that is there and the prompt has come back."""
    at.clear()
    at.type(f"{text}\r")
    at.shows(*told)
    return at.waits_at(prompt)


def test_an_ordinary_day(stage: Stage) -> None:
    with screen(stage, "shop-prod") as at:
        at.waits_at(PROMPT)
        at.shows("is open until", "masked: public.customers.email", "\\? for help")
        at.type("select id, name\rfrom customers\rorder by id limit 2;\r")
        at.shows("(2 rows)")
        assert at.waits_at(PROMPT).splitlines()[-9:-1] == [
            "shop-prod=> select id, name",
            "shop-prod-> from customers",
            "shop-prod-> order by id limit 2;",
            " id | name",
            "----+---------------",
            "  1 | Ann Example 1",
            "  2 | Bob Example 2",
            "(2 rows)",
        ]
        at.waits_at(PROMPT)
        at.type("select 'it")
        at.type("\r")
        at.shows("shop-prod'>")
        at.type("\x03")
        at.waits_at(PROMPT)

        enter(at, "begin;", "BEGIN", prompt="shop-prod=*>")
        enter(at, "select nope;", "LINE 1: select nope\n               ^", prompt="shop-prod=!>")
        enter(at, "rollback;", "ROLLBACK")
        enter(at, "delete from orders where id = 1;", "ERROR:  rule `", "DETAIL:  ", "HINT:  ")
        shown = enter(at, "select E'\\x1b[31mred\\x1b[0m' as \"e\\\";", "(1 row)")
        assert "\\x1b[31mred" in shown

        enter(at, "\\d orders", 'table "public.orders"', "customer_id", "indexes:", "FOREIGN KEY (customer_id)")
        enter(at, "\\dt cust*", "customers", "(1 row)")
        enter(at, "\\dn", "public")
        enter(at, "\\nope", "there is no `\\nope` here")
        enter(at, "\\timing", "timing is on")
        enter(at, "\\x on", "records are on")
        enter(at, "select 1 as a;", "-[ RECORD 1 ]-\na | 1", "Time: ")
        enter(at, "alter role ann password 'hunter2';", "ERROR:  rule `")

        at.clear()
        at.type("select * from ord")
        at.completes("from orders")
        at.type(" where qu")
        at.completes("where quantity")
        at.type(" > 1 and id < 4;\r")
        at.shows("RECORD 3")
        at.waits_at(PROMPT)

        at.type(f"{ENDLESS};\r")
        at.shows("Ctrl-C cancels")
        at.type("\x03")
        at.shows("cancelled")
        at.waits_at(PROMPT)
        at.clear()
        at.type("\x1b[A")  # what ran last
        at.shows("orders c, orders d")
        at.type("\x03", "\x04")
        assert at.end() == 0
    kept = stage.home / "home-ann" / "hoopx" / "sql_history"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "hunter2" not in kept.read_text()
    assert "select id, name\\nfrom customers" in kept.read_text()
    stage.nothing_remains()


def test_a_narrow_window_without_colours(stage: Stage) -> None:
    with screen(stage, "shop-prod", columns=40, NO_COLOR="1") as at:
        at.waits_at(PROMPT)
        at.type("select * from cust")
        at.completes("customer_contacts", "customers")
        at.type("\x03")
        at.waits_at(PROMPT)
        shown = enter(at, "select * from customers where id = 1;", "(1 row)")
        assert "-[ RECORD 1 ]-\nid         | 1\nname       | Ann Example 1\nemail      | *****\n" in shown
        assert not [code for code in (b"\x1b[31m", b"\x1b[38;", b"\x1b[1m") if code in at.heard]
        at.type("quit\r")
        assert at.end() == 0


def test_a_connection_that_breaks_is_made_anew_and_a_session_that_ends_is_left(stage: Stage) -> None:
    with screen(stage, "shop-prod") as at:
        session = re.findall(r"session (s_\w+)", at.waits_at(PROMPT))
        stage.postgres.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'hoopx sql'"
        )
        enter(at, "select 40 + 2 as answer;", "connected again")
        enter(at, "select 40 + 2 as answer;", "42")
        at.clear()
        stage.hoopx("sessions", "kill", session[0]).fine()
        assert at.end() == 15
        assert "the session with `shop-prod` ended: `ann` ended it" in at.text


def test_the_second_ctrl_c_leaves(stage: Stage) -> None:
    with screen(stage, "shop-prod", f"{ENDLESS}") as at:
        at.shows("Ctrl-C cancels")
        at.type("\x03\x03")
        assert at.end() == 130
    stage.nothing_remains()


def test_files_an_editor_and_a_pager(stage: Stage, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "said by ${HOOPX_TOKEN:-nobody}" > "$0.log"\nsed -i s/40/41/ "$1"\n')
    editor.chmod(0o700)
    (tmp_path / "script.sql").write_text("select 'one' as it;\nselect nope;\nselect 'never';\n")
    data = tmp_path / "orders.csv"
    with screen(stage, "shop-prod", EDITOR=str(editor), VISUAL="", PAGER="less", LESS="") as at:
        at.waits_at(PROMPT)
        enter(
            at, f"\\copy (select id, name, email from customers order by id limit 2) to '{data}' csv header", "COPY 2"
        )
        assert data.read_text() == 'id,name,email\n1,Ann Example 1,"*****"\n2,Bob Example 2,"*****"\n'
        enter(at, f"\\copy customers from '{data}' csv header", "ERROR:  rule `", "HINT:  ")
        enter(at, f"\\copy (delete from orders returning *) to {data}", "ERROR:  ")
        assert data.read_text().startswith("id,name"), "what is denied has touched nothing"
        enter(
            at, "\\copy orders to /no/such/file", "`/no/such/file` cannot be written: no such file or", "name another"
        )
        enter(at, "\\copy orders", "\\copy wants a table or a query")
        shown = enter(at, f"\\i {tmp_path / 'script.sql'}", "(1 row)", "line 2: ERROR:")
        assert "never" not in shown
        enter(at, "\\i /no/such/file", "cannot be read: no such file", "name another file")
        enter(at, "\\pset border 2", "\\pset sets the pager alone here", "\\pset pager off")

        enter(at, "select 40 + 1 as answer;", "(1 row)")
        at.clear()
        at.type("\\e\r")
        at.read(lambda text: text.splitlines() and text.splitlines()[-1] == f"{PROMPT} select 41 + 1 as answer;")
        at.type("\r")
        at.shows("42", "(1 row)")
        at.waits_at(PROMPT)
        assert Path(f"{editor}.log").read_text() == "said by nobody\n"

        at.clear()
        at.type("select n from generate_series(1, 60) n;\r")
        at.shows(" n\n", " 20\n")
        assert "(60 rows)" not in at.text, "one reads first"
        at.type("G")
        at.shows("60")
        at.type("q")
        at.shows("(60 rows)")
        at.waits_at(PROMPT)
        at.clear()
        at.type("select a.id from orders a, orders b, orders c, orders d;\r")  # longer than anybody reads
        at.shows(" id\n----\n")
        at.type("q")
        at.shows("Ctrl-C cancels")
        at.type("\x03")
        at.shows("cancelled")
        at.waits_at(PROMPT)
        enter(at, "\\pset pager off", "the pager is off")
        enter(at, "select n from generate_series(1, 60) n;", "(60 rows)")
        at.type("\x04")
        assert at.end() == 0
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]
    stage.nothing_remains()


def test_the_end_is_told_ahead_and_a_long_result_counts_its_rows(stage: Stage, tmp_path: Path) -> None:
    with screen(stage, "shop-prod", "--for", "4m") as at:
        at.shows("shop-prod: 3 min left; to ask for more: hoopx request shop-prod --extend s_")
        at.waits_at(PROMPT)
        at.type("\x04")
        assert at.end() == 0
    line = f"'{HOOPX}' sql shop-prod -o csv 'select a.id from orders a, orders b, orders c, orders d' > {tmp_path}/out"
    at = Screen(stage, ["-c", line], program="bash")
    at.read(lambda text: re.search(r"^\d[\d,]* rows · \d s · Ctrl-C cancels$", text, re.MULTILINE))
    at.type("\x03")
    at.shows("cancelled")
    assert at.end() == 130
    assert (tmp_path / "out").stat().st_size
