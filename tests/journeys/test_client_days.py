"""Whole days of real clients through the broker: what they see and do is, line for line, what it is without one."""

from __future__ import annotations

import sys

import pytest

from tests.journeys.library import LibraryStage
from tests.peers import found

DAYS = ("psycopg", "psycopg2", "asyncpg", "sqlalchemy", "django", "node", "jdbc")


@pytest.mark.parametrize("client", DAYS)
def test_a_day_of_reading_in_prod_is_as_without_a_broker(library: LibraryStage, client: str) -> None:
    day = _day(client, "reads")
    through = library.exec("library-prod", day).fine()
    assert through.out == library.straight(day).fine().out
    assert through.out.endswith("the day is over\n")


@pytest.mark.parametrize("client", DAYS)
def test_a_day_of_writing_in_dev_is_as_without_a_broker(library: LibraryStage, client: str) -> None:
    day = _day(client, "writes")
    through = library.exec("copy-dev", day).fine()
    assert through.out == library.straight(day, "copy-dev").fine().out
    assert through.out.endswith("the day is over\n")


def _day(client: str, what: str) -> list[str]:
    if client == "node":
        found.require("node clients")
        return ["node", str(found.NODE_CLIENTS / "day.mjs"), what]
    if client == "jdbc":
        found.require("pgjdbc")
        return ["java", "-cp", str(found.jdbc_driver()), str(found.JDBC / "JdbcDay.java"), what]
    # Warnings of a client's own code are none of ours.
    return [sys.executable, "-W", "ignore", "-m", f"tests.peers.days.{client}_day", what]
