"""Two brokers on one state in PostgreSQL: what is decided at one holds at the other, and each has what is its own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hoopx_broker.terms.settings import StateUrl
from tests.journeys.stage import Stage, playing, running
from tests.peers import clients
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually
from tests.peers.state import fresh_state

LONG = clients.psql("SELECT pg_sleep(600)")


class Broker(Stage):
    """One of several: with recordings and keys of its own, and all else shared."""

    def __init__(self, home: Path, postgres: Postgres, state: StateUrl, first: Broker | None = None) -> None:
        self._state = state
        super().__init__(home, postgres)
        if first is not None:
            self.mint = first.mint
            self.mint.write_keys(self.home / "keys.json")

    def configuration(self) -> str:
        self._secret("state-url", self._state.url.reveal())
        return super().configuration().replace("state: sqlite:state.db", "state: file:state-url")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, state_server: Postgres) -> Iterator[tuple[Broker, Broker]]:
    home = tmp_path_factory.mktemp("two")
    with ExitStack() as stack:
        state = stack.enter_context(fresh_state(state_server))
        first = stack.enter_context(playing(Broker(home / "a", state_server, state)))
        second = stack.enter_context(playing(Broker(home / "b", state_server, state, first)))
        yield first, second


def test_what_is_asked_at_one_is_answered_at_the_other_and_goes_on_at_once(two: tuple[Broker, Broker]) -> None:
    a, b = two
    with running(
        a, "exec", "payments-prod", "--reason", "look", "--wait", "5m", "--", *clients.psql("SELECT 1")
    ) as asking:
        [request] = eventually(lambda: b.listed("requests", "ls", "--state", "waiting", who="dora"), "it is filed")
        b.hoopx("approve", request["id"], who="dora").fine()
        approved = time.monotonic()
        assert asking.end().code == 0
        assert time.monotonic() - approved < 10, "not when somebody looked by chance"
    assert b.hoopx("approve", request["id"], who="dave").code != 0, "it is used"


def test_a_session_at_one_is_ended_at_the_other_and_its_recording_named_there(two: tuple[Broker, Broker]) -> None:
    a, b = two
    with running(a, "exec", "shop-dev", "--", *LONG) as busy:
        a.await_on_target("SELECT pg_sleep")
        [session] = b.listed("sessions", "ls", "--state", "open", who="sam")
        refused = b.hoopx("sessions", "export", session["id"], who="sam")
        assert a.url in refused.err, refused.err
        b.hoopx("sessions", "kill", session["id"], who="sam").fine()
        assert busy.end().code != 0
        assert "`sam` ended it" in busy.err
    a.nothing_remains()
    [ended] = [each for each in a.listed("sessions", "ls", who="sam") if each["id"] == session["id"]]
    assert ended["state"] == "ended"


def test_who_is_revoked_at_one_is_out_at_both_and_restored_at_both(two: tuple[Broker, Broker]) -> None:
    a, b = two
    with running(a, "exec", "shop-dev", "--", *LONG, who="bob") as busy:
        a.await_on_target("SELECT pg_sleep")
        b.hoopx("admin", "revoke", "bob", "--reason", "gone", who="sam").fine()
        busy.end()
    eventually(lambda: a.hoopx("whoami", who="bob").code == 11, "bob is out at the other one too")
    b.hoopx("admin", "restore", "bob", who="sam").fine()
    a.nothing_remains()


def test_a_lease_at_one_is_revoked_at_the_other(two: tuple[Broker, Broker]) -> None:
    a, b = two
    with running(a, "exec", "shop-dev", "--", *LONG) as busy:
        a.await_on_target("SELECT pg_sleep")
        [lease] = b.listed("leases", "ls", who="sam")
        b.hoopx("leases", "revoke", lease["id"], "--yes", who="sam").fine()
        busy.end()
        assert "revoked by `sam`" in busy.err
    a.nothing_remains()


def test_a_broker_that_was_killed_finds_what_it_left_at_its_start_and_takes_nothing_of_the_other(
    two: tuple[Broker, Broker],
) -> None:
    a, b = two
    with running(a, "exec", "shop-dev", "--", *LONG) as cut, running(b, "exec", "shop-dev", "--", *LONG) as lives:
        opened = ("sessions", "ls", "--state", "open")
        eventually(lambda: len(a.listed(*opened, who="sam")) == 2, "both have their sessions")
        a.kill_broker()
        cut.end()
        a.start_broker()
        eventually(lambda: len(a.minted()) == 1, "the login of the killed one is gone")
        assert lives.process.poll() is None
        states = {each["id"]: each["state"] for each in b.listed("sessions", "ls", who="sam")}
        assert sorted(states.values()).count("open") == 1
        assert "unfinished" in states.values()
    b.nothing_remains()


def test_an_audit_holds_the_disk_of_one_against_the_state_of_both(two: tuple[Broker, Broker]) -> None:
    """The log lies with the broker that signs it; what the other one has recorded is counted, and looked for there."""
    a, b = two
    for broker in two:
        broker.psql("shop-dev", "SELECT 'audited'").fine()
    signs = a if (a.home / "recordings/log").is_dir() else b
    came = json.loads(signs.hoopx("audit", "verify", "--config", str(signs.config), "-o", "json").fine().out)
    assert came["counts"]["proved"] + came["counts"]["later"] >= 1
    assert came["counts"]["elsewhere"] >= 1
    assert [each["kind"] for each in came["remarks"]] == ["elsewhere"]
    [recording] = [path for path in (signs.home / "recordings").glob("s_*") if b"'audited'" in path.read_bytes()]
    recording.unlink()
    outcome = signs.hoopx("audit", "verify", "--config", str(signs.config))
    assert (outcome.code, f"`{recording.stem}`" in outcome.out) == (2, True), outcome
