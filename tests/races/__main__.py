"""`make races`: `python -m tests.races [--races 100000] [--seed 1] [--state postgres]`; ends 1 when a law is broken."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from hoopx_broker.terms.settings import StateUrl
from tests.peers.postgres import Foundry, installations
from tests.peers.state import fresh_state, make_template
from tests.races import lane
from tests.races.arena import arena


def main(arguments: Sequence[str]) -> int:
    asked = _parser().parse_args(arguments)
    began = time.monotonic()
    # Each breaking of glass is a warning, and every seventh race breaks some.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    _say(f"{asked.races} races on {asked.state}, seed {asked.seed}")
    try:
        with _state(asked.state) as where:
            asyncio.run(_race(where, asked.races, asked.seed))
    except lane.RaceLost as lost:
        _say(f"seed {asked.seed}: {lost}")
        return 1
    _say(f"all laws held, {time.monotonic() - began:.0f} s")
    return 0


async def _race(where: Path | StateUrl, races: int, seed: int) -> None:
    async with arena(where, lane.of_seed(seed)) as place:
        ends = await lane.run(place, races, _say)
        head = await place.desks[0].check_journal()
    for end, count in sorted(ends.items()):
        _say(f"{count:8} {end}")
    _say(f"{head.number:8} entries in the journal, the chain whole to {head.chain[:16]}…")


@contextmanager
def _state(kind: str) -> Iterator[Path | StateUrl]:
    with tempfile.TemporaryDirectory(prefix="races-", ignore_cleanup_errors=True) as place:
        if kind == "sqlite":
            yield Path(place) / "state.db"
            return
        with Foundry(Path(place)).server(installations()[0]) as server:
            make_template(server)
            with fresh_state(server) as where:
                yield where


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make races", description="Race everybody at requests for approval.")
    parser.add_argument("--races", type=int, default=100_000, help="how many requests are raced for")
    parser.add_argument("--seed", type=int, default=1, help="the same seed draws the same deeds")
    parser.add_argument("--state", choices=["sqlite", "postgres"], default="sqlite", help="where requests are kept")
    return parser


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
