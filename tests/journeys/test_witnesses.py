"""A broker whose log a witness cosigns, from telling it the key to the proof, by the commands of docs/evidence.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hoopx_broker.tlog.checkpoints import Checkpoint
from tests.journeys.stage import Stage, playing
from tests.peers import found
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually
from tests.peers.witness_double import WitnessDouble, double
from tests.unit.bundle_scene import WITNESS

TARGET = "shop-prod"
PAGE = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text()


class WitnessedStage(Stage):
    def __init__(self, home: Path, postgres: Postgres, witness: WitnessDouble) -> None:
        self.witness = witness
        super().__init__(home, postgres)

    def configuration(self) -> str:
        asked = f"{{key: {self.witness.key}, url: '{self.witness.url}'}}"
        return f"{super().configuration()}evidence: {{witnesses: [{asked}]}}\n"

    def health(self) -> dict[str, Any]:
        # What is asked is no secret, and the certificate is made anew for each stage.
        return dict(httpx2.get(f"{self.url}/healthz", verify=False, trust_env=False).json())

    def shown(self) -> str:
        return httpx2.get(f"{self.url}/log/checkpoint", verify=False, trust_env=False).text

    def is_cosigned(self) -> bool:
        return (self.health()["events_waiting"], self.health()["cosignatures_missing"]) == (0, 0)

    def runs(self, name: str, **named: str) -> list[str]:
        """The commands of the page under that name, one after another; gives what each printed."""
        [block] = re.findall(rf"<!-- {name} -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
        printed = []
        for line in block.splitlines():
            command = re.split(r" [|>] ", line)[0]
            for placeholder, value in {"hoopx.yaml": str(self.config), **named}.items():
                command = command.replace(placeholder, value)
            printed.append(self.hoopx(*command.split()[1:]).fine().out)
        return printed


@pytest.fixture(scope="module")
def scene(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WitnessedStage]:
    found.require("psql")
    home = tmp_path_factory.mktemp("witnesses") / "home"
    with double() as witness, playing(WitnessedStage(home, postgres, witness)) as played:
        yield played


def test_a_witness_is_told_of_the_log_cosigns_it_and_what_is_exported_shows_that(
    scene: WitnessedStage, tmp_path: Path
) -> None:
    assert scene.health()["cosignatures_missing"] == 1
    note, key = scene.runs("told")
    scene.witness.trust(note.splitlines()[0], key.strip())
    scene.psql(TARGET, "SELECT 'witnessed'").fine()
    [session] = [str(each["id"]) for each in scene.listed("sessions", "ls")]
    eventually(scene.is_cosigned, "the witness has cosigned all of it")
    assert (scene.health()["log_disputed"], scene.health()["cosignatures_missing_for"]) == ("", 0.0)

    file, witness = str(tmp_path / "case.hoopx"), scene.witness
    named = {"s_4k2m8q0xyz4k2m8q": session, "case.hoopx": file, "KEY": key.strip(), "WITNESS": witness.key}
    _, verified, _, kept = scene.runs("demanded", **named)
    assert f"by {witness.name} at " in verified
    assert f"— {witness.name} " in kept
    assert f"— {witness.name} " in scene.shown()

    copy = ["audit", "verify", str(scene.home / "recordings"), "--key", key.strip()]
    refused = scene.hoopx(*copy, "--witness", witness.key, "--witness", str(WITNESS), "-o", "json")
    assert refused.code == 2
    assert [each["size"] > 1 for each in json.loads(refused.out)["cosigned"]] == [True, False]


def test_the_log_goes_on_under_a_new_key_that_the_witness_was_told_of(scene: WitnessedStage, tmp_path: Path) -> None:
    config = ("--config", str(scene.config))
    origin = scene.shown().splitlines()[0]
    scene.stop_broker()
    rotated = scene.hoopx("broker", "keys", "rotate", *config).fine()
    assert "give the new key to the operators of the log's witnesses" in rotated.err
    key = rotated.out.strip()
    scene.witness.trust(origin, key)
    scene.start_broker()
    scene.psql(TARGET, "SELECT 'under a new key'").fine()
    eventually(scene.is_cosigned, "the witness has cosigned what the new key signed")
    session, *_ = (str(each["id"]) for each in scene.listed("sessions", "ls"))
    file = str(tmp_path / "case.hoopx")
    scene.hoopx("sessions", "export", session, "--to", file).fine()
    verified = scene.hoopx("sessions", "verify", file, "--key", key, "--witness", scene.witness.key).fine()
    assert f"by {scene.witness.name} at " in verified.out


def test_a_witness_that_has_seen_another_log_by_that_name_is_heard_everywhere(scene: WitnessedStage) -> None:
    origin = scene.shown().splitlines()[0]
    known = scene.witness.seen(origin)
    scene.witness.has_seen(Checkpoint(origin, known.size + 1_000, bytes(32)))
    try:
        scene.psql(TARGET, "SELECT 'goes on'").fine()
        why = eventually(lambda: scene.health()["log_disputed"], "the dispute is told")
        assert f"`{scene.witness.name}` at `127.0.0.1" in why or f"`{scene.witness.name}` has seen" in why
        told = eventually(
            lambda: scene.listed("audit", "events", "--type", "witness.disputed", who="olga"), "the dispute is an event"
        )
        assert [each["facts"]["witness"] for each in told] == [scene.witness.name]
        assert "witness.disputed" in scene.broker_said()
        scene.psql(TARGET, "SELECT 'still goes on'").fine()
    finally:
        scene.witness.has_seen(known)
    eventually(lambda: scene.is_cosigned() and not scene.health()["log_disputed"], "the dispute is over")
