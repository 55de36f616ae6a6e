"""Who may end whose session, and what the one who is cut off hears; and a list that shows one's own among many."""

from __future__ import annotations

from tests.journeys.stage import Stage, running
from tests.peers import clients

TARGET = "shop-prod"


def test_watching_is_not_ending_and_a_dba_ends_any(stage: Stage) -> None:
    with running(stage, "exec", TARGET, "--", *clients.psql("SELECT 1"), "-c", "\\! sleep 60") as command:
        command.says(r"1\n")
        [session] = stage.listed("sessions", "ls", "--state", "open")
        assert stage.hoopx("sessions", "kill", session["id"], who="olga").code == 10
        assert stage.hoopx("sessions", "kill", session["id"], who="bob").code == 2
        assert command.process.poll() is None
        stage.hoopx("sessions", "kill", session["id"], who="dora").fine()
        outcome = command.end()
    assert outcome.code != 0
    assert "`dora` ended it" in outcome.err
    stage.nothing_remains()


def test_the_sessions_of_others_do_not_push_ones_own_off_the_list(stage: Stage) -> None:
    stage.exec(TARGET, ["true"], who="bob").fine()
    for _ in range(3):
        stage.exec(TARGET, ["true"], who="dora").fine()
    [seen] = stage.listed("sessions", "ls", "--limit", "1", who="bob")
    assert seen["user"] == "bob"
