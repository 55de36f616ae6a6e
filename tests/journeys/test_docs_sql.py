"""The page on `hoopx sql`: its examples run, its helpers, forms and codes are those that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from hoopx_broker.terms.errors import ExitCode
from hoopx_cli.sql import cells, tables
from hoopx_cli.sql.backslash import HELPERS
from hoopx_cli.sql.history import FILE, KEPT, MAX_TEXT
from tests.journeys.stage import Stage

PAGE = (Path(__file__).parents[2] / "docs/sql.md").read_text(encoding="utf-8")
TARGETS = {"prod-db": "shop-prod", "dev-db": "shop-dev"}
FILES = {
    "report.sql": "select count(*) from orders;\nselect 1;\n",
    "values.json": '["Ann", 7]',
    "orders-new.csv": "9001,1,widget\n",
    "change.sql": "update orders set quantity = 1 where id = -1;\n",
}


def _examples() -> Iterator[str]:
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL):
        yield from block.splitlines()


@pytest.mark.parametrize("line", [*_examples()])
def test_every_example_runs(stage: Stage, line: str) -> None:
    command, _, source = line.partition(" < ")
    command, _, written = command.partition(" > ")
    program, *words = shlex.split(command)
    assert program == "hoopx"
    given = stage.hoopx(
        *(TARGETS.get(word, word) for word in _with_files(words, stage)), stdin=FILES[source] if source else ""
    )
    assert given.fine().out or words[-1] == "-q" or "from stdin" in command, line
    if "email" in line:
        assert given.out in PAGE
    assert not written or given.out


def _with_files(words: list[str], stage: Stage) -> Iterator[str]:
    for word in words:
        if word in FILES:
            (stage.home / word).write_text(FILES[word])
        yield str(stage.home / word) if word in FILES else word


def test_every_helper_limit_and_code_is_told() -> None:
    prompt = PAGE.partition("## The prompt")[2]
    for helper in HELPERS:
        assert f"`{helper}" in prompt, helper
    assert f"`{FILE}`" in prompt
    assert (KEPT, f"at most {MAX_TEXT} characters" in prompt) == (1000, True)
    assert f"first {tables.FIRST_ROWS} rows" in PAGE
    assert str(cells.MAX_WHOLE) in PAGE
    assert f"at most {cells.MAX_DIGITS} significant digits (and {cells.MAX_LENGTH} characters)" in PAGE
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert codes == {*map(int, ExitCode), 130} - {ExitCode.UNEXPECTED, ExitCode.LOG_IN_FIRST}
    assert tables.NULL in PAGE
