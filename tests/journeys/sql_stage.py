"""The stage of `hoopx sql`: the ordinary one, where deleting payments needs a person to agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.journeys.stage import Stage, playing
from tests.journeys.test_held_statements import RULE
from tests.peers import found
from tests.peers.postgres import Postgres


@contextmanager
def sql_stage(home: Path, postgres: Postgres) -> Iterator[Stage]:
    found.require("psql")
    stage = Stage(home, postgres)
    (stage.home / "policies" / "90-payments.cedar").write_text(RULE)
    with playing(stage) as played:
        yield played
