"""The way to the broker is cut for a moment: the session goes on, streams end clearly, nothing is repeated."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from hoopx_broker.api.messages import Counts
from tests.peers.cable import Cable, cable_to
from tests.peers.processes import eventually
from tests.unit.cli_broker_double import opened
from tests.unit.cli_stage import Stage, stage_in


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage_in(tmp_path_factory.mktemp("s")) as playing:
        yield playing


@pytest.fixture
def cable(stage: Stage) -> Iterator[Cable]:
    stage.double.answers = lambda order: [opened(order.target, grace=30)]
    stage.double.has_forgotten = False
    stage.double.returns = stage.double.hangups = 0
    with cable_to(urlsplit(stage.double.url).port or 0) as cable:
        yield cable


def _broker(cable: Cable) -> str:
    return f"https://127.0.0.1:{cable.port}"


def _said(process: subprocess.Popen[str], pattern: str) -> None:
    assert process.stderr is not None
    while not re.search(pattern, line := process.stderr.readline()):
        assert line, f"it never said {pattern}"


def test_a_session_outlives_a_short_drop_and_its_streams_do_not(stage: Stage, cable: Cable) -> None:
    with stage.begun("connect", "prod-db", HOOPX_BROKER=_broker(cable)) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with psycopg.connect(url, autocommit=True) as idle:
            idle.execute("once")
            asked = list(stage.double.queries)
            cable.cut()
            _said(process, "prod-db: the broker was lost; looking for it for 30 s")
            _said(process, "prod-db: the broker is back, and the session goes on")
            with pytest.raises(psycopg.OperationalError, match="the connection to the broker was lost"):
                idle.execute("twice")
        assert stage.double.queries == asked, "nothing is asked again by us"
        with psycopg.connect(url) as next_one:
            assert next_one.execute("hello").fetchone() == ("hello",)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert (stage.double.returns, stage.double.hangups) == (1, 1)
    assert stage.double.orders[0].grace == 10


def test_a_client_that_comes_meanwhile_waits(stage: Stage, cable: Cable) -> None:
    """The broker is away for its first answer, too: trying goes on."""
    with stage.begun("connect", "prod-db", HOOPX_BROKER=_broker(cable)) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        cable.is_silent.set()
        cable.cut()
        _said(process, "looking for it")
        cable.is_silent.clear()
        cable.cut()
        with psycopg.connect(url) as next_one:
            assert next_one.execute("hello").fetchone() == ("hello",)


def test_a_session_that_the_broker_has_ended_meanwhile_is_over(stage: Stage, cable: Cable) -> None:
    stage.double.has_forgotten = True
    with stage.begun("connect", "prod-db", HOOPX_BROKER=_broker(cable)) as process:
        assert process.stdout is not None
        process.stdout.readline()
        cable.cut()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 14
    assert "the broker was lost; it ends the session by itself" in err


def test_counts_are_taken_and_a_script_is_not_bothered_with_them(stage: Stage, cable: Cable) -> None:
    stage.double.answers = lambda order: [opened(order.target), Counts(3, 1)]
    with stage.begun("connect", "prod-db", HOOPX_BROKER=_broker(cable)) as process:
        assert process.stdout is not None
        process.stdout.readline()
        stage.double.say(Counts(4, 2, 1, 1))
        eventually(lambda: stage.double.live, "it is there")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "statements" not in err
