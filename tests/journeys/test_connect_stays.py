"""`hoopx connect` against a real broker: cut for a moment, behind the terminal, with several targets, by name."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from hoopx_broker.api.messages import Ended, Hangup, Open, Opened
from hoopx_broker.api.proof import ProofKey
from hoopx_broker.terms.secret import Secret
from hoopx_broker.tunnel.client import (
    RESUME,
    SESSION,
    STREAM,
    Broker,
    UpgradeRefused,
    open_control,
    resume_control,
)
from hoopx_cli import trust
from hoopx_cli.credential import Credential
from hoopx_cli.settings import Settings
from tests.golden.cli_json import as_told
from tests.journeys.controls import closed, job, until
from tests.journeys.stage import Running, Stage, playing, running
from tests.journeys.test_login import log_in
from tests.peers import clients
from tests.peers.cable import Cable, cable_to
from tests.peers.postgres import Postgres
from tests.peers.processes import closed_port, eventually

PAGE = Path(__file__).parents[2] / "docs/connect.md"
TARGET = "shop-prod"
DSN = r"postgresql://\S+"


def _open_sessions(stage: Stage, who: str = "ann") -> list[str]:
    return [each["id"] for each in stage.listed("sessions", "ls", who=who) if each["state"] == "open"]


def _dsn(command: Running) -> str:
    command.says(DSN)
    found = re.search(DSN, command.out)
    assert found is not None
    return found.group(0)


class Cabled(Stage):
    """Its broker is reached by a cable."""

    def __init__(self, home: Path, postgres: Postgres, cable: Cable, port: int) -> None:
        self._way = f"listen: 127.0.0.1:{port}\npublic_url: https://127.0.0.1:{cable.port}"
        super().__init__(home, postgres)

    def configuration(self) -> str:
        return super().configuration().replace("listen: 127.0.0.1:0", self._way)


def test_a_session_goes_on_when_its_way_was_cut(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With its role and its recording; a statement that ran is not run again."""
    port = closed_port()
    with (
        cable_to(port) as cable,
        playing(Cabled(tmp_path_factory.mktemp("cabled"), postgres, cable, port)) as stage,
        running(stage, "connect", TARGET, HOOPX_BROKER=f"https://127.0.0.1:{cable.port}") as command,
    ):
        dsn = _dsn(command)
        before = _open_sessions(stage)
        with psycopg.connect(dsn, autocommit=True) as connection:
            role = connection.execute("SELECT current_user").fetchone()
            cutting = threading.Thread(target=lambda: _cut_while_it_runs(stage, cable))
            cutting.start()
            with pytest.raises(psycopg.OperationalError, match="the connection to the broker was lost"):
                connection.execute("SELECT pg_sleep(300)")
            cutting.join()
        command.says("the broker is back, and the session goes on")
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT current_user").fetchone() == role
        assert _open_sessions(stage) == before
        assert command.end(signal.SIGINT).code == 130
        stage.nothing_remains()
        said = stage.hoopx("sessions", "export", before[0], "--format", "jsonl").fine().out
    assert said.count("SELECT pg_sleep(300)") == 1
    assert "the client came back from 127.0.0.1:" in said


def _cut_while_it_runs(stage: Stage, cable: Cable) -> None:
    stage.await_on_target("SELECT pg_sleep(300)")
    cable.cut()


def test_a_session_is_taken_up_by_who_opened_it_alone(stage: Stage, tmp_path: Path) -> None:
    async def scene() -> None:
        broker = Broker(stage.url, trust.context(Settings(stage.url, stage.fingerprint, tmp_path)))
        mine = job(stage)
        first = await open_control(broker, mine.headers("GET", stage.url + SESSION))
        first.say(Open(TARGET, grace=3_600))
        opened = await until(first, Opened)
        assert opened.grace == 10, "the broker has its own bound"
        grant = Secret(opened.grant)
        thief, own = Credential(grant, ProofKey.create(), "DPoP"), mine.of_grant(grant)
        for headers in (
            thief.headers("GET", stage.url + RESUME),
            own.headers("GET", stage.url + STREAM),  # a proof for something else
            mine.headers("GET", stage.url + RESUME),  # a token that is no grant
            {"Authorization": f"Bearer {opened.grant}"},
        ):
            with pytest.raises(UpgradeRefused) as refused:
                await resume_control(broker, headers)
            assert refused.value.status == 401
        second = await resume_control(broker, own.headers("GET", stage.url + RESUME))
        assert (await until(second, Opened)).session == opened.session
        assert await first.hear() is None, "one link at a time"
        second.say(Hangup())
        assert (await until(second, Ended)).revoked
        with pytest.raises(UpgradeRefused):
            await resume_control(broker, own.headers("GET", stage.url + RESUME))
        await closed(first)
        await closed(second)

    asyncio.run(scene())
    stage.nothing_remains()


def test_several_in_the_background_with_saved_names(stage: Stage, ended: None) -> None:
    names = ["shop-prod", "shop-dev"]
    [saved] = as_told("config psql", stage.hoopx("config", "psql", *names, "--yes", "-o", "json").fine().out)
    assert saved["changed"]
    assert stage.hoopx("connect", *names, "--background", "--reason", "ticket 42").fine().out.count("# shop-") == 2
    asked = clients.run(["psql", "service=shop-prod", "-XAtc", "SELECT count(*) FROM orders"], stage.environment("ann"))
    assert asked.fine().out == "400\n"
    refused = clients.run(["psql", "service=shop-prod", "-XAtc", "DROP TABLE orders"], stage.environment("ann"))
    assert refused.code != 0

    def counted() -> bool:
        found = {each["target"]: each for each in json.loads(stage.hoopx("status", "-o", "json").fine().out)}
        prod = found["shop-prod"]
        return (prod["statements"], prod["denied"], found["shop-dev"]["statements"]) == (2, 1, 0)

    eventually(counted, "the broker has told what was done")
    over = as_told("disconnect", stage.hoopx("disconnect", "--all", "-o", "json").fine().out)
    assert {each["target"]: each["confirmed"] for each in over} == dict.fromkeys(names, True)
    stage.nothing_remains()
    again = clients.run(["psql", "service=shop-prod", "-XAtc", "SELECT 1"], stage.environment("ann"))
    assert again.code != 0
    home = stage.home / "home-ann"
    stage.hoopx("config", "psql", "--undo", "--yes").fine()
    assert not (home / ".pg_service.conf").exists()


def test_all_or_none(stage: Stage) -> None:
    outcome = stage.hoopx("connect", TARGET, "asleep", "--background")
    assert outcome.code == 15
    assert outcome.out == ""
    stage.nothing_remains()


def test_config_says_what_it_cannot_do(stage: Stage) -> None:
    for kind in ("ssh", "kube"):
        outcome = stage.hoopx("config", kind)
        assert outcome.code == 2
        assert "nothing was written" in outcome.err


def test_a_logout_ends_what_was_opened_by_it(stage: Stage) -> None:
    log_in(stage)
    stage.hoopx("connect", TARGET, "--background", who="lena").fine()
    [report] = json.loads(stage.hoopx("status", "-o", "json", who="lena").fine().out)
    assert report["account"]
    assert f"the session with `{TARGET}` is over" in stage.hoopx("logout", who="lena").fine().err
    assert stage.hoopx("status", "-o", "json", who="lena").fine().out == "[]\n"
    stage.nothing_remains()


def test_the_examples_of_the_page_run(stage: Stage, ended: None) -> None:
    """In their order. What stays in front is left by Ctrl-C once it is open."""
    text = PAGE.read_text().replace("prod-db", "shop-prod").replace("stage-db", "shop-dev")
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        if block.startswith("hoopx connect"):
            with running(stage, *shlex.split(block)[1:]) as command:
                command.says("is open until")
                assert command.end(signal.SIGINT).code == 130
        else:
            done = clients.run(["sh", "-ec", block], stage.environment("ann"))
            assert done.code == 0, (block, done.out, done.err)
    stage.nothing_remains()


@pytest.fixture
def ended(stage: Stage) -> Iterator[None]:
    yield
    stage.hoopx("disconnect", "--all")
