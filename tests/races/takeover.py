"""`python -m tests.races.takeover [SCENE…]`: brokers that are killed, stopped or cut off, and others that take over."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from hoopx_broker.storage.brokers import CUT_OFF_SECONDS, GONE_SECONDS
from hoopx_broker.terms.settings import StateUrl
from tests.journeys.stage import Running, playing, running
from tests.journeys.test_two_brokers import LONG, Broker
from tests.peers.postgres import Foundry, Postgres, installations
from tests.peers.processes import eventually
from tests.peers.state import TEMPLATE, make_template, url_of

MARGIN = 15.0  # for a busy machine


def main(only: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="takeover-", ignore_cleanup_errors=True) as place:
        foundry = Foundry(Path(place))
        with foundry.server(installations()[0]) as target, foundry.server(installations()[0]) as keeper:
            make_template(keeper)
            for scene in (killed, stopped, paused):
                if only and scene.__name__ not in only:
                    continue
                began = time.monotonic()
                with _two(Path(place) / scene.__name__, target, keeper) as (a, b):
                    scene(a, b, keeper)
                sys.stdout.write(f"{scene.__name__}: {time.monotonic() - began:.0f} s\n")
                sys.stdout.flush()
    return 0


def killed(a: Broker, b: Broker, _: Postgres) -> None:
    """`kill -9`, and it is not started again: the other one revokes what it left, and nothing of its own."""
    with running(a, "exec", "shop-dev", "--", *LONG) as cut, running(b, "exec", "shop-dev", "--", *LONG) as lives:
        eventually(lambda: len(a.minted_streams()) == 2, "both are at work")
        a.kill_broker()
        cut.end()
        eventually(lambda: len(b.minted()) == 1, "its login is gone", GONE_SECONDS + MARGIN)
        assert lives.process.poll() is None
        _ends(b, lives)
    assert sorted(_states(b)) == ["ended", "unfinished"]


def stopped(a: Broker, b: Broker, _: Postgres) -> None:
    """SIGSTOP: it cannot know. When it goes on its session is over, at once, and it begins anew."""
    with running(a, "exec", "shop-dev", "--", *LONG) as frozen:
        eventually(a.minted_streams, "it is at work")
        a.broker.send_signal(signal.SIGSTOP)
        eventually(lambda: not b.minted(), "its login is gone", GONE_SECONDS + MARGIN)
        a.broker.send_signal(signal.SIGCONT)
        assert frozen.end().code != 0
    eventually(lambda: a.psql("shop-dev", "SELECT 'again'").code == 0, "it takes sessions again")
    b.nothing_remains()


def paused(a: Broker, b: Broker, keeper: Postgres) -> None:
    """The state's database is away: briefly, nothing happens; for long, sessions end, and nobody takes anything."""
    with running(a, "exec", "shop-dev", "--", *LONG) as busy:
        eventually(a.minted_streams, "it is at work")
        keeper.stop()
        time.sleep(CUT_OFF_SECONDS / 3)
        keeper.start()
        assert b.psql("shop-dev", "SELECT 'soon'").code in (0, 14)
        assert busy.process.poll() is None, "a restart passes"
        keeper.stop()
        assert busy.end().code != 0
        refused = b.psql("shop-dev", "SELECT 'never'")
        assert refused.code != 0
        assert "state" in refused.err, refused.err
        keeper.start()
    eventually(lambda: a.psql("shop-dev", "SELECT 'again'").code == 0, "it comes back by itself", 60.0)
    a.nothing_remains()


def _ends(broker: Broker, command: Running) -> None:
    [session] = [each for each in broker.listed("sessions", "ls", who="sam") if each["state"] == "open"]
    broker.hoopx("sessions", "kill", session["id"], who="sam").fine()
    command.end()


def _states(broker: Broker) -> list[Any]:
    return [each["state"] for each in broker.listed("sessions", "ls", who="sam")]


@contextmanager
def _two(home: Path, target: Postgres, keeper: Postgres) -> Iterator[tuple[Broker, Broker]]:
    home.mkdir()
    with ExitStack() as stack:
        state = _state(keeper, home.name)
        first = stack.enter_context(playing(Broker(home / "a", target, state)))
        second = stack.enter_context(playing(Broker(home / "b", target, state, first)))
        yield first, second


def _state(keeper: Postgres, name: str) -> StateUrl:
    """Nothing is left connected to it, for its server is stopped in the midst; it goes with that server."""
    with psycopg.connect(keeper.dsn(database="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}".encode())
    return url_of(keeper, name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
