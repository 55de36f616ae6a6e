"""The audit tells recordings apart by what proves them, and nobody passes one off for another, or its absence for
a deletion."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from hoopx_broker.approvals import journal
from hoopx_broker.evidence.examination import LONGEST, Counts
from hoopx_broker.evidence.local import LocalStore
from hoopx_broker.evidence.seen import Seen
from hoopx_broker.session import extending
from hoopx_broker.storage import session_events
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.events import happened
from hoopx_broker.terms.approvals import Happening
from hoopx_broker.terms.audit import Event
from tests.unit.audit_scene import (
    DAY,
    DELETED,
    NEW,
    OLD,
    PROVED,
    RUNNING,
    SOON,
    USUAL,
    all_fates,
    audited,
    deletion,
    goes_on,
    notes,
    opened,
    recorder_of,
    state_of,
    takes_place,
)
from tests.unit.log_stage import NOW, LogStage, played
from tests.unit.recording_scene import OTHER_KEY
from tests.unit.test_evidence_sequencer import behind_its_back

Attack = Callable[[Path], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fates")
    played(all_fates, folder)
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def file(folder: Path, session: str) -> Path:
    return folder / "recordings" / f"{session}.hoopx"


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_each_is_counted_by_what_proves_it(whole: Path) -> None:
    for with_state in (True, False):
        for quick in (True, False):
            came = audited(whole, with_state=with_state, wanted=replace(USUAL, quick=quick))
            assert (came.findings, came.remarks, came.quick) == ((), (), quick)
            assert came.counts == Counts(proved=1, older=1, running=1, running_since=NOW + 1, deleted=1)
            assert came.recordings == 3


# What an attacker does, and what is said of it; with the state at hand or not.


def in_turn(*attacks: Attack) -> Attack:
    def attack(folder: Path) -> None:
        for each in attacks:
            each(folder)

    return attack


def says_it_is_over(folder: Path) -> None:
    behind_its_back(folder, f"UPDATE sessions SET state = 'ended' WHERE id = '{RUNNING}'")


def plants(folder: Path, at: float, session: str = NEW) -> None:
    recorder_of(folder / "recordings", session, at).seal("over")


def begins_the_log_again(folder: Path) -> None:
    goes_on(folder, happened(NOW + DAY, "log.started", origin="broker.test/hoopx/00000000"))
    plants(folder, NOW + 10)


def replaced(folder: Path, sql: str = "select 2") -> None:
    """The same session, sealed by the same key, of the same size."""
    file(folder, PROVED).unlink()
    recorder_of(folder / "recordings", PROVED, sql=sql).seal("over")


def never_ends(folder: Path) -> None:
    goes_on(folder, happened(NOW + 3 * DAY, "login.accepted", by="ann"))


def seals_running(folder: Path) -> None:
    file(folder, RUNNING).unlink()
    recorder_of(folder / "recordings", RUNNING).seal("over")


def seals_and_goes_on(folder: Path) -> None:
    seals_running(folder)
    goes_on(folder, happened(NOW + DAY, "login.accepted", by="ann"))


def notes_another_seal(folder: Path) -> None:
    """The event waits to be signed; what is sealed on disk is another recording."""
    seals_running(folder)
    event = session_events.sealed(
        NOW + 30, RUNNING, "prod-db", "over", root="00" * 32, entries=1, blocks=1, bytes_=1, unfinished=False,
        format_=2, key="",
    )  # fmt: skip
    played(lambda stage: notes(stage, event), folder)


def is_gone(folder: Path, *statements: str, session: str = PROVED) -> None:
    file(folder, session).unlink()
    if statements:
        behind_its_back(folder, *statements)


DELETED_ROW = (
    "INSERT INTO recordings (session, target, home, sealed_at, class, kept_until, state, deleted_at, deleted_by)"
    f" VALUES ('{PROVED}', 'prod-db', '', 1, 'default', 2, 'deleted', 3, 'sam')"
)
OTHER_DISK = (
    "INSERT INTO brokers (id, home, url, verifier, since, seen_at) VALUES ('b_other', 'other-home', '', '', 0, 0)",
    f"UPDATE sessions SET broker = 'b_other' WHERE id = '{PROVED}'",
)
ROW = (
    'INSERT INTO sessions (id, "user", target, state, opened_at, expires_at, reason, ticket, lease)'
    f" VALUES ('{NEW}', 'ann@example.com', 'prod-db', 'ended', {{at}}, {{at}}, '', '', '')"
)


def journals(number: int) -> Callable[[Connection], object]:
    return lambda connection: journal.append(connection, Happening(f"r_{number}", "approved", NOW + number, "eve"))


def deletes(*events: Event) -> Attack:
    def attack(folder: Path) -> None:
        is_gone(folder)
        goes_on(folder, *events)

    return attack


held = happened(NOW + 30, "recording.held", session=PROVED, hold="h_1", reason="case 17")
stored = happened(NOW + 30, "recording.stored", session=PROVED, store="s3://a/b", kept_until=NOW + DAY)

ATTACKS: dict[str, tuple[Attack, bool, str, str]] = {
    "planted, of after the beginning": (lambda f: plants(f, NOW + 10), False, "recording unknown", "before it ended"),
    "planted, of after all in the log": (lambda f: plants(f, NOW + DAY), False, "recording unknown", "after all in it"),
    "planted, under a second beginning": (begins_the_log_again, False, "recording unknown", "before it ended"),
    "planted as old, the state knows better": (
        lambda f: plants(f, NOW - DAY), True, "recording unknown", f"`{NEW}` is not in the log, nor in the state",
    ),
    "planted for an old one of somebody else": (
        lambda f: behind_its_back(f, f"UPDATE sessions SET \"user\" = 'bob' WHERE id = '{OLD}'"),
        True, "recording unknown", "one of `bob` on `prod-db`",
    ),
    "planted by another key": (
        lambda f: recorder_of(f / "recordings", NEW, NOW - DAY, key=OTHER_KEY).seal("over"),
        False, "recording changed", "the seal does not hold",
    ),
    "planted without a seal": (
        lambda f: recorder_of(f / "recordings", NEW), True, "recording unknown", "has no seal",
    ),
    "an old one is changed": (lambda f: flip(file(f, OLD), 900), True, "recording changed", f"`{OLD}.hoopx`: entry"),
    "an old one is cut": (
        lambda f: file(f, OLD).write_bytes(file(f, OLD).read_bytes()[:-90]), False, "recording unknown", OLD,
    ),
    "one that runs is changed": (
        lambda f: flip(file(f, RUNNING), 1_000), False, "recording changed", f"`{RUNNING}.hoopx`: entry",
    ),
    "one that runs is gone": (lambda f: is_gone(f, session=RUNNING), True, "recording missing", "is open"),
    "one that should run is over": (
        says_it_is_over,
        True, "recording not sealed", "is over, says the state",
    ),
    "one runs for ever": (never_ends, False, "recording not sealed", "nobody has sealed"),
    "a seal that the log never heard of": (seals_and_goes_on, False, "seal not logged", "without its seal"),
    "a seal that neither heard of": (
        in_turn(seals_running, says_it_is_over),
        True, "seal not logged", "is over, says the state",
    ),
    "a seal that is about to be logged is another": (notes_another_seal, True, "recording changed", "root differs"),
    "another recording of the same session": (replaced, False, "recording changed", "root differs"),
    "gone": (is_gone, True, "recording missing", f"the log has the seal of `{PROVED}`"),
    "gone, and the state calls it deleted": (
        lambda f: is_gone(f, DELETED_ROW), True, "recording missing", f"the log has the seal of `{PROVED}`",
    ),
    "gone, stored, and said to be elsewhere": (
        in_turn(lambda f: goes_on(f, stored), lambda f: is_gone(f, *OTHER_DISK)),
        True, "recording missing", "it went to `s3://a/b`",
    ),
    "deleted before its time": (
        deletes(deletion(PROVED, kept_until=SOON)), False, "recording deleted", "before its time was over",
    ),
    "deleted against the word of the store": (
        deletes(stored, deletion(PROVED)), False, "recording deleted", "before its time was over",
    ),
    "deleted while held": (deletes(held, deletion(PROVED)), False, "recording deleted", "while it was held (`h_1`)"),
    "deleted by a made-up seal": (
        deletes(deletion(PROVED, sealed_at=NOW - DAY)), True, "recording deleted", "sealed at another time",
    ),
    "deleted by nobody": (deletes(deletion(PROVED, by="")), True, "recording deleted", "by nobody"),
    "deleted while it ran": (
        in_turn(lambda f: is_gone(f, session=RUNNING), lambda f: goes_on(f, deletion(RUNNING))),
        True, "recording deleted", "before the log had its seal",
    ),
    "a second seal": (
        lambda f: goes_on(f, session_events.sealed(
            NOW + 90, PROVED, "prod-db", "", root="00" * 32, entries=1, blocks=1, bytes_=1, unfinished=False,
            format_=2, key="",
        )), False, "two seals", PROVED,
    ),
    "a session that the log never heard of": (
        lambda f: behind_its_back(f, ROW.format(at=NOW + 5)), True, "session unknown", NEW,
    ),
    "an event is filed under somebody else": (
        lambda f: behind_its_back(f, "UPDATE events SET \"user\" = 'eve' WHERE type = 'recording.deleted'"),
        True, "events", "is filed under `eve`",
    ),
    "an entry of the journal that the log never heard of": (
        lambda f: played(lambda stage: stage.state.run(journals(4)), f), True, "journal", "entry 4 of the journal",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_what_was_done_is_found(copy: Path, name: str) -> None:
    attack, with_state, kind, said = ATTACKS[name]
    attack(copy)
    found = {finding.kind: finding.what for finding in audited(copy, with_state=with_state).findings}
    assert said in found.get(kind, ""), found


def test_one_planted_as_old_by_the_key_itself_is_counted_apart_where_no_state_is_at_hand(copy: Path) -> None:
    plants(copy, NOW - DAY)
    came = audited(copy, with_state=False)
    assert (came.findings, came.counts.older) == ((), 2)


def test_with_the_state_at_hand_a_session_that_should_be_over_is_named(whole: Path) -> None:
    late = replace(USUAL, now=lambda: NOW + 3 * 3_600)
    [finding] = audited(whole, wanted=late).findings
    assert finding.kind == "recording not sealed"
    assert "was over at 2023-11-14 23:13:21 UTC at the latest" in finding.what


def test_a_session_may_last_as_long_as_people_extend_it() -> None:
    assert LONGEST == extending.LONGEST_SECONDS


def test_what_explains_an_absence_is_told(copy: Path) -> None:
    is_gone(copy, *OTHER_DISK)
    is_gone(copy, ROW.format(at=NOW - DAY), session=OLD)
    shutil.copy(file(copy, RUNNING), file(copy, DELETED))  # only so that it is there
    came = audited(copy)
    assert {each.kind: (each.what, each.more) for each in came.remarks} == {
        "elsewhere": (f"`{PROVED}` is on the disk of another broker: audit it there", 0),
        "older session": (f"`{OLD}` is older than the log, and its recording is not here", 1),
    }
    assert [each.kind for each in came.findings] == ["recording changed"]  # that copy has no seal


def test_one_that_is_here_though_the_log_has_its_deletion_is_looked_at_and_told(copy: Path) -> None:
    goes_on(copy, deletion(PROVED))
    came = audited(copy)
    assert (came.findings, came.counts.proved) == ((), 1)
    assert [each.what for each in came.remarks] == [f"the log has the deletion of `{PROVED}`, which is still here"]
    flip(file(copy, PROVED), 2_000)
    assert [each.kind for each in audited(copy).findings] == ["recording changed"]


def test_a_session_that_failed_while_it_opened_has_no_recording(copy: Path) -> None:
    goes_on(
        copy, session_events.opened(opened(NEW)), happened(NOW + 2, "session.refused", session=NEW, why="disk full")
    )
    assert audited(copy, with_state=False).findings == ()
    goes_on(copy, session_events.broken(NOW + 9, NEW, "prod-db", "it is not there"))
    [finding] = audited(copy, with_state=False).findings
    assert (finding.kind, "(it is not there)" in finding.what) == ("recording missing", True)


def test_what_is_still_in_the_spool_is_not_missing_and_is_looked_at(copy: Path) -> None:
    spool = copy / "spool"
    spool.mkdir()
    file(copy, PROVED).rename(spool / f"{PROVED}.hoopx")
    assert [each.kind for each in audited(copy).findings] == ["recording missing"]
    wanted = replace(USUAL, spool=LocalStore(spool))
    came = audited(copy, wanted=wanted)
    assert (came.findings, came.counts.proved, came.counts.spooled) == ((), 1, 1)
    flip(spool / f"{PROVED}.hoopx", 2_000)
    [finding] = audited(copy, wanted=wanted).findings
    assert (finding.kind, PROVED in finding.what) == ("recording changed", True)


QUICK: dict[str, tuple[Attack, str]] = {
    "a byte of the head": (lambda f: flip(file(f, PROVED), 40), "recording changed"),
    "a byte of the seal": (lambda f: flip(file(f, PROVED), -100), "recording changed"),
    "the last byte": (lambda f: flip(file(f, PROVED), -1), "recording changed"),
    "a byte more": (lambda f: file(f, PROVED).write_bytes(file(f, PROVED).read_bytes() + b"x"), "recording changed"),
    "the recording of another": (lambda f: shutil.copy(file(f, OLD), file(f, PROVED)), "recording changed"),
    "another recording of the same session and size": (replaced, "recording changed"),
    "gone": (is_gone, "recording missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_look_finds_what_both_ends_show(copy: Path, name: str) -> None:
    attack, kind = QUICK[name]
    attack(copy)
    findings = audited(copy, wanted=replace(USUAL, quick=True)).findings
    assert [each.kind for each in findings] == [kind], findings


def test_a_quick_look_names_what_was_exchanged_for_one_as_large(copy: Path) -> None:
    """Sizes are the log's, so that only head and seal tell."""
    played(lambda stage: takes_place(stage, NEW), copy)
    goes_on(copy)
    one, other = file(copy, PROVED), file(copy, NEW)
    assert one.stat().st_size == other.stat().st_size
    one.write_bytes(other.read_bytes())
    [finding] = audited(copy, wanted=replace(USUAL, quick=True)).findings
    assert finding.what == f"`{PROVED}.hoopx` holds the recording of `{NEW}`"
    middle = file(copy, NEW)
    shutil.copy(other, one)
    flip(middle, 2_000)
    assert len(audited(copy, wanted=replace(USUAL, quick=True)).findings) == 1  # the other one passes: it says so
    assert len(audited(copy).findings) == 2


def test_old_recordings_are_looked_at_whole_even_by_a_quick_look(copy: Path) -> None:
    flip(file(copy, OLD), 1_500)
    [finding] = audited(copy, wanted=replace(USUAL, quick=True)).findings
    assert OLD in finding.what


def test_what_a_broker_does_meanwhile_is_no_fault(copy: Path) -> None:
    """Between the look at the state and that at the files: a session begins and ends, another is deleted."""
    looks = iter([state_of(copy)()])

    async def goes(stage: LogStage) -> None:
        await takes_place(stage, NEW)
        await notes(stage, deletion(PROVED))
        await stage.signs()

    def look() -> Seen:
        for first in looks:
            played(goes, copy)
            file(copy, PROVED).unlink()
            return first
        return state_of(copy)()

    came = audited(copy, wanted=replace(USUAL, look=look))
    assert came.findings == ()
    assert (came.counts.proved, came.counts.deleted) == (1, 2)


def test_an_older_state_that_was_put_back_is_found(copy: Path, tmp_path: Path) -> None:
    shutil.copy(copy / "state.db", tmp_path / "before.db")
    goes_on(copy, happened(NOW + 90, "login.accepted", by="ann"))
    for each in copy.glob("state.db*"):
        each.unlink()
    shutil.copy(tmp_path / "before.db", copy / "state.db")
    found = {each.kind: each.what for each in audited(copy).findings}
    assert "an older state was put back" in found["checkpoint"]
    assert "is missing in the state" in found["events missing"]


def test_the_state_of_another_broker_is_found(copy: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    played(all_fates, other)
    found = {each.kind: each.what for each in audited(copy, wanted=replace(USUAL, look=state_of(other))).findings}
    assert "the state knows of" in found["checkpoint"]


def test_every_entry_of_the_journal_is_compared_not_only_the_newest(copy: Path) -> None:
    """Somebody writes it anew, every link as it must be, and lets the newest event go."""
    behind_its_back(copy, "DELETE FROM requests_journal")

    async def scene(stage: LogStage) -> None:
        for number in (1, 2, 3, 4):
            await stage.state.run(journals(number))

    played(scene, copy)
    [finding] = audited(copy).findings
    assert (finding.kind, finding.more) == ("journal", 6)
    assert finding.what == "the log has entry 1 of the journal of requests; the state lacks it"
