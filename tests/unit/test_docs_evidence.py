"""docs/evidence.md lists every type of event that the broker's code can write; journeys show that each is written."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/evidence.md").read_text(encoding="utf-8")
TYPE = re.compile(
    r"(?:session|recording|login|identity|request|lease|policy|configuration|key|log|broker)\.[a-z_-]+", re.ASCII
)
NOTE = {"happened", "_note", "_event", "is_noted"}


def listed(page: str = PAGE) -> set[str]:
    """`.approve` behind `request.asked` is `request.approve`."""
    rows = re.findall(r"^\| (`[^|]*`) \|", page.partition("## The events")[2], re.MULTILINE)
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
