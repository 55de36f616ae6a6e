"""What `hoopx sessions show` tells of recordings: all of it, bounded, inert, and nothing of what it cannot read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.summary import MAX_NAMES, summary
from hoopx_broker.terms.entries import Entry, Finished, Statement
from tests.unit.recording_scene import KEY, OPENED, HandClock
from tests.unit.test_cli_evidence import GOLDEN, hoopx


def recording(folder: Path, *entries: Entry, seals: bool = True) -> Path:
    recorder = Recorder.create(folder, OPENED, KEY, HandClock())
    recorder.write(entries)
    if seals:
        recorder.seal("the client left")
    return recorder.path


def test_a_session_is_summed_up_from_its_recording(tmp_path: Path) -> None:
    done = hoopx(tmp_path, "sessions", "show", str(GOLDEN / "v2.hoopx"))
    assert (done.returncode, done.stderr) == (0, "")
    for told in ("ann@example.com", "look into case 17", "CASE-17", "4 statements", "1 denied", "no-ddl (1)", "sealed"):
        assert told in done.stdout, told
    told = json.loads(hoopx(tmp_path, "sessions", "show", str(GOLDEN / "v1.hoopx"), "-o", "json").stdout)["summary"]
    assert (told["statements"], told["runs"], told["rulings"]["deny"], told["format"]) == (4, 1, 1, 1)


def test_each_statement_is_told_with_its_ruling_rule_rows_and_time(tmp_path: Path) -> None:
    done = hoopx(tmp_path, "sessions", "show", str(GOLDEN / "v2.hoopx"), "--statements")
    assert "#1 ALLOWED by read; 2 rows, 0.0 ms" in done.stdout
    assert "#2 DENIED by no-ddl" in done.stdout
    lines = hoopx(tmp_path, "sessions", "show", str(GOLDEN / "v2.hoopx"), "--statements", "-o", "json").stdout
    told = {each["n"]: each for each in map(json.loads, lines.splitlines())}
    assert (told[2]["ruling"], told[2]["rules"], told[2]["code"]) == ("deny", ["no-ddl"], "42501")
    assert (told[4]["statement"], told[4]["parameters"][0], told[4]["seconds"]) == (3, "Bob", 0.25)
    assert told[5]["copied"] > 0


def test_what_is_encrypted_is_told_from_outside_or_by_its_key(tmp_path: Path) -> None:
    locked = str(GOLDEN / "v2-encrypted.hoopx")
    without = hoopx(tmp_path, "sessions", "show", locked)
    assert without.returncode == 0
    assert "age1" in without.stdout
    assert "--identity FILE" in without.stderr
    assert "ann@example.com" not in without.stdout + without.stderr
    assert hoopx(tmp_path, "sessions", "show", locked, "--statements").returncode == 2
    opened = hoopx(tmp_path, "sessions", "show", locked, "--identity", str(GOLDEN / "v2-identity.txt"))
    assert "ann@example.com" in opened.stdout


def test_a_changed_recording_is_not_summed_up(tmp_path: Path) -> None:
    changed = bytearray((GOLDEN / "v2.hoopx").read_bytes())
    changed[len(changed) // 2] ^= 1
    (tmp_path / "changed.hoopx").write_bytes(changed)
    for more in ((), ("--statements",)):
        done = hoopx(tmp_path, "sessions", "show", str(tmp_path / "changed.hoopx"), *more)
        assert done.returncode == 2
        assert "entry" in done.stderr


@pytest.mark.parametrize("more", [(), ("--statements",)])
def test_nothing_that_was_recorded_commands_a_terminal(tmp_path: Path, more: tuple[str, ...]) -> None:
    bad = "x\x1b]0;owned\x07\x1b[2J\u202e\n│ forged"
    path = recording(tmp_path, Statement("t_1\x1b[2J", 1, bad, bad, (bad,), bad, (bad,), effects=(bad,), tables=(bad,)))
    done = hoopx(tmp_path, "sessions", "show", str(path), *more)
    assert done.returncode == 0
    assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout + done.stderr)
    assert "\n│ forged" not in done.stdout


def test_many_names_are_counted_and_what_is_being_written_is_told_so_far(tmp_path: Path) -> None:
    many = [Statement("t_1", n, "select", "allow", tables=(f"t{n}",)) for n in range(MAX_NAMES + 5)]
    path = recording(tmp_path, *many, Finished("t_1", MAX_NAMES + 4, "SELECT 1", 1), seals=False)
    path.write_bytes(path.read_bytes() + b"\0\0")  # a block that is being written
    with path.open("rb") as file:
        found = summary(file, grows=True)
    assert (len(found.tables), found.left_out, found.statements) == (MAX_NAMES, {"tables": 5}, MAX_NAMES + 5)
    assert found.seal is None
    assert hoopx(tmp_path, "sessions", "show", str(path)).returncode == 2, "a file does not grow"
