"""`hoopx leases`: who sees which, and a brake that ends what is open, says what came of it, and tells those cut off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.journeys.crowd import Crowd, gathered
from tests.journeys.stage import Running, Stage, objects, playing, running
from tests.peers import clients, found
from tests.peers.postgres import Postgres

TARGET, OTHER = "shop-prod", "shop-dev"


@pytest.fixture(scope="module")
def scene(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A broker whose every lease is known: nobody else plays here."""
    found.require("psql")
    with playing(Stage(tmp_path_factory.mktemp("brake"), postgres)) as played:
        yield played


@contextmanager
def at_work(stage: Stage, who: str, target: str = TARGET) -> Iterator[Running]:
    with running(stage, "exec", target, "--", *clients.psql("SELECT 1", "SELECT pg_sleep(60)"), who=who) as work:
        work.says(r"1\n")
        yield work


def leases(stage: Stage, *options: str, who: str = "sam") -> list[dict[str, Any]]:
    return stage.listed("leases", "ls", *options, who=who)


def pulled(stage: Stage, *options: str, who: str = "sam", code: int = 0) -> list[tuple[str, str]]:
    outcome = stage.hoopx("leases", "revoke", *options, "-o", "json", who=who)
    assert outcome.code == code, outcome.err
    return [(each["user"], each["outcome"]) for each in objects(outcome.out)]


def test_whoever_may_pulls_the_brake_and_those_cut_off_hear_by_whom_and_why(scene: Stage) -> None:
    with at_work(scene, "ann") as ann, at_work(scene, "bob") as bob, at_work(scene, "bob", OTHER) as bobs_other:
        assert [each["user"] for each in leases(scene, who="ann")] == ["ann"]
        assert {each["user"] for each in leases(scene, who="olga")} == {"ann", "bob"}
        assert leases(scene, who="nobody") == []
        assert [each["target"] for each in leases(scene, "--user", "bob", "--target", OTHER)] == [OTHER]
        [lease] = leases(scene, "--user", "ann")
        assert (lease["state"], lease["source"], lease["attempts"]) == ("live", "postgres-role", 0)
        assert lease["handle"] == {"role": lease["login"]}
        table = scene.hoopx("leases", "ls", who="sam").fine().out
        assert table.splitlines()[0].split()[:4] == ["LEASE", "TARGET", "SOURCE", "USER"]

        # A lease that one may not see is not there; one that one may only see stays.
        unseen = scene.hoopx("leases", "revoke", lease["id"], who="bob")
        assert (unseen.code, "there is no lease" in unseen.err) == (2, True)
        assert pulled(scene, lease["id"], who="olga", code=10) == [("ann", "denied")]
        assert pulled(scene, "--target", TARGET, who="nobody") == []
        assert ann.process.poll() is None

        assert pulled(scene, "--user", "ann", "--reason", "incident 42") == [("ann", "revoked")]
        cut = ann.end()
        assert cut.code != 0
        assert "FATAL:  the session is over: its lease was revoked by `sam`: incident 42" in cut.err
        assert pulled(scene, lease["id"]) == [("ann", "revoked")]  # twice is once

        assert pulled(scene, "--all", "--yes", who="bob") == [("bob", "revoked"), ("bob", "revoked")]
        for work in (bob, bobs_other):
            assert work.end().code != 0
        assert not scene.minted_backends()
        assert not scene.minted()
    assert leases(scene) == []
    assert {each["state"] for each in leases(scene, "--all")} == {"ended"}
    [ended] = leases(scene, "--state", "ended", "--session", lease["session"])
    assert ended["id"] == lease["id"]
    assert ended["ended_at"] > 0


def test_many_sessions_end_by_one_pull(scene: Stage) -> None:
    count = 20  # each has a connection that reads the catalog; the server takes 60, and the administrator needs some
    crowd = gathered(scene, Crowd(TARGET, count), "dora")
    try:
        crowd.says("ready\n")
        assert pulled(scene, "--all", "--yes", "--reason", "drill") == [("dora", "revoked")] * count
        assert not scene.minted()
        assert crowd.end().out.count("ended its lease was revoked by `sam`: drill\n") == count
    finally:
        crowd.close()


def test_a_brake_that_is_not_meant_is_not_pulled(scene: Stage) -> None:
    for mistaken in (
        ["--all"],
        ["l_1", "--user", "ann"],
        ["--target", "shop-prd"],
        ["--user", "ann", "--reason", "\x1b[2J"],
    ):
        assert scene.hoopx("leases", "revoke", *mistaken, who="sam").code == 2, mistaken


def test_what_a_removed_target_left_is_seen_tried_again_and_named_queued(own_stage: Stage) -> None:
    with running(own_stage, "exec", TARGET, "--", *clients.lingering("SELECT 1")) as work:
        work.says(r"1\n")
        own_stage.kill_broker()
        work.end()
    text = own_stage.config.read_text()
    own_stage.config.write_text(text.replace(f"  {TARGET}:", "  renamed:"))
    own_stage.start_broker()
    [left] = leases(own_stage, "--target", TARGET)
    assert left["state"] == "ending"
    assert leases(own_stage, who="bob") == []
    assert [each["id"] for each in leases(own_stage, who="ann")] == [left["id"]]
    refused = own_stage.hoopx("leases", "revoke", left["id"], who="sam")
    assert (refused.code, "no longer has the source" in refused.out) == (15, True)
    own_stage.stop_broker()
    own_stage.config.write_text(text)
    own_stage.start_broker()
    own_stage.nothing_remains()
