"""Whom the broker believes, and how people and jobs come in, as its configuration says."""

from __future__ import annotations

import os
import time

import structlog

from hoopx_broker.api.messages import Jobs, SignIn
from hoopx_broker.daemon.pages.paper import Paper
from hoopx_broker.daemon.pages.signing_in import SigningIn
from hoopx_broker.daemon.place import Place
from hoopx_broker.identity.embedded.exchange import Identify, Subject
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.owners import is_everybodys
from hoopx_broker.identity.standing import Standing
from hoopx_broker.identity.verify import Gate, Trust, trust
from hoopx_broker.identity.visiting.trips import Trips
from hoopx_broker.identity.visiting.visits import Visits
from hoopx_broker.identity.visiting.ways import Ways
from hoopx_broker.session.loyalty import Loyalty
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import BrokerConfig

_log = structlog.get_logger()


async def embedded_of(settings: BrokerConfig, place: Place, store: Store, standing: Standing) -> Embedded | None:
    if settings.embedded is None:
        return None
    return await Embedded.create(settings.embedded, place.public_url, store, note=refused, standing=standing)


def signing_in_of(place: Place, store: Store, ways: Ways, loyalty: Loyalty, standing: Standing) -> SigningIn:
    trips, visits = Trips(store, time.time, os.urandom), Visits(store, standing, time.time, os.urandom)
    return SigningIn(ways, trips, visits, loyalty, Paper(place.public_url), place.public_url)


def exchanged(gate: Gate, loyalty: Loyalty) -> Identify:
    async def identify(token: Secret, key: str) -> Subject:
        # As it counts by now: the agent's token will be newer than what took a group away.
        identity = loyalty.learn(await gate.exchanged(token, key))
        return Subject(identity.who, identity.expires_at, identity.login)

    return identify


def trusts(settings: BrokerConfig, embedded: Embedded | None) -> list[Trust]:
    known = [trust(issuer, time.time, _keys_not_taken) for issuer in settings.identity]
    return [*known, embedded.trust()] if embedded else known


def sign_ins(settings: BrokerConfig, embedded: Embedded | None) -> tuple[SignIn, ...]:
    ways = [
        SignIn(issuer.issuer, issuer.client_id, issuer.audience, issuer.scopes)
        for issuer in settings.identity
        if issuer.client_id is not None
    ]
    return (*ways, *([embedded.sign_in()] if embedded else []))


def jobs(settings: BrokerConfig) -> tuple[Jobs, ...]:
    return tuple(Jobs(issuer.issuer, issuer.audience) for issuer in settings.identity if issuer.kind == "workload")


def warn_of_strangers(settings: BrokerConfig) -> None:
    for issuer in settings.identity:
        if is_everybodys(issuer.issuer) and not issuer.rules:
            _log.warning("identity.strangers", issuer=issuer.issuer, why="it has no rules: jobs of strangers get in")


def _keys_not_taken(why: str) -> None:
    _log.warning("identity.keys_not_taken", why=why)


def lent_agents(settings: BrokerConfig) -> tuple[str, ...]:
    """The agents that have no credential of their own."""
    known = settings.embedded.agents.values() if settings.embedded is not None else ()
    return tuple(sorted(agent.name for agent in known if agent.jwks is None and agent.secret is None))


def refused(why: str) -> None:
    _log.info("identity.refused", why=why)
