"""What Vault's database engine and its leases promise: held against a real one and the double.

Sources: the pages `secret/databases`, `secret/databases/postgresql` and `system/leases` of Vault's API documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from msgspec import Struct

from tests.peers.postgres import Postgres
from tests.peers.processes import eventually
from tests.peers.vault.peer import Vault

CREATE = """\
CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; GRANT app_read TO "{{name}}"
"""
HALF_WAY = """\
CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}'; GRANT no_such_role TO "{{name}}"
"""


class Stage(Struct):
    """A database engine of its own, with a PostgreSQL behind it whose administrator is its superuser."""

    vault: Vault
    postgres: Postgres
    place: str

    def role(self, name: str, *creation: str, **more: Any) -> str:
        body = {"db_name": "pg", "creation_statements": list(creation or [CREATE]), **more}
        self.vault.write(f"{self.place}/roles/{name}", body)
        return f"{self.place}/creds/{name}"

    def has(self, user: str) -> bool:
        return user in self.postgres.roles()

    def may_log_in(self, user: str, password: str) -> bool:
        try:
            psycopg.connect(self.postgres.dsn(user, password)).close()
        except psycopg.OperationalError:
            return False
        return True

    def revoke(self, lease_id: str) -> tuple[int, str]:
        reply = self.vault.ask("PUT", "sys/leases/revoke", {"lease_id": lease_id, "sync": True})
        return reply.status, "".join(reply.errors)


@pytest.fixture
def stage(each_vault: Vault, postgres: Postgres) -> Iterator[Stage]:
    place = each_vault.enable(each_vault.fresh("db"), "database")
    each_vault.database(place, "pg", url_of(postgres), postgres.superuser, postgres.superuser_password)
    yield Stage(each_vault, postgres, place)
    each_vault.write(f"sys/leases/revoke-force/{place}")
    each_vault.delete(f"sys/mounts/{place}")


def url_of(postgres: Postgres) -> str:
    tls = f"sslmode=verify-full&sslrootcert={postgres.ca}"
    return f"postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{postgres.port}/app?{tls}"


def test_a_credential_is_a_real_login_and_its_lease_says_for_how_long(stage: Stage) -> None:
    path = stage.role("ro", default_ttl="1m", max_ttl="3m")
    told = stage.vault.read(path)
    assert told["lease_id"].startswith(f"{path}/")
    assert (told["lease_duration"], told["renewable"]) == (60, True)
    assert set(told["data"]) == {"username", "password"}
    assert stage.may_log_in(**{"user" if k == "username" else k: v for k, v in told["data"].items()})
    about = stage.vault.write("sys/leases/lookup", {"lease_id": told["lease_id"]})["data"]
    assert about["id"] == told["lease_id"]
    assert about["last_renewal"] is None
    assert 57 <= about["ttl"] <= 60
    assert stage.vault.leases(path) == [told["lease_id"]]


def test_the_name_of_a_role_says_who_asked_and_for_what(stage: Stage) -> None:
    path = stage.role("reporting")
    policy = stage.vault.policy(f"of-{stage.place}", f'path "{path}" {{ capabilities = ["read"] }}')
    token = stage.vault.token(policy, display_name="ann", ttl="5m")["client_token"]
    user = stage.vault.read(path, token=token)["data"]["username"]
    assert user.startswith("v-token-an-reportin-")  # eight letters of each
    assert len(user) <= 63


def test_revoking_a_lease_drops_the_role_before_it_answers(stage: Stage) -> None:
    told = stage.vault.read(stage.role("ro"))
    assert stage.revoke(told["lease_id"]) == (204, "")
    assert not stage.has(told["data"]["username"])
    assert stage.vault.ask("PUT", "sys/leases/lookup", {"lease_id": told["lease_id"]}).errors == ["invalid lease"]
    assert stage.revoke(told["lease_id"]) == (204, "")  # and may be repeated


def test_revoking_leaves_a_connection_that_is_open(stage: Stage) -> None:
    """Why the broker ends backends itself: PostgreSQL does not, and so Vault does not."""
    told = stage.vault.read(stage.role("ro"))
    user, password = told["data"]["username"], told["data"]["password"]
    with psycopg.connect(stage.postgres.dsn(user, password)) as connection:
        assert stage.revoke(told["lease_id"]) == (204, "")
        assert not stage.may_log_in(user, password)
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_a_role_s_own_most_cuts_what_it_gives_by_default(stage: Stage) -> None:
    told = stage.vault.read(stage.role("ro", default_ttl="10m", max_ttl="2m"))
    assert told["lease_duration"] == 120
    assert "exceeded the effective max_ttl" in told["warnings"][0]


def test_revoking_what_never_was_is_no_error_but_naming_nothing_is(stage: Stage) -> None:
    assert stage.revoke(f"{stage.place}/creds/ro/never")[0] == 204
    assert stage.vault.ask("PUT", "sys/leases/revoke", {}).errors == ["lease_id must be specified"]


def test_a_lease_whose_role_cannot_be_dropped_stays_and_can_be_revoked_later(stage: Stage) -> None:
    told = stage.vault.read(stage.role("owner"))
    user = told["data"]["username"]
    stage.postgres.sql(f'CREATE TABLE kept_{stage.place} (i int); ALTER TABLE kept_{stage.place} OWNER TO "{user}"')
    status, error = stage.revoke(told["lease_id"])
    assert status == 400
    assert error.startswith("failed to revoke entry:")
    assert "cannot be dropped because some objects depend on it" in error
    assert stage.has(user)
    assert stage.vault.ask("PUT", "sys/leases/lookup", {"lease_id": told["lease_id"]}).status == 200
    stage.postgres.sql(f"DROP TABLE kept_{stage.place}")
    assert stage.revoke(told["lease_id"])[0] == 204
    assert not stage.has(user)


def test_revocation_statements_are_run_instead_of_the_default(stage: Stage) -> None:
    path = stage.role("own", revocation_statements=['DROP OWNED BY "{{name}}"; DROP ROLE "{{name}}"'])
    told = stage.vault.read(path)
    user = told["data"]["username"]
    stage.postgres.sql(f'CREATE TABLE left_{stage.place} (i int); ALTER TABLE left_{stage.place} OWNER TO "{user}"')
    assert stage.revoke(told["lease_id"])[0] == 204
    assert not stage.has(user)


def test_revoking_by_prefix_ends_every_lease_of_a_role(stage: Stage) -> None:
    path, other = stage.role("ro"), stage.role("rw")
    users = [stage.vault.read(path)["data"]["username"] for _ in range(2)]
    kept = stage.vault.read(other)["data"]["username"]
    assert stage.vault.ask("PUT", f"sys/leases/revoke-prefix/{path}", {"sync": True}).status == 204
    assert [stage.has(user) for user in [*users, kept]] == [False, False, True]
    assert stage.vault.leases(path) == []
    assert stage.vault.ask("LIST", f"sys/leases/lookup/{path}").status == 404


def test_force_forgets_a_lease_and_leaves_the_role(stage: Stage) -> None:
    told = stage.vault.read(stage.role("stuck", revocation_statements=["DROP ROLE nobody_at_all"]))
    assert stage.revoke(told["lease_id"])[0] == 400
    assert stage.vault.ask("PUT", f"sys/leases/revoke-force/{stage.place}/creds/stuck").status == 204
    assert stage.vault.leases(f"{stage.place}/creds/stuck") == []
    assert stage.has(told["data"]["username"])
    stage.postgres.sql(f'DROP ROLE "{told["data"]["username"]}"')


def test_renewing_moves_the_end_in_vault_and_in_the_database(stage: Stage) -> None:
    told = stage.vault.read(stage.role("ro", default_ttl="1m", max_ttl="10m"))
    user = told["data"]["username"]
    ends = f"SELECT extract(epoch FROM rolvaliduntil - now()) FROM pg_roles WHERE rolname = '{user}'"
    renewed = stage.vault.write("sys/leases/renew", {"lease_id": told["lease_id"], "increment": 300})
    assert (renewed["lease_id"], renewed["lease_duration"]) == (told["lease_id"], 300)
    assert renewed["data"] is None
    assert 295 < stage.postgres.sql(ends)[0][0] <= 306  # and a few seconds of slack
    assert stage.vault.write("sys/leases/renew", {"lease_id": told["lease_id"]})["lease_duration"] == 60


def test_renewing_past_the_most_is_capped_with_a_warning_and_no_error(stage: Stage) -> None:
    told = stage.vault.read(stage.role("ro", default_ttl="1m", max_ttl="3m"))
    renewed = stage.vault.write("sys/leases/renew", {"lease_id": told["lease_id"], "increment": "1h"})
    assert 177 <= renewed["lease_duration"] <= 180
    capped = 'TTL of "1h" exceeded the effective max_ttl of "3m"; TTL value is capped accordingly'
    assert renewed["warnings"] == [capped]


def test_what_cannot_be_renewed_says_why(stage: Stage) -> None:
    assert stage.vault.ask("PUT", "sys/leases/renew", {"lease_id": "nope"}).errors == ["lease not found"]
    path = stage.role("gone")
    told = stage.vault.read(path)
    stage.vault.delete(f"{stage.place}/roles/gone")
    reply = stage.vault.ask("PUT", "sys/leases/renew", {"lease_id": told["lease_id"]})
    assert reply.status == 400
    assert 'could not find role with name "gone"' in reply.errors[0]
    assert stage.revoke(told["lease_id"])[0] == 204  # which needs no role of Vault's any more
    assert not stage.has(told["data"]["username"])


def test_a_lease_that_ends_takes_the_role_with_it(stage: Stage) -> None:
    told = stage.vault.read(stage.role("brief", default_ttl="1s", max_ttl="1s"))
    assert told["lease_duration"] == 1
    eventually(lambda: not stage.has(told["data"]["username"]), "the role is dropped at the end of its lease", 10)


def test_a_creation_that_fails_half_way_leaves_no_role(stage: Stage) -> None:
    path = stage.role("bad", HALF_WAY)
    before = stage.postgres.roles("v-")
    reply = stage.vault.ask("GET", path)
    assert reply.status == 500
    assert 'role "no_such_role" does not exist' in reply.errors[0]
    assert stage.postgres.roles("v-") == before
    assert stage.vault.leases(path) == []


def test_asking_for_what_is_not_configured(stage: Stage) -> None:
    ask, place = stage.vault.ask, stage.place
    assert (ask("GET", f"{place}/creds/none").status, ask("GET", f"{place}/creds/none").errors) == (
        400,
        ["unknown role: none"],
    )
    stage.role("lost", db_name="elsewhere")
    reply = ask("GET", f"{place}/creds/lost")
    assert reply.status == 500
    assert 'failed to find entry for connection with name: "elsewhere"' in reply.errors[0]
    stage.role("ro")
    stage.vault.write(f"{place}/config/pg", {"allowed_roles": "other", "plugin_name": "postgresql-database-plugin"})
    reply = ask("GET", f"{place}/creds/ro")
    assert reply.status == 500
    assert '"ro" is not an allowed role' in reply.errors[0]
    assert ask("GET", f"{place}/roles/none").errors == []
    assert ask("POST", f"{place}/roles/x", {"creation_statements": ["x"]}).errors == ["database name is required"]


def test_a_wrong_password_of_the_administrator_is_told_at_once_and_not_shown(stage: Stage) -> None:
    body = {"plugin_name": "postgresql-database-plugin", "connection_url": url_of(stage.postgres)}
    reply = stage.vault.ask("POST", f"{stage.place}/config/x", {**body, "username": "postgres", "password": "wr0ng"})
    assert reply.status == 400
    assert reply.errors[0].startswith("error creating database object: error verifying connection")
    assert "wr0ng" not in reply.errors[0]
    shown = stage.vault.read(f"{stage.place}/config/pg")["data"]
    assert stage.postgres.superuser_password not in str(shown)


def test_the_end_of_a_token_revokes_its_leases_but_the_answer_comes_before(stage: Stage) -> None:
    """Documented: the token is revoked and its leases too. Not documented, and so on real ones: they follow after."""
    path = stage.role("ro")
    policy = stage.vault.policy(f"of-{stage.place}", f'path "{path}" {{ capabilities = ["read"] }}')
    auth = stage.vault.token(policy, ttl="5m")
    told = stage.vault.read(path, token=auth["client_token"])
    reply = stage.vault.ask("POST", "auth/token/revoke-accessor", {"accessor": auth["accessor"]})
    assert reply.status == 204
    eventually(lambda: not stage.has(told["data"]["username"]), "the role is dropped after its token", 10)


def test_a_lease_that_could_not_follow_its_token_stays_to_be_revoked(stage: Stage) -> None:
    path = stage.role("stuck", revocation_statements=["DROP ROLE nobody_at_all"])
    policy = stage.vault.policy(f"of-{stage.place}", f'path "{path}" {{ capabilities = ["read"] }}')
    auth = stage.vault.token(policy, ttl="5m")
    told = stage.vault.read(path, token=auth["client_token"])
    assert stage.vault.ask("POST", "auth/token/revoke-accessor", {"accessor": auth["accessor"]}).status == 204
    assert not stage.vault.write("sys/leases/lookup", {"lease_id": told["lease_id"]})["data"]["renewable"]
    assert stage.revoke(told["lease_id"])[0] == 400
    stage.role("stuck", revocation_statements=['DROP ROLE "{{name}}"'])
    # The server tries by itself too, and whoever comes second may hear that the role is gone already.
    eventually(lambda: stage.revoke(told["lease_id"])[0] == 204, "it is revoked")
    assert not stage.has(told["data"]["username"])
