"""docs/evidence.md tells of every finding, every remark and every count that an audit can give, and of no other."""

from __future__ import annotations

import re
from pathlib import Path

from hoopx_broker import evidence
from hoopx_broker.evidence.auditing import Audited
from hoopx_broker.evidence.examination import Counts

PAGE = (Path(__file__).parents[2] / "docs/evidence.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Check all of it\n")[2].partition("\n## ")[0]
ROOMS = ("audit", "auditing", "audit_witnesses", "examination", "learned", "trusted")
CODE = "\n".join((Path(evidence.__path__[0]) / f"{room}.py").read_text(encoding="utf-8") for room in ROOMS)


def rows(heading: str) -> set[str]:
    """What stands in quotes in the first column of a table."""
    table = SECTION.partition(f"\n| {heading} |")[2].partition("\n\n")[0]
    return {name for line in table.splitlines() for name in re.findall(r"`([^`]+)`", line.split("|")[1])}


def said(call: str) -> set[str]:
    return set(re.findall(rf'\b{call}\(\s*"([^"]+)"', CODE))


def test_each_finding_is_told() -> None:
    assert rows("finding") == said("add") | said("_suspect")


def test_each_remark_and_each_count_is_told() -> None:
    remarks = SECTION.partition("Remarks are no faults")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([^`]+)`", remarks)) == said("_remark")
    assert rows("count") == set(Counts.__struct_fields__)
    assert set(Audited.__struct_fields__) <= set(re.findall(r"`(\w+)`", SECTION))
