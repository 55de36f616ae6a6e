"""What every test may ask for: real PostgreSQL servers, and a header that says which peers this machine has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peers import found
from tests.peers.postgres import Foundry, Installation, Postgres, installations
from tests.peers.vault.peer import DoubleVault, Vault, double, real
from tests.peers.vault.peer import program as real_program


def pytest_report_header() -> list[str]:
    return found.header()


@pytest.fixture(scope="session")
def foundry(tmp_path_factory: pytest.TempPathFactory) -> Foundry:
    """Where PostgreSQL servers come from."""
    found.require("postgres")
    return Foundry(tmp_path_factory.mktemp("postgres"))


@pytest.fixture(scope="session")
def postgres(foundry: Foundry) -> Iterator[Postgres]:
    """A running PostgreSQL shared by the whole run: leave it as you found it."""
    with foundry.server(installations()[0]) as server:
        yield server


@pytest.fixture
def own_postgres(foundry: Foundry) -> Iterator[Postgres]:
    """A PostgreSQL for this test alone: stop it, break it, fill it."""
    with foundry.server(installations()[0]) as server:
        yield server


@pytest.fixture(
    scope="session",
    params=installations() or [None],
    ids=lambda each: f"postgres-{each.major}" if isinstance(each, Installation) else "postgres",
)
def each_postgres(request: pytest.FixtureRequest, foundry: Foundry) -> Iterator[Postgres]:
    """The shared PostgreSQL of each version found: the test runs once for every one."""
    with foundry.server(request.param) as server:
        yield server


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
