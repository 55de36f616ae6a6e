"""`docs/walk.md` names files and functions; they are there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("walk.md", "architecture.md", "performance.md", "README.md")
LAPTOP, BROKER = "hoopx_cli", "hoopx_broker"
ROOMS = {path.name for path in (ROOT / "broker" / BROKER).iterdir() if path.is_dir()} - {"__pycache__"}

_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_DOTTED = re.compile(r"[a-z_]+(\.\w+)+")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#:]+)\)")


def codes(page: str) -> list[str]:
    return _CODE.findall((ROOT / "docs" / page).read_text())


def dotted_names(page: str) -> list[str]:
    """Names that begin with a room of the broker, or with the package of the laptop."""
    found = [code for code in codes(page) if _DOTTED.fullmatch(code)]
    return [name for name in found if name.split(".")[0] in ROOMS | {LAPTOP}]


def resolve(name: str) -> object:
    """The module, class, function or constant of that name. Raises `LookupError`."""
    parts = name.split(".") if name.startswith(LAPTOP) else [BROKER, *name.split(".")]
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[cut:]:
            if not hasattr(found, attribute):
                raise LookupError(f"{name}: there is no `{attribute}`")
            found = getattr(found, attribute)
        return found
    raise LookupError(name)


@pytest.mark.parametrize("name", sorted(set(dotted_names("walk.md"))))
def test_a_name_on_the_walk_is_in_the_source(name: str) -> None:
    resolve(name)


def test_the_walk_leads_through_the_house() -> None:
    assert len(set(dotted_names("walk.md"))) > 40


@pytest.mark.parametrize("name", ["session.pump.Pump.fly", "session.cellar", "hoopx_cli.listener.Nobody"])
def test_a_name_that_is_not_there_is_noticed(name: str) -> None:
    with pytest.raises(LookupError):
        resolve(name)


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_are_there(page: str) -> None:
    paths = [code for code in codes(page) if (ROOT / code.split("/")[0]).is_dir() and "/" in code]
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_links_of_a_page_lead_somewhere(page: str) -> None:
    text = _FENCED.sub("", (ROOT / "docs" / page).read_text())
    assert [to for to in _LINK.findall(text) if not (ROOT / "docs" / to).exists()] == []


def test_every_decision_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    assert [path.name for path in (ROOT / "docs" / "decisions").glob("*.md") if path.name not in index] == []
