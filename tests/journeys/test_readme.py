"""What the README tells a newcomer to type, typed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import pytest

from hoopx_broker.terms.secret import Secret
from hoopx_cli.demo import children
from hoopx_cli.demo.cluster import Cluster
from hoopx_cli.demo.ground import READY, Ground
from hoopx_cli.demo.people import Person
from tests.peers import clients
from tests.peers.postgres import Postgres

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PASSWORDS = {"ann": "ann-types-this", "dora": "dora-types-that"}


def block(language: str) -> str:
    """The one fenced block of the README in this language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return str(found)


def on_this_ground(text: str, postgres: Postgres) -> str:
    """The README's own names, where another test may have taken them, and its ports."""
    text = text.replace("hoopx_admin", "readme_admin").replace("app_read", "readme_read")
    text = text.replace("127.0.0.1:5432", f"{postgres.host}:{postgres.port}").replace("127.0.0.1:8443", "127.0.0.1:0")
    return text.replace("database: app", f"database: {postgres.database}")


def test_the_quick_start_leads_to_an_approved_masked_read(tmp_path: Path, postgres: Postgres) -> None:
    postgres.sql(on_this_ground(block("sql"), postgres))
    (tmp_path / "policies").symlink_to(ROOT / "policies")
    (tmp_path / "hoopx.yaml").write_text(on_this_ground(block("yaml"), postgres))
    said = tmp_path / "broker.log"
    environ = clients.plain_environment() | {
        "ANN_PASSWORD": PASSWORDS["ann"],
        "DORA_PASSWORD": PASSWORDS["dora"],
        "ADMIN_PASSWORD": "change-me",
        "HOOPX_CONFIG": str(tmp_path / "hoopx.yaml"),
    }
    broker = children.start((children.HOOPX, "broker", "run"), environ, said)
    try:
        ready = children.await_(lambda: READY.search(said.read_text()), "the broker", broker, said)
        secrets = {name: Secret(password) for name, password in PASSWORDS.items()}
        play(Ground(tmp_path, cast(Cluster, None), ready.group(1), ready.group(2), secrets), tmp_path)
    finally:
        children.stop(broker)
    assert not postgres.roles("hoopx_s_")


def play(ground: Ground, home: Path) -> None:
    ann, dora = Person("ann", ground), Person("dora", ground)
    ann.logs_in()
    dora.logs_in()
    log = home / "ann.log"
    asked = ("exec", "my-db", "--reason", "ticket 42", "--wait", "1m", "--")
    waiting = ann.begins(log, *asked, *clients.psql("SELECT email, id FROM customers WHERE id = 1", options=("-At",)))
    request = ann.request_in(log, waiting)
    assert request in dora.does("requests", "ls").stdout
    assert dora.does("approve", request, "--yes").returncode == 0
    assert waiting.wait(60) == 0
    assert "*****|1" in log.read_text()


@pytest.mark.parametrize("page", re.findall(r"\]\(([^)#]+)\)", README))
def test_what_the_readme_points_to_is_there(page: str) -> None:
    assert (ROOT / page).exists()
