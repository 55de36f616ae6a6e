"""A sample of `make races`, on each kind of state: no approval is used twice, whoever comes when."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.peers.state import state_in
from tests.races import lane
from tests.races.arena import arena


def test_in_any_race_everybody_was_told_what_came_to_be(each_state: str, tmp_path: Path) -> None:
    races = 150 if each_state == "sqlite" else 20

    async def scene() -> None:
        async with arena(state_in(tmp_path), lane.of_seed(races)) as place:
            ends = await lane.run(place, races)
            assert sum(ends.values()) == races
            if races > 100:  # of few it may be that none does
                assert ends["used"], "some got through"

    asyncio.run(scene())
