"""The prompt of `hoopx sql`, as a person at a terminal sees it."""

from __future__ import annotations

from tests.journeys.sql_screen import screen
from tests.journeys.stage import Stage


def test_trial(stage: Stage) -> None:
    with screen(stage, "shop-prod") as at:
        at.waits_at("shop-prod=>")
        print(at.text); print("-----1")
        at.type("select id, name\r")
        at.type("from customers\r")
        at.type("order by id limit 2;\r")
        at.shows("(2 rows)")
        at.waits_at("shop-prod=>")
        print(at.text); print("-----2")
        at.type("\\d customers\r")
        at.shows("indexes:")
        at.waits_at("shop-prod=>")
        print(at.text); print("-----3")
        at.type("begin;\r")
        at.waits_at("shop-prod=*>")
        at.type("select nope;\r")
        at.waits_at("shop-prod=!>")
        at.type("rollback;\r")
        at.waits_at("shop-prod=>")
        print(at.text); print("-----4")
        at.type("select * from cust\t")
        at.shows("from customers")
        print(at.text); print("-----5")
        at.type("\x03")
        at.type("\x04")
        print(at.end())
        print(at.text); print("-----6")
    raise AssertionError
