"""Make sessions of databases: the catalog read, the court in place, and people asked about single statements."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

import msgspec

from hoopx_broker.api.messages import AskToUnmask, Event, RequestView
from hoopx_broker.masking.labels import UNREADABLE
from hoopx_broker.session.catalog import CatalogReader, Fresh
from hoopx_broker.session.court import Bench, Court, Start
from hoopx_broker.session.database_session import DatabaseParts, login_of
from hoopx_broker.session.ground import Ground
from hoopx_broker.session.holding import Holder
from hoopx_broker.session.live import Notify
from hoopx_broker.session.permits import duration_of
from hoopx_broker.session.services import Services, target_for
from hoopx_broker.session.unmasking import Wish, ask_to_unmask
from hoopx_broker.terms.catalog import Catalog
from hoopx_broker.terms.entries import Opened
from hoopx_broker.terms.ids import LeaseId
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.targets import Target

MAX_TOLD = 20  # labels to put right, in one line: anybody who owns a table may write more of them


class Databases:
    """What sessions of one database share, and what each of them begins with."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._grounds = {name: Ground() for name in services.targets}
        # One for each person with a session, so that many sessions of one do not hold up the others.
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def prepare(self, opened: Opened, target: Target, login: DatabaseLogin, notify: Notify) -> DatabaseParts:
        """Nothing stays connected on failure."""
        services = self._services
        fresh = self._fresh(LeaseId(opened.lease), target)
        reader = CatalogReader(target, login, services.crew, services.reader, fresh)
        try:
            bench = self._bench(opened, target, reader)
            start = Start(await reader.search_path(), login.user)
            catalog = await bench.ground.at(int(services.clock()) // 60, bench.read_catalog)
        except BaseException:
            await reader.close()
            raise
        _warn_of_typos(target, catalog, notify)
        court = Court(bench, opened.principal, target, catalog, start, opened.reason, opened.ticket)
        return DatabaseParts(login, court, reader, fresh)

    async def ask_to_unmask(self, ask: AskToUnmask, who: Principal) -> RequestView:
        """File a request to see classes of data raw. Raises a `HoopxError` that says why there is none."""
        services = self._services
        target = target_for(services, who, ask.target)
        catalog = self._grounds[target.name].catalog
        labelled = None
        if catalog is not None:
            labelled = frozenset(catalog.labelled.values())
            target = msgspec.structs.replace(target, classify={**catalog.labelled, **target.classify})
        wish = Wish(who, target, ask, duration_of(ask.duration, target), labelled)
        return await ask_to_unmask(wish, services.judge(), services.desk, int(services.clock()) // 60 * 60)

    def _fresh(self, lease: LeaseId, target: Target) -> Fresh:
        async def fresh() -> DatabaseLogin:
            return login_of(await self._services.keeper.fresh(lease), target.name)

        return fresh

    def _bench(self, opened: Opened, target: Target, reader: CatalogReader) -> Bench:
        services, who = self._services, opened.principal
        return Bench(
            services.judge,
            services.reader,
            reader.catalog,
            Holder(services, opened, reader).ask,
            self._grounds[target.name],
            services.clock,
            self._turns.setdefault((who.issuer, who.on_behalf_of or who.user), asyncio.Lock()),
            reader.function,
        )


def _warn_of_typos(target: Target, catalog: Catalog, notify: Notify) -> None:
    """A classified column that is not there hides nothing: it may be misspelt, and the real one shown raw."""
    missing = [str(column) for column, places in catalog.classified.items() if not places]
    if missing:
        notify(Event("warning", f"classified in the configuration, but not in the database: {', '.join(missing)}"))
    labelled = [column for column in catalog.labelled if column not in target.classify]
    unread = [str(column) for column in labelled if catalog.labelled[column] == UNREADABLE]
    if unread:
        more = f" and {len(unread) - MAX_TOLD} more" if len(unread) > MAX_TOLD else ""
        told = ", ".join(unread[:MAX_TOLD]) + more
        notify(Event("warning", f"masked, because the word `hoopx:` of their label names no class: {told}"))
