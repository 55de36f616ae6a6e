"""A broker whose log a witness cosigns, from telling it the key to the proof, by the commands of docs/evidence.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

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
    shown = httpx2.get(f"{scene.url}/log/checkpoint", verify=False, trust_env=False).text
    assert f"— {witness.name} " in shown

    other = str(WITNESS)
    assert scene.hoopx("sessions", "verify", file, "--key", key.strip(), "--witness", other).code == 2
    refused = scene.hoopx("audit", "verify", "--config", str(scene.config), "--witness", other)
    assert (refused.code, "has cosigned no checkpoint of this log" in refused.out) == (2, True)
    copy = ["audit", "verify", str(scene.home / "recordings"), "--key", key.strip(), "--witness", witness.key]
    [told] = json.loads(scene.hoopx(*copy, "-o", "json").fine().out)["cosigned"]
    assert (told["witness"], told["size"] > 1) == (witness.name, True)
