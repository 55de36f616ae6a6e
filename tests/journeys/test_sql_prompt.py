"""The prompt of `hoopx sql`, as a person at a terminal sees it."""

from __future__ import annotations

from tests.journeys.sql_screen import screen
from tests.journeys.stage import Stage


def test_trial(stage: Stage) -> None:
    with screen(stage, "shop-prod", columns=60) as at:
        at.waits_at("shop-prod=>")
        at.type("select * from cust")
        at.completes("customers", "customer_contacts")
        print(at.text)
        print("-----5")
        at.type("\x03")
        at.waits_at("shop-prod=>")
        at.type("select * from ord")
        at.completes("from orders")
        at.type(" where qu")
        at.completes("where quantity")
        at.type(" > 1 and id < 4;\r")
        at.shows("(3 rows)")
        print(at.text)
        print("-----5")
        at.type("select count(*) FROM orders a, orders b, orders c, orders d, orders e;\r")
        at.shows("Ctrl-C cancels")
        print(at.text)
        print("-----5")
        at.type("\x03")
        at.shows("cancelled")
        at.waits_at("shop-prod=>")
        print(at.text)
        print("-----6")
        at.type("\\timing\r\\x on\rselect 1 as a;\r")
        at.shows("Time:")
        print(at.text)
        print("-----6")
        at.type("\\dt\r\\dn\r\\conninfo\r\\?\r\\nope\r")
        at.shows("there is no `\\nope`")
        print(at.text)
        print("-----6")
        at.clear()
        at.type("select * from customers order by id limit 1;\r")
        at.shows("(1 row)")
        print(at.text)
        print("-----6")
        at.type("\x04")
        print(at.end())
        print(at.text)
        print("-----6")
        print((stage.home / "home-ann/hoopx/sql_history").read_text())
    raise AssertionError
