"""The stages that journeys play on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.journeys import native
from tests.journeys.library import LibraryStage
from tests.journeys.stage import Stage, playing
from tests.peers import found
from tests.peers.postgres import Foundry, Postgres, installations


@pytest.fixture(scope="session")
def stage(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One stage for all scenes that leave it as they found it."""
    found.require("psql")
    with playing(Stage(tmp_path_factory.mktemp("stage"), postgres)) as played:
        yield played


@pytest.fixture
def own_stage(own_postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for one scene alone, with a PostgreSQL of its own: kill, stop and break what is on it."""
    found.require("psql")
    with playing(Stage(tmp_path_factory.mktemp("own-stage"), own_postgres)) as played:
        yield played


@pytest.fixture
def alone(stage: Stage) -> None:
    """For scenes that count: no session of another scene is open any more."""
    native.end_lingering(stage)


@pytest.fixture(scope="module")
def tidy(stage: Stage) -> Iterator[None]:
    """For modules of native clients: later ones find the stage as it was."""
    yield
    native.end_lingering(stage)


@pytest.fixture(scope="session")
def library(foundry: Foundry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LibraryStage]:
    """A stage with a rich database, shared by all scenes that leave it as they found it."""
    found.require("psql")
    home = tmp_path_factory.mktemp("library")
    with foundry.server(installations()[0]) as postgres, playing(LibraryStage(home, postgres)) as played:
        yield played
