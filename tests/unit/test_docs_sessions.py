"""The page on sessions: its commands run, and its fields are those that come."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

from tests.unit.test_cli_evidence import GOLDEN, hoopx

PAGE = (Path(__file__).parents[2] / "docs/sessions.md").read_text()


def test_the_examples_run_without_a_broker(tmp_path: Path) -> None:
    there = {"session.hoopx": "v2.hoopx", "locked.hoopx": "v2-encrypted.hoopx", "identity.txt": "v2-identity.txt"}
    for name, golden in there.items():
        shutil.copy(GOLDEN / golden, tmp_path / name)
    (sample,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in sample.splitlines():
        _, *words = shlex.split(line, comments=True)
        done = hoopx(tmp_path, *(str(tmp_path / word) if word in there else word for word in words))
        assert (done.returncode, done.stderr) == (0, ""), line
        assert done.stdout, line


def test_the_fields_are_named(tmp_path: Path) -> None:
    recording = str(GOLDEN / "v2.hoopx")
    told = json.loads(hoopx(tmp_path, "sessions", "show", recording, "-o", "json").stdout)["summary"]
    lines = hoopx(tmp_path, "sessions", "show", recording, "--statements", "-o", "json").stdout.splitlines()
    internal = {"has_text", "is_prepared", "asked", "format", "seconds"}
    missing = [name for name in {*told, *json.loads(lines[0])} - internal if f"`{name}`" not in PAGE]
    assert missing == []
