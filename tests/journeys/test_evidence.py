"""Every session leaves a recording that anyone can check, and that tells what happened."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from hoopx_cli.demo.children import HOOPX
from tests.journeys.stage import Stage, objects, running
from tests.peers import clients

TARGET = "shop-prod"
DOCUMENT = Path(__file__).parents[2] / "docs" / "verify.md"


@pytest.fixture
def recorded(stage: Stage) -> str:
    """The id of a session with an ordinary read, a masked read and a denial."""
    known = {session["id"] for session in stage.listed("sessions", "ls")}
    stage.psql(TARGET, "SELECT 'ordinary'", "SELECT name, ssn FROM customers WHERE id = 5", "DROP TABLE orders")
    [new] = [session for session in stage.listed("sessions", "ls") if session["id"] not in known]
    return str(new["id"])


def test_the_list_tells_who_where_and_how_much(stage: Stage, recorded: str) -> None:
    [session] = [each for each in stage.listed("sessions", "ls") if each["id"] == recorded]
    assert (session["user"], session["target"], session["state"]) == ("ann", TARGET, "ended")
    assert (session["statements"], session["denied"]) == (3, 1)


def test_the_replay_shows_statements_rulings_and_masked_rows(stage: Stage, recorded: str) -> None:
    seen = stage.hoopx("sessions", "replay", recorded, "--speed", "0").fine().out
    assert "SELECT 'ordinary'" in seen
    assert "Eve Example 5" in seen
    assert "000-12-0005" not in seen
    assert "DROP TABLE orders" in seen
    assert "no-ddl-in-prod" in seen


def test_the_recording_proves_itself(stage: Stage, recorded: str) -> None:
    stage.hoopx("sessions", "verify", recorded).fine()


def test_the_exported_file_proves_itself_with_nothing_but_a_public_key(
    stage: Stage, recorded: str, tmp_path: Path
) -> None:
    copy, key = _exported(stage, recorded, tmp_path)
    home = tmp_path / "stranger"
    home.mkdir()
    command = [str(HOOPX), "sessions", "verify", str(copy), "--key", key]
    done = subprocess.run(command, env={"HOME": str(home)}, cwd=home, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "whole and unchanged" in done.stdout
    assert re.search(r"^log: +leaf \d+ of \d+ of ", done.stdout, re.MULTILINE)


def test_the_proof_of_one_session_does_not_stand_before_the_recording_of_another(
    stage: Stage, recorded: str, tmp_path: Path
) -> None:
    copy, key = _exported(stage, recorded, tmp_path)
    stage.psql(TARGET, "SELECT 'harmless'").fine()
    (other, *_) = (session["id"] for session in stage.listed("sessions", "ls") if session["id"] != recorded)
    (tmp_path / "other").mkdir()
    there, _ = _exported(stage, other, tmp_path / "other")
    one, another = copy.read_bytes(), there.read_bytes()
    copy.write_bytes(one[: _part(one)] + another[_part(another) :])
    outcome = stage.hoopx("sessions", "verify", str(copy), "--key", key)
    assert outcome.code == 2
    assert f"it is about the session `{recorded}`, the recording is of `{other}`" in outcome.err


def test_a_session_that_is_not_over_is_exported_bare_and_even_quiet_says_so(stage: Stage, tmp_path: Path) -> None:
    copy = tmp_path / "copy.hoopx"
    with running(stage, "exec", TARGET, "--", *clients.psql("SELECT 1"), "-c", "\\! sleep 60") as command:
        command.says(r"1\n")
        [session] = (each["id"] for each in stage.listed("sessions", "ls", "--state", "open"))
        outcome = stage.hoopx("sessions", "export", session, "--to", str(copy), "-q").fine()
        told = stage.hoopx("sessions", "export", session, "--format", "csv", "-q")
    assert outcome.err.splitlines() == [
        "without a proof of the log: the session is not over; its seal gets into the log when it is"
    ]
    assert copy.read_bytes().startswith(b"hoopx recording 2\n")
    assert "proof" not in told.err


def test_each_reading_is_noted_with_what_it_was_for(stage: Stage, recorded: str) -> None:
    for command in ("replay", "verify", "show"):
        stage.hoopx("sessions", command, recorded).fine()
    stage.hoopx("sessions", "export", recorded, "--format", "jsonl").fine()
    asked = ("audit", "events", "--session", recorded, "--type", "session.viewed", "-o", "json")
    seen = objects(stage.hoopx(*asked, who="olga").fine().out)
    assert [each["facts"]["how"] for each in seen] == ["replay", "verify", "show", "export"]


def test_a_whole_recording_in_the_place_of_another_is_found(own_stage: Stage) -> None:
    """Both are sealed by the broker; somebody with access to its disk shows the harmless one for the other."""
    for sql in ("SELECT 'harmless'", "SELECT 'what was done'"):
        own_stage.psql(TARGET, sql).fine()
    one, other = (
        own_stage.home / "recordings" / f"{session['id']}.hoopx" for session in own_stage.listed("sessions", "ls")
    )
    one.write_bytes(other.read_bytes())
    outcome = own_stage.hoopx("sessions", "verify", one.stem)
    assert outcome.code != 0
    assert f"it is about the session `{one.stem}`, the recording is of `{other.stem}`" in outcome.err
    own_stage.hoopx("sessions", "verify", other.stem).fine()


def test_one_flipped_byte_is_found_wherever_it_is(stage: Stage, recorded: str, tmp_path: Path) -> None:
    copy, key = _exported(stage, recorded, tmp_path)
    whole = copy.read_bytes()
    for place in (0, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        broken = bytearray(whole)
        broken[place] ^= 0x01
        copy.write_bytes(broken)
        outcome = stage.hoopx("sessions", "verify", str(copy), "--key", key)
        assert outcome.code == 2, f"byte {place}: {outcome}"
        assert re.search(r"not a recording|the proof part|entry \d+", outcome.err), f"byte {place}: {outcome}"


def test_an_exported_recording_is_proved_to_be_in_the_log_by_the_file_and_the_key_alone(
    stage: Stage, recorded: str, tmp_path: Path
) -> None:
    copy, key = _exported(stage, recorded, tmp_path)
    assert copy.read_bytes().startswith(b"hoopx evidence 1\n")
    said = stage.hoopx("sessions", "verify", str(copy), "--key", key, "-o", "json").fine()
    proved = json.loads(said.out)
    assert proved["session"] == recorded
    assert 0 <= proved["log"]["index"] < proved["log"]["size"]
    assert proved["log"]["signed_by"] == key
    taken = taken_apart(copy)
    assert taken[0] == taken[1]
    bare = stage.hoopx("sessions", "verify", str(copy.with_name("recording.hoopx")), "--key", key, "-o", "json").fine()
    assert json.loads(bare.out) == proved | {"log": None}
    read = stage.hoopx("sessions", "export", str(copy), "--format", "jsonl").fine().out
    assert json.loads(read.splitlines()[0])["session"] == recorded


def test_a_recording_cut_short_is_found(stage: Stage, recorded: str, tmp_path: Path) -> None:
    copy, key = _exported(stage, recorded, tmp_path)
    copy.write_bytes(copy.read_bytes()[:-40])
    assert stage.hoopx("sessions", "verify", str(copy), "--key", key).code not in (0, 1)


def test_others_may_not_watch_but_auditors_may(stage: Stage, recorded: str) -> None:
    for command in (["show", recorded], ["replay", recorded], ["export", recorded, "--format", "jsonl"]):
        stranger = stage.hoopx("sessions", *command, who="bob")
        assert (stranger.code, stranger.out) in ((2, ""), (10, ""))
        stage.hoopx("sessions", *command, who="olga").fine()
    assert recorded not in stage.hoopx("sessions", "ls", "-o", "json", who="bob").out


def taken_apart(copy: Path) -> list[str]:
    """What the commands of docs/verify.md that take a file apart print of it."""
    commands, _ = re.findall(r"^```sh\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    lines = commands.replace("evidence.hoopx", copy.name).splitlines()
    script = "\n".join(f"{line.partition('  #')[0]}; echo" for line in lines)
    done = subprocess.run(["sh", "-c", script], cwd=copy.parent, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_key_is_replaced_and_all_evidence_is_proved_by_either(own_stage: Stage, tmp_path: Path) -> None:
    stage, config = own_stage, ("--config", str(own_stage.config))
    stage.psql(TARGET, "SELECT 'before'").fine()
    [before] = [str(each["id"]) for each in stage.listed("sessions", "ls")]
    kept, old = _exported(stage, before, tmp_path)
    refused = stage.hoopx("broker", "keys", "rotate", *config)
    assert (refused.code, refused.out) == (2, "")
    assert "stop it first" in refused.err
    stage.stop_broker()
    new = stage.hoopx("broker", "keys", "rotate", *config).fine().out.strip()
    told = json.loads(stage.hoopx("broker", "keys", *config, "-o", "json").fine().out)
    assert (told["evidence_key"], [each["evidence_key"] for each in told["older"]]) == (new, [old])
    stage.hoopx("audit", "verify", *config).fine()
    stage.start_broker()
    stage.psql(TARGET, "SELECT 'after'").fine()
    ids = [str(each["id"]) for each in stage.listed("sessions", "ls")]
    for session in ids:
        copy = tmp_path / session
        copy.mkdir()
        file, key = _exported(stage, session, copy)
        assert key == new
        for each in (old, new):
            stage.hoopx("sessions", "verify", str(file), "--key", each).fine()
    stage.hoopx("sessions", "verify", str(kept), "--key", old).fine()
    assert stage.hoopx("sessions", "verify", str(kept), "--key", new).code == 2
    stage.hoopx("audit", "verify", *config).fine()
    for each in (old, new):
        stage.hoopx("audit", "verify", str(stage.home / "recordings"), "--key", each).fine()


def _part(exported: bytes) -> int:
    """Where the recording begins."""
    return 21 + int.from_bytes(exported[17:21], "big") + 32


def _exported(stage: Stage, session: str, directory: Path) -> tuple[Path, str]:
    """The recording as a file, and the broker's public evidence key."""
    copy = directory / "copy.hoopx"
    stage.hoopx("sessions", "export", session, "--format", "recording", "--to", str(copy)).fine()
    key = stage.hoopx("broker", "keys", "--config", str(stage.config)).fine().out.strip().splitlines()[-1]
    return copy, key
