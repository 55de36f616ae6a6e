"""docs/pages.md is true: its configuration loads, its address is the one, and the tests that it names are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.problems import BadConfig
from hoopx_broker.identity.visiting.ways import return_address
from hoopx_broker.terms.settings import PageClient
from tests.unit.test_docs_threats import known_in, named

PAGE = (Path(__file__).parents[2] / "docs/pages.md").read_text(encoding="utf-8")
TARGETS = """\
targets:
  t: {kind: postgres, address: db, database: d, credentials: {from: static, user: u, password: p}}
"""
ENTRY = """\
  - issuer: https://login.example.com/realms/main
    client_id: CLIENT
    audience: CLIENT-audience
"""


def pages_of(home: Path, identity: str, **environ: str) -> list[PageClient | None]:
    (home / "policies").mkdir(exist_ok=True)
    (home / "hoopx.yaml").write_text(identity + TARGETS)
    return [each.page for each in load(home / "hoopx.yaml", environ).identity]


def test_the_example_loads_and_its_address_is_the_one(tmp_path: Path) -> None:
    [example] = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    [page] = pages_of(tmp_path, example, HOOPX_PAGES_SECRET="s3cret")
    assert page is not None
    assert (page.client_id, page.name) == ("hoopx-pages", "Example Corp")
    assert page.secret is not None
    assert page.secret.reveal() == "s3cret"
    assert return_address("https://broker.example.com", page.slug) in PAGE


def test_without_a_section_the_client_of_the_command_line_serves(tmp_path: Path) -> None:
    """Two clients of one provider have two addresses, without anybody saying so."""
    both = "identity:\n" + ENTRY.replace("CLIENT", "one") + ENTRY.replace("CLIENT", "two")
    one, two = pages_of(tmp_path, both)
    assert one == PageClient("one", "login.example.com/realms/main", "login-example-com-realms-main")
    assert two == PageClient("two", "login.example.com/realms/main (two)", "login-example-com-realms-main-two")


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("{name: Embedded}", "has the address `/login/embedded`, as another issuer has"),
        ("{name: '---'}", "has no letter or digit of a URL"),
        (f"{{name: {'x' * 61}}}", "is not a name of at most 60 printable characters"),
        ("{secret: x}", "is not a known key"),
        ("{client_secret: 'env:NOWHERE'}", "NOWHERE"),
    ],
)
def test_what_is_wrong_is_told_at_the_start(tmp_path: Path, page: str, told: str) -> None:
    with pytest.raises(BadConfig, match=re.escape(told)):
        pages_of(tmp_path, f"identity:\n{ENTRY}    page: {page}\n")


def test_every_attack_names_tests_that_exist() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and "`test_" in line]
    assert len(rows) > 10
    assert not [f"{file}::{name}" for row in rows for file, name in named(row) if name not in known_in(file)]
