"""Run a command on behalf of a person: a socket on standby for each target, and nothing of the person's login."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from msgspec import Struct

from hoopx_broker.api.messages import Open, TargetView
from hoopx_broker.terms.errors import Denied
from hoopx_broker.terms.people import spoken
from hoopx_broker.tunnel.client import Broker
from hoopx_cli import front
from hoopx_cli.access import Access, environment_of_agent
from hoopx_cli.api import Api
from hoopx_cli.child import Child
from hoopx_cli.connect import command_of
from hoopx_cli.delegation import Delegation, agent_of
from hoopx_cli.doors import opened_door
from hoopx_cli.kit import Kit
from hoopx_cli.listener import Listener, listening
from hoopx_cli.session import Entrance
from hoopx_cli.signals import Signals
from hoopx_cli.standby import Enter, Standby
from hoopx_cli.unreadable import keep_from_others


class Delegate(Struct, frozen=True):
    """An agent that acts for a human, by what, and the targets that policy gives to both.

    `others` are those that it gives too, and that nothing on standby could serve.
    """

    agent: str
    human: str
    delegation: Delegation
    targets: list[TargetView]
    others: tuple[str, ...] = ()

    @property
    def spoken(self) -> str:
        return spoken(self.agent, self.human)


class Terms(Struct, frozen=True):
    """What sessions are opened with. Times in seconds: of a session, for people to agree, and without clients."""

    reason: str
    ticket: str
    duration: int
    wait: int
    idle: int


def delegate(kit: Kit, named: str) -> Delegate:
    """Raises `Denied` where the broker takes the token for anything but an agent's on behalf of a person."""
    keep_from_others()
    agent = agent_of(named, kit.environ, kit.api.about)
    delegation = Delegation(kit.api, kit.settings.broker, kit.credential, agent)
    api = Api(kit.settings, kit.tls, delegation.credential)
    who = api.whoami()
    if who.user != agent or who.on_behalf_of is None:
        raise Denied(f"the broker knows this token as `{who.user}`, not as an agent of yours", "tell who runs it")
    # What a newer broker has beside it is no reason to go without the rest.
    given = api.targets()
    targets = [target for target in given if target.kind in front.SPOKEN]
    others = tuple(target.name for target in given if target.kind not in front.SPOKEN)
    return Delegate(agent, who.on_behalf_of, delegation, targets, others)


def run(kit: Kit, delegate: Delegate, targets: Sequence[TargetView], terms: Terms, instructions: str) -> int:
    """The command's own exit code. Its sessions end with it, and without it whatever happens."""
    broker = Broker(kit.settings.broker, kit.tunnel_tls)

    async def enter() -> Entrance:
        credential = await asyncio.to_thread(delegate.delegation.credential)
        return Entrance(kit.settings, broker, credential, delegate.delegation.credential, kit.out)

    async def main(stack: AsyncExitStack, signals: Signals) -> int:
        accesses = [await _stand_by(stack, kit, target, terms, enter) for target in targets]
        environ = environment_of_agent(kit.environ, accesses, instructions)
        return await front.attend_child(kit.out, signals, command_of(kit), environ, Child.wait)

    return front.run(kit.out, main)


async def _stand_by(stack: AsyncExitStack, kit: Kit, target: TargetView, terms: Terms, enter: Enter) -> Access:
    """Listen at once; whoever connects finds the session open, or opens it."""
    place = opened_door(stack, kit.settings, target.name, kit.out.insist)
    order = Open(target.name, terms.reason, terms.ticket, terms.duration, terms.wait)
    standby = Standby(enter, order, terms.idle, kit.out)
    stack.push_async_callback(standby.close)
    listener = Listener(standby.dial, place.password, kit.out.say, standby)
    await stack.enter_async_context(listening(place.socket, listener))
    return place.access(target.name, "", target.database, 0)
