"""The prompt of `hoopx sql`, as a person at a terminal sees it."""

from __future__ import annotations

import re
import stat

from tests.journeys.sql_screen import Screen, screen
from tests.journeys.stage import Stage

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
