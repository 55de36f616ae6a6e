"""The fixed login: what the configuration holds, to nobody's eyes."""

from __future__ import annotations

import asyncio

from hoopx_broker.terms.ids import LeaseId, SessionId
from hoopx_broker.terms.leases import Lease, Order
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, UpstreamTls
from hoopx_plugins.static import StaticIssuer, StaticOptions
from tests.unit.minting import login_of, pinned

OPTIONS = StaticOptions(user="app", password=Secret("wren-4-harbour"))
TARGET = Target("db", "postgres", "127.0.0.1", 5432, "app", UpstreamTls(), "static", credentials=OPTIONS)
ORDER = Order(LeaseId("l_1"), SessionId("s_1"), TARGET, Principal("ann", "human"), 0.0)


def test_every_session_gets_the_configured_login() -> None:
    issued = asyncio.run(StaticIssuer().issue(ORDER, pinned))
    assert (login_of(issued).user, login_of(issued).password.reveal()) == ("app", "wren-4-harbour")
    assert issued.handle == {}


def test_its_password_is_printed_nowhere() -> None:
    issued = asyncio.run(StaticIssuer().issue(ORDER, pinned))
    assert "wren-4-harbour" not in f"{OPTIONS!r} {TARGET!r} {ORDER!r} {issued!r} {issued}"


def test_revoking_it_can_be_repeated() -> None:
    lease = Lease(ORDER.lease, ORDER.session, "db", "static", "app", "pending", 0.0)
    for _ in range(2):
        asyncio.run(StaticIssuer().revoke(lease, TARGET))
