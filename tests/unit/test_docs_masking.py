"""The examples of docs/masking.md are true: each statement in its tables goes through the broker to a real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hoopx_broker.terms.masks import Masks, Shape
from hoopx_broker.terms.targets import ColumnName
from tests.canaries.harness import Broker
from tests.canaries.schemas import Schema
from tests.canaries.turns import Heard, Turn
from tests.peers.postgres import Postgres

PAGE = (Path(__file__).parents[2] / "docs" / "masking.md").read_text(encoding="utf-8")
REFUSED = "refused by `"

_ROW = re.compile(r"^\| `((?:SELECT|WITH|INSERT|UPDATE|CREATE|ALTER|COMMENT|COPY|DO|EXPLAIN) [^`]+)` \| (.+) \|$", re.M)
_SEEN = re.compile(r"`([^`]*)`|NULL")


def rows(heading: str) -> list[tuple[str, str]]:
    """Statements, and what is said of them, in the tables of one section."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## )", PAGE, re.DOTALL | re.MULTILINE)
    return _ROW.findall(section)


EXAMPLES = [row for heading in ("Lineage", "COPY", "EXPLAIN, errors, notices, notifications") for row in rows(heading)]
REFUSALS = rows("What is refused")


def example(language: str) -> str:
    return str(re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[0])


def shape(said: str | dict[str, str | int]) -> Shape:
    if isinstance(said, str):
        return Shape("format") if said == "format" else Shape("redact")
    return Shape("keep", last=int(said["characters"]))


def the_broker(postgres: Postgres, *, permissive: bool) -> Broker:
    said = yaml.safe_load(example("yml"))
    classify = {ColumnName(*name.split(".")): kind for name, kind in said["classify"].items()}
    masks = Masks({name: shape(each) for name, each in said["masks"].items()})
    schema = Schema([example("sql")], classify=classify)
    return Broker(postgres, schema, permissive=permissive, masks=masks, database=f"page_{permissive}".lower())


@pytest.fixture(scope="module")
def broker(postgres: Postgres) -> Iterator[Broker]:
    """Under the shipped rules."""
    broker = the_broker(postgres, permissive=False)
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def unguarded(postgres: Postgres) -> Iterator[Broker]:
    """Where rules permit everything."""
    unguarded = the_broker(postgres, permissive=True)
    yield unguarded
    unguarded.close()


def heard(broker: Broker, sql: str) -> Heard:
    """In a transaction of its own, that is rolled back."""
    broker.say(Turn("BEGIN"))
    last = broker.say(Turn(sql))
    broker.hang_up()
    return last


def seen(last: Heard) -> list[str | None]:
    return [*(cell for row in last.texts for cell in row), *last.copied.decode().splitlines()]


def test_the_examples_are_found() -> None:
    assert len(EXAMPLES) > 20
    assert len(REFUSALS) > 10


@pytest.mark.parametrize(("sql", "said"), EXAMPLES)
def test_the_client_sees_what_the_page_says(broker: Broker, sql: str, said: str) -> None:
    last = heard(broker, sql)
    if said.startswith(REFUSED):
        assert said.removeprefix(REFUSED).rstrip("`") in " ".join(last.told)
        assert not last.is_allowed
        return
    assert last.is_done, last.errors
    assert seen(last) == [None if found[0] == "NULL" else found[1] for found in _SEEN.finditer(said)]


@pytest.mark.parametrize(("sql", "_said"), REFUSALS)
def test_what_the_page_says_is_refused_is_refused_whatever_rules_permit(
    unguarded: Broker, sql: str, _said: str
) -> None:
    last = heard(unguarded, sql)
    assert not last.is_allowed
    assert any(told.startswith("denied: mask:") for told in last.told), last.told


def test_a_value_that_stays_where_it_is_passes(unguarded: Broker) -> None:
    assert heard(unguarded, "UPDATE customers SET email = lower(email) WHERE id = 1").is_done
