"""The schemas of `-o json` are a promise: the page has every command, and is what the types in the code say.

Renew with HOOPX_RENEW=1 and read the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from hoopx_cli.completion_tree import spots
from tests.golden.cli_json import PRINTED, Printed, Shape, conforms, page

PAGE = Path(__file__).parents[2] / "docs" / "cli-json.md"
TESTS = Path(__file__).parents[1]


def test_every_command_with_a_form_is_documented_and_no_other() -> None:
    alone = {"accounts"}  # which is `accounts ls`
    assert {spot.path for spot in spots() if "--output" in spot.options} - alone == set(PRINTED)


def test_every_form_is_compared_with_what_a_run_prints() -> None:
    """By `as_told`, or by `held` of the journey on forms, which calls it with the command that it runs."""
    compared: set[str] = set()
    for test in TESTS.rglob("test_*.py"):
        compared |= set(re.findall(r'\b(?:as_told\(|held\(stage, )"([\w ]+)"', test.read_text()))
    assert {path for path, forms in PRINTED.items() if not isinstance(forms, str)} == compared


def test_the_page_is_what_the_types_say() -> None:
    if os.environ.get("HOOPX_RENEW") == "1":
        PAGE.write_text(page())
    assert PAGE.read_text() == page(), "renew with HOOPX_RENEW=1 if the change is meant: it is a promise to scripts"


@pytest.mark.parametrize("value", [{"checkpoint": 1}, {}, {"checkpoint": "x", "more": 1}])
def test_the_check_finds_what_is_not_of_the_type(value: object) -> None:
    [printed] = [each for each in PRINTED["audit checkpoint"] if isinstance(each, Printed)]
    assert printed.shape is Shape.ONE
    conforms(printed, {"checkpoint": "x"})
    with pytest.raises((AssertionError, ValueError)):
        conforms(printed, value)
