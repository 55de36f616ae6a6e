"""The example of docs/evidence.md is true: the configuration of witnesses loads, and every event about one is told."""

from __future__ import annotations

import re
from pathlib import Path

from hoopx_broker.daemon.config import load
from tests.peers.certificates import Authority
from tests.unit.test_config_state import REST

PAGE = (Path(__file__).parents[2] / "docs/evidence.md").read_text(encoding="utf-8")
ROUNDS = Path(__file__).parents[2] / "broker/hoopx_broker/evidence/witnesses.py"


def test_the_witnesses_of_the_page_load(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    ca = Authority.make("partner").write(tmp_path / "partner-ca.pem")
    [example] = re.findall(r"<!-- configuration -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "hoopx.yaml").write_text(f"state: sqlite:state.db\n{example}{REST}")
    first, second = load(tmp_path / "hoopx.yaml", {}).evidence.witnesses
    assert (first.url, first.ca) == ("https://witness.example.com", None)
    assert (second.url, second.ca) == ("https://audit.partner.example:8443/witness", ca)


def test_every_event_about_a_witness_is_told_with_its_facts() -> None:
    noted = re.findall(r'self\._note\("(witness\.\w+)", asked, (.*?)\)\n', ROUNDS.read_text())
    assert {type_ for type_, _ in noted} == {"witness.disputed", "witness.went_back"}
    for type_, facts in noted:
        [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{type_}`")]
        for fact in ("witness", "key", *re.findall(r"(\w+)=", facts)):
            assert f"`{fact}`" in row, f"{type_}: {fact}"
