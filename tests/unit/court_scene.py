"""What tests of the session's court share: a policy of their own, and a reader of statements while they run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

from hoopx_broker.seams.judge import Circumstances, Consent, IdentityAction
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.terms.facts import StatementFacts
from hoopx_broker.terms.people import Owner, Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling
from hoopx_broker.terms.targets import ColumnName, Target, UpstreamTls

ANN = Principal("ann", "human")
SHOP = Target("shop", "postgres", "db.internal", 5432, "app", UpstreamTls("disable", None), "static")


class Bookkeeper:
    """A policy that forbids the table `secrets`, asks about `payments`, and counts how often it is asked."""

    version = "1"
    asks_parameters = False

    def __init__(self) -> None:
        self.asked = 0

    def opening(self, who: Principal, target: Target, circumstances: Circumstances) -> Ruling:
        return Allow()

    def extending(self, who: Principal, target: Target, circumstances: Circumstances) -> Ruling:
        return Allow()

    def statements(
        self,
        who: Principal,
        target: Target,
        facts: Sequence[StatementFacts],
        circumstances: Circumstances,
        hidden: Collection[ColumnName] | None = None,
    ) -> Ruling:
        self.asked += 1
        names = {use.name for each in facts for use in each.tables}
        if "secrets" in names:
            return Deny("no secrets", "no-secrets")
        if "payments" in names and "dba" not in circumstances.approvals:
            return Ask("payments need a second pair of eyes", ("payments",), {"dba": 1})
        return Allow(("reading",))

    def hidden(self, who: Principal, target: Target, consent: Consent = Consent()) -> dict[ColumnName, str]:
        return {}

    def hidden_classes(
        self, who: Principal, target: Target, classes: Collection[str], consent: Consent = Consent()
    ) -> frozenset[str]:
        return frozenset()

    def unmasking(
        self, who: Principal, target: Target, classes: Collection[str], circumstances: Circumstances
    ) -> Ruling:
        return Allow()

    def may_view_session(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        return Allow()

    def may_change_identity(self, action: IdentityAction, who: Principal, user: str) -> Ruling:
        return Allow()

    def may_view_log(self, who: Principal) -> Ruling:
        return Allow()

    def may_hold(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        return Allow()

    def may_collect(self, who: Principal, target: Target) -> Ruling:
        return Allow()

    def may_kill_session(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        return Allow()

    def may_view_lease(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        return Allow()

    def may_revoke_lease(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        return Allow()


def with_reader(act: Callable[[StatementReader], Awaitable[None]]) -> None:
    """Let a scene read statements as the broker does, in a child that ends with it."""

    async def run() -> None:
        reader = StatementReader()
        try:
            await act(reader)
        finally:
            await reader.close()

    asyncio.run(run())


async def nobody(*_: object) -> Deny:
    """In the place of the people who are asked."""
    return Deny("nobody is there", "people")
