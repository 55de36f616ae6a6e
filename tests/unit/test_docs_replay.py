"""docs/replay.md is true: its keys move the player, its forms and columns are those that are written."""

from __future__ import annotations

import re
from pathlib import Path

from hoopx_broker.recording.ocsf import VERSION
from hoopx_broker.recording.sheets import HEADS
from hoopx_cli import player
from hoopx_cli.exports import ExportForm
from hoopx_cli.replay_paint import _KEYS

PAGE = (Path(__file__).parents[2] / "docs/replay.md").read_text(encoding="utf-8")


def test_every_form_and_every_column_is_named() -> None:
    forms = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert forms == [form.value for form in ExportForm]
    columns = re.findall(r"`(\w+)`", PAGE.partition("**CSV.** The columns are")[2].partition("A statement stands")[0])
    assert tuple(columns) == HEADS
    assert f"OCSF {VERSION}" in PAGE


def test_every_key_is_named_with_what_it_does() -> None:
    table = PAGE.partition("| key | does |")[2].partition("\n\n")[0]
    for key, _ in _KEYS:
        assert set(key) <= set(table), key
    assert f"{player.STEP_SECONDS:g} seconds back" in table
    assert f"({player.KEPT_LINES} lines)" in table
    assert (min(player.SPEEDS), max(player.SPEEDS)) == (0.1, 64.0)
