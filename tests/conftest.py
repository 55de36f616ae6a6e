"""What every test may ask for: real PostgreSQL servers, and a header that says which peers this machine has."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hoopx_broker.terms.settings import StateUrl
from tests.peers import found, state
from tests.peers.mariadb import MariaDb, running
from tests.peers.postgres import Foundry, Installation, Postgres, installations
from tests.peers.vault.peer import DoubleVault, Vault, double, real
from tests.peers.vault.peer import program as real_program

if TYPE_CHECKING:
    from tests.peers.aws import Aws

# Where files run side by side the longest come first, so that none is still running when all others are done.
LONGEST = (
    "journeys/test_native_sessions.py",
    "journeys/test_events_all.py",
    "journeys/test_sql.py",
    "journeys/test_evidence.py",
    "journeys/test_recording_faults.py",
    "journeys/test_docs_tasks.py",
    "journeys/test_state_away.py",
    "unit/test_cli_completion_tab.py",
    "journeys/test_signin_providers.py",
    "journeys/test_command_line_days.py",
    "journeys/test_faults.py",
    "journeys/test_ci_templates.py",
    "journeys/test_jobs.py",
    "journeys/test_login_elsewhere.py",
    "journeys/test_unmask.py",
    "journeys/test_client_days.py",
    "journeys/test_agents.py",
    "journeys/test_revocation.py",
    "journeys/test_demo.py",
    "unit/test_plugins_postgres_role.py",
    "laws/test_masking_canaries.py",
    "unit/test_masking_detect.py",
    "unit/test_plugins_postgres_drop.py",
    "journeys/test_native_hostile.py",
    "journeys/test_masking_day.py",
    "journeys/test_ordinary_life.py",
    "journeys/test_bad_input.py",
    "journeys/test_masked_reads.py",
    "laws/test_masking_review.py",
)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Processes side by side each compile a part of the tests first, and find what the others have compiled.

    What cannot be imported is imported again where it is collected, and told there.
    """
    beside = getattr(session.config, "workerinput", None)
    if beside is None or session.config.args != session.config.getini("testpaths"):
        return
    home = Path(__file__).parent
    number, processes = int(beside["workerid"].removeprefix("gw")), beside["workercount"]
    for file in sorted(home.glob("*/test_*.py"))[number::processes]:
        with warnings.catch_warnings(action="error"), suppress(Exception, pytest.skip.Exception):
            import_module(".".join(file.relative_to(home.parent).with_suffix("").parts))


def pytest_report_header() -> list[str]:
    return found.header()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Within a file nothing changes. What is slow waits for `make slow`."""
    if not config.option.markexpr:
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
    home = Path(__file__).parent
    places = {home / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session")
def foundry(tmp_path_factory: pytest.TempPathFactory) -> Foundry:
    """Where PostgreSQL servers come from."""
    found.require("postgres")
    directory = tmp_path_factory.mktemp("postgres")
    beside = "PYTEST_XDIST_WORKER" in os.environ
    return Foundry(directory, tmp_path_factory.getbasetemp().parent if beside else directory)


@pytest.fixture(scope="session")
def postgres(foundry: Foundry) -> Iterator[Postgres]:
    """A running PostgreSQL shared by the whole run: leave it as you found it."""
    with foundry.server(installations()[0]) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A running MariaDB shared by the whole run: leave it as you found it."""
    found.require("mariadb")
    with running(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture(scope="session")
def state_server(postgres: Postgres) -> Postgres:
    """The shared PostgreSQL, with what `fresh_state` copies."""
    state.make_template(postgres)
    return postgres


@pytest.fixture(scope="session")
def shared_state(state_server: Postgres) -> Iterator[state.SharedState]:
    with state.fresh_state(state_server) as where:
        shared = state.SharedState(state_server, where.shown.rpartition("/")[2])
        yield shared
        shared.close()


@pytest.fixture
def state_url(shared_state: state.SharedState) -> StateUrl:
    """A state in PostgreSQL with nothing in it, for one test at a time."""
    return shared_state.empty()


@pytest.fixture(params=["sqlite", "postgres"])
def each_state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The test runs once for each kind of state: stages ask `state_in(tmp_path)` where theirs is."""
    if request.param == "sqlite":
        yield "sqlite"
        return
    where: StateUrl = request.getfixturevalue("state_url")
    with state.in_place_of(tmp_path, where):
        yield "postgres"


@pytest.fixture
def own_postgres(foundry: Foundry) -> Iterator[Postgres]:
    """A PostgreSQL for this test alone: stop it, break it, fill it."""
    with foundry.server(installations()[0]) as server:
        yield server


@pytest.fixture(scope="session")
def every_postgres(foundry: Foundry) -> Iterator[Callable[[Installation], Postgres]]:
    """A running PostgreSQL of each version, started when it is first asked for: files of tests share them."""
    with ExitStack() as stack:
        yield cache(lambda installation: stack.enter_context(foundry.server(installation)))


def _each_version() -> list[object]:
    """Those in between brought nothing that concerns us: they wait for `make slow`."""
    majors = [each.major for each in installations()]
    between = {13, 14, 17}.difference([min(majors), max(majors)] if majors else [])
    marks = {major: [pytest.mark.slow] if major in between else [] for major in majors}
    return [pytest.param(each, marks=marks[each.major]) for each in installations()] or [None]


@pytest.fixture(
    scope="session",
    params=_each_version(),
    ids=lambda each: f"postgres-{each.major}" if isinstance(each, Installation) else "postgres",
)
def each_postgres(request: pytest.FixtureRequest, every_postgres: Callable[[Installation], Postgres]) -> Postgres:
    """The shared PostgreSQL of each version found: the test runs once for every one, and leaves it as it was."""
    return every_postgres(request.param)


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoubleVault]:
    """The double of Vault, with its faults, for the tests of one module: give mounts and roles names of your own."""
    with double(tmp_path_factory.mktemp("vault")) as running:
        yield running


@pytest.fixture(scope="session", params=["double", "real"])
def each_vault(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    """The double and a real OpenBao or Vault in turn: what a test says holds for both. Use a mount of your own."""
    home = tmp_path_factory.mktemp("vault")
    if request.param == "double":
        with double(home) as running:
            yield running
        return
    found.require("openbao")
    program = real_program()
    assert program is not None
    with real(home, program) as server:
        yield server


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """AWS as moto plays it, shared by the whole run: names of one's own, please."""
    from tests.peers.aws import aws_server  # boto3 and moto, which most runs of few tests need not wait for

    with aws_server(tmp_path_factory.mktemp("aws")) as server:
        yield server
