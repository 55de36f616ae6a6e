"""A stage for leases at Vault: a Vault, a PostgreSQL behind it, a login for the broker, and one for people."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hoopx_broker.seams.issuer import Issuer
from hoopx_broker.terms.ids import new_lease_id, new_session_id
from hoopx_broker.terms.leases import DatabaseLogin, Issued, Lease, Order
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, UpstreamTls
from hoopx_plugins.vault_database import VaultDatabaseIssuer, VaultDatabaseOptions
from hoopx_plugins.vault_server import AppRole, VaultServer
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually
from tests.peers.vault.peer import Vault

ANN = Principal("ann@example.com", "human")
PEOPLES_ISSUER = "https://login.example.com"
# What docs/credentials/vault.md says that the broker's own login needs.
REVOKER = "".join(
    f'path "{path}" {{ capabilities = ["update"] }}\n'
    for path in (
        "auth/token/revoke-accessor",
        "auth/token/lookup-accessor",
        "auth/token/renew-accessor",
        "sys/leases/revoke",
        "sys/leases/lookup",
        "sys/leases/renew",
    )
)
CREATE = """\
CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; GRANT app_read TO "{{name}}"
"""


# For scenes in which a real Vault would tell nothing new.
by_the_double = pytest.mark.parametrize("each_vault", ["double"], indirect=True)


class Pins:
    """What a broker has stored of a lease. It does not survive the pin with that number, before or after storing it."""

    def __init__(self, dies_before: int = 0, dies_after: int = 0) -> None:
        self.handle: dict[str, str] = {}
        self.count = 0
        self.died = asyncio.Event()
        self._before, self._after = dies_before, dies_after

    async def __call__(self, handle: dict[str, str]) -> None:
        self.count += 1
        if self.count == self._before:
            await self._die()
        self.handle = dict(handle)
        if self.count == self._after:
            await self._die()

    async def _die(self) -> None:
        """Nothing of this broker runs on; what it was about to do never comes."""
        self.died.set()
        await asyncio.Event().wait()


class VaultStage:
    """Mounts of its own in a Vault that others use too."""

    def __init__(self, vault: Vault, postgres: Postgres) -> None:
        self.vault, self.postgres = vault, postgres
        self.database = vault.enable(vault.fresh("db"), "database")
        tls = f"sslmode=verify-full&sslrootcert={postgres.ca}"
        url = f"postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{postgres.port}/app?{tls}"
        vault.database(self.database, "pg", url, postgres.superuser, postgres.superuser_password)
        self.role("ro")
        self.reader = vault.policy(
            vault.fresh("reads"), f'path "{self.database}/creds/*" {{ capabilities = ["read"] }}'
        )
        self.revoker = vault.policy(vault.fresh("revokes"), REVOKER)
        self.approle = vault.fresh("approle")
        times = {"token_ttl": "5m", "token_max_ttl": "2h"}
        self.role_id, self.secret_id = vault.approle("hoopx", self.reader, self.revoker, place=self.approle, **times)
        self._before = postgres.roles()

    def role(
        self,
        name: str,
        creation: str = CREATE,
        ttl: str = "5m",
        most: str = "4h",
        revocation: str | None = None,
        database: str = "pg",
    ) -> None:
        body = {"db_name": database, "creation_statements": [creation], "default_ttl": ttl, "max_ttl": most}
        body |= {"revocation_statements": [revocation]} if revocation else {}
        self.vault.write(f"{self.database}/roles/{name}", body)

    def server(self, **changes: Any) -> VaultServer:
        login = AppRole(Secret(self.role_id), Secret(self.secret_id), self.approle)
        return VaultServer(**{"address": self.vault.url, "ca": self.vault.ca, "approle": login, **changes})

    def order(self, options: Any, *, seconds: float = 1800, source: str = "vault-database", **more: Any) -> Order:
        target = Target("db", "postgres", "127.0.0.1", 1, "app", UpstreamTls(), source, credentials=options)
        return Order(new_lease_id(), new_session_id(), target, ANN, time.time() + seconds, **more)

    def database_order(self, role: str = "ro", server: VaultServer | None = None, **more: Any) -> Order:
        return self.order(VaultDatabaseOptions(role, self.database, vault=server or self.server()), **more)

    def issue(self, order: Order, issuer: Issuer | None = None) -> Issued:
        return asyncio.run((issuer or VaultDatabaseIssuer()).issue(order, Pins()))

    def revoke(self, order: Order, handle: dict[str, str], issuer: Issuer | None = None) -> None:
        """By an issuer that knows no more than what was stored."""
        asyncio.run((issuer or VaultDatabaseIssuer()).revoke(lease_of(order, handle), order.target))

    def lives(self, accessor: str) -> bool:
        """Is that token still good?"""
        return self.vault.ask("POST", "auth/token/lookup-accessor", {"accessor": accessor}).status == 200

    def made(self) -> set[str]:
        """The roles that Vault has made on the database server for this test."""
        return self.postgres.roles() - self._before

    def nothing_remains(self) -> None:
        """No role and no lease; a token's end takes those along within moments."""
        eventually(lambda: not self.made(), "no role that Vault made is left")
        eventually(lambda: not self.vault.leases(f"{self.database}/creds/ro"), "no lease is left")


class People:
    """A login method where people come in with the tokens of an identity provider."""

    def __init__(self, stage: VaultStage) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        vault, self.mount = stage.vault, stage.vault.enable_login(stage.vault.fresh("jwt"), "jwt")
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        pem = self._key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode()
        vault.write(f"auth/{self.mount}/config", {"jwt_validation_pubkeys": [pem], "bound_issuer": PEOPLES_ISSUER})
        role = {"role_type": "jwt", "user_claim": "email", "bound_audiences": ["hoopx"], "token_ttl": "5m"}
        policies = {"token_policies": [stage.reader]}
        vault.write(f"auth/{self.mount}/role/people", {**role, **policies, "token_max_ttl": "2h"})

    def token(self, **changes: Any) -> Secret:
        now = int(time.time())
        claims = {"iss": PEOPLES_ISSUER, "aud": "hoopx", "sub": "u-1", "email": ANN.user, "iat": now, "exp": now + 600}
        return Secret(jwt.encode(claims | changes, self._key, algorithm="ES256"))


def lease_of(order: Order, handle: dict[str, str]) -> Lease:
    return Lease(order.lease, order.session, "db", order.target.source, "", "ending", order.expires_at, handle)


def login_of(issued: Issued) -> DatabaseLogin:
    assert isinstance(issued.credential, DatabaseLogin)
    return issued.credential


def may_log_in(postgres: Postgres, login: DatabaseLogin) -> bool:
    try:
        psycopg.connect(postgres.dsn(login.user, login.password.reveal())).close()
    except psycopg.OperationalError:
        return False
    return True


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path
