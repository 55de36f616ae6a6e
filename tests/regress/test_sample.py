"""A few quick files of PostgreSQL's own suite in every run of the tests; `make regress` runs them all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peers import found
from tests.peers.postgres import Foundry
from tests.regress.report import Compared
from tests.regress.sides import Course, direct, through
from tests.regress.source import suites

# Cursors, prepared statements, COPY between other statements, transactions, temporary tables, cached plans in PL/pgSQL.
SAMPLE = ("portals", "prepare", "copyselect", "transactions")


@pytest.fixture(scope="module")
def ways(foundry: Foundry) -> Iterator[tuple[Course, Course]]:
    """The direct one and the one through hoopx, each to a database with what all files of the suite build on."""
    found.require("psql")
    found.require("regression SQL")
    oldest = suites()[0]
    with direct(foundry, oldest) as one, through(foundry, oldest) as (other, _):
        assert one.run("test_setup") == other.run("test_setup")
        yield one, other


@pytest.mark.parametrize("name", SAMPLE)
def test_a_file_of_the_suite_says_the_same_through_hoopx(ways: tuple[Course, Course], name: str) -> None:
    one, other = ways
    said = one.run(name)
    assert b"SELECT" in said.upper(), said[:2000]
    assert Compared.of(name, said, other.run(name)).unexplained == []
