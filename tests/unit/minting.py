"""A stage for minted roles: a real server, one administrator on it, and the leases of a test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from hoopx_broker.terms.ids import new_lease_id, new_session_id
from hoopx_broker.terms.leases import DatabaseLogin, Issued, Lease, Order
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, UpstreamTls
from hoopx_plugins.postgres_role import PostgresRoleIssuer, PostgresRoleOptions, role_name
from tests.peers.postgres import Postgres


async def pinned(handle: dict[str, str]) -> None:
    """Where no broker keeps what an issuer pins."""


ANN = Principal("ann", "human")
ADMINISTRATORS = ["superuser", "createrole"]


class Scene:
    """One server, one administrator, and the leases of this test."""

    def __init__(self, server: Postgres, admin: str, password: str) -> None:
        self.server = server
        self.admin, self.password = admin, password
        self._secret = Secret(password)  # one, as in a configuration: connections are kept by it
        self.issuer = PostgresRoleIssuer()
        self.orders: list[Order] = []

    def target(self, **changes: Any) -> Target:
        login: dict[str, Any] = {"user": self.admin, "password": self._secret, "roles": ("app_read",)}
        options = PostgresRoleOptions(**(login | changes))
        tls = UpstreamTls(mode="verify-full", ca=str(self.server.ca))
        host, port = self.server.host, self.server.port
        return Target("db", "postgres", host, port, self.server.database, tls, "postgres-role", credentials=options)

    def order(self, **options: Any) -> Order:
        end = time.time() + 3600
        self.orders.append(Order(new_lease_id(), new_session_id(), self.target(**options), ANN, end))
        return self.orders[-1]

    def issue(self, **options: Any) -> tuple[Order, Issued]:
        order = self.order(**options)
        return order, asyncio.run(self.issuer.issue(order, pinned))

    def revoke(self, order: Order, issued: Issued | None = None) -> None:
        asyncio.run(self.issuer.revoke(lease_of(order, issued), order.target))

    def log_in(self, issued: Issued, database: str | None = None) -> psycopg.Connection[tuple[Any, ...]]:
        credential = login_of(issued)
        dsn = self.server.dsn(credential.user, credential.password.reveal(), database or self.server.database)
        return psycopg.connect(dsn, autocommit=True)

    def exists(self, order: Order) -> bool:
        return role_name(order.session) in self.server.roles()

    def superuser(self, text: str, database: str | None = None) -> list[tuple[Any, ...]]:
        return self.server.sql(text, database or self.server.database)


def login_of(issued: Issued) -> DatabaseLogin:
    assert isinstance(issued.credential, DatabaseLogin)
    return issued.credential


def lease_of(order: Order, issued: Issued | None = None) -> Lease:
    """As it is stored: without a handle where the broker died before the answer."""
    state, handle = ("live", issued.handle) if issued else ("pending", {})
    return Lease(order.lease, order.session, "db", "postgres-role", "", state, order.expires_at, handle)  # type: ignore[arg-type]


@contextmanager
def scene_with(server: Postgres, administrator: str) -> Iterator[Scene]:
    """Ends with every lease of the test revoked, and no minted role left."""
    if administrator == "superuser":
        scene = Scene(server, server.superuser, server.superuser_password)
    else:
        scene = Scene(server, server.admin, server.admin_password)
    yield scene
    for order in scene.orders:
        scene.revoke(order)
    assert server.roles("hoopx_s_") == set()
