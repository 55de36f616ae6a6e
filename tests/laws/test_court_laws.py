"""Memory changes nothing: a court that has ruled on much says what a court that has ruled on nothing would say."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from hoopx_broker.policy.facts import sql
from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.load import load
from hoopx_broker.session.court import Bench, Court, Hearing
from hoopx_broker.session.ground import Ground
from hoopx_broker.session.reader import Facts, StatementReader
from hoopx_broker.terms.catalog import Catalog, Relation
from hoopx_broker.terms.facts import Unreadable
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.terms.targets import ColumnName, Target, UpstreamTls
from hoopx_broker.wire.effects import Judge, Passage
from tests.laws.depth import examples

JUDGE = CedarJudge(load(Path(__file__).parents[2] / "policies"))
ANN = Principal("ann", "human", ("developers",))
EMAIL = ColumnName("public", "people", "email")
SHOP = Target(
    "shop",
    "postgres",
    "db.internal",
    5432,
    "app",
    UpstreamTls("disable", None),
    "static",
    {"env": "dev"},
    {EMAIL: "email"},
)
RELATIONS = {n: Relation(n, "public", name, "r") for n, name in enumerate(("people", "orders"), 1)}
CATALOG = Catalog(RELATIONS, {each.name: (each,) for each in RELATIONS.values()}, {EMAIL: ((1, 3),)})

# Kept close to each other, so that a memory that confuses them has every chance to.
shapes = st.sampled_from(
    [
        "select {column} from {table} where id = {number}",
        "select {column} from {table}",
        "select lower({column}::text) from {table} where id = {number}",
        "select id from {table} where {column} = '{number}'",
        "update {table} set {column} = '{number}' where id = {number}",
        "update {table} set {column} = '{number}'",
        "delete from {table} where id = {number} returning {column}",
        "insert into orders select * from {table} where id = {number}",
        "select {column} from {table}; select {number}",
        "create table t{number} as select {column} from {table}",
        "prepare p{number} as select {column} from {table}",
        "set application_name to '{number}'",
        "copy {table} ({column}) to stdout",
        "selec {column} from {table}",
    ]
)
statements = st.builds(
    lambda shape, table, column, number: str(shape).format(table=table, column=column, number=number),
    shapes,
    st.sampled_from(["people", "orders", "public.people", "other.people"]),
    st.sampled_from(["id", "email", "*"]),
    st.integers(0, 3),
)


class _ReaderHere:
    """Reads in this process: these statements kill no parser."""

    async def read(self, text: bytes) -> Facts | Unreadable:
        return sql.read(text)


def _court() -> Hearing:
    async def catalog(before: Catalog | None) -> Catalog:
        return CATALOG

    async def nobody(*_: object) -> tuple[frozenset[str], str] | Deny:
        return Deny("nobody is here", "people")

    reader = cast(StatementReader, _ReaderHere())
    return Court(Bench(lambda: JUDGE, reader, catalog, nobody, Ground(), lambda: 600.0), ANN, SHOP, CATALOG).hear()


async def _says(court: Hearing, text: str) -> Passage | Deny:
    asked = Judge(text.encode(), executes=True)
    return court.known(asked) or await court.rule(asked, lambda *_: None)


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(statements, min_size=2, max_size=15))
def test_a_court_with_a_memory_rules_as_one_without(texts: list[str]) -> None:
    async def play() -> None:
        remembering = _court()
        for text in texts:
            assert await _says(remembering, text) == await _says(_court(), text)

    asyncio.run(play())
