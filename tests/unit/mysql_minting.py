"""A stage for users of MySQL and MariaDB: a real server, an administrator on it, and the leases of a test."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, cast

import pymysql

from hoopx_broker.terms.ids import new_lease_id, new_session_id
from hoopx_broker.terms.leases import Issued, Lease, Order
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import ColumnName, Target, TargetKind, TlsModeName, UpstreamTls
from hoopx_plugins.mysql_role import MysqlRoleIssuer, MysqlRoleOptions
from tests.peers.mariadb import MariaDb
from tests.unit.minting import ANN, login_of, pinned

# A kind that no session can be opened to yet: the issuer is tested at its seam.
MYSQL = cast(TargetKind, "mysql")
CLASSIFY = {ColumnName("app", "customers", "ssn"): "ssn"}


class Scene:
    def __init__(self, server: MariaDb) -> None:
        self.server = server
        self.issuer = MysqlRoleIssuer()
        self.orders: list[Order] = []

    def target(
        self, mode: TlsModeName = "verify-full", ca: Path | None = None, port: int = 0, **changes: Any
    ) -> Target:
        login: dict[str, Any] = {"user": self.server.admin, "password": Secret(self.server.admin_password)}
        options = MysqlRoleOptions(**(login | {"roles": ("app_read",)} | changes))
        tls = UpstreamTls(mode, str(ca or self.server.ca) if mode.startswith("verify") else None)
        where = (self.server.host, port or self.server.port, "app", tls, "mysql-role")
        return Target("db", MYSQL, *where, credentials=options, classify=CLASSIFY)

    def order(self, **changes: Any) -> Order:
        order = Order(new_lease_id(), new_session_id(), self.target(**changes), ANN, time.time() + 3600)
        self.orders.append(order)
        return order

    def issue(self, **changes: Any) -> tuple[Order, Issued]:
        order = self.order(**changes)
        return order, asyncio.run(self.issuer.issue(order, pinned))

    def revoke(self, order: Order) -> None:
        asyncio.run(self.issuer.revoke(lease_of(order), order.target))

    def log_in(self, issued: Issued) -> pymysql.Connection[Any]:
        login = login_of(issued)
        return self.server.log_in(login.user, login.password.reveal())


def unlisted(target: Target) -> Order:
    """Of which nothing is left, for nothing is made."""
    return Order(new_lease_id(), new_session_id(), target, ANN, 0.0)


def lease_of(order: Order) -> Lease:
    """As it is stored where the broker died before the answer."""
    return Lease(order.lease, order.session, "db", "mysql-role", "", "pending", order.expires_at)


def ask(connection: pymysql.Connection[Any], text: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(text)
        return list(cursor.fetchall())
