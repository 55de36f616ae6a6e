"""Control channels that a test holds itself: as whom they are opened, what they hear, and their end."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from hoopx_broker.api.messages import Ended, Opened
from hoopx_broker.api.proof import ProofKey
from hoopx_broker.terms.secret import Secret
from hoopx_broker.tunnel.client import Control
from hoopx_cli.credential import Credential
from tests.journeys.stage import CAST, Stage

Heard = TypeVar("Heard", Opened, Ended)


def job(stage: Stage) -> Credential:
    """Ann's, with a key of its own."""
    return Credential(Secret(stage.mint.token("ann", CAST["ann"])), ProofKey.create(), "Bearer")


async def until(control: Control, kind: type[Heard]) -> Heard:
    while not isinstance(heard := await asyncio.wait_for(control.hear(), 60), kind):
        assert heard is not None
    return heard


async def closed(control: Control) -> None:
    """Its socket too, which closes a moment later: one that is left open fails whatever test comes next."""
    assert control._transport is not None
    connection = control._transport.underlying_transport.get_extra_info("socket")
    await control.close()
    async with asyncio.timeout(60):
        while connection.fileno() != -1:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
