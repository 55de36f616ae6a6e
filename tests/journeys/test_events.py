"""`hoopx audit events`: what people did at a broker stands there afterwards, and nobody but auditors reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.journeys.stage import Stage, playing
from tests.peers import found
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually

TARGET = "shop-prod"


@pytest.fixture(scope="module")
def scene(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A broker of which all events are known: nobody else plays here."""
    found.require("psql")
    with playing(Stage(tmp_path_factory.mktemp("events"), postgres)) as played:
        yield played


def events(stage: Stage, *options: str) -> list[dict[str, Any]]:
    return stage.listed("audit", "events", "--limit", "1000", *options, who="olga")


def test_what_people_did_stands_in_order_and_says_who_what_and_when(scene: Stage) -> None:
    assert scene.psql(TARGET, "SELECT 'a-secret-literal'").fine().out == "a-secret-literal\n"
    assert scene.hoopx("exec", TARGET, "--", "true", who="nobody").code == 10
    [session] = scene.listed("sessions", "ls", who="ann")
    sealed = eventually(lambda: events(scene, "--type", "session.sealed"), "the seal is noted")
    assert [each["session"] for each in sealed] == [session["id"]]

    told = [(each["type"], each.get("by", "")) for each in events(scene)]
    assert told[:3] == [("broker.started", ""), ("policy.loaded", ""), ("configuration.loaded", "")]
    inside = [each["type"] for each in events(scene, "--session", session["id"])]
    assert inside == ["lease.issued", "session.opened", "lease.revoked", "session.sealed"]
    [refused] = events(scene, "--type", "session.refused")
    assert (refused["by"], refused["target"], refused["facts"]["ruling"]) == ("nobody", TARGET, "deny")
    [login] = events(scene, "--type", "login.accepted", "--user", "nobody")
    assert login["facts"]["how"] == "session"
    assert "a-secret-literal" not in str(events(scene))
    assert scene.hoopx("audit", "events", who="ann").code == 10


def test_what_admins_do_stands_there_too(scene: Stage) -> None:
    scene.hoopx("admin", "revoke", "bob", "--reason", "drill", who="sam").fine()
    scene.hoopx("admin", "restore", "bob", who="sam").fine()
    told = [each for each in events(scene, "--user", "sam") if each["type"].startswith("identity.")]
    facts = [(each["type"], each["by"], each["facts"]["user"]) for each in told]
    assert facts == [("identity.revoked", "sam", "bob"), ("identity.restored", "sam", "bob")]


def test_strangers_leave_no_events(scene: Stage) -> None:
    before = [each["id"] for each in events(scene)]
    for number in range(20):
        assert scene.hoopx("whoami", HOOPX_TOKEN=f"no-token-{number}").code == 11
    # Whoever reads comes with a token of their own each time.
    assert [each["by"] for each in events(scene) if each["id"] not in before] in ([], ["olga"])
