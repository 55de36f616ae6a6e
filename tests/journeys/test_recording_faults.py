"""A disk that fails while people work, and a broker that dies between two steps of keeping what it recorded."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from hoopx_broker.recording.replay import moments
from hoopx_broker.terms.entries import Rows
from tests.journeys.stage import Stage, playing
from tests.journeys.test_evidence_s3 import S3Stage
from tests.journeys.test_revocation import tls_of
from tests.laws.depth import examples
from tests.peers import clients, found
from tests.peers.aws import Aws
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually
from tests.peers.s3 import bucket

TARGET = "shop-prod"
FAULTY = [sys.executable, "-m", "tests.peers.faulty"]
IS_DEEP = examples(1) > 1  # as in `make kills`
LEVELS = ["process", "disk"]
# For what is the same at both.
any_level = pytest.mark.parametrize("faulty", LEVELS if IS_DEEP else LEVELS[:1], indirect=True)
TOLD = "could not record this session, so nothing more is forwarded: the recording failed: "


class FaultyStage(Stage):
    """Its recordings are at this level."""

    def __init__(self, home: Path, postgres: Postgres, level: str) -> None:
        self.level = level
        super().__init__(home, postgres)

    def configuration(self) -> str:
        return super().configuration() + f"evidence: {{durability: {self.level}}}\n"

    def program(self) -> list[str]:
        return FAULTY


@pytest.fixture(scope="module", params=LEVELS)
def faulty(
    request: pytest.FixtureRequest, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FaultyStage]:
    found.require("psql")
    with playing(FaultyStage(tmp_path_factory.mktemp("faulty"), postgres, request.param)) as stage:
        yield stage


WHY = {
    "ENOSPC": "No space left on device",
    "EIO": "Input/output error",
    "short": "is the disk full?",
    "fsync": "Input/output error",
}
SAMPLE = {
    "process": (("ENOSPC", "asked"), ("EIO", "answered"), ("short", "answered")),
    "disk": (("fsync", "asked"), ("fsync", "answered")),
}


def faults(level: str) -> Sequence[tuple[str, str]]:
    """Each, where there is time."""
    if not IS_DEEP:
        return SAMPLE[level]
    return [(fault, when) for fault in WHY for when in ("asked", "answered") if level == "disk" or fault != "fsync"]


def test_what_cannot_be_recorded_is_neither_run_nor_shown_and_the_client_hears_which_promise_that_keeps(
    faulty: FaultyStage,
) -> None:
    for fault, when in faults(faulty.level):
        since, word = faulty.postgres.log_position(), f"fault-{fault}-{when}"
        # The server puts together what is said to fail in an answer alone.
        said = f"SELECT '{word}'" if when == "asked" else f"SELECT 'fault' || '-{fault}-{when}'"
        outcome = faulty.psql(TARGET, "SELECT 'before'", said, "SELECT 'after'")
        assert outcome.code == 2, "as psql leaves when its server is gone"
        assert TOLD in outcome.err
        assert WHY[fault] in outcome.err
        assert outcome.out == "before\n", "no row was shown"
        heard = faulty.postgres.log(since)
        was_run = (when == "answered", False)
        assert ("'before'" in heard, said in heard, "'after'" in heard) == (True, *was_run)
    faulty.nothing_remains()
    _is_recorded(faulty, "before")
    assert faulty.psql(TARGET, "SELECT 'there is room again'").fine().out == "there is room again\n"
    [session, *_] = faulty.listed("sessions", "ls")
    faulty.hoopx("sessions", "verify", session["id"]).fine()
    health = httpx2.get(f"{faulty.url}/healthz", verify=tls_of(faulty), trust_env=False).json()
    assert (health["status"], health["recordings_not_on_disk"]) == ("ok", 0)


@any_level
def test_a_driver_gets_the_error_of_a_disk_that_is_full_in_the_middle_of_a_pipeline(faulty: FaultyStage) -> None:
    script = """
        import psycopg
        seen, talk = [], psycopg.connect(autocommit=True)
        try:
            with talk.pipeline():
                for text in ("one", "two", "fault-ENOSPC-three", "four"):
                    seen.append(talk.execute("SELECT %s::text", [text]))
        except psycopg.OperationalError as error:
            print(type(error).__name__, error.sqlstate, str(error).splitlines()[0])
        closed = talk.closed
        talk.close()
        print(closed, [each.statusmessage for each in seen])
    """
    since = faulty.postgres.log_position()
    outcome = faulty.exec(TARGET, clients.python(script))
    assert TOLD + WHY["ENOSPC"] in outcome.err, "psycopg shows no last words of a server to a pipeline, so we do"
    assert outcome.out.startswith("OperationalError")
    assert "True" in outcome.out.splitlines()[-1], "the connection is closed"
    heard = faulty.postgres.log(since)
    assert ("fault-ENOSPC" in heard, "four" in heard) == (False, False)


@any_level
def test_what_was_cut_by_a_fault_is_sealed_as_unfinished_at_the_next_start(faulty: FaultyStage) -> None:
    assert faulty.psql(TARGET, "SELECT 'kept'", "SELECT 'fault-EIO-asked'").code != 0
    [session, *_] = faulty.listed("sessions", "ls")
    assert faulty.stop_broker() == 0
    faulty.start_broker()

    def sealed() -> list[object]:
        told = faulty.listed("audit", "events", "--session", session["id"], "--type", "session.sealed", who="olga")
        return [each["facts"]["unfinished"] for each in told]

    assert eventually(sealed, "it is sealed") == [True]
    faulty.hoopx("sessions", "verify", session["id"]).fine()
    assert "kept" in faulty.hoopx("sessions", "replay", session["id"], "--speed", "0").fine().out
    faulty.hoopx("audit", "verify", "--config", str(faulty.config)).fine()


def _is_recorded(stage: Stage, cell: str) -> None:
    """In each recording that there is."""
    for path in (stage.home / "recordings").glob("*.hoopx"):
        with path.open("rb") as file:
            rows = [entry.data for _, entry in moments(file) if isinstance(entry, Rows)]
        assert any(cell.encode() in data for data in rows), path


class DyingStage(S3Stage):
    """Its broker dies at the next of these steps, and at none when all are over."""

    steps: tuple[str, ...] = ()

    def program(self) -> list[str]:
        step, self.steps = self.steps[:1], self.steps[1:]
        return [*FAULTY, *step] if step else super().program()

    def start_to_die(self) -> None:
        """It may come to its step before it is ready."""
        with suppress(AssertionError):
            self.start_broker()
        assert self.broker.wait(60) == -9


STEPS = (
    "the seal is on disk, and noted nowhere",
    "the store has it, and nobody knows",
    "it is known that the store has it, and it is here too",
)


def test_a_broker_that_dies_between_any_two_steps_loses_nothing_and_does_nothing_twice(
    postgres: Postgres, aws: Aws, tmp_path: Path
) -> None:
    stage = DyingStage(tmp_path / "home", postgres, bucket(aws, versions=True))
    stage.steps = STEPS[:1]
    with playing(stage):
        stage.psql(TARGET, "SELECT 'kept through all of it'")
        assert stage.broker.wait(60) == -9
        stage.steps = STEPS[1:]
        for _ in STEPS[1:]:
            stage.start_to_die()
        stage.start_broker()
        [session] = [each["id"] for each in stage.listed("sessions", "ls")]
        eventually(lambda: not stage.here(), "it is in the store alone")
        assert stage.stored() == [f"{session}.hoopx"]
        told = [each["type"] for each in stage.listed("audit", "events", "--session", session, who="olga")]
        assert [told.count(each) for each in ("session.opened", "session.sealed", "recording.stored")] == [1, 1, 1]
        assert "kept through all of it" in stage.hoopx("sessions", "replay", session, "--speed", "0").fine().out
        stage.hoopx("audit", "verify", "--config", str(stage.config)).fine()
        stage.nothing_remains()
