"""docs/evidence.md lists every type of event that the broker can write, and its example of witnesses loads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from hoopx_broker.daemon.config import load
from tests.peers.certificates import Authority
from tests.unit.test_config_state import REST

ROOT = Path(__file__).parents[2]
ROUNDS = ROOT / "broker/hoopx_broker/evidence/witnesses.py"
PAGE = (ROOT / "docs/evidence.md").read_text(encoding="utf-8")
TYPE = re.compile(
    r"(?:session|recording|login|identity|request|lease|policy|configuration|key|log|broker|witness)\.[a-z_-]+",
    re.ASCII,
)
NOTE = {"happened", "_note", "_event", "is_noted"}


def listed(page: str = PAGE) -> set[str]:
    """`.approve` behind `request.asked` is `request.approve`."""
    rows = re.findall(r"^\| (`[^|]*`) \|", page.partition("## The events")[2].partition("\n## ")[0], re.MULTILINE)
    found: set[str] = set()
    for row in rows:
        first, *rest = re.findall(r"`([\w.-]+)`", row)
        found |= {first, *(first.partition(".")[0] + each if each.startswith(".") else each for each in rest)}
    return found


def written() -> Iterator[str]:
    """Types as they stand in calls that make events."""
    for path in (ROOT / "broker/hoopx_broker").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in NOTE:
                texts = [each.value for each in node.args if isinstance(each, ast.Constant)]
                yield from (text for text in texts if isinstance(text, str) and TYPE.fullmatch(text))


def _name(function: ast.expr) -> str:
    match function:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def test_every_type_of_event_is_listed() -> None:
    known, found = listed(), set(written())
    assert len(found) > 20
    assert found <= known


def test_the_witnesses_of_the_page_load(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    ca = Authority.make("partner").write(tmp_path / "partner-ca.pem")
    [example] = re.findall(r"<!-- configuration -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "hoopx.yaml").write_text(f"state: sqlite:state.db\n{example}{REST}")
    first, second = load(tmp_path / "hoopx.yaml", {}).evidence.witnesses
    assert (first.url, first.ca) == ("https://witness.example.com", None)
    assert (second.url, second.ca) == ("https://audit.partner.example:8443/witness", ca)


def test_every_event_about_a_witness_is_told_with_its_facts() -> None:
    noted = re.findall(r'self\._note\("(witness\.\w+)", asked, (.*?)\)\n', ROUNDS.read_text(encoding="utf-8"))
    assert {type_ for type_, _ in noted} == {"witness.disputed", "witness.went_back"}
    for type_, facts in noted:
        [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{type_}`")]
        for fact in ("witness", "key", *re.findall(r"(\w+)=", facts)):
            assert f"`{fact}`" in row, f"{type_}: {fact}"
