"""The broker logs in to a real server as it is asked to, and tells a clear password to none but a verified one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.stage import Stage, playing
from tests.peers import found
from tests.peers.postgres import Foundry, Postgres, installations

# User, how it is asked for its password (pg_hba.conf), and how the server keeps that.
LOGINS = {
    "by_scram": ("scram-sha-256", "scram-sha-256"),
    "by_md5": ("md5", "md5"),
    "by_password": ("password", "scram-sha-256"),
    "by_trust": ("trust", "scram-sha-256"),
}
PASSWORD = "pass-w\u00f6rd with 'quotes'"


class Upstream(Stage):
    """A target for each way to log in, by TLS that is verified, that is not, and without."""

    def _targets(self) -> Iterator[str]:
        self._secret("upstream-password", PASSWORD)
        for user in LOGINS:
            login = f"{{from: static, user: {user}, password: file:upstream-password}}"
            yield self._target(user.replace("_", "-"), "{env: dev}", login)
            for mode in ("require", "disable"):
                named = self._target(f"{user.replace('_', '-')}-{mode}", "{env: dev}", login)
                yield named.replace(f"{{mode: verify-full, ca: {self.postgres.ca}}}", f"{{mode: {mode}}}")


@pytest.fixture(scope="module")
def upstream(foundry: Foundry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    found.require("psql")
    with foundry.server(installations()[0]) as server:
        yield from _play(server, tmp_path_factory.mktemp("upstream"))


def _play(server: Postgres, home: Path) -> Iterator[Upstream]:
    for user, (method, kept) in LOGINS.items():
        quoted = PASSWORD.replace("'", "''")
        server.sql(f"SET password_encryption TO '{kept}'; CREATE ROLE {user} LOGIN PASSWORD '{quoted}'")
        server.sql(f"GRANT app_read TO {user}")
        server.let_in(f"host all {user} 127.0.0.1/32 {method}")
    stage = Upstream(home, server)
    with playing(stage):
        yield stage
    assert PASSWORD not in stage.broker_said()


@pytest.mark.parametrize("user", LOGINS)
def test_the_broker_proves_its_password_in_the_way_that_is_asked_for(upstream: Upstream, user: str) -> None:
    assert upstream.psql(user.replace("_", "-"), "SELECT current_user").fine().out == f"{user}\n"


@pytest.mark.parametrize("mode", ["require", "disable"])
@pytest.mark.parametrize("user", LOGINS)
def test_a_server_that_nobody_has_verified_is_not_told_a_clear_password(
    upstream: Upstream, user: str, mode: str
) -> None:
    outcome = upstream.psql(f"{user.replace('_', '-')}-{mode}", "SELECT 1")
    if user == "by_password":
        assert outcome.code != 0
        assert PASSWORD not in outcome.err
    else:
        assert outcome.fine().out == "1\n"
