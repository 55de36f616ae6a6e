"""`docs/threats-identity.md` names tests; they are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "threats-identity.md"
_NAMED = re.compile(r"`(?:(test_\w+\.py)::)?(test_\w+)`")


def rows() -> list[str]:
    return [line for line in PAGE.read_text().splitlines() if line.startswith("|") and "`test_" in line]


def named(row: str) -> list[tuple[str, str]]:
    """File and test; a name without a file is in the file of the name before it."""
    found, file = [], ""
    for in_file, name in _NAMED.findall(row):
        file = in_file or file
        found.append((file, name))
    return found


@cache
def known_in(file: str) -> frozenset[str]:
    [path] = TESTS.rglob(file)
    return frozenset(each.name for each in ast.parse(path.read_text()).body if isinstance(each, ast.FunctionDef))


def test_every_attack_names_tests_that_exist() -> None:
    missing = [f"{file}::{name}" for row in rows() for file, name in named(row) if name not in known_in(file)]
    assert not missing


def test_every_row_of_the_tables_names_a_test() -> None:
    lines = [
        line for line in PAGE.read_text().splitlines() if line.startswith("| ") and not line.startswith("| attack")
    ]
    assert lines == rows()
    assert len(lines) > 40
