"""`evidence.encrypt_to` in the configuration: a key that is none, or a package that is missing, stops the start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.problems import BadConfig
from tests.unit.blocks_scene import RECIPIENT
from tests.unit.test_config_state import REST


def encrypted_to(home: Path, recipient: str) -> tuple[str, ...]:
    (home / "rules").mkdir()
    (home / "hoopx.yaml").write_text(f"state: sqlite:state.db\nevidence: {{encrypt_to: [{recipient}]}}{REST}")
    return load(home / "hoopx.yaml", {}).evidence.encrypt_to


def test_a_recipient_is_taken(tmp_path: Path) -> None:
    assert encrypted_to(tmp_path, RECIPIENT) == (RECIPIENT,)


def test_a_slip_in_a_recipient_is_found_at_start(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="no age recipient"):
        encrypted_to(tmp_path, RECIPIENT[:-1] + ("q" if RECIPIENT[-1] != "q" else "p"))


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyrage", None)
    with pytest.raises(BadConfig, match=r"hoopx\[age\]"):
        encrypted_to(tmp_path, RECIPIENT)
