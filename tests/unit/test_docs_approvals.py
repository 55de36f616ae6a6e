"""The pages on requests: every field, call and key that they name is there, and none is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from starlette.routing import Route

from hoopx_broker.api.messages import Ballot, Listed, Past, RequestView
from hoopx_broker.approvals.deciding import USE_WITHIN
from hoopx_broker.approvals.keys import KEPT_SECONDS
from hoopx_broker.daemon.requests import MAX_POLL_SECONDS
from hoopx_broker.daemon.web import Api
from hoopx_broker.terms.approvals import Conditions, Effects, Window

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "approvals.md").read_text()
COMMANDS = (DOCS / "cli.md").read_text()


def section(page: str, heading: str) -> str:
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_every_field_of_a_request_is_documented_and_no_other() -> None:
    table = section(COMMANDS, "`request`, `requests`, `approve`, `deny`")
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", table, re.MULTILINE)
    told = {name: text for names, text in rows for name in re.findall(r"`(\w+)`", names)}
    assert sorted(told) == sorted(RequestView.__struct_fields__)
    for field, inside in {"ballots": (Ballot,), "effects": (Effects,), "conditions": (Conditions, Window)}.items():
        named = {name for struct in inside for name in struct.__struct_fields__}
        assert named <= set(re.findall(r"`(\w+)`", told[field])), field


def test_every_call_about_requests_is_documented_and_no_other() -> None:
    assert set(_told()) == set(_served())


def _told() -> Iterator[tuple[str, str]]:
    for cell in re.findall(r"^\| (`(?:GET|POST) .*?) \|", section(PAGE, "HTTP"), re.MULTILINE):
        first, *others = re.findall(r"`(.*?)`", cell)
        method, path = first.split(" ")
        yield method, path
        for other in others:
            yield method, path.rpartition("/")[0] + other.removeprefix("…")


def _served() -> Iterator[tuple[str, str]]:
    """As the broker's own table of routes has it; nobody is asked anything."""
    house: Any = SimpleNamespace(services=None, log=None, people=SimpleNamespace(logout=print))
    for route in Api(house).app([]).routes:
        assert isinstance(route, Route)
        if route.path.startswith("/v1/requests"):
            verdicts = ("approve", "deny", "cancel") if "{verdict}" in route.path else ("",)
            for method in (route.methods or set()) - {"HEAD"}:
                for verdict in verdicts:
                    yield method, route.path.replace("{id}", "ID").replace("{verdict}", verdict)


def test_the_numbers_of_the_page_hold() -> None:
    assert USE_WITHIN["session"] == 3600
    assert "opened within an hour" in PAGE
    assert KEPT_SECONDS == 7 * 24 * 3600
    assert "the same request for seven days" in PAGE
    assert f"({MAX_POLL_SECONDS} at most)" in PAGE
    assert Listed.__struct_fields__ == ("requests", "cursor")
    assert Past.__struct_fields__ == ("requests", "sessions")
