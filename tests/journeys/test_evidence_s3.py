"""A broker that keeps its recordings in S3, under Object Lock: from the seal to the deletion, as its people see it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.stage import Stage, playing
from tests.peers import found
from tests.peers.aws import REGION, Aws
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually
from tests.peers.s3 import PREFIX, Bucket, bucket

TARGET = "shop-prod"
KEPT = 8  # seconds: long enough to look at all of it while it is locked


class S3Stage(Stage):
    """Its recordings lie in `there`, and nothing else does."""

    def __init__(self, home: Path, postgres: Postgres, there: Bucket) -> None:
        self.there = there
        super().__init__(home, postgres)

    def configuration(self) -> str:
        self._secret("s3-secret", self.there.keys.secret_access_key.reveal())
        place = f"""\
recordings: s3:{self.there.place}
evidence:
  store:
    region: {REGION}
    endpoint: {self.there.aws.endpoint}
    access_key_id: {self.there.keys.access_key_id}
    secret_access_key: file:s3-secret
    object_lock: governance
  retention: {{default: {KEPT}s}}
"""
        return super().configuration().replace("recordings: file:recordings\n", place)

    def here(self) -> list[str]:
        """Recordings on the broker's own disk."""
        assert (self.home / "spool").is_dir()
        return [path.name for path in (self.home / "spool").glob("s_*")]

    def stored(self) -> list[str]:
        return [key.rpartition("/")[2] for key in self.there.keys_of() if key.startswith(f"{PREFIX}/s_")]

    def lock(self, session: str) -> str:
        key = f"{PREFIX}/{session}.hoopx"
        return str(self.there.admin.head_object(Bucket=self.there.name, Key=key)["ObjectLockMode"])

    def events(self, session: str) -> list[dict[str, Any]]:
        told = self.listed("audit", "events", "--session", session, who="olga")
        return [each for each in told if each["type"].startswith("recording.")]


@pytest.fixture(scope="module")
def scene(postgres: Postgres, aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Stage]:
    found.require("psql")
    with playing(S3Stage(tmp_path_factory.mktemp("evidence-s3") / "home", postgres, bucket(aws))) as played:
        yield played


def test_a_recording_goes_to_s3_is_read_from_there_held_and_deleted_when_its_time_is_over(
    scene: S3Stage, tmp_path: Path
) -> None:
    scene.psql(TARGET, "SELECT 'kept elsewhere'").fine()
    [session] = [each["id"] for each in scene.listed("sessions", "ls")]
    eventually(lambda: scene.stored() == [f"{session}.hoopx"] and not scene.here(), "it is in S3, and nowhere else")
    assert scene.lock(session) == "GOVERNANCE"
    hold = scene.hoopx("audit", "hold", session, "--reason", "case 17", who="olga").fine().out.strip()

    _is_read_back(scene, session, tmp_path / "copy.hoopx")
    audit = ["audit", "verify", "--config", str(scene.config)]
    assert json.loads(scene.hoopx(*audit, "-o", "json").fine().out)["recordings"] == 1

    outcome = eventually(lambda: _collected(scene, "--dry-run"), "its time is over")
    assert (outcome["outcome"], "case 17" in outcome["why"]) == ("kept", True)
    assert _collected(scene)["outcome"] == "kept"
    scene.hoopx("audit", "release", hold, "--reason", "settled", who="olga").fine()
    assert _collected(scene, "--dry-run")["outcome"] == "would-delete"
    assert scene.stored() == [f"{session}.hoopx"]
    assert _collected(scene)["outcome"] == "deleted"
    assert (scene.stored(), scene.here()) == ([], [])

    told = scene.events(session)
    assert [each["type"] for each in told] == [
        f"recording.{what}" for what in ("stored", "held", "released", "deleted")
    ]
    assert [each.get("by", "") for each in told] == ["", "olga", "olga", "sam"]
    gone = scene.hoopx("sessions", "replay", session)
    assert (gone.code, "was deleted" in gone.err) == (2, True), gone.err
    assert [each["id"] for each in scene.listed("sessions", "ls")] == [session]
    scene.hoopx(*audit).fine()


def _is_read_back(scene: S3Stage, session: str, copy: Path) -> None:
    assert "kept elsewhere" in scene.hoopx("sessions", "replay", session, "--speed", "0").fine().out
    scene.hoopx("sessions", "verify", session).fine()
    scene.hoopx("sessions", "export", session, "--format", "recording", "--to", str(copy), who="olga").fine()
    key = scene.hoopx("broker", "keys", "--config", str(scene.config), "-o", "json").fine().out
    offline = {"HOOPX_BROKER": "https://127.0.0.1:9", "HOOPX_TOKEN": ""}
    scene.hoopx("sessions", "verify", str(copy), "--key", json.loads(key)["evidence_key"], **offline).fine()


def _collected(scene: S3Stage, *options: str) -> dict[str, Any]:
    """What `hoopx audit gc` says of the only recording; nothing before its time is over."""
    found = scene.listed("audit", "gc", *options, who="sam")
    return found[0] if found else {}
